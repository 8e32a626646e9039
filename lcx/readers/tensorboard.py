"""TensorBoard event files, as SummaryWriter of PyTorch and TF2 write them."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lcx.readers.table import long_table, run_name

if TYPE_CHECKING:
    import pandas as pd

_KEEP = {"scalars": 0, "tensors": 0, "images": 1, "audio": 1, "histograms": 1, "compressedHistograms": 1}  # 0: all of them


def read(path: str | Path) -> "pd.DataFrame":
    """Reads all scalars of one run, stored as numbers or as tensors.

    Args:
        path: an event file, or the folder with the event files of the run.

    Returns:
        The table of :func:`lcx.readers.table.long_table`; time is the wall time.

    Raises:
        ValueError: there are no scalars.
        ImportError: tensorboard is not installed.
    """
    import pandas as pd

    try:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    except ImportError as error:
        raise ImportError("expected the package tensorboard to read event files, got none; pip install 'lcx[tensorboard]'") from error
    path = Path(path)
    events = EventAccumulator(str(path), size_guidance=_KEEP).Reload()
    run = run_name(path)
    points = [(run, tag, e.step, e.value, e.wall_time) for tag in events.Tags()["scalars"] for e in events.Scalars(tag)]
    points += [
        (run, tag, e.step, value, e.wall_time)
        for tag in events.Tags()["tensors"]
        if events.SummaryMetadata(tag).plugin_data.plugin_name in ("scalars", "")
        for e in events.Tensors(tag)
        if (value := _scalar(e.tensor_proto)) is not None
    ]
    return long_table(pd.DataFrame(points, columns=["run", "metric", "step", "value", "time"]), path)


def _scalar(proto: Any) -> float | None:
    from tensorboard.util.tensor_util import make_ndarray

    array = make_ndarray(proto)
    return float(array.item()) if array.size == 1 and array.dtype.kind in "fiu" else None
