"""Damaged and hostile models: how soon and at what memory ``lcx.pfn.checkpoint.load`` refuses them; run by benchmarks/faults/faults.py.

Each case is loaded in a process of its own kind, whose memory may grow by 200 MB and no more. Memory is the peak of resident memory
above what the process had before the call; seconds are those of the clock, beside those of the processor.
"""

import json
import random
import resource
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from benchmarks.processes import memory
from benchmarks.provenance import ROOT
from lcx.extrapolator import models_folder
from lcx.pfn.checkpoint import CONFIG, WEIGHTS, load, save
from lcx.pfn.model import PFN

ALLOWED = 200 * 2**20  # bytes
Case = tuple[str, str, bytes | None]  # kind, file, its content; None: what is written in place, as too large to hold
CPU = torch.device("cpu")
UNDOCUMENTED = (TypeError, LookupError, AttributeError, RuntimeError, MemoryError, ArithmeticError, AssertionError, OSError)


def run(flips: int, cuts: int) -> dict[str, Any]:
    """Summary per kind of damage: cases, refused, loaded as the same network, anything else, and the worst cost of a refusal."""
    command = [sys.executable, "-m", "benchmarks.faults.models", str(flips), str(cuts)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=7200)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    out: dict[str, Any] = {}
    for row in rows:
        kind = out.setdefault(row["kind"], {"cases": 0, "refused": 0, "same": 0, "wrong": [], "seconds": 0.0, "cpu": 0.0, "megabytes": 0.0})
        kind["cases"] += 1
        kind["refused"] += row["outcome"] == "refused"
        kind["same"] += row["outcome"] == "same"
        if row["outcome"] not in ("refused", "same"):
            kind["wrong"].append(row["outcome"])
        for name in ("seconds", "cpu", "megabytes"):
            kind[name] = max(kind[name], row[name])
    if done.returncode:
        out["process"] = {"wrong": [f"exit code {done.returncode} after {len(rows)} cases: {done.stderr[-500:]}"]}
    return out


def cases(folder: Path, flips: int, cuts: int) -> Iterator[Case]:
    """Every damaged file, one at a time; ``folder`` holds the whole model."""
    rng, whole = random.Random(0), {name: (folder / name).read_bytes() for name in (WEIGHTS, CONFIG)}
    header = 8 + int.from_bytes(whole[WEIGHTS][:8], "little")
    for name in (WEIGHTS, CONFIG):
        for _ in range(flips):
            data = bytearray(whole[name])
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
            yield f"one bit of {name}", name, bytes(data)
        for _ in range(cuts):
            yield f"end of {name} missing", name, whole[name][: rng.randrange(len(whole[name]))]
    for _ in range(flips):
        data = bytearray(whole[WEIGHTS])
        data[rng.randrange(header)] ^= 1 << rng.randrange(8)
        yield "one bit of the header", WEIGHTS, bytes(data)
    for change in shapes():
        tensors = change(load_file(folder / WEIGHTS))
        save_file({name: x.contiguous() for name, x in tensors.items()}, folder / WEIGHTS)
        yield "other tensors", WEIGHTS, (folder / WEIGHTS).read_bytes()
        (folder / WEIGHTS).write_bytes(whole[WEIGHTS])
    for content in headers():
        yield "hostile header", WEIGHTS, content
    for content in (100 * 2**20, 20 * 2**30):  # a header as long as it says, and a file far longer than its tensors; sparse
        with (folder / WEIGHTS).open("r+b") as file:
            if content < 2**30:
                file.write(struct.pack("<Q", content - 8))
            file.truncate(content)
        yield "hostile header", WEIGHTS, None
        (folder / WEIGHTS).write_bytes(whole[WEIGHTS])
    for text in configs(json.loads(whole[CONFIG])):
        yield "hostile config", CONFIG, text.encode()


def shapes() -> list[Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]]:
    """Changes of the tensors; written without a checksum, as by another program."""
    name = "state.weight"
    return [
        lambda t: {**t, name: t[name][:-1]},
        lambda t: {**t, name: t[name][None]},
        lambda t: {**t, name: t[name].reshape(-1)},
        lambda t: {**t, name: t[name].int()},
        lambda t: {**t, name: t[name].to(torch.float8_e4m3fn)},
        lambda t: {**t, name: t[name].to(torch.complex64)},
        lambda t: {**t, name: torch.full_like(t[name], torch.nan)},
        lambda t: {**t, name: torch.full_like(t[name], torch.inf)},
        lambda t: {**t, name: torch.zeros(0)},
        lambda t: {**t, "more": torch.zeros(1)},
        lambda t: {n: x for n, x in t.items() if n != name},
        lambda t: {n.replace("state", "stale"): x for n, x in t.items()},
        lambda t: {f"{i}": torch.zeros(1) for i in range(10_000)},
        lambda t: {},
    ]


