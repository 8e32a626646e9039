"""What every result carries: date, commit, device, command; and how it is written."""

import json
import platform
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from lcx.files import write_text

ROOT = Path(__file__).resolve().parents[1]


def provenance(device: torch.device | str = "cpu") -> dict[str, Any]:
    """Date, commit (with a mark if the tree differs from it), device, versions and the command that was run, less where data lie."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    changed = subprocess.run(["git", "status", "--porcelain", "lcx", "models"], cwd=ROOT, capture_output=True, text=True).stdout
    given = [option if before != "--data" else "DIR" for before, option in zip(sys.argv, sys.argv[1:], strict=False)]
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "commit": commit + ("+changes" if changed else ""),
        "device": torch.cuda.get_device_name() if torch.device(device).type == "cuda" else _processor(),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "command": " ".join(["python", str(Path(sys.argv[0]).resolve().relative_to(ROOT)), *given]),
    }


def write_result(name: str, result: dict[str, Any], indent: int | None = 2) -> None:
    """Writes benchmarks/results/<name>.json atomically."""
    folder = ROOT / "benchmarks" / "results"
    folder.mkdir(exist_ok=True)
    write_text(json.dumps(result, indent=indent) + "\n", folder / f"{name}.json")


def read_result(name: str) -> dict[str, Any] | None:
    """What :func:`write_result` wrote, None if there is none."""
    path = ROOT / "benchmarks" / "results" / f"{name}.json"
    return json.loads(path.read_text()) if path.exists() else None


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor()}, {len(names) or '?'} cores"
