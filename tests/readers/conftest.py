"""Writes a log and reads it."""

import pytest

from lcx.readers import read


@pytest.fixture
def log(tmp_path):
    """``log(name, text)`` gives the table of such a file; bytes are written as they are."""

    def written(name, text, format=None):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read(path, format)

    return written


@pytest.fixture
def curve():
    """``curve(table, metric, run)`` gives {step: value}."""

    def points(table, metric, run=None):
        rows = table[(table["metric"] == metric) & (True if run is None else table["run"] == run)]
        return dict(zip(rows["step"], rows["value"], strict=True))

    return points
