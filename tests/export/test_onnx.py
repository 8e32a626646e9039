"""The exported graph: its mathematics against Predictive (no ONNX needed), then onnxruntime against torch (slow; extra ``onnx``)."""

import base64
import gzip
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import lcx
from lcx.cli import app
from lcx.cli.page import PAGE
from lcx.export.onnx import LEVELS, Graph, export, feed
from lcx.export.onnx_math import WRITTEN_OUT, Mixture, WrittenOut, as_levels, cdf, hypot, icdf
from lcx.predictive import Predictive

ROOT = Path(__file__).parents[2]
INF = float("inf")
EXTREME = (0.001, *LEVELS, 0.999)


def mixtures(bounded: str, generator: torch.Generator) -> tuple[Mixture, Predictive]:
    """Mixtures with components up to 10^6 times as wide as others and far apart, bounds near their middle."""
    loc = 30 * torch.randn(50, 3, 8, generator=generator, dtype=torch.float64)
    scale = torch.exp(3 * torch.randn(loc.shape, generator=generator, dtype=torch.float64) - 2)
    logits = 2 * torch.randn(loc.shape, generator=generator, dtype=torch.float64)
    middle = loc.mean((1, 2), keepdim=True)
    lower = middle - 0.1 if "lower" in bounded else torch.full_like(middle, -INF)
    upper = middle + 0.2 if "upper" in bounded else torch.full_like(middle, INF)
    ends = (x.squeeze(-1).expand(50, 3) for x in (lower, upper))
    return Mixture(logits, loc, scale, lower, upper), Predictive(logits, loc, scale, *ends)


@pytest.mark.parametrize("bounded", ["", "lower", "upper", "lower and upper"])
def test_quantiles_and_cdf_are_those_of_the_predictive(bounded, generator):
    law, same = mixtures(bounded, generator)
    got, want = icdf(law, as_levels(EXTREME)), torch.stack([same.icdf(level) for level in EXTREME], -1)
    torch.testing.assert_close(got, want, rtol=1e-8, atol=1e-8)
    assert (got.diff(dim=-1) >= 0).all()
    y = law.loc[..., :1]  # inside, outside and at all levels
    for sign in (1.0, -1.0):
        mirror = torch.full((50, 1, 1), sign < 0)
        below = same.cdf(y.squeeze(-1))
        torch.testing.assert_close(cdf(law, sign * y, mirror)[..., 0], below if sign > 0 else 1 - below, rtol=0, atol=1e-9)


def test_running_extremes_are_torchs_with_the_latest_index_at_ties(generator):
    x = torch.randint(0, 5, (20, 30), generator=generator)
    for numbers in (x, x.double(), torch.where(x == 0, -INF, x.double())):
        for function in (torch.cummax, torch.cummin):
            for a, b in zip(WRITTEN_OUT[function](numbers, 1), function(numbers, 1), strict=True):
                assert torch.equal(a, b)


@pytest.mark.parametrize("limits", [(1e-5, None), (0, 1e12), (None, 2.0), (-1, 1)])
def test_clamp_is_torchs(limits):  # but for limits that float32 cannot hold
    for x in (torch.tensor([0.0, 1e-310, torch.nan, 5.0, -INF, INF], dtype=torch.float64), torch.arange(-3.0, 4.0)):
        torch.testing.assert_close(WRITTEN_OUT[torch.clamp](x, *limits), x.clamp(*limits), rtol=0, atol=0, equal_nan=True)


def test_hypot_is_torchs():
    a, b = torch.tensor([[3.0, 1e-300, 1e200, 5.0], [4.0, 1e300, 1e200, 0.0]], dtype=torch.float64)
    torch.testing.assert_close(hypot(a, b), torch.hypot(a, b), rtol=1e-15, atol=0)


