"""Runs tests that only pytest itself has a hand in, without its hooks.

The hooks take ten times as long as many a test, and touch many pages that a forked process must
then copy.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

_HOOKS = ("protocol", "logstart", "setup", "call", "teardown", "makereport", "logreport")
_MARKS = frozenset({"skip", "skipif", "xfail", "filterwarnings"})
_FIXTURES = frozenset({"caplog", "tmp_path", "tmpdir"})  # pytest's hooks serve these


def only_known_hooks(config: Any, ours: type[object]) -> bool:
    """Whether no plugin but ours, no conftest and no setting changes how a test is run."""
    hooks = [getattr(config.hook, "pytest_runtest_" + name) for name in _HOOKS]
    known = all(
        found.function.__module__.startswith("_pytest.") or isinstance(found.plugin, ours)
        for hook in [*hooks, config.hook.pytest_pyfunc_call]
        for found in hook.get_hookimpls()
    )
    warnings = _setting(config, "filterwarnings") or config.getoption("pythonwarnings", None)
    return known and not warnings and not _setting(config, "log_level")


def _setting(config: Any, name: str) -> Any:
    """A setting, or None if its plug-in is turned off."""
    try:
        return config.getini(name)
    except ValueError:
        return None


def is_plain(item: Any) -> bool:
    """Whether a test is a function that no mark or fixture makes special."""
    return (
        type(item) is pytest.Function
        and not any(name in _FIXTURES or name.startswith("cap") for name in item.fixturenames)
        and _MARKS.isdisjoint(mark.name for mark in item.iter_markers())
    )


def run_plain(item: Any, following: Any) -> tuple[bool, bool]:
    """Set a test up, call it, tear it down; return whether it failed, and whether it passed.

    After `_pytest.runner.runtestprotocol`.
    """
    state = item.session._setupstate
    os.environ["PYTEST_CURRENT_TEST"] = f"{item.nodeid} (call)"
    if not item._request:
        item._initrequest()
    outcome = _outcome_of(lambda: (state.setup(item), item.runtest()))
    ended = _outcome_of(lambda: state.teardown_exact(following))
    item._request = False
    item.funcargs = None
    failed = "failed" in (outcome, ended)
    return failed, outcome == "passed" and not failed


def _outcome_of(work: Callable[[], object]) -> str:
    try:
        work()
    except (pytest.exit.Exception, KeyboardInterrupt):
        raise
    except pytest.skip.Exception:
        return "skipped"
    except pytest.xfail.Exception:
        return "xfailed"
    except BaseException:
        return "failed"
    return "passed"
