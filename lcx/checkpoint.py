"""Models and training states on disk: tensors as safetensors, everything else as JSON, nothing unpickled, nothing half written."""

import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from lcx.model import PFN, PFNConfig

WEIGHTS, CONFIG = "model.safetensors", "config.json"


def save(model: PFN, folder: Path, about: dict[str, Any]) -> None:
    """Writes ``model.safetensors`` and ``config.json`` into ``folder``, each atomically.

    Args:
        model: the network.
        folder: is created if missing.
        about: JSON-able facts beside the size of the network: prior, training configuration, scores, origin.
    """
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: p.detach().cpu().float().contiguous() for name, p in model.state_dict().items()}
    write_tensors(weights, folder / WEIGHTS)
    write_text(json.dumps({"model": asdict(model.config), **about}, indent=2) + "\n", folder / CONFIG)


def load(folder: Path, device: torch.device) -> tuple[PFN, dict[str, Any]]:
    """The network in ``folder``, in eval mode on ``device``, and what its ``config.json`` says.

    Raises:
        ValueError: a file is missing, damaged, or not lcx's, or config and weights do not fit each other.
    """
    about = read_config(folder)
    try:
        model = PFN(PFNConfig(**about["model"]))
    except (KeyError, TypeError, ValueError, ZeroDivisionError, RuntimeError) as error:
        raise ValueError(
            f"expected {folder / CONFIG} to hold the fields of PFNConfig under 'model', got {about.get('model')!r} ({error}); "
            "restore the file that was saved with the weights"
        ) from error
    weights = read_tensors(folder / WEIGHTS)
    want, got = ({n: tuple(p.shape) for n, p in state.items()} for state in (model.state_dict(), weights))
    if want != got:
        name = next(n for n in (*want, *got) if want.get(n) != got.get(n))
        raise ValueError(
            f"expected the weights in {folder} to fit its config, got {name!r} with shape {got.get(name)} instead of {want.get(name)}; "
            "take config.json and model.safetensors from the same model"
        )
    if broken := [name for name, p in weights.items() if not p.isfinite().all()]:
        raise ValueError(f"expected finite weights in {folder}, got NaN or infinity in {broken[0]!r}; restore or retrain the model")
    model.load_state_dict(weights)
    return model.to(device).eval(), about


def as_device(name: str | torch.device) -> torch.device:
    """The device of that name.

    Raises:
        ValueError: torch knows no such name.
    """
    try:
        return torch.device(name)
    except RuntimeError as error:
        raise ValueError(f"expected the name of a device, got {name!r}; write cpu, cuda or cuda:1, say") from error


def read_config(folder: Path) -> dict[str, Any]:
    """The JSON object in a model's ``config.json``.

    Raises:
        ValueError: it is missing or no JSON object.
    """
    path = folder / CONFIG
    try:
        about = json.loads(path.read_text())
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"expected a model's config at {path}, got {error}; name a folder saved by lcx") from error
    if not isinstance(about, dict):
        raise ValueError(f"expected {path} to hold a JSON object, got {type(about).__name__}; name a folder saved by lcx")
    return about


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file, on the CPU.

    Raises:
        ValueError: the file is missing, truncated or of another format.
    """
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise ValueError(f"expected a safetensors file at {path}, got {error}; restore the file or save the model again") from error


def write_tensors(tensors: dict[str, Tensor], path: Path) -> None:
    """Writes a safetensors file atomically."""
    write_atomically(path, lambda temporary: save_file(tensors, temporary))


def write_text(text: str, path: Path) -> None:
    """Writes a text file atomically."""
    write_atomically(path, lambda temporary: Path(temporary).write_text(text))


def write_atomically(path: Path, write: Callable[[str], Any]) -> None:
    """Lets ``write`` fill a temporary file, which then takes the place of ``path``; if it fails, nothing changes."""
    # In the same folder, so that the final rename never crosses a file system.
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part" + path.suffix)
    os.close(handle)
    try:
        write(temporary)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    finally:
        Path(temporary).unlink(missing_ok=True)
