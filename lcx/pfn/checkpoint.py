"""Models and training states on disk: tensors as safetensors, everything else as JSON. Nothing is unpickled or half written.

A file of tensors carries the SHA-256 of its content, and that of a model also the size of its network, so a single damaged bit in either
file of a model is an error. Files without these, from older versions, can still be read. Before anything is allocated, the sizes that a
file or a configuration claims are compared with the size of the file, because it may be hostile.
"""

import hashlib
import json
import math
import reprlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from lcx.config import PFNConfig
from lcx.files import write_atomically, write_text
from lcx.pfn.model import PFN

WEIGHTS, CONFIG = "model.safetensors", "config.json"
STATE, OPTIONS, METRICS = "state.safetensors", "pretraining.json", "metrics.jsonl"  # of a training run, beside the model
_LARGEST_TEXT = 1 << 20  # bytes of a configuration or of a header of tensors; ours have some thousand
_KINDS = ("F64", "F32", "F16", "BF16")


def save(model: PFN, folder: Path, about: dict[str, Any]) -> None:
    """Writes ``model.safetensors`` and ``config.json`` into ``folder``, each atomically.

    Args:
        model: the network.
        folder: is created if missing.
        about: JSON-able facts beside the size of the network: prior, training configuration, scores, origin.
    """
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: p.detach().cpu().float().contiguous() for name, p in model.state_dict().items()}
    size = asdict(model.config)
    write_tensors(weights, folder / WEIGHTS, size)
    write_text(json.dumps({"model": size, **about}, indent=2) + "\n", folder / CONFIG)


def load(folder: Path, device: torch.device) -> tuple[PFN, dict[str, Any]]:
    """The network in ``folder``, in eval mode on ``device``, and what its ``config.json`` says.

    Raises:
        ValueError: a file is missing, damaged, or not lcx's, or config and weights do not fit each other.
    """
    about, got = read_config(folder), _shapes(folder / WEIGHTS)
    try:
        config = PFNConfig(**about["model"])
        model = PFN(config) if _plausible(config, got) else None
    except (KeyError, TypeError, ValueError, ZeroDivisionError, RuntimeError) as error:
        raise ValueError(
            f"expected {folder / CONFIG} to hold the fields of PFNConfig under 'model', got {reprlib.repr(about.get('model'))} ({error}); "
            "restore the file that was saved with the weights"
        ) from error
    want = {} if model is None else {name: tuple(p.shape) for name, p in model.state_dict().items()}
    if model is None or want != got:
        name = next(n for n in (*want, *got, "nothing") if want.get(n) != got.get(n))
        came = f"shape {got.get(name)} of {name!r} instead of {want.get(name)}" if want else f"{len(got)} small tensors for a large network"
        raise ValueError(
            f"expected the weights in {folder} to fit its config, got {came}; take config.json and model.safetensors from the same model"
        )
    weights = read_tensors(folder / WEIGHTS, about["model"])
    if broken := [name for name, p in weights.items() if not p.isfinite().all()]:
        raise ValueError(f"expected finite weights in {folder}, got NaN or infinity in {broken[0]!r}; restore or retrain the model")
    model.load_state_dict(weights)
    return model.to(device).eval(), about


def as_device(name: str | torch.device) -> torch.device:
    """The device of that name.

    Raises:
        ValueError: torch knows no such name, or this machine has no such device.
    """
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).cpu()
    except (RuntimeError, AssertionError, ImportError) as error:  # the latter two: torch is built without it
        said = str(error).partition("\n")[0]
        raise ValueError(f"expected the name of a device, got {name!r} ({said}); write cpu, cuda or cuda:1, say") from error
    return device


def read_config(folder: Path) -> dict[str, Any]:
    """The JSON object in a model's ``config.json``.

    Raises:
        ValueError: it is missing, no JSON object, or larger than 1 MB.
    """
    path = folder / CONFIG
    try:
        if (size := path.stat().st_size) > _LARGEST_TEXT:
            raise ValueError(f"{size} bytes")
        about = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise ValueError(f"expected a model's config at {path}, got {error}; name a folder saved by lcx") from error
    if not isinstance(about, dict):
        raise ValueError(f"expected {path} to hold a JSON object, got {type(about).__name__}; name a folder saved by lcx")
    return about


