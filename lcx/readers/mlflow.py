"""MLflow: a tracking database (mlflow.db) or the address of a tracking server."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lcx.readers.table import distinct, long_table

if TYPE_CHECKING:
    import pandas as pd

_LARGEST = sys.float_info.max  # what the database stores for infinity


def read(path: str | Path) -> "pd.DataFrame":
    """Reads the runs of every experiment, without system metrics.

    If a metric was logged several times and always at step 0, which is the default of MLflow, its steps are 1, 2, ... in the order of time.

    Args:
        path: an SQLite file, or a tracking URI such as "sqlite:///mlflow.db" or "http://localhost:5000".

    Returns:
        The table of :func:`lcx.readers.table.long_table`, with ``attrs["state"] = {run: "FINISHED", ...}``.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: there are no metrics.
        ImportError: mlflow is not installed.
    """
    import pandas as pd

    try:
        from mlflow.tracking import MlflowClient  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ImportError("expected the package mlflow to read its runs, got none; pip install 'lcx[mlflow]'") from error
    client = MlflowClient(tracking_uri=_uri(path))
    runs = _runs(client)
    names = distinct({run.info.run_id: run.info.run_name or run.info.run_id for run in runs})
    points = []
    for run in runs:
        for key in run.data.metrics:
            if not key.startswith("system/"):
                points += [(names[run.info.run_id], key, *point) for point in _history(client, run.info.run_id, key)]
    state = {names[run.info.run_id]: run.info.status for run in runs}
    return long_table(pd.DataFrame(points, columns=["run", "metric", "step", "value", "time"]), path, attrs={"state": state})


def _uri(path: str | Path) -> str:
    address = str(path)
    file = Path(address.removeprefix("sqlite:///"))
    if "://" in address and not address.startswith("sqlite:///"):
        return address
    if not file.is_file():  # MLflow would create it
        raise FileNotFoundError(f"expected an SQLite file of MLflow, got {file}, which does not exist; give the path of mlflow.db")
    return f"sqlite:///{file.resolve()}"


def _runs(client: Any) -> list[Any]:
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    runs, token = [], None
    while True:
        page = client.search_runs(experiments, page_token=token)
        runs += page
        token = page.token
        if not token:
            return runs


def _history(client: Any, run_id: str, key: str) -> list[tuple[float, float, float]]:
    """Steps, values, times (seconds) of one metric in the order of its times."""
    logged = sorted(client.get_metric_history(run_id, key), key=lambda metric: metric.timestamp)
    unnumbered = len(logged) > 1 and not any(metric.step for metric in logged)
    return [
        (
            position if unnumbered else metric.step,
            metric.value if abs(metric.value) != _LARGEST else metric.value * 2,
            metric.timestamp / 1000,
        )
        for position, metric in enumerate(logged, 1)
    ]
