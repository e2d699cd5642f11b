"""Runs in the job's container, in every Python there: reports the start of tests, then waits.

The image of the runner holds this file twice in the standard library of each Python: as
`sitecustomize`, which Python imports at its start, and as `forager_freeze`, a plug-in of pytest.
It imports no module of forager, and works from Python 3.8 on.
"""

from __future__ import annotations

import os
import sys

MYPY = False
if MYPY:
    from typing import Any

_REPORT = "/forager/report.json"
_PLUGIN = "forager_freeze"
_MOST = 5000  # of each list in the report

# -- sitecustomize: every Python of the job


class _Patcher:
    """Finds unittest's runner and suite as others do, and patches what they define."""

    def find_spec(self, name: str, path: Any = None, _target: Any = None) -> Any:
        """Return the module's specification with a loader that patches."""
        if name not in ("unittest.runner", "unittest.suite"):
            return None
        from importlib.machinery import PathFinder

        spec = PathFinder.find_spec(name, path)
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def exec_module(module: Any) -> None:
            execute(module)
            _patch(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def _patch(module: Any) -> None:
    if module.__name__ == "unittest.suite":  # for runners that others write
        original_call = module.BaseTestSuite.__call__

        def call(self: Any, *arguments: Any, **named: Any) -> Any:
            _before(self)
            return original_call(self, *arguments, **named)

        module.BaseTestSuite.__call__ = call
        return
    original_run = module.TextTestRunner.run

    def run(self: Any, test: Any) -> Any:
        _before(test)
        return original_run(self, test)

    module.TextTestRunner.run = run


def _before(test: Any) -> None:
    if "_pytest" not in sys.modules and test.countTestCases():
        _freeze(_of_unittest(test))


def _of_unittest(suite: Any) -> dict[str, Any]:
    files: dict[str, int] = {}
    waiting = [suite]
    while waiting:
        test = waiting.pop()
        if hasattr(test, "__iter__"):
            waiting.extend(test)
        elif type(test).__module__ != "unittest.loader":  # which makes tests of import errors
            module = sys.modules.get(type(test).__module__)
            file = getattr(module, "__file__", None) or ""
            files[file] = files.get(file, 0) + 1
    return {"runner": "unittest", "files": files, "path": sys.path}


# -- the plug-in of pytest

_PATH = list(sys.path)  # before pytest adds the folders of tests


def pytest_configure(config: Any) -> None:
    """Keep tests in this process: pytest-xdist would collect them in others."""
    if getattr(config.option, "dist", "no") != "no":
        config.option.dist = "no"
        config.option.tx = []
        config.option.numprocesses = None


def pytest_runtestloop(session: Any) -> None:
    """Report what pytest has collected."""
    config = session.config
    if session.items and not config.option.collectonly:
        given = getattr(config, "invocation_params", None)  # which pytest 4 lacks
        files: dict[str, int] = {}
        doctests: dict[str, int] = {}
        for item in session.items:
            file = str(getattr(item, "path", None) or item.fspath)
            of_kind = doctests if type(item).__name__ == "DoctestItem" else files
            of_kind[file] = of_kind.get(file, 0) + 1
        _freeze(
            {
                "runner": "pytest",
                "arguments": [str(word) for word in (given.args if given else sys.argv[1:])],
                "paths": [str(word) for word in config.args],
                "directory": str(given.dir if given else os.getcwd()),
                "addopts": [str(word) for word in config.getini("addopts")],
                "files": files,
                "doctests": doctests,
                "path": _PATH,
            }
        )


for _hook in (pytest_configure, pytest_runtestloop):
    setattr(_hook, "pytest_impl", {"tryfirst": True})  # noqa: B010 (as pytest.hookimpl does)

# -- both


def _freeze(facts: dict[str, Any]) -> None:
    """Write the report, once, and wait to be killed."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # which the project may make errors
        try:
            os.mkdir(_REPORT + ".begun")
        except OSError:  # another process was first
            _wait()
        try:
            _report(facts)
        except BaseException:
            os.rmdir(_REPORT + ".begun")
            raise
    _wait()


def _report(facts: dict[str, Any]) -> None:
    import json

    for kind in {"files", "doctests"}.intersection(facts):
        facts[kind] = dict(list(facts[kind].items())[:_MOST])
    report = {
        "directory": os.getcwd(),
        "workspace": os.environ.get("GITHUB_WORKSPACE", ""),
        "python": ".".join(map(str, sys.version_info[:2])),
        "packages": _packages(),
        "variables": dict(os.environ),
        **facts,
    }
    part = _REPORT + ".part"
    with open(part, "w", encoding="utf-8") as file:
        json.dump(report, file)
    os.replace(part, _REPORT)


def _packages() -> list[dict[str, Any]]:
    from importlib.metadata import distributions

    packages = [_package(found) for found in distributions()]
    return [package for package in packages if package][:_MOST]


def _package(found: Any) -> dict[str, Any]:
    try:
        url = found.read_text("direct_url.json") or ""
        place = str(found.locate_file(""))
        return {
            "name": found.metadata["Name"],
            "version": found.version,
            "url": url,
            "place": place,
        }
    except Exception:  # metadata that is damaged
        return {}


def _wait() -> None:
    import time

    while True:
        time.sleep(60)


def _start() -> None:
    """What `sitecustomize` does in each Python."""
    if not os.path.isdir(os.path.dirname(_REPORT)):
        return
    sys.meta_path.insert(0, _Patcher())
    named = os.environ.get("PYTEST_PLUGINS", "")
    if _PLUGIN not in named.split(","):
        os.environ["PYTEST_PLUGINS"] = ",".join(filter(None, [named, _PLUGIN]))


if __name__ == "sitecustomize":
    _start()
