"""Adapters load their own framework only, say how to install it when it is missing, and are loaded by nothing else in lcx."""

import ast
import sys
from importlib import import_module
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "lcx"


@pytest.mark.parametrize("name", ["optuna", "ray", "xgboost", "lightgbm"])
def test_a_missing_framework_is_named_with_the_extra_to_install(name, monkeypatch):
    monkeypatch.delitem(sys.modules, f"lcx.integrations.{name}", raising=False)
    for module in [key for key in sys.modules if key.partition(".")[0] == name] or [name]:
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=rf"expected the package {name} .*got none; pip install 'lcx\[{name}\]'"):
        import_module(f"lcx.integrations.{name}")


def test_nothing_in_lcx_loads_an_adapter():
    for path in PACKAGE.rglob("*.py"):
        if path.parent.name != "integrations":
            froms = [node.module for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
            found = [module for module in froms if (module or "").startswith("lcx.integrations")]
            assert found == [], path