def read_tensors(path: Path, about: Any = None) -> dict[str, Tensor]:
    """The tensors of a safetensors file, on the CPU.

    Args:
        path: the file.
        about: what was given to :func:`write_tensors`; None: anything.

    Raises:
        ValueError: the file is missing, truncated, damaged or of another format, or belongs to something else.
    """
    with _opened(path) as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        told = file.metadata() or {}
    if "sha256" in told and told["sha256"] != _digest(tensors, told.get("about", "")):
        raise _foreign(path, "contents that are not what was written")
    if about is not None and told.get("about", as_text := json.dumps(about, sort_keys=True)) != as_text:
        raise _foreign(path, f"tensors of {told['about']} instead of {as_text}")
    return tensors


def _shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Shapes of the tensors in a file, without reading these."""
    with _opened(path) as file:
        slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
        if odd := [f"{name!r} of kind {x.get_dtype()}" for name, x in slices.items() if x.get_dtype() not in _KINDS]:
            raise _foreign(path, odd[0])
        return {name: tuple(x.get_shape()) for name, x in slices.items()}


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with path.open("rb") as file:
            header = int.from_bytes(file.read(8), "little")
        if header > _LARGEST_TEXT:
            raise _foreign(path, f"a header of {header} bytes")
        with safe_open(path, "pt") as tensors:
            yield tensors
    except (OSError, SafetensorError) as error:
        raise _foreign(path, str(error)) from error


def _foreign(path: Path, came: str) -> ValueError:
    return ValueError(f"expected a safetensors file at {path}, got {came}; restore the file or save the model again")


def _plausible(config: PFNConfig, shapes: dict[str, tuple[int, ...]]) -> bool:
    """Whether a network of this size could have about as many weights, told without building it."""
    sizes = config.width, config.layers, config.expansion, config.decoder_layers, config.components
    if not all(isinstance(n, int) for n in sizes):
        return True  # to be refused by the network itself
    width, layers, expansion, decoder_layers, components = sizes
    blocks = layers + decoder_layers
    numbers = 2 * blocks * expansion * width**2 + 3 * components * width
    return blocks <= len(shapes) + 100 and numbers <= 2 * sum(map(math.prod, shapes.values())) + 10**6


def _digest(tensors: dict[str, Tensor], about: str) -> str:
    """SHA-256 of the tensors with their names, kinds and shapes, and of ``about``."""
    digest = hashlib.sha256(about.encode())
    for name, x in sorted(tensors.items()):
        digest.update(f"{name} {x.dtype} {tuple(x.shape)}".encode())
        digest.update(x.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def write_tensors(tensors: dict[str, Tensor], path: Path, about: Any = None) -> None:
    """Writes a safetensors file atomically, with a checksum of the tensors and of ``about``, what they belong to (fit for JSON)."""
    text = json.dumps(about, sort_keys=True)
    told = {"about": text, "sha256": _digest(tensors, text)}
    write_atomically(path, lambda temporary: save_file(tensors, temporary, told))


def begin_run(folder: Path, asked: dict[str, Any], resume: bool) -> None:
    """Writes down the configuration of a new training run, or checks that of the run in ``folder``.

    Raises:
        ValueError: a new one would overwrite a run or a model; or there is none to resume, or one of another configuration.
    """
    path, asked = folder / OPTIONS, json.loads(json.dumps(asked))
    if not resume:
        refuse_if_taken(folder)
        write_text(json.dumps(asked, indent=2) + "\n", path)
        (folder / METRICS).unlink(missing_ok=True)
        return
    if not path.exists() or not (folder / STATE).exists():
        raise ValueError(f"expected a saved run in {folder}, found none; start without resume, or name the folder of the run")
    begun = json.loads(path.read_text())
    if begun != asked:
        name = next(n for n in (*begun, *asked) if begun.get(n) != asked.get(n))
        came = f"{name}={asked.get(name)!r} instead of {begun.get(name)!r}"
        raise ValueError(f"expected the configuration this run began with, got {came}; resume with the same options or start anew")


def refuse_if_taken(folder: Path) -> None:
    """Raises ValueError if a new run in this folder would overwrite a run or a model."""
    if there := next((name for name in (STATE, WEIGHTS) if (folder / name).exists()), None):
        advice = "resume that run, or " if there == STATE else ""
        raise ValueError(f"expected a folder without a run or model, got {folder} with {there}; {advice}name another folder")


def forget_after(folder: Path, step: int) -> None:
    """Drops the metrics of steps that a killed run took after its last state, for they are taken again; and a half line."""
    path = folder / METRICS
    if path.exists():
        lines = [line for line in path.read_text().splitlines(keepends=True) if line.endswith("\n")]
        write_text("".join(line for line in lines if json.loads(line)["step"] <= step), path)
