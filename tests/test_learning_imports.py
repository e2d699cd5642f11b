"""How forager imports torch, DeepSpeed and Transformers in less time than they take alone."""

import sys
from importlib import metadata
from pathlib import Path

import pytest

from forager.learning.imports import load, packages_distributions


def test_packages_are_found_as_the_standard_library_finds_them() -> None:
    """Only what Python 3.12 adds is missing: installed files without a module."""
    found, expected = packages_distributions(), metadata.packages_distributions()
    assert {"click", "pytest", "yaml"} <= found.keys()
    assert {name for name in found if not {*found[name]} <= {*expected[name]}} == set()
    if sys.version_info < (3, 12):
        assert {name: {*found[name]} for name in found} == {
            name: {*expected[name]} for name in expected
        }


def test_what_a_package_imports_for_nothing_stays_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A module does not find what would be imported needlessly; others do."""
    (tmp_path / "mlflow.py").touch()
    (tmp_path / "asking_module.py").write_text(
        "import importlib.metadata\n"
        "try:\n    import mlflow\nexcept ImportError:\n    mlflow = None\n"
        "asked = importlib.metadata.packages_distributions\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in [name for name in sys.modules if name.partition(".")[0] == "mlflow"]:
        monkeypatch.delitem(sys.modules, name)
    load("asking_module")
    asking = sys.modules.pop("asking_module")
    assert (asking.mlflow, asking.asked) == (None, packages_distributions)
    assert metadata.packages_distributions is not packages_distributions
    import mlflow

    assert mlflow.__file__ == str(tmp_path / "mlflow.py")
    del sys.modules["mlflow"]
