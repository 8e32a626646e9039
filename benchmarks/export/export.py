"""The exported model beside torch: agreement, time, and what smaller number formats cost: ``python benchmarks/export/export.py``.

Needs lcx[onnx]. Agreement is over quantiles of random questions, in model units: |difference| / max(1, |quantile|), a unit being the range
of the observed values (parametric model: the distance of worst and best), 0 the last value (parametric: the worst). Time is that of one
curve of 40 points, 60 steps and 9 quantiles, on one thread, the two in turn within each round. Log scores are on fresh curves of the
general prior. Writes benchmarks/export/results/onnx.json.
"""

import argparse
import math
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx  # pyright: ignore[reportMissingImports]
import onnxruntime  # pyright: ignore[reportMissingImports]
import torch
from onnx import TensorProto, helper, numpy_helper  # pyright: ignore[reportMissingImports]
from onnxruntime.quantization import QuantType, quantize_dynamic  # pyright: ignore[reportMissingImports]
from tqdm.auto import tqdm

import lcx
from benchmarks.intervals import spread
from benchmarks.provenance import provenance, write_result
from lcx.export.onnx import LEVELS, export, feed
from lcx.predictive import Predictive

MODELS, SEED = ("general", "parametric"), 2**62 + 17
OTHERS = (1, 3, 10)  # of more than 24 the closest are read: which of two equally close ones is a matter of rounding


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--questions", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--curves", type=int, default=1000)
    options = parser.parse_args()
    torch.set_num_threads(1)
    result: dict[str, Any] = {**provenance(), "onnxruntime": onnxruntime.__version__, "onnx": onnx.__version__}
    with tempfile.TemporaryDirectory() as folder:
        paths = {name: Path(folder) / f"{name}.onnx" for name in MODELS}
        for name, path in paths.items():
            export(path, name)
            runtime = session(path)
            agreement, timed = agree(runtime, name, options.questions), latency(runtime, name, options.rounds)
            result[name] = {"megabytes": megabytes(path), "agreement": agreement, "latency": timed}
            if name == "general":
                result["with_others"] = {k: agree(runtime, name, options.questions // 4, k) for k in OTHERS}
            print(name, result[name])
        result["formats"] = formats(paths["general"], options.curves)
        print(result["formats"])
    write_result("export/onnx", result)


def session(path: Path) -> onnxruntime.InferenceSession:
    """The graph in onnxruntime, on one thread."""
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])


def megabytes(path: Path) -> float:
    """Size of a file."""
    return round(path.stat().st_size / 1e6, 3)


def questions(count: int, seed: int, others: int = 0) -> Iterator[dict[str, Any]]:
    """Random questions of one curve each: any length up to 600, any spacing, scale, direction and bounds, some values missing.

    Every other one of the ``others`` resembles the curve; the rest are of the same prior, and bounds cut both.
    """
    draw = np.random.default_rng(seed)
    kinds = {prior: lcx.sample_prior(count, prior, seed=seed) for prior in MODELS}
    for i in range(count):
        curves = kinds[MODELS[i % 2]]
        horizon, known = float(curves.horizon[i]), int(curves.counts[i])
        values, steps = curves.values[i, :known].double().numpy(), curves.steps[i, :known].double().numpy()
        if i % 10 == 0:  # longer than both models read
            steps = np.sort(draw.uniform(0, horizon, 600))
            values = np.interp(steps, curves.steps[i, :known].double().numpy(), values) + 0.01 * draw.standard_normal(600)
        cut = int(draw.integers(1, max(2, len(values))))
        size, level, whole = 10 ** draw.uniform(-3, 3), draw.normal(), (steps, values)
        values, steps = size * values[:cut] + level, steps[:cut]
        if cut > 3:
            values[:-1][draw.random(cut - 1) < 0.1 * (i % 3 == 0)] = np.nan
        room = 10 ** draw.uniform(-2, 1) * (np.nanmax(values) - np.nanmin(values) + 1e-3)
        bounds = tuple(None if draw.random() < 0.5 else float(end) for end in (np.nanmin(values) - room, np.nanmax(values) + room))
        end = max(horizon, steps[-1] * 1.01)
        at = steps[-1] + (end - steps[-1]) * np.sort(draw.uniform(0.01, 1, 12))
        mode = "max" if draw.random() < 0.5 else "min"
        question = {"values": values, "steps": steps, "horizon": end, "mode": mode, "at": np.unique(at), "bounds": bounds}
        if others:
            runs = another(whole, curves, others, np.random.default_rng(seed + i))
            lower, upper = (end if bound is None else bound for bound, end in zip(bounds, (-math.inf, math.inf), strict=True))
            question["others"] = [(t, np.clip(size * y + level, lower, upper)) for t, y in runs]
        yield question


def another(whole: tuple[np.ndarray, np.ndarray], curves: lcx.Curves, count: int, draw: np.random.Generator) -> Iterator[Any]:
    """Other runs (steps, values): bent copies of the whole curve and curves of the prior in turn, thinned, cut, with values missing."""
    for k in range(count):
        i = int(draw.integers(len(curves)))
        foreign = (x[i, : int(curves.counts[i])].double().numpy() for x in (curves.steps, curves.values))
        steps, values = foreign if k % 2 else whole
        kept = np.flatnonzero(draw.random(len(steps)) < draw.uniform(0.2, 1.5))[: int(draw.integers(1, len(steps) + 1))]
        values = values[kept] * (1 + 0.1 * draw.standard_normal()) + 0.02 * draw.standard_normal(len(kept))
        values[draw.random(len(kept)) < 0.1 * (k % 3 == 0)] = np.nan
        if np.isfinite(values).any():
            yield steps[kept], values


