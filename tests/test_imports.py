"""Who may import whom: folders stand on floors; and that ``import lcx`` loads nothing optional."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "lcx"
CORE = {"torch", "numpy", "jaxtyping"}
# Each folder, and each module beside them: its floor, counted from the ground, and the packages of others that it may import. Of lcx it
# may import what stands on floors below its own.
ROWS = {
    "arrays": (0, CORE),
    "files": (0, set()),
    "plots": (0, {"numpy", "matplotlib"}),
    "readers": (0, {"numpy", "pandas", "tensorboard", "mlflow", "optuna", "wandb"}),
    "predictive": (1, CORE),
    "curves": (1, CORE),
    "scores": (2, CORE),
    "pfn": (3, CORE | {"safetensors"}),
    "priors": (4, CORE),
    "extrapolation": (5, CORE | {"pandas", "matplotlib"}),
    "extrapolator": (6, CORE),
    "pretraining": (7, CORE | {"tqdm"}),
    "reference": (7, CORE | {"tqdm", "pyro", "emcee", "arviz"}),
    "scoring": (7, CORE | {"tqdm", "pyarrow"}),
    "export": (7, CORE | {"onnx", "onnxscript"}),
    "stopping": (8, CORE),
    "replay": (9, CORE | {"tqdm", "pandas"}),
    "report": (9, CORE | {"pandas"}),
    "integrations": (9, CORE | {"keras", "lightgbm", "optuna", "ray", "transformers", "xgboost"}),
    "cli": (10, CORE | {"typer", "tqdm", "pandas", "rich"}),
    "__init__": (11, set()),
}
# What may not be imported although it stands below.
BARRED = {"extrapolation": {"priors"}, "extrapolator": {"priors"}}
# One file for each of these packages, which alone imports it: its own reader, its own adapter.
OWN = {"tensorboard", "mlflow", "optuna", "wandb", "keras", "lightgbm", "ray", "transformers", "xgboost"}


def files(unit: str) -> list[Path]:
    return sorted((PACKAGE / unit).rglob("*.py")) if (PACKAGE / unit).is_dir() else [PACKAGE / f"{unit}.py"]


def imported(tree: ast.Module) -> set[str]:
    """Packages of others by name, and what of lcx is imported: "lcx." and the folder or module."""
    names = set()
    for node in ast.walk(tree):
        modules = (
            [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module] if isinstance(node, ast.ImportFrom) else []
        )
        for module in modules:
            parts = module.split(".")
            names.add(".".join(parts[:2]) if parts[0] == "lcx" else parts[0])
    return names - set(sys.stdlib_module_names)


def test_every_folder_and_module_has_a_row():
    folders = {p.name for p in PACKAGE.iterdir() if p.is_dir() and any(p.glob("*.py"))}
    assert folders | {p.stem for p in PACKAGE.glob("*.py")} == set(ROWS)


@pytest.mark.parametrize("unit", ROWS)
def test_a_folder_imports_from_floors_below_and_only_the_packages_it_may(unit):
    floor, packages = ROWS[unit]
    below = {f"lcx.{other}" for other, (its, _) in ROWS.items() if its < floor} - {f"lcx.{other}" for other in BARRED.get(unit, ())}
    for path in files(unit):
        others = imported(ast.parse(path.read_text())) - {f"lcx.{unit}"}
        assert others <= below | packages, path


@pytest.mark.parametrize("unit", ["readers", "integrations"])
def test_each_log_format_and_each_framework_is_imported_by_its_own_file_alone(unit):
    for path in files(unit):
        assert imported(ast.parse(path.read_text())) & OWN <= {path.stem}, path


def test_lists_of_folders_hold_nothing_but_names():
    for path in PACKAGE.rglob("*/__init__.py"):
        doc, *rest = ast.parse(path.read_text()).body
        assert isinstance(doc, ast.Expr), path
        assert all(isinstance(node, (ast.ImportFrom, ast.Assign)) for node in rest), path
        given = [a.asname or a.name for node in rest if isinstance(node, ast.ImportFrom) for a in node.names]
        told = [name for node in rest if isinstance(node, ast.Assign) for name in ast.literal_eval(node.value)]
        assert sorted(given) == sorted(told), path
        assert not set(given) & {p.stem for p in path.parent.iterdir()}, path


def loaded_by(code: str, packages: set[str]) -> str:
    code = f"import sys, {code}; print([m for m in sys.modules if m.split('.')[0] in {packages}])"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_import_lcx_loads_nothing_optional():
    assert (
        loaded_by("lcx", {"pandas", "matplotlib", "pyro", "typer", "scipy", "emcee", "arviz", "dynesty", "tensorboard", "sklearn"}) == "[]"
    )


def test_the_reference_loads_samplers_when_they_sample():
    assert loaded_by("lcx.reference", {"pandas", "matplotlib", "pyro", "emcee", "arviz"}) == "[]"


def test_pretraining_needs_only_the_bare_packages():
    assert loaded_by("lcx.cli.pretrain", {"pandas", "matplotlib", "pyro", "typer", "scipy", "emcee", "sklearn"}) == "[]"


@pytest.mark.parametrize("path", files("readers"), ids=lambda path: path.stem)
def test_a_reader_loads_pandas_and_its_own_package_only_when_it_reads(path):
    tree = ast.parse(path.read_text())
    tree.body = [node for node in tree.body if not isinstance(node, (ast.FunctionDef, ast.If))]  # an if is TYPE_CHECKING
    assert imported(tree) <= {"numpy", "lcx.readers"}
    assert imported(ast.parse(path.read_text())) <= {"numpy", "lcx.readers", "pandas", path.stem}
