"""TensorBoard event files, as SummaryWriter of PyTorch and TF2 write them."""

import re
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lcx.readers.hyperparameters import Hyperparameters, hyperparameters, left_out
from lcx.readers.table import long_table, run_name

if TYPE_CHECKING:
    import pandas as pd

_KEEP = {"scalars": 0, "tensors": 0, "images": 1, "audio": 1, "histograms": 1, "compressedHistograms": 1}  # 0: all of them


_FIRST = 100  # events that tell whether a folder holds but one metric
_TRAINING = ("train", "training")
_OTHERS = ("validation", "valid", "val", "eval", "evaluation", "test", "testing", "dev")


def read(path: str | Path) -> "pd.DataFrame":
    """Reads all scalars of one run, stored as numbers or as tensors.

    Args:
        path: an event file, or the folder with the event files of the run. If it has subfolders train and validation (or eval, test, ...),
            as Keras writes them, they are the same run, and their metrics are called "train/...", "validation/...". So are the subfolders
            "loss_a", "loss_b" that ``SummaryWriter.add_scalars("loss", {"a": ..., "b": ...})`` makes; these are "loss/a" and "loss/b".

    Returns:
        The table of :func:`lcx.readers.table.long_table`; time is the wall time. What was logged for TensorBoard's page of hyperparameters,
        in these files or in the subfolder that ``SummaryWriter.add_hparams`` names by the time, is ``attrs["hyperparameters"]``
        (:mod:`lcx.readers.hyperparameters`); the metrics given with it are not.

    Raises:
        ValueError: there are no scalars, or the file is damaged.
        ImportError: tensorboard is not installed.
    """
    import pandas as pd

    path = Path(path)
    parts = _parts(path) if path.is_dir() else []
    whole = _load(path) if not parts or _has_events(path) else None
    tried = [at for at in sorted(path.iterdir()) if re.fullmatch(r"\d{9,}\.\d+", at.name) and at.is_dir()] if path.is_dir() else []
    told = [_hyperparameters(events) for events in (*map(_load, filter(_has_events, tried)), whole) if events is not None]
    series = {at: name for at in sorted(path.iterdir()) if (name := _series(at))} if path.is_dir() else {}
    named = ((name, *point) for at, name in series.items() for _, *point in _points(_load(at), ""))
    whole = [] if whole is None else _points(whole, "")
    points = chain(whole, *(_points(_load(part), f"{part.name}/") for part in parts), named)
    frame, run = pd.DataFrame(points, columns=["metric", "step", "value", "time"]), run_name(path)
    given = {name: value for one in told for name, value in one.items()}
    return long_table(frame.assign(run=run), path, attrs={"hyperparameters": {run: Hyperparameters(given)}} if given else {})


def training(folder: Path) -> Path:
    """The folder of the run to which the event files in a folder belong: itself, or that above it if this is but a part of a training."""
    return folder.parent if folder in _parts(folder.parent) or _series(folder) else folder


def _parts(folder: Path) -> list[Path]:
    """Subfolders train, validation, ... of one training: both kinds, or one other than train below the event files of the training."""
    found = [at for name in (*_TRAINING, *_OTHERS) if _has_events(at := folder / name)]
    trained = _has_events(folder) or any(at.name in _TRAINING for at in found)
    return found if trained and any(at.name in _OTHERS for at in found) else []


def _series(folder: Path) -> str | None:
    """The name of the only metric in a folder that ``add_scalars`` made beside the event files of the run; None for another folder."""
    if "_" not in folder.name or not folder.is_dir() or not _has_events(folder) or not _has_events(folder.parent):
        return None
    try:
        from google.protobuf.message import DecodeError
        from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
    except ImportError:
        return None  # which is told when the logs are read
    try:
        events = islice(EventFileLoader(str(min(folder.glob("*tfevents*")))).Load(), _FIRST)
        tags = {value.tag for event in events for value in event.summary.value}
    except DecodeError:
        return None
    tag = tags.pop() if len(tags) == 1 else ""
    begin = f"{tag.replace('/', '_')}_"
    return f"{tag}/{folder.name.removeprefix(begin)}" if tag and folder.name.startswith(begin) else None


def _has_events(folder: Path) -> bool:
    return next(folder.glob("*tfevents*"), None) is not None


def _load(path: Path) -> Any:
    """What is in an event file, or in the event files in a folder."""
    try:
        from google.protobuf.message import DecodeError
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    except ImportError as error:
        raise ImportError("expected the package tensorboard to read event files, got none; pip install 'lcx[tensorboard]'") from error
    try:
        return EventAccumulator(str(path), size_guidance=_KEEP).Reload()
    except DecodeError as error:
        raise ValueError(f"expected event files of TensorBoard in {path}, got one where {error}; copy it again") from error


def _hyperparameters(events: Any) -> Hyperparameters:
    """Those of the plugin hparams in these events."""
    try:
        told = events.PluginTagToContent("hparams")["_hparams_/session_start_info"]
    except KeyError:
        return Hyperparameters()
    from google.protobuf.message import DecodeError
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData  # pyright: ignore[reportAttributeAccessIssue]

    try:
        given = HParamsPluginData.FromString(told).session_start_info.hparams
    except DecodeError as error:
        left_out(events.path, error)
        return Hyperparameters()
    kinds = {name: one.WhichOneof("kind") for name, one in given.items()}
    return hyperparameters({name: getattr(given[name], kind) for name, kind in kinds.items() if kind not in (None, "null_value")})


def _points(events: Any, prefix: str) -> list[tuple[str, float, float, float]]:
    """Metric, step, value and time of all scalars in these events."""
    points = [(prefix + tag, e.step, e.value, e.wall_time) for tag in events.Tags()["scalars"] for e in events.Scalars(tag)]
    return points + [
        (prefix + tag, e.step, value, e.wall_time)
        for tag in events.Tags()["tensors"]
        if events.SummaryMetadata(tag).plugin_data.plugin_name in ("scalars", "")
        for e in events.Tensors(tag)
        if (value := _scalar(e.tensor_proto)) is not None
    ]


def _scalar(proto: Any) -> float | None:
    from tensorboard.util.tensor_util import make_ndarray

    array = make_ndarray(proto)
    return float(array.item()) if array.size == 1 and array.dtype.kind in "fiu" else None