def headers() -> list[bytes]:
    """Files that begin with a header no model has."""
    texts = [b"[" * 900_000, b'{"a":' * 100_000, b"{" + b" " * 900_000 + b"}", b'{"' + b"x" * 900_000, b"\xff" * 1000]
    big = {f"{i}": {"dtype": "F32", "shape": [2**62, 2**62], "data_offsets": [0, 4]} for i in range(100)}
    gap = {"state.weight": {"dtype": "F32", "shape": [96, 96], "data_offsets": [2**40, 2**40 + 36864]}}
    texts += [json.dumps(x).encode() for x in (big, gap, {"state.weight": 1}, {"__metadata__": {"sha256": 1}}, {"state.weight": {}})]
    return [struct.pack("<Q", n) + b"{}" for n in (2**64 - 1, 2**63, 2**40, 99_000_000, 3)] + [struct.pack("<Q", len(t)) + t for t in texts]


def configs(about: dict[str, Any]) -> list[str]:
    """Configurations that ask for the impossible, or are none."""
    huge = [
        {"width": 10**9, "heads": 1},
        {"width": 10**5},
        {"width": 10**4},
        {"width": 10**18, "heads": 10**18},
        {"layers": 10**9},
        {"layers": 10**5},
        {"decoder_layers": 10**7},
        {"expansion": 10**8},
        {"components": 10**10},
        {"width": 1, "heads": 1, "layers": 10**6, "expansion": 1},
        {"width": 2**63},
        {"heads": 3},
        {"heads": 96},
        {"heads": True},
        {"chart": "parametric"},
        {"chart": ["general"]},
        {"expansion": "4" * 1000},
        {"layers": [4] * 1000},
        {"width": 96.0},
        {"width": None},
        {"width": -96},
        {"width": {"a": 1}},
    ]
    texts = [json.dumps({**about, "model": {**about["model"], **change}}) for change in huge]
    texts += ['{"model": {"width": 1e999}}', '{"model": {"width": ' + "9" * 5000 + "}}", '{"model": NaN}', '{"model": "general"}', "[]", ""]
    return [*texts, "[" * 1_000_000, '{"a":' * 150_000, " " * 50_000_000, '{"model": {' + '"width": 96, ' * 50_000 + '"width": 96}}']


def measure(folder: Path, like: PFN) -> dict[str, Any]:
    """Loads, and says what came of it and what it cost."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak of resident memory counts from here
    before, clock, cpu = memory("VmRSS"), time.perf_counter(), time.process_time()
    try:
        model, _ = load(folder, CPU)
    except ValueError as error:
        outcome = "refused" if type(error) is ValueError and "expected" in str(error) else f"{type(error).__name__}: {error}"
    except UNDOCUMENTED as error:
        outcome = f"{type(error).__name__}: {error}"[:200]
    else:
        equal = model.config == like.config and all(torch.equal(x, like.state_dict()[n]) for n, x in model.state_dict().items())
        outcome = "same" if equal else "another network"
    spent = {"seconds": time.perf_counter() - clock, "cpu": time.process_time() - cpu}
    return {"outcome": outcome, **spent, "megabytes": max(0.0, memory("VmHWM") - before)}


def main() -> None:
    """Prints one line of JSON per case."""
    flips, cuts = map(int, sys.argv[1:])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model, about = load(models_folder() / "general", CPU)
        save(model, folder, {key: about[key] for key in ("prior", "curves_seen", "seconds")})
        whole = {file: (folder / file).read_bytes() for file in (WEIGHTS, CONFIG)}
        limit = int(memory("VmData") * 2**20) + ALLOWED
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
        for kind, file, content in cases(folder, flips, cuts):
            if content is not None:
                (folder / file).write_bytes(content)
            print(json.dumps({"kind": kind, **measure(folder, model)}), flush=True)
            (folder / file).write_bytes(whole[file])


if __name__ == "__main__":
    main()
