"""Writes logs, reads them, and gives curves out of what was read."""

import pytest

from lcx.readers import read


@pytest.fixture
def write(tmp_path):
    """``write(name, text)`` writes a file below the test's folder, bytes as they are, and gives its path."""

    def written(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return written


@pytest.fixture
def log(write):
    """``log(name, text)`` gives the table of such a file."""

    def written(name, text, format=None):
        return read(write(name, text), format)

    return written


@pytest.fixture
def curve():
    """``curve(table, metric, run)`` gives {step: value}."""

    def points(table, metric, run=None):
        rows = table[(table["metric"] == metric) & (True if run is None else table["run"] == run)]
        return dict(zip(rows["step"], rows["value"], strict=True))

    return points