def test_asinh_and_search_are_torchs(generator):
    x = torch.cat(
        [torch.tensor([0.0, -INF, INF, torch.nan]), torch.randn(1000, generator=generator) * 10.0 ** torch.arange(-10, 10).repeat(50)]
    )
    for numbers in (x, x.double()):
        torch.testing.assert_close(WRITTEN_OUT[torch.asinh](numbers), torch.asinh(numbers), equal_nan=True, rtol=1e-6, atol=1e-15)
    entries = torch.randint(0, 300, (5, 511), generator=generator).double().sort(1).values
    entries[1, 100:] = INF
    for length in (1, 2, 255, 256, 257, 511):
        asked = torch.cat([entries[:, :length] + 0.5, entries[:, :length], torch.full((5, 1), -1.0)], 1)
        want = torch.searchsorted(entries[:, :length].contiguous(), asked, right=True).where(asked < INF, 0)
        assert torch.equal(WRITTEN_OUT[torch.searchsorted](entries[:, :length], asked, right=True).where(asked < INF, 0), want)


def test_only_within_are_functions_written_out():
    x = torch.zeros(1, dtype=torch.float64)
    with WrittenOut():
        assert x.clamp(min=1e-300).item() == torch.clamp(x, min=1e-300).item() == 2.0**-126
    assert x.clamp(min=1e-300).item() == 1e-300