def agree(runtime: onnxruntime.InferenceSession, name: str, count: int, others: int = 0) -> dict[str, Any]:
    """The largest error of each question, and P(better than the last value) beside torch's."""
    model, errors, chances = lcx.load(name, "cpu"), [], []
    for question in tqdm(questions(count, SEED, others), total=count, desc=f"{name}, {others} others"):
        best = float(question["values"][-1])
        given = feed(**question, best=best, model=name)
        quantiles, better = runtime.run(["quantiles", "better"], given)
        answer = model(**question)
        seen = question["values"][np.isfinite(question["values"])]
        if name == "general":
            zero, unit = seen[-1], (seen.max() - seen.min()) or 1.0
        else:
            zero, unit = float(given["worst"][0]), abs(float(given["top"][0] - given["worst"][0]))
        want, got = ((x - zero) / unit for x in (answer.quantile(LEVELS), quantiles[0]))
        errors.append(float((np.abs(got - want) / np.maximum(1, np.abs(want))).max()))
        chances.append(float(np.abs(better[0] - answer.prob_better(best)).max()))
    worst = int(np.argmax(errors))
    return {
        "questions": count,
        "largest": errors[worst],
        "at_question": worst,
        "share_within_1e-5": float(np.mean(np.array(errors) <= 1e-5)),
        "percentiles_50_99": [float(x) for x in np.percentile(errors, [50, 99])],
        "largest_of_probability": max(chances),
    }


def latency(runtime: onnxruntime.InferenceSession, name: str, rounds: int) -> dict[str, Any]:
    """Medians, and those of the ratios within rounds, of the whole way from the user's numbers to quantiles."""
    values = lcx.sample_prior(50, seed=SEED).values[:, :40].double().numpy()
    model, seconds = lcx.load(name, "cpu"), []
    for i in range(rounds + 10):
        question = {"values": values[i % 50], "horizon": 100, "mode": "max", "bounds": (-10, 10)}
        ready = feed(**question, model=name)
        calls = (
            lambda q=question: model(**q).quantile(LEVELS),
            lambda q=question: runtime.run(["quantiles"], feed(**q, model=name)),
            lambda q=question: model(**q),
            lambda ready=ready: runtime.run(["quantiles"], ready),
        )
        row = []
        for call in calls:
            begin = time.perf_counter()
            call()
            row.append(time.perf_counter() - begin)
        seconds.append(row)
    columns = dict(zip(("torch", "onnx", "torch_without_quantiles", "onnx_without_checks"), zip(*seconds[10:], strict=True), strict=True))
    ratios = [a / b for a, b in zip(columns["onnx"], columns["torch"], strict=True)]
    return {
        "rounds": rounds,
        "median_seconds": {key: float(f"{statistics.median(column):.3g}") for key, column in columns.items()},
        "onnx / torch": spread(ratios),
    }


def formats(path: Path, count: int) -> dict[str, Any]:
    """Size, and loss of log score in nats per point, of float16 and int8 weights; each as a file of its own."""
    files = {"float32": path, "float16": path.with_name("float16.onnx"), "int8": path.with_name("int8.onnx")}
    onnx.save(halved(onnx.load(path)), files["float16"])
    quantize_dynamic(path, files["int8"], weight_type=QuantType.QInt8, per_channel=True)
    scores = {name: log_scores(session(file), count) for name, file in files.items()}
    table = {}
    for name, file in files.items():
        lost = scores["float32"] - scores[name]
        error = float(lost.std() / math.sqrt(len(lost)))
        table[name] = {"megabytes": megabytes(file), "log_score": round(float(scores[name].mean()), 4), "lost": [float(lost.mean()), error]}
    return {"curves": count, "limit": 0.005, **table}


def halved(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph with its weight matrices in float16, cast to float32 when it runs."""
    casts = []
    for weight in model.graph.initializer:
        if weight.data_type == TensorProto.FLOAT and math.prod(weight.dims) >= 256:
            small = numpy_helper.from_array(numpy_helper.to_array(weight).astype(np.float16), weight.name + ".half")
            casts.append(helper.make_node("Cast", [small.name], [weight.name], to=TensorProto.FLOAT))
            weight.CopyFrom(small)
    for node in reversed(casts):
        model.graph.node.insert(0, node)
    return model


def log_scores(runtime: onnxruntime.InferenceSession, count: int) -> np.ndarray:
    """Mean log score of each curve's later points, in units of its observed range, at cut-offs of 10 to 80 %."""
    curves, scores = lcx.sample_prior(count, "general", seed=SEED + 1), []
    for i in range(count):
        known, horizon = int(curves.counts[i]), float(curves.horizon[i])
        values, steps = curves.values[i, :known].double().numpy(), curves.steps[i, :known].double().numpy()
        cut = max(1, int(known * (0.1, 0.2, 0.4, 0.8)[i % 4]))
        if cut == known or steps[cut - 1] >= horizon:
            continue
        later = slice(cut, min(known, cut + 100))
        given = feed(values[:cut], steps[:cut], horizon=max(horizon, steps[later][-1]), mode="max", at=steps[later], model="general")
        logits, loc, scale = (torch.from_numpy(x[0]) for x in runtime.run(["logits", "loc", "scale"], given))
        law = Predictive(logits, loc, scale)
        unit = np.ptp(values[:cut]) or 1.0
        scores.append(law.log_prob(torch.from_numpy(values[later])).mean().item() + math.log(unit))
    return np.array(scores)


if __name__ == "__main__":
    main()
