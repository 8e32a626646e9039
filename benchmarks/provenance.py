"""What every result carries: date, commit, device, command; and where it lies.

A result is named by the folder of its question and its file: "forecasts/real_curves" is benchmarks/forecasts/results/real_curves.json.
"""

import hashlib
import json
import platform
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from lcx.extrapolator import models_folder
from lcx.files import write_text

_LEFT_OUT = {"--data": "DIR", "--hparams": "DIR", "--note": "TEXT"}  # of options, what a command is recorded with
BENCHMARKS = Path(__file__).resolve().parent
ROOT = BENCHMARKS.parent
# Scripts that lay in benchmarks/ itself when they made some of the results stored now, and where they lie today.
MOVED = {
    "real_curves": "forecasts/real_curves",
    "leave_out": "forecasts/leave_out",
    "prior_fit": "synthetic/prior_fit",
    "general": "synthetic/general",
    "log_score": "synthetic/log_score",
    "calibration": "synthetic/calibration",
    "early_stop": "stopping/early_stop",
    "pfn_vs_mcmc": "mcmc/pfn_vs_mcmc",
    "gold_check": "mcmc/gold_check",
    "mcmc_speed": "mcmc/speed",
    "sbc": "mcmc/sbc",
    "speed": "speed/speed",
    "scoring": "scale/scoring",
    "ranks": "scale/ranks",
    "export": "export/export",
    "page": "export/page",
    "faults": "faults/faults",
    "faults_scoring": "faults/kills_of_scoring",
}


def provenance(device: torch.device | str = "cpu") -> dict[str, Any]:
    """Date, commit (with a mark if the tree differs from it), device, versions and the command that was run, less where data lie."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    changed = subprocess.run(["git", "status", "--porcelain", "lcx", "models"], cwd=ROOT, capture_output=True, text=True).stdout
    given = [_LEFT_OUT.get(before, option) for before, option in zip(sys.argv, sys.argv[1:], strict=False)]
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "commit": commit + ("+changes" if changed else ""),
        "device": torch.cuda.get_device_name() if torch.device(device).type == "cuda" else _processor(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "command": " ".join(["python", str(Path(sys.argv[0]).resolve().relative_to(ROOT)), *given]),
    }


def command(result: dict[str, Any]) -> str:
    """The command that makes a result anew, with the path that its script has today."""
    return re.sub(r"benchmarks/(\w+)\.py", lambda old: f"benchmarks/{MOVED.get(old[1], old[1])}.py", result["command"])


def source(result: dict[str, Any]) -> str:
    """Command, date, commit and device of a result, for a line of text."""
    return f"`{command(result)}`, {result['date']}, commit {result['commit']}, {result['device']}"


def origin(result: dict[str, Any]) -> str:
    """One line of provenance under a table."""
    return f"{source(result)}, torch {result['torch']}."


def results_of(question: str) -> Path:
    """The folder of a question's results: ``results_of("mcmc")`` is benchmarks/mcmc/results."""
    return BENCHMARKS / question / "results"


def path_of(name: str) -> Path:
    """The file of a result."""
    question, _, file = name.partition("/")
    return results_of(question) / f"{file}.json"


def write_result(name: str, result: dict[str, Any], indent: int | None = 2) -> None:
    """Writes a result's file atomically; folders that are missing are made."""
    path = path_of(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(json.dumps(result, indent=indent) + "\n", path)


def read_result(name: str) -> dict[str, Any] | None:
    """What :func:`write_result` wrote, None if there is none."""
    path = path_of(name)
    return json.loads(path.read_text()) if path.exists() else None


def known_result(name: str) -> dict[str, Any]:
    """What :func:`write_result` wrote.

    Raises:
        FileNotFoundError: there is none.
    """
    result = read_result(name)
    if result is None:
        where = path_of(name).relative_to(ROOT)
        raise FileNotFoundError(f"expected {where}, got none; run the script of benchmarks/{name.partition('/')[0]} that writes it")
    return result


def labelled(models: list[str]) -> dict[str, str]:
    """Models, names or folders, by the name that results give them.

    Raises:
        ValueError: two of them would have one name, and one the other's results.
    """
    found = {Path(model).name: model for model in models}
    if len(found) < len(models):
        raise ValueError(f"expected models with different last names, got {models}; link one of the folders under another name")
    return found


def digest_of_weights(model: str) -> str:
    """The SHA-256 of a model's weights; ``model`` is a name or a folder."""
    folder = models_folder() / model if (models_folder() / model).is_dir() else Path(model)
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor()}, {len(names) or '?'} cores"