@pytest.mark.parametrize("model", ["general", "parametric"])
def test_the_graph_answers_as_predict_does(model):
    """In torch: units, chart and frame, with missing values, padding, both directions, and points before 1 % of the horizon."""
    network = lcx.load(model, "cpu")
    graph = Graph(network.model, LEVELS).eval()
    values, steps = [[0.2, 0.5, np.nan, 0.6, 0.55], [0.3, 0.3], [0.9]], [[0.001, 2, 3, 5, 8], [1, 4], [0.002]]
    for mode, bounds in (("max", (0, 1)), ("min", (0.1, None)), ("max", (None, None)), ("min", (None, 5))):
        question = {"horizon": [10, 20, 30], "mode": mode, "at": [[9, 10], [5, 20], [7, 30]], "bounds": bounds}
        given = feed(values, steps, best=0.5, model=model, **question)
        with torch.inference_mode():
            quantiles, better, *_ = graph(**{name: torch.from_numpy(x) for name, x in given.items()})
        answer = network(values, steps, **question)
        np.testing.assert_allclose(quantiles, answer.quantile(LEVELS), rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(better, answer.prob_better(0.5), atol=1e-5)


def study(count, draw):
    """Other runs as studies have them: on grids of their own, some unfinished, some with missing values, all within (0, 1)."""
    for i in range(count):
        steps = np.sort(draw.choice(np.arange(1, 60), draw.integers(1, 40), replace=False)) * draw.choice([0.5, 1.0])
        values = np.clip(0.9 - steps**-0.4 * 0.6 + 0.01 * draw.standard_normal(len(steps)), 0.01, 0.99)
        values[1:][draw.random(len(steps) - 1) < 0.2 * (i % 3 == 1)] = np.nan
        yield steps, values


@pytest.mark.parametrize("others", [0, 1, 3, 10, 24, 25, 60, "batch"])
def test_the_graph_reads_the_others_as_predict_does(others):
    """In torch. More than 24 runs are first narrowed down to those; the graph always does, which fewer must not feel."""
    network, draw = lcx.load("general", "cpu"), np.random.default_rng(7)
    graph = Graph(network.model, LEVELS).eval()
    values, steps = [[0.2, 0.5, np.nan, 0.6, 0.55], [0.3, 0.3], [0.9]], [[0.001, 2, 3, 5, 8], [1, 4], [0.002]]
    runs = others if others == "batch" else list(study(others, draw))
    for mode, bounds in (("max", (0, 1)), ("min", (None, None))):
        question = {"horizon": [10, 20, 30], "mode": mode, "at": [[9, 10], [5, 20], [7, 30]], "bounds": bounds}
        given = feed(values, steps, best=0.5, others=runs, **question)
        with torch.inference_mode():
            quantiles, better, *_ = graph(**{name: torch.from_numpy(x) for name, x in given.items()})
        answer = network(values, steps, others=runs, **question)
        np.testing.assert_allclose(quantiles, answer.quantile(LEVELS), rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(better, answer.prob_better(0.5), atol=1e-5)


def test_others_are_refused_by_a_model_that_reads_one_curve():
    with pytest.raises(ValueError, match=r"Expected no others for a model that reads one curve; got 1 runs. Use the model general."):
        feed([0.1, 0.2], horizon=9, mode="max", others=[([1, 2], [0.1, 0.3])], model="parametric")


def test_bounds_and_the_value_to_beat_keep_their_digits():
    given = feed([1e12, 1e12 + 1], horizon=9, mode="min", bounds=(1e12, 1e12 + 2), best=0.1, model="general")
    assert (given["lower"], given["upper"], given["best"]) == (1e12, 1e12 + 2, 0.1)
    assert {x.dtype for x in given.values()} == {np.dtype("float64")}


def test_long_curves_are_read_by_feed_as_the_model_reads_them():
    values, question = (
        np.linspace(0, 1, 700) ** 0.5 + 0.01 * np.random.default_rng(0).normal(size=700),
        {"horizon": 800, "mode": "max", "at": [750, 800]},
    )
    given = feed(values, model="parametric", **question)
    assert given["values"].shape == given["steps"].shape == (1, 100)
    assert (given["values"][0, -1], given["steps"][0, -1], given["noise"]) == (values[-1], 700, 0)
    given = feed([values, values[:3]], model="general", **question)
    assert given["values"].shape == given["steps"].shape == (2, 128)
    assert given["values"][1, :3].tolist() == values[:3].tolist()
    assert (given["values"][0, 0], given["steps"][0, 0]) == (pytest.approx(values[0]), pytest.approx(1))
    assert given["noise"] == pytest.approx([0.01, 0], rel=0.2)


def test_the_graph_answers_about_long_curves_as_predict_does():
    count = 700
    values = np.linspace(0.1, 0.9, count) ** 0.5 + 0.01 * np.random.default_rng(0).normal(size=count)
    question = {"horizon": 2 * count, "mode": "max", "at": [1.5 * count, 2 * count], "bounds": (0, 1)}
    graph = Graph(lcx.load("general", "cpu").model, (0.05, 0.5, 0.95)).eval()
    with torch.no_grad():
        quantiles = graph(**{name: torch.from_numpy(x) for name, x in feed(values, model="general", **question).items()})[0]
    np.testing.assert_allclose(quantiles[0], lcx.predict(values, **question).quantile([0.05, 0.5, 0.95]), atol=2e-5)


def test_what_cannot_be_exported_is_refused(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(sys, "argv", ["lcx", "export", str(tmp_path / "model.onnx"), "--levels", "5 %"])
    with pytest.raises(SystemExit) as stopped:
        app.main()
    assert stopped.value.code == 2
    assert "expected --levels as numbers" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match=r"pip install 'lcx\[onnx\]'"):
        export(tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def of_the_page():
    """The graph of the model "general" that the page carries; None if there is no page, or it is older than what it is made of."""
    made_of = [*(ROOT / "lcx").glob("pfn/*.py"), *(ROOT / "lcx").glob("export/*.py"), *(ROOT / "models" / "general").iterdir()]
    if not PAGE.exists() or PAGE.stat().st_mtime < max(path.stat().st_mtime for path in made_of):
        return None
    packed = re.search('id="model">([^<]+)<', PAGE.read_text(encoding="utf-8"))
    return gzip.decompress(base64.b64decode(packed[1]))


@pytest.fixture(scope="module", params=["general", "parametric"])
def exported(request, tmp_path_factory):
    """Name of the model, its graph in onnxruntime, the file; exported outside, where shapes are not checked at run time."""
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    path = tmp_path_factory.mktemp("onnx") / f"{request.param}.onnx"
    if request.param == "general" and (graph := of_the_page()) is not None:
        path.write_bytes(graph)
    else:
        subprocess.run([sys.executable, "-W", "ignore", "-m", "lcx.cli.app", "export", path, "--model", request.param], check=True)
    return request.param, runtime.InferenceSession(path, providers=["CPUExecutionProvider"]), path


@pytest.mark.slow  # two models, 20 to 30 s each, and 65 s for the export
def test_onnxruntime_answers_as_torch_does(exported):
    from benchmarks.export.export import agree

    name, runtime, _ = exported
    agreement = agree(runtime, name, 500)
    # Both compute in float32, each in an order of its own: where a predictive hangs on a hair, some question in a thousand differs by more
    # (benchmarks/LOG.md, 2026-11-26; float64 decides between them).
    assert agreement["share_within_1e-5"] >= 0.98
    assert agreement["largest"] <= 5e-3
    assert agreement["largest_of_probability"] <= 0.05


@pytest.mark.slow  # 25 s each
@pytest.mark.parametrize("others", [1, 3, 10])
def test_onnxruntime_reads_the_others_as_torch_does(exported, others):
    from benchmarks.export.export import agree

    name, runtime, _ = exported
    if name != "general":
        pytest.skip("reads one curve")
    agreement = agree(runtime, name, 200, others)
    assert agreement["share_within_1e-5"] >= 0.98
    assert agreement["largest"] <= 5e-3
    assert agreement["largest_of_probability"] <= 0.05


@pytest.mark.slow  # 2 s at most
def test_order_and_empty_ones_of_the_others_change_nothing(exported):
    name, runtime, _ = exported
    if name != "general":
        pytest.skip("reads one curve")
    runs = list(study(30, np.random.default_rng(2)))
    question = {"horizon": 60, "mode": "max", "bounds": (0, 1), "at": [20.0, 60.0], "best": 0.8}
    curve = [0.2, 0.5, 0.6, 0.55]
    want = runtime.run(None, feed(curve, others=runs, **question))
    for same in (runs[::-1], runs[7:] + runs[:7]):
        for a, b in zip(runtime.run(None, feed(curve, others=same, **question)), want, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)
    alone = feed(curve, **question)
    empty = alone | {name: np.full((4, 9), np.nan) for name in ("other_values", "other_steps")}
    itself = alone | {"other_values": np.array([curve]), "other_steps": np.array([[1.0, 2, 3, 4]]), "own": np.zeros(1)}
    want = runtime.run(None, alone)
    for same in (empty, itself):
        for a, b in zip(runtime.run(None, same), want, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.slow  # 2 s at most
def test_a_batch_of_any_sizes_answers_as_one_curve_does(exported):
    name, runtime, _ = exported
    values = [[0.3], [0.2, 0.4, 0.45], list(np.linspace(0.1, 0.5, 20))]
    question = {"horizon": 30, "mode": "max", "bounds": (0, 1), "model": name}
    at = [[5.0], [9.0, 12.0, 30.0], list(np.linspace(21, 30, 7))]
    together = runtime.run(None, feed(values, at=at, best=0.5, **question))
    for i, (curve, ask) in enumerate(zip(values, at, strict=True)):
        alone = runtime.run(None, feed(curve, at=ask, best=0.5, **question))
        for many, one in zip(together, alone, strict=True):
            np.testing.assert_allclose(many[i, : len(ask)], one[0], rtol=2e-5, atol=2e-5)
        assert np.isnan(together[0][i, len(ask) :]).all()


@pytest.mark.slow  # 2 s at most, beside the export
def test_the_file_says_what_it_is(exported):
    name, runtime, _ = exported
    about = runtime.get_modelmeta().custom_metadata_map
    assert json.loads(about["levels"]) == list(LEVELS)
    assert about["chart"] == name
    sizes = {x.name: x.shape for x in runtime.get_inputs()}
    assert sizes["values"] == sizes["steps"] == ["curves", "points"]
    assert sizes["at"] == ["curves", "asked"]
    assert sizes["horizon"] == sizes["best"] == ["curves"]
    if name == "general":
        assert sizes["other_values"] == sizes["other_steps"] == ["others", "points_of_others"]
        assert sizes["own"] == ["curves"]
    assert [x.name for x in runtime.get_outputs()] == ["quantiles", "better", "logits", "loc", "scale"]


@pytest.mark.slow  # 2 s at most
def test_hostile_numbers_give_finite_ordered_quantiles_inside_the_bounds(exported):
    name, runtime, _ = exported
    for curve in ([1e-12, 2e-12], [1e12, 1e12 + 1], [0.0, 0.0, 0.0], [1.0, 1.0], [-5.0, 1e6, 1e6 + 1e-3], [1e-300, 1.0]):
        for bounds in ((None, None), (min(curve), max(curve) + 1)):
            given = feed(curve, horizon=1000, mode="min", at=[500, 1000], bounds=bounds, model=name)
            quantiles = runtime.run(["quantiles"], given)[0]
            assert np.isfinite(quantiles).all(), curve
            assert (np.diff(quantiles) >= 0).all(), curve
            if bounds[0] is not None:
                assert quantiles.min() >= bounds[0]
                assert quantiles.max() <= bounds[1]
