"""Who may import whom: folders stand on floors; and that ``import lcx`` and the help of its commands load next to nothing."""

import ast
import os
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest
import typer

import lcx
from lcx.cli.app import app

PACKAGE = Path(__file__).parents[1] / "lcx"
CORE = {"torch", "numpy", "jaxtyping"}
# Each folder, and each module beside them: its floor, counted from the ground, and the packages of others that it may import. Of lcx it
# may import what stands on floors below its own.
ROWS = {
    "arrays": (0, CORE),
    "config": (0, set()),
    "files": (0, set()),
    "plots": (0, {"numpy", "matplotlib"}),
    "readers": (0, {"numpy", "pandas", "tensorboard", "mlflow", "optuna", "wandb", "google", "sqlalchemy"}),
    "predictive": (1, CORE),
    "curves": (1, CORE),
    "scores": (2, CORE),
    "pfn": (3, CORE | {"safetensors"}),
    "priors": (4, CORE),
    "extrapolation": (5, CORE | {"pandas", "matplotlib"}),
    "extrapolator": (6, CORE),
    "pretraining": (7, CORE | {"tqdm", "pandas"}),
    "reference": (7, CORE | {"tqdm", "pyro", "emcee", "arviz"}),
    "scoring": (7, CORE | {"tqdm", "pyarrow"}),
    "export": (7, CORE | {"onnx", "onnx_ir", "onnxscript"}),
    "stopping": (8, CORE | {"scipy", "sklearn"}),
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


HEAVY = {"torch", "pandas", "matplotlib", "pyro", "scipy", "emcee", "arviz", "dynesty", "tensorboard", "sklearn"}


def loaded_by(*stages: str, packages: set[str] = HEAVY, **environment: str) -> list[set[str]]:
    """Those of the packages that a program has loaded after each of its stages, which may end with an exit."""
    told = "print('loaded', *sys.modules, file=sys.stderr)"
    watched = "".join(f"try:\n    exec({stage!r})\nexcept SystemExit as end:\n    assert not end.code\n{told}\n" for stage in stages)
    asked = [sys.executable, "-c", f"import sys\n{watched}"]
    done = subprocess.run(asked, capture_output=True, text=True, check=True, cwd=PACKAGE.parent, env={**os.environ, **environment})
    lines = [line.split()[1:] for line in done.stderr.splitlines() if line.startswith("loaded ")]
    assert len(lines) == len(stages)
    return [{name.split(".")[0] for name in line} & packages for line in lines]


def command(*arguments: str) -> str:
    return f"sys.argv = {['lcx', *arguments]}\nfrom lcx.cli.app import main\nmain()"


def test_lcx_loads_nothing_and_forecasts_and_samplers_torch_and_nothing_optional():
    answer = "lcx.predict([0.1, 0.2], horizon=5, mode='max', device='cpu').quantile([0.05, 0.95])"
    watched = HEAVY | {"typer", "sympy"}  # sympy takes a third of a second, and some functions of torch load it
    assert loaded_by("import lcx", "import lcx.reference", answer, packages=watched) == [set(), {"torch"}, {"torch"}]
    assert loaded_by("import lcx", packages={"numpy"}) == [set()]


def test_public_names_are_those_that_type_checkers_see():
    guarded = next(node for node in ast.parse((PACKAGE / "__init__.py").read_text()).body if isinstance(node, ast.If))
    seen = {a.asname: node.module for node in guarded.body if isinstance(node, ast.ImportFrom) for a in node.names}
    assert set(lcx.__all__) == set(seen) <= set(dir(lcx))
    for name, module in seen.items():
        assert getattr(lcx, name) is getattr(import_module(str(module)), name)
    with pytest.raises(AttributeError, match="no attribute 'forecast'"):
        lcx.forecast  # noqa: B018


def test_the_version_is_that_of_pyproject():
    assert lcx.__version__ == tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())["project"]["version"]


def test_help_loads_neither_torch_nor_pandas():
    names = [[], *([name] for name in typer.main.get_command(app).commands)]
    found = loaded_by(*(command(*name, "--help") for name in names))
    assert {" ".join(name): loaded for name, loaded in zip(names, found, strict=True) if loaded} == {}


def test_completion_loads_neither_torch_nor_pandas():
    undetected = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}  # there may be no shell above the tests
    assert loaded_by(command("--show-completion", "bash"), **undetected) == [set()]
    assert loaded_by(command(), _LCX_COMPLETE="source_bash") == [set()]
    assert loaded_by(command(), _LCX_COMPLETE="complete_bash", COMP_WORDS="lcx predict --h", COMP_CWORD="2") == [set()]


def test_runs_loads_no_torch():
    assert loaded_by(command("runs", "examples")) == [{"pandas"}]


def test_pretraining_needs_only_the_bare_packages(tmp_path):
    script, missing = PACKAGE.parent / "scripts" / "pretrain.py", HEAVY - {"torch"} | {"typer", "rich"}
    options = "--curves 2 --batch 2 --validation-curves 2 --width 8 --layers 1 --device cpu --folder"
    bare = f"import runpy, sys\nsys.modules.update(dict.fromkeys({missing}))\nsys.argv = {[str(script), *options.split(), str(tmp_path)]}\n"
    code = bare + f"runpy.run_path({str(script)!r}, run_name='__main__')"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path, capture_output=True)
    assert (tmp_path / "model.safetensors").exists()


@pytest.mark.parametrize("path", files("readers"), ids=lambda path: path.stem)
def test_a_reader_loads_pandas_and_its_own_package_only_when_it_reads(path):
    tree = ast.parse(path.read_text())
    for block in (tree, *(node for node in tree.body if isinstance(node, ast.ClassDef))):
        block.body = [node for node in block.body if not isinstance(node, (ast.FunctionDef, ast.If))]  # an if is TYPE_CHECKING
    assert imported(tree) <= {"lcx.readers"}
    shared = {"numpy", "lcx.readers", "pandas", "google", "sqlalchemy"}  # google is protobuf; of the two only errors are imported
    assert imported(ast.parse(path.read_text())) <= {*shared, path.stem}
