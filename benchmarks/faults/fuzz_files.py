"""Damaged files and odd arguments for the readers, the command line and the loader of models; see benchmarks/faults/fuzz.py.

A damaged log gives a table of finite steps or is refused; a damaged model is the same model or is refused; the command line ends with
exit code 0 or 2, prints JSON that every parser reads, and never a traceback.
"""

import contextlib
import io
import json
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
import torch
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.faults.fuzz import TALLY, attempt
from lcx.cli import app
from lcx.pfn.checkpoint import CONFIG, WEIGHTS, load, save
from lcx.pfn.model import PFN, PFNConfig
from lcx.readers import read

LOGS = {
    "metrics.csv": b"epoch,step,train_loss,val_acc\n0,49,0.9,\n0,99,,0.5\n1,149,0.7,\n1,199,,0.6\n",
    "plain.csv": b"note;Epoch;acc;loss\na;3;0.3;7\nb;1;0.1;9\nc;2;0.2;inf\n",
    "long.csv": b"run,metric,step,value\n7,loss,1,1\n7,acc,1,2\n8,loss,2,nan\n",
    "log.jsonl": b'{"lr": 0.1}\n{"step": 0, "loss": 1.5, "eval": {"acc": 0.5}}\n{"step": 1, "loss": NaN}\n{"step": 2, "loss": null}\n',
    "trainer_state.json": json.dumps(
        {
            "global_step": 20,
            "log_history": [{"loss": 2.0, "step": 10}, {"eval_loss": 2.1, "step": 10, "epoch": 1.0}, {"loss": 1.0, "step": 20}],
            "max_steps": 60,
        }
    ).encode(),
}


@st.composite
def damaged(draw: Callable[..., Any], whole: bytes) -> bytes:
    """Bytes after one to three flips, cuts, repetitions, insertions or swaps of digits for odd words."""
    data = bytearray(whole)
    for _ in range(draw(st.integers(1, 3))):
        i = draw(st.integers(0, max(len(data) - 1, 0)))
        j = min(len(data), i + draw(st.integers(1, 40)))
        how = draw(st.sampled_from(["flip", "cut", "end", "twice", "insert", "word"]))
        if how == "flip" and data:
            data[i] ^= 1 << draw(st.integers(0, 7))
        elif how == "cut":
            del data[i:j]
        elif how == "end":
            del data[i:]
        elif how == "twice":
            data[i:i] = data[i:j]
        elif how == "insert":
            data[i:i] = draw(st.binary(max_size=8))
        else:
            words = [
                b"1e999",
                b"-1",
                b"nan",
                b"null",
                b"9" * 400,
                b"9" * 5000,
                b"true",
                b'"x"',
                b"[" * 3000,
                b"{}",
                b"\n",
                b"\0",
                b",",
                b'"',
                b"\r",
            ]
            data[i:i] = draw(st.sampled_from(words))
    return bytes(data)


@st.composite
def damaged_logs(draw: Callable[..., Any]) -> tuple[str, bytes]:
    """Name and content of a log that was damaged, or of no log at all."""
    name = draw(st.sampled_from(sorted(LOGS)))
    return name, draw(damaged(LOGS[name]) | st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "replace")))


def reader(folder: Path) -> Callable[[], None]:
    """Any bytes to ``lcx.readers.read``, by recognition or as a format told."""

    @given(damaged_logs(), st.none() | st.sampled_from(["csv", "jsonl", "huggingface"]), st.booleans())
    def check(log: tuple[str, bytes], form: str | None, whole_folder: bool) -> None:
        path = folder / log[0]
        path.write_bytes(log[1])
        try:
            check_table("readers", lambda: read(folder if whole_folder else path, form))
        finally:
            path.unlink()

    return check


