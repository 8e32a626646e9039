"""The wheel and the sdist in dist/ (``make wheel``): what is inside, and that the wheel works in an environment of its own, offline."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import lcx

ROOT = Path(__file__).parents[1]
WHEELS, SDISTS = (sorted((ROOT / "dist").glob(f"lcx-*{ending}")) for ending in (".whl", ".tar.gz"))
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not (WHEELS and SDISTS), reason="no wheel in dist/: make wheel")]  # 15 s
MODELS = [path.relative_to(ROOT) for path in sorted((ROOT / "models").rglob("*")) if path.is_file()]


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """An interpreter that has the wheel, and everything else from this environment, but neither the repository nor its editable install."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    own, here = (subprocess.run([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], capture_output=True, text=True)
                 for python in (folder / "bin" / "python", sys.executable))  # fmt: skip
    others = folder / "others"
    others.mkdir()
    for path in Path(here.stdout.strip()).iterdir():  # less what pip put there for the repository
        if not path.name.startswith("lcx"):
            (others / path.name).symlink_to(path)
    Path(own.stdout.strip(), "others.pth").write_text(str(others))  # in a folder added so, .pth files are not read
    install = ["install", "--quiet", "--no-deps", "--no-index", str(WHEELS[-1])]
    subprocess.run([sys.executable, "-m", "pip", "--python", folder / "bin" / "python", *install], check=True)
    return folder / "bin" / "python"


def run(command, folder):
    """Standard output of a command that has no network, where the system lets us take it away."""
    offline = ["unshare", "-rn"] if shutil.which("unshare") and not subprocess.run(["unshare", "-rn", "true"]).returncode else []
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COV_"))}
    done = subprocess.run([*offline, *map(str, command)], cwd=folder, env=clean, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_carries_models_types_and_licence_and_no_tests():
    with zipfile.ZipFile(WHEELS[-1]) as wheel:
        names = set(wheel.namelist())
        for path in MODELS:
            assert hashlib.sha256(wheel.read(f"lcx/{path}")).digest() == hashlib.sha256((ROOT / path).read_bytes()).digest()
        assert {"lcx/py.typed", "lcx/__init__.py", "lcx/cli/app.py", "lcx/export/page/lcx.html"} <= names
        assert any(name.endswith("licenses/LICENSE") for name in names)
        assert not [name for name in names if name.startswith(("tests/", "benchmarks/")) or name.endswith((".pyc", ".so"))]
        for path in (ROOT / "lcx").rglob("*.py"):
            assert path.relative_to(ROOT).as_posix() in names
    assert WHEELS[-1].stat().st_size < 50e6


def test_the_sdist_builds_the_same_wheel():
    """The wheel in dist/ was built out of the sdist; here: everything it needs, and the tests, are inside."""
    with tarfile.open(SDISTS[-1]) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert {
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "CHANGELOG.md",
        "CITATION.cff",
        "tests/conftest.py",
        "benchmarks/faults/fuzz.py",
    } <= names
    assert {path.as_posix() for path in MODELS} <= names
    assert not [name for name in names if name.startswith((".venv", "runs", "dist")) or name.endswith(".pyc")]


def test_it_predicts_offline_as_the_repository_does(python, tmp_path):
    where = Path(run([python, "-c", "import lcx; print(lcx.__file__)"], tmp_path).strip())
    assert python.parents[1] in where.parents
    curve = tmp_path / "curve.csv"
    curve.write_text("epoch,accuracy\n" + "".join(f"{i},{1 - 0.8 * i**-0.5}\n" for i in range(1, 21)))
    asked = ["predict", curve, "--horizon", "100", "--mode", "max", "--lower", "0", "--upper", "1", "--at", "50,100", "--device", "cpu"]
    told = json.loads(run([python.parent / "lcx", *asked, "--json"], tmp_path))
    here = lcx.predict([1 - 0.8 * i**-0.5 for i in range(1, 21)], horizon=100, mode="max", bounds=(0, 1), at=[50, 100], device="cpu")
    for row, median in zip(told["at"], here.median, strict=True):
        assert row["0.5"] == pytest.approx(median, abs=1e-4)
    about = json.loads(run([python.parent / "lcx", "info", "--json"], tmp_path))
    assert {Path(model["folder"]).parent for model in about["models"].values()} == {where.parent / "models"}
    assert set(about["models"]) == {path.parts[1] for path in MODELS}


def test_every_module_of_the_core_can_be_imported_from_it(python, tmp_path):
    code = (
        "import lcx; [getattr(lcx, name) for name in lcx.__all__]; import lcx.cli.app, lcx.readers, lcx.report, lcx.stopping; print('fine')"
    )
    assert run([python, "-c", code], tmp_path) == "fine\n"
