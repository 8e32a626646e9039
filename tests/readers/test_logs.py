"""Folders of logs: what is read, what names a run, and what is said about the rest."""

import sys

import pytest

from lcx.readers import read


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_a_missing_package_leaves_out_its_logs_alone_and_is_named_once(tmp_path, monkeypatch):
    for name in ["tensorboard", *(name for name in sys.modules if name.startswith("tensorboard."))]:
        monkeypatch.setitem(sys.modules, name, None)
    write(tmp_path / "keras.csv", "epoch,loss\n0,2\n1,1\n")
    for run in "ab":
        write(tmp_path / "tb" / run / "events.out.tfevents.1", "")
    with pytest.warns(UserWarning, match=r"left out: .*pip install 'lcx\[tensorboard\]'") as said:
        table = read(tmp_path)
    assert len(said) == 1
    assert list(table["value"]) == [2, 1]
    with pytest.raises(ImportError, match="pip install"):
        read(tmp_path / "tb")
