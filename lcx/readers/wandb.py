"""Weights & Biases, through its public Api. There is no public reader of offline .wandb files: ``wandb sync`` them first."""

from typing import TYPE_CHECKING, Any

from lcx.readers.table import distinct, long_table, number

if TYPE_CHECKING:
    import pandas as pd


def read(path: str, api: Any = None, *, step: str = "_step") -> "pd.DataFrame":
    """Reads the runs of a project, or one run, with every row of their history (``run.history`` samples 500 of them).

    Args:
        path: "entity/project" or "entity/project/run id".
        api: a ``wandb.Api``; default a new one, with the login of this machine.
        step: key of the step. "_step" counts calls of ``wandb.log``; the global step of Lightning is "trainer/global_step".

    Returns:
        The table of :func:`lcx.readers.table.long_table`, with ``attrs["state"] = {run: "finished", ...}``. Left out are keys
        that start with "_" or "system/", values that are not numbers, and rows without ``step``.

    Raises:
        ValueError: the path has another form, or there are no numbers.
        ImportError: wandb is not installed.
    """
    import pandas as pd

    depth = len(str(path).strip("/").split("/"))
    if depth not in (2, 3):
        raise ValueError(
            f"expected 'entity/project' or 'entity/project/run id', got {str(path)!r}; copy it from the address of the run's page"
        )
    api = _api() if api is None else api
    runs = list(api.runs(str(path))) if depth == 2 else [api.run(str(path))]
    names = distinct({run.id: run.name or run.id for run in runs})
    points = []
    for run in runs:
        for row in run.scan_history():  # without keys: with keys it drops the rows that lack any of them
            if (at := number(row.get(step))) is None:
                continue
            points += [
                (names[run.id], key, at, value, number(row.get("_timestamp")))
                for key, logged in row.items()
                if key != step and not key.startswith(("_", "system/")) and (value := number(logged)) is not None
            ]
    state = {names[run.id]: run.state for run in runs}
    return long_table(pd.DataFrame(points, columns=["run", "metric", "step", "value", "time"]), path, attrs={"state": state})


def _api() -> Any:
    try:
        from wandb import Api  # pyright: ignore
    except ImportError as error:
        raise ImportError("expected the package wandb to read its runs, got none; pip install 'lcx[wandb]'") from error
    return Api()