def check_table(door: str, call: Callable[[], pd.DataFrame]) -> None:
    """A long table by the rules, or refused."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a log left out of a folder
        table = attempt(door, call)
    if table is None:
        return
    assert list(table.columns)[:4] == ["run", "metric", "step", "value"]
    assert len(table)
    assert np.isfinite(table["step"]).all()
    assert (table["step"] > 0).all()
    assert not table.duplicated(["run", "metric", "step"]).any()
    assert all(isinstance(name, str) for column in ("run", "metric") for name in table[column])


# -------------------------------------------------------------------------------------------------------------- command line

numbers = st.sampled_from(["1", "10", "100", "0", "-1", "nan", "inf", "1e999", "0.5", "", "x", "3,2", "11,50,100", "1e308", "1_0", "٣"])
options = st.lists(
    st.tuples(st.sampled_from(["--horizon", "--upto", "--at", "--lower", "--upper", "--best"]), numbers)
    | st.tuples(st.sampled_from(["--mode"]), st.sampled_from(["max", "min", "MAX", ""]))
    | st.tuples(st.sampled_from(["--column", "--step-column"]), st.sampled_from(["acc", "epoch", "loss", "none", ""]))
    | st.tuples(st.sampled_from(["--model", "--device"]), st.sampled_from(["general", "parametric", "cpu", "cuda", "nowhere", "", "meta"]))
    | st.sampled_from([("--json",), ("--csv",), ("--help",), ("--nonsense",), ("more",)]),
    max_size=5,
)
CURVES = {
    "curve.csv": b"epoch,acc,loss\n1,0.3,2\n2,0.4,1.5\n3,0.45,1.2\n4,0.47,1.1\n",
    "curve.json": b'{"values": [0.3, 0.4, null, 0.5], "steps": [1, 2, 3, 4]}',
    "records.json": b'[{"epoch": 0, "acc": 0.3}, {"epoch": 1, "acc": 0.4}]',
    "list.json": b"[0.3, 0.4, 0.5]",
}


@st.composite
def commands(draw: Callable[..., Any]) -> tuple[str, bytes, list[str]]:
    """Name and content of a file, and arguments around it."""
    name = draw(st.sampled_from(sorted(CURVES)))
    content = draw(st.just(CURVES[name]) | st.just(CURVES[name]) | damaged(CURVES[name]) | st.binary(max_size=40))
    most = ["--horizon", "20", "--mode", "max", "--device", "cpu"]
    most += ["--column", "acc"] if draw(st.booleans()) else []
    extra = [word for option in draw(options) for word in option]
    command = draw(st.sampled_from(["predict", "predict", "predict", "runs", "info", "nonsense", ""]))
    return name, content, [command, "FILE", *(most if command == "predict" else []), *extra]


def command_line(folder: Path) -> Callable[[], None]:
    """Any file and arguments to ``lcx``."""

    @given(commands())
    def check(asked: tuple[str, bytes, list[str]]) -> None:
        path = folder / asked[0]
        path.write_bytes(asked[1])
        out, err, code = io.StringIO(), io.StringIO(), 0
        arguments = ["lcx", *(str(path) if word == "FILE" else word for word in asked[2])]
        with mock.patch.object(sys, "argv", arguments), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                app.main()
            except SystemExit as stopped:
                code = stopped.code or 0
        assert code in (0, 2), (arguments, code)
        TALLY["command line", f"exit {code}"] += 1
        assert "Traceback" not in err.getvalue()
        assert code == 0 or err.getvalue().strip()
        if code == 0 and "--json" in arguments and "--help" not in arguments:
            json.loads(out.getvalue(), parse_constant=_no_json)

    return check


def _no_json(word: str) -> None:
    raise AssertionError(f"{word} is no JSON")


# -------------------------------------------------------------------------------------------------------------------- models


def checkpoint(folder: Path) -> Callable[[], None]:
    """Any damage to a model's two files."""
    small = PFN(PFNConfig(width=16, layers=1, heads=4, expansion=2, decoder_layers=1, components=3))
    save(small, folder, {"prior": "parametric", "curves_seen": 12})
    whole = {name: (folder / name).read_bytes() for name in (CONFIG, WEIGHTS)}
    header = 8 + int.from_bytes(whole[WEIGHTS][:8], "little")

    @given(st.sampled_from(["config", "header", "weights", "foreign"]), st.data())
    def check(part: str, data: Any) -> None:
        name = CONFIG if part == "config" else WEIGHTS
        if part == "header":
            content = data.draw(damaged(whole[name][:header])) + whole[name][header:]
        elif part == "weights":
            content = bytearray(whole[name])
            content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        else:
            content = data.draw(damaged(whole[name]) if part == "config" else st.binary(max_size=200))
        try:
            (folder / name).write_bytes(content)
            loaded = attempt(f"checkpoint: {part}", lambda: load(folder, torch.device("cpu")))
        finally:
            (folder / name).write_bytes(whole[name])
        if loaded is not None:  # what was hit does not matter to the network
            assert loaded[0].config == small.config
            assert all(torch.equal(x, small.state_dict()[n]) for n, x in loaded[0].state_dict().items())

    return check
