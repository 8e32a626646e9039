"""Who may import whom (the table of the architecture), and that ``import lcx`` loads nothing optional."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "lcx"
CORE = {"torch", "numpy", "jaxtyping"}
ALLOWED = {
    "families": {"torch"},
    "predictive": CORE,
    "arrays": CORE,
    "curves": CORE | {"lcx.arrays"},
    "prior": CORE | {"lcx.families", "lcx.curves"},
    "features": CORE,
    "laws": {"torch", "lcx.prior"},
    "general": CORE | {"lcx.curves", "lcx.features", "lcx.laws", "lcx.prior"},
    "priors": CORE | {"lcx.curves", "lcx.general", "lcx.prior"},
    "context": CORE | {"lcx.features"},
    "blocks": CORE,
    "forks": CORE,
    "model": CORE | {"lcx.blocks", "lcx.context", "lcx.features", "lcx.predictive"},
    "scores": CORE | {"lcx.predictive"},
    "checkpoint": {"torch", "safetensors", "lcx.model"},
    "batches": CORE | {"lcx.features", "lcx.general", "lcx.model", "lcx.prior"},
    "objective": CORE | {f"lcx.{name}" for name in ("batches", "general", "model", "predictive", "prior", "scores")},
    "pretraining": CORE
    | {"tqdm"}
    | {f"lcx.{name}" for name in ("batches", "checkpoint", "general", "model", "muon", "objective", "prior", "priors", "ranks")},
    "muon": {"torch"},
    "ranks": {"torch", "lcx.stopping"},  # the latter for its type
    "tokens": CORE | {"lcx.curves", "lcx.features"},
    "surprise": CORE | {"lcx.predictive", "lcx.tokens"},
    "extrapolation": CORE | {"pandas", "matplotlib", "lcx.curves", "lcx.predictive", "lcx.plots"},
    "extrapolate": CORE
    | {
        f"lcx.{name}"
        for name in ("checkpoint", "curves", "extrapolation", "features", "forks", "model", "predictive", "surprise", "tokens")
    },
    "outlook": CORE | {"lcx.extrapolation", "lcx.predictive"},
    "stopping": CORE | {"lcx.extrapolation", "lcx.outlook"},
    "reports": CORE | {"lcx.curves"},
    "standings": CORE | {"pandas", "lcx.curves", "lcx.extrapolate", "lcx.extrapolation", "lcx.reports"},
    "svg": CORE,
    "report": CORE | {"pandas"} | {f"lcx.{name}" for name in ("extrapolate", "extrapolation", "reports", "standings", "svg")},
    "stopper": CORE | {f"lcx.{name}" for name in ("curves", "extrapolate", "extrapolation", "freeze_thaw", "ranks", "reports", "stopping")},
    "finished": CORE | {"pandas", "lcx.curves"},
    "chances": CORE | {"tqdm", "lcx.extrapolate", "lcx.finished", "lcx.predictive"},
    "schedules": CORE | {"lcx.chances", "lcx.finished"},
    "false_stops": CORE | {"lcx.chances", "lcx.finished", "lcx.stopping"},
    "freeze_thaw": CORE | {f"lcx.{name}" for name in ("chances", "finished", "schedules")},
    "leading": CORE | {f"lcx.{name}" for name in ("chances", "curves", "extrapolation", "finished", "outlook", "schedules", "stopping")},
    "outcome": CORE | {"lcx.chances", "lcx.finished", "lcx.schedules"},
    "replay": CORE | {"tqdm"} | {f"lcx.{name}" for name in ("chances", "finished", "freeze_thaw", "outcome", "schedules")},
    "summaries": CORE | {"lcx.predictive"},
    "columns": CORE | {"pyarrow", "lcx.arrays"},
    "batch": CORE | {f"lcx.{name}" for name in ("arrays", "columns", "curves", "extrapolate", "extrapolation", "predictive", "summaries")},
    "parts": {"pyarrow"},
    "sharding": {"torch", "tqdm", "pyarrow", "lcx.batch", "lcx.checkpoint", "lcx.extrapolate", "lcx.parts"},
    "export": CORE
    | {"onnx", "onnxscript"}
    | {f"lcx.{name}" for name in ("checkpoint", "curves", "extrapolate", "features", "model", "onnx_math", "tokens")},
    "onnx_math": CORE,
    "plots": {"numpy", "matplotlib"},
    "diagnostics": CORE | {"arviz"},
    "posterior": CORE
    | {
        f"lcx.{name}"
        for name in (
            "checkpoint",
            "curves",
            "diagnostics",
            "extrapolate",
            "extrapolation",
            "predictive",
            "prior",
            "priors",
            "samplers",
            "tokens",
        )
    },
    "samplers/__init__": CORE | {"lcx.prior"},
    "samplers/amplitudes": CORE | {"lcx.prior"},
    "samplers/smc": CORE | {"tqdm", "lcx.prior", "lcx.samplers"},
    "samplers/nuts": CORE | {"tqdm", "pyro", "lcx.prior", "lcx.samplers"},
    "samplers/ensemble": CORE | {"tqdm", "emcee", "lcx.prior", "lcx.samplers"},
}


def imported(tree: ast.Module) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        modules = (
            [a.name for a in node.names] if isinstance(node, ast.Import) else [node.module] if isinstance(node, ast.ImportFrom) else []
        )
        for module in modules:
            parts = module.split(".")
            names.add(".".join(parts[:2]) if parts[0] == "lcx" else parts[0])
    return names - set(sys.stdlib_module_names)


def test_every_module_has_a_row():
    modules = {p.relative_to(PACKAGE).with_suffix("").as_posix() for folder in ("", "samplers") for p in (PACKAGE / folder).glob("*.py")}
    modules -= {"__init__"}
    assert modules == set(ALLOWED)


@pytest.mark.parametrize("module", ALLOWED)
def test_a_module_imports_only_what_the_table_allows(module):
    # tensorboard is the one optional import of a core module, tried inside a function of pretraining.
    assert imported(ast.parse((PACKAGE / f"{module}.py").read_text())) <= ALLOWED[module]


def test_import_lcx_loads_nothing_optional():
    code = "import sys, lcx; print([m for m in sys.modules if m.split('.')[0] in {heavy}])"
    heavy = {"pandas", "matplotlib", "pyro", "typer", "scipy", "emcee", "arviz", "dynesty", "tensorboard", "sklearn"}
    shown = subprocess.run([sys.executable, "-c", code.format(heavy=heavy)], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == "[]"


def test_pretraining_needs_only_the_bare_packages():
    code = "import sys, lcx.cli.pretrain; print([m for m in sys.modules if m.split('.')[0] in {other}])"
    other = {"pandas", "matplotlib", "pyro", "typer", "scipy", "emcee", "sklearn"}
    shown = subprocess.run([sys.executable, "-c", code.format(other=other)], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == "[]"


@pytest.mark.parametrize("path", sorted((PACKAGE / "readers").glob("*.py")), ids=lambda path: path.stem)
def test_a_reader_loads_pandas_and_its_own_package_only_when_it_reads(path):
    tree = ast.parse(path.read_text())
    tree.body = [node for node in tree.body if not isinstance(node, (ast.FunctionDef, ast.If))]  # an if is TYPE_CHECKING
    assert imported(tree) <= {"numpy", "lcx.readers"}
    assert imported(ast.parse(path.read_text())) <= {"numpy", "lcx.readers", "pandas", path.stem}
