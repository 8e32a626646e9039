"""Pretraining: what a batch holds, what validation reports, learning, and stopping and resuming bit for bit.

Statistical tests fix their generator; the false-alarm rate they state is the chance that a fresh seed would fail correct code.
"""

import json
import math
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from lcx.pfn.checkpoint import STATE, load, read_tensors
from lcx.pfn.context import Context
from lcx.pfn.model import PFN, PFNConfig
from lcx.predictive import Predictive
from lcx.pretraining import loop as pretraining
from lcx.pretraining import objective, state
from lcx.pretraining.batches import BLOCK, LENGTH, Batch, PretrainConfig, draw_batches, draw_steps
from lcx.pretraining.loop import pretrain
from lcx.pretraining.objective import CUTOFFS, validate
from lcx.priors.parametric import PARAMETRIC, LogNormal, Prior, Term, Uniform

CPU = torch.device("cpu")
TINY = PretrainConfig(
    model=PFNConfig(width=16, layers=1, heads=2, expansion=2, decoder_layers=1, components=4),
    curves=8 * 80,
    batch=8,
    pairs=8,
    targets=2,
    warmup=20,
    precision="float32",
    compile=False,
    validation_curves=50,
    validate_every=10**9,
)
FILES = {"config.json", "metrics.jsonl", "model.safetensors", "pretraining.json", STATE}
ROOT = Path(__file__).resolve().parents[2]


def constant(t: Tensor, level: Tensor) -> Tensor:
    return level + 0 * t


# y = 0.5 + 0.1 eps: what the targets and scores must be is known exactly.
FLAT = Prior("flat", (Term(constant, Uniform(1, 1), {"level": Uniform(0.5, 0.5)}),), LogNormal(math.log(0.1), 0))
CLEAN = replace(PARAMETRIC, noise=LogNormal(-60, 0.1))


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def together(batches: list[Batch]) -> Batch:
    return Batch(*(torch.cat(parts) for parts in zip(*(batch[:5] for batch in batches), strict=True)))


def same(a: Batch, b: Batch) -> bool:
    return all(torch.equal(x.nan_to_num(-9), y.nan_to_num(-9)) for x, y in zip(a[:5], b[:5], strict=True))


def run(config: PretrainConfig, folder: Path, **options) -> dict:
    return pretrain(config, folder, device="cpu", progress=False, **options)


@pytest.fixture(scope="module", autouse=True)
def _without_tensorboard():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "torch.utils.tensorboard", None)
        yield


# ---------------------------------------------------------------------------------------------------------------------- steps


def test_steps_increase_within_the_horizon_and_are_padded_on_the_right():
    """Random steps may coincide in float32 when they fall close to 1, in about 1 of 3,000 scattered curves."""
    steps = draw_steps(6000, 0.9, seeded(1))
    assert steps.shape == (6000, LENGTH)
    seen = ~steps.isnan()
    assert torch.equal(seen, seen.cummin(1).values)
    assert (seen.sum(1) >= 2).all()
    assert steps[seen].min() >= 1
    assert steps[seen].max() <= 100
    gaps = steps.diff(dim=1)
    gaps = gaps[~gaps.isnan()]
    assert (gaps >= 0).all()
    assert (gaps == 0).sum() <= 6


def kinds(steps: Tensor) -> np.ndarray:
    """The kind of each grid, from its steps alone."""
    index = torch.arange(1.0, LENGTH + 1)
    seen = ~steps.isnan()

    def fits(grid: Tensor) -> Tensor:
        return (((steps - grid).abs() < 1e-3) | ~seen).all(1)

    regular, even = fits(index) & seen.all(1), fits(steps[:, :1] * index)
    dense = (steps[:, 0] == 1) & fits(1 + (steps[:, 1:2] - steps[:, :1]) * (index - 1)) & (seen.sum(1) == LENGTH)
    return np.select([regular, even, dense], ["regular", "even", "dense"], "scattered")


@pytest.mark.parametrize("irregular", [0.0, 0.2, 1.0])
def test_share_of_each_kind_of_grid(irregular):
    """Binomial at 4 standard errors, for four kinds: false alarm 3e-4."""
    n = 9000
    found = kinds(draw_steps(n, irregular, seeded(2)))
    also_regular = irregular / 3 / 99  # evenly spaced with 100 points
    want = dict.fromkeys(("even", "dense", "scattered"), irregular / 3) | {"regular": 1 - irregular + also_regular}
    want["even"] -= also_regular
    for kind, share in want.items():
        assert abs((found == kind).mean() - share) <= 4 * math.sqrt(share * (1 - share) / n) + 1e-12, kind


def test_laws_of_the_irregular_grids():
    """Numbers of points uniform on 2..100, log of the dense spacing uniform, ends as documented; false alarm 0.001 each."""
    steps = draw_steps(9000, 1.0, seeded(3))
    found, counts = kinds(steps), (~steps.isnan()).sum(1).numpy()
    jitter = np.random.default_rng(3).uniform(size=len(counts))
    for kind in ("even", "scattered"):
        share = (counts + jitter - 2) / 99
        # An evenly spaced grid of 100 points counts as regular.
        assert stats.kstest(share[(found == kind) | ((found == "regular") & (kind == "even"))], "uniform").pvalue > 0.001, kind
    even = steps[torch.from_numpy(found == "even")]
    assert torch.equal(even.nan_to_num(0).amax(1), torch.full((len(even),), 100.0))
    spacing = steps.diff(dim=1)[torch.from_numpy(found == "dense"), 0].double().numpy()
    assert stats.kstest(np.log(spacing) / -math.log(20), "uniform").pvalue > 0.001
    scattered = steps[torch.from_numpy(found == "scattered")]
    assert scattered.nan_to_num(100).min() < 1.01
    assert scattered.nan_to_num(0).max() > 99.9


# -------------------------------------------------------------------------------------------------------------------- batches


def test_batches_are_a_function_of_configuration_and_block():
    first, second = draw_batches(PARAMETRIC, TINY, 3, CPU), draw_batches(PARAMETRIC, TINY, 4, CPU)
    assert all(same(a, b) for a, b in zip(draw_batches(PARAMETRIC, TINY, 3, CPU), first, strict=True))
    assert not any(same(a, b) for a, b in zip(first, second, strict=True))
    assert not same(first[0], first[1])
    other_seed = draw_batches(PARAMETRIC, replace(TINY, seed=1), 3, CPU)
    assert not same(other_seed[0], first[0])
    longer = draw_batches(PARAMETRIC, replace(TINY, curves=10**6, adam_rate=1e-9, model=PFNConfig()), 3, CPU)
    assert all(same(a, b) for a, b in zip(longer, first, strict=True))


def test_no_curve_comes_twice():
    values = torch.cat([together(draw_batches(PARAMETRIC, TINY, block, CPU)).values[:, 0] for block in range(8)])
    assert len(values.unique()) > 0.99 * len(values)


def test_shapes_and_places_of_the_pairs():
    config = replace(TINY, irregular=0.7, batch=32, pairs=20, targets=3)
    batches = draw_batches(PARAMETRIC, config, 0, CPU)
    assert len(batches) == BLOCK
    for part, shape in zip(batches[5][:5], [(32, LENGTH), (32, LENGTH), (32, 20), (32, 20), (32, 20, 3)], strict=True):
        assert part.shape == shape
    batch = together(batches)
    assert torch.equal(batch.values.isnan(), batch.steps.isnan())
    at = batch.steps.gather(1, batch.tokens)
    assert at.isfinite().all()
    assert (at < 100).all()
    assert (batch.queries > at).all()
    assert (batch.queries <= 100).all()
    assert batch.targets.isfinite().all()
    regular = torch.from_numpy(kinds(batch.steps) == "regular")
    assert 0.2 < regular.float().mean() < 0.5
    assert torch.equal(batch.queries[regular], batch.queries[regular].round())
    assert (batch.queries[~regular] != batch.queries[~regular].round()).float().mean() > 0.9


def test_laws_of_cutoffs_and_queries():
    """Cut-offs follow u^power, queries are uniform on the steps that are left; chi-square and K-S, false alarm 0.001 each."""
    config = replace(TINY, irregular=0.0, pairs=64, cutoff_power=1.5)
    batch = together(draw_batches(FLAT, config, 0, CPU))
    tokens, queries = batch.tokens.flatten().numpy(), batch.queries.flatten().numpy()
    share = np.diff((np.arange(100) / 99) ** (1 / 1.5))
    assert tokens.max() <= 98
    assert stats.chisquare(np.bincount(tokens, minlength=99), share * len(tokens)).pvalue > 0.001
    step = tokens + 1
    jitter = np.random.default_rng(4).uniform(size=len(step))
    assert stats.kstest((queries - step - jitter) / (100 - step), "uniform").pvalue > 0.001


def test_context_is_the_curve_plus_noise():
    """On y = 0.5 + 0.1 eps; false alarm 0.001."""
    batch = together(draw_batches(FLAT, replace(TINY, irregular=0.5), 0, CPU))
    noise = ((batch.values - 0.5) / 0.1)[~batch.values.isnan()].double().numpy()
    assert stats.kstest(noise, "norm").pvalue > 0.001


def test_targets_have_one_noise_draw_in_each_stratum():
    """Uniform within its stratum, independent between strata and of the context, N(0, 1) in all; Bonferroni, false alarm 0.001."""
    config = replace(TINY, targets=4, pairs=16, irregular=0.0)
    batch = together(draw_batches(FLAT, config, 0, CPU))
    noise = ((batch.targets.double() - 0.5) / 0.1).reshape(-1, 4)
    inside = 4 * torch.special.ndtr(noise) - torch.arange(4)
    # Float32 rounds the values to about 1e-7, which shows as 1e-6 on the noise.
    assert inside.min() > -1e-4
    assert inside.max() < 1 + 1e-4
    level = 0.001 / 12
    for m in range(4):
        assert stats.kstest(inside[:, m].numpy(), "uniform").pvalue > level
        for k in range(m):
            assert stats.pearsonr(inside[:, m].numpy(), inside[:, k].numpy()).pvalue > level
    seen = batch.values.gather(1, batch.tokens).flatten().double().numpy()
    assert stats.pearsonr(seen, noise.sum(1).numpy()).pvalue > level
    assert stats.pearsonr(batch.values.gather(1, batch.queries.long() - 1).flatten().double().numpy(), noise[:, 2].numpy()).pvalue > level
    one = together(draw_batches(FLAT, replace(config, targets=1), 0, CPU)).targets.flatten().double()
    assert stats.kstest(((one - 0.5) / 0.1).numpy(), "norm").pvalue > level


def test_strata_average_the_noise_out():
    """Mean and variance over the strata: unbiased, with a fraction of the spread that four independent draws would have."""
    batch = together(draw_batches(FLAT, replace(TINY, targets=4, pairs=16), 0, CPU))
    noise = (batch.targets.double() - 0.5) / 0.1
    n = noise[..., 0].numel()
    # sd of the mean of four stratified draws is 0.192 (four independent ones: 0.5); 4.5 standard errors, false alarm 1e-5 each
    strata = [stats.norm(0, 1).expect(lambda x: x**2, lb=a, ub=b, conditional=True) for a, b in _quarters()]
    means = [stats.norm(0, 1).expect(lambda x: x, lb=a, ub=b, conditional=True) for a, b in _quarters()]
    sd = math.sqrt(sum(s - m**2 for s, m in zip(strata, means, strict=True))) / 4
    assert sd < 0.2
    average = noise.mean(-1)
    assert abs(average.mean().item()) < 4.5 * sd / math.sqrt(n)
    assert average.std().item() == pytest.approx(sd, rel=0.1)
    assert noise.square().mean().item() == pytest.approx(1, abs=4.5 * math.sqrt(2 / n))


def _quarters() -> list[tuple[float, float]]:
    ends = stats.norm.ppf([0, 0.25, 0.5, 0.75, 1])
    return list(pairwise(ends))


def test_targets_lie_on_the_curve_of_their_context():
    """Without noise a target at an integer step is the value there, and lies between its neighbours' at any other."""
    batch = together(draw_batches(CLEAN, replace(TINY, irregular=0.0, pairs=32), 0, CPU))
    there = batch.values.gather(1, batch.queries.long() - 1)
    torch.testing.assert_close(batch.targets, there[..., None].expand_as(batch.targets), rtol=0, atol=1e-5)
    mixed = together(draw_batches(CLEAN, replace(TINY, irregular=1.0, pairs=32), 0, CPU))
    dense = torch.from_numpy(kinds(mixed.steps) == "even") & ((~mixed.steps.isnan()).sum(1) > 60)
    after = torch.searchsorted(mixed.steps[dense].nan_to_num(1e9), mixed.queries[dense]).clamp(max=LENGTH - 1)
    high, low = (mixed.values[dense].gather(1, i) for i in (after, after - 1))
    target = mixed.targets[dense][..., 0]
    inside = (target >= torch.minimum(low, high) - 1e-4) & (target <= torch.maximum(low, high) + 1e-4)
    assert inside.float().mean() > 0.99  # a curve may turn between two steps


def test_values_and_targets_follow_the_prior():
    """Two-sample K-S of one value and one target a curve with those of fresh curves of the prior; false alarm 0.001 together."""
    config = replace(TINY, irregular=0.0, batch=64, pairs=4, targets=1)
    batch = together(draw_batches(PARAMETRIC, config, 0, CPU))
    fresh = PARAMETRIC.sample(6000, seeded(5)).values
    assert len(batch.values) == 2048
    for step in (1, 10, 100):
        assert stats.ks_2samp(batch.values[:, step - 1].numpy(), fresh[:, step - 1].numpy()).pvalue > 0.001 / 4
    at = batch.queries[:, 0].long()
    mine = fresh[torch.arange(2048), at - 1]
    assert stats.ks_2samp(batch.targets[:, 0, 0].numpy(), mine.numpy()).pvalue > 0.001 / 4
    wrong = PARAMETRIC.sample(6000, seeded(5)).values * 1.1  # negative control
    assert stats.ks_2samp(batch.values[:, 99].numpy(), wrong[:, 99].numpy()).pvalue < 0.001 / 4


# ------------------------------------------------------------------------------------------------------- loss and validation


def test_loss_is_the_mean_negative_log_score():
    batch = draw_batches(PARAMETRIC, replace(TINY, irregular=0.8, targets=3), 0, CPU)[0]
    model = PFN(TINY.model)
    with torch.no_grad():
        predictive = model.decode(model.encode(batch.values, batch.steps), batch.tokens, batch.queries)
        scores = [predictive.log_prob(batch.targets[..., m]) for m in range(3)]
        assert pretraining.loss(model, batch).item() == pytest.approx(-torch.stack(scores).mean().item(), rel=1e-5)


class Oracle(PFN):
    """Knows the truth of FLAT, or misses it by a factor in the scale."""

    factor = 1.0

    def decode(self, context: Context, tokens: Tensor, queries: Tensor) -> Predictive:
        shape = (*queries.shape, 1)
        return Predictive(torch.zeros(shape), torch.full(shape, 0.5), torch.full(shape, 0.1 * self.factor))


def test_validation_of_the_truth_is_exact():
    """The control variate takes out all noise: under the truth the log score is its expectation, with no error."""
    truth = -math.log(0.1) - 0.5 * math.log(2 * math.pi * math.e)
    for mean, error in validate(Oracle(TINY.model), FLAT, 100).values():
        assert mean == pytest.approx(truth, abs=1e-5)
        assert error < 1e-5


def test_validation_of_a_wrong_scale():
    """Twice too wide costs log 2 - 3/8 nats; the reported standard error is that of the deviation, 4 of them: false alarm 3e-4."""
    wide = Oracle(TINY.model)
    wide.factor = 2.0
    truth = -math.log(0.1) - 0.5 * math.log(2 * math.pi * math.e)
    for mean, error in validate(wide, FLAT, 1000).values():
        assert 0 < error < 0.02
        assert abs(mean - (truth - math.log(2) + 3 / 8)) < 4 * error


def test_expected_log_score_of_the_truth(monkeypatch):
    """For the parametric prior 4 - log(2 pi e) / 2, and the mean of the curves' own scores agrees: 4 standard errors, 3e-4."""
    handed = []

    def recording(score, own, expected):
        handed.append((score, own, expected))
        return 0.0, 0.0

    monkeypatch.setattr(objective, "paired_log_score", recording)
    assert list(validate(PFN(TINY.model), PARAMETRIC, 1200)) == list(CUTOFFS)
    assert len(handed) == len(CUTOFFS)
    for score, own, expected in handed:
        assert expected == pytest.approx(4 - 0.5 * math.log(2 * math.pi * math.e), abs=1e-12)
        assert len(score) == len(own) == 1200
        assert abs(own.mean().item() - expected) < 4 * own.std().item() / math.sqrt(1200)
        assert not torch.equal(score, own)


def test_validation_is_reproducible():
    model = PFN(TINY.model)
    scores = validate(model, PARAMETRIC, 60)
    assert scores == validate(model, PARAMETRIC, 60)
    assert scores != validate(model, PARAMETRIC, 60, seed=1)
    assert all(p.grad is None for p in model.parameters())


def test_validation_scores_each_point_after_the_cutoff():
    """Against a loop over points, on the curves that the same seed gives."""
    model, n, seed = PFN(TINY.model), 20, 9
    generator = seeded(seed)
    theta = PARAMETRIC.parameters(PARAMETRIC.draw(n, generator))
    noise = torch.randn(n, LENGTH, generator=generator)
    f = PARAMETRIC.mean_curve(theta, torch.arange(1.0, 101.0))
    sigma = PARAMETRIC.sigma(theta)[:, None]
    values, steps = f + sigma * noise, torch.arange(1.0, 101.0).expand(n, -1)
    expected = 4 - 0.5 * math.log(2 * math.pi * math.e)
    scores = validate(model, PARAMETRIC, n, seed)
    for cutoff in CUTOFFS:
        with torch.no_grad():
            context = model.encode(values[:, :cutoff], steps[:, :cutoff])
            last = torch.full((n, 1), cutoff - 1)
            ours = torch.cat(
                [model.decode(context, last, steps[:, i : i + 1]).log_prob(values[:, i : i + 1]) for i in range(cutoff, 100)], 1
            )
        truth = torch.distributions.Normal(f, sigma).log_prob(values)[:, cutoff:]
        gap = (ours - truth).mean(1)
        assert scores[cutoff] == pytest.approx((gap.mean().item() + expected, gap.std().item() / math.sqrt(n)), rel=1e-3)


# ------------------------------------------------------------------------------------------------------------------- learning


def test_learning_rates_warm_up_and_fall_to_zero():
    training = pretraining.Run(TINY, CPU)

    def rates(step: int, progress: float) -> list[float]:
        training.step = step
        training.set_rates(TINY, progress)
        return [optimizer.param_groups[0]["lr"] for optimizer in training.optimizers]

    peak = [TINY.muon_rate, TINY.adam_rate]
    assert rates(0, 0.0) == pytest.approx([p / 20 for p in peak])
    assert rates(9, 0.0) == pytest.approx([p / 2 for p in peak])
    assert rates(40, 0.0) == pytest.approx(peak)
    assert rates(40, 0.5) == pytest.approx([p / 2 for p in peak])
    assert rates(80, 1.0) == pytest.approx([0, 0], abs=1e-12)
    assert rates(80, 1.2) == pytest.approx([0, 0], abs=1e-12)


def test_every_weight_is_trained_once_by_one_optimizer():
    training = pretraining.Run(TINY, CPU)
    owned = [id(p) for optimizer in training.optimizers for group in optimizer.param_groups for p in group["params"]]
    assert sorted(owned) == sorted(id(p) for p in training.model.parameters())


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A few seconds of training: the folder, what it reports and the scores before."""
    config = replace(TINY, curves=16 * 160, batch=16, pairs=16, validation_curves=200, validate_every=100)
    before = PFN(config.model)
    before.initialise(seeded(config.seed))
    folder = tmp_path_factory.mktemp("trained") / "new" / "folder"
    return config, folder, run(config, folder), validate(before, PARAMETRIC, 200)


def test_a_short_training_beats_its_beginning(trained):
    """By over half a nat at every cut-off, many standard errors; the curves are fresh ones."""
    _, folder, about, before = trained
    model, _ = load(folder, CPU)
    after = validate(model, PARAMETRIC, 200, seed=6)
    for cutoff in CUTOFFS:
        mean, error = after[cutoff]
        assert mean > before[cutoff][0] + 0.5
        assert mean > before[cutoff][0] + 5 * math.hypot(error, before[cutoff][1])
        assert about["validation"][str(cutoff)]["log_score"] > before[cutoff][0] + 0.5
    assert after[80][0] > after[10][0]  # more points tell more


def test_what_a_training_leaves(trained):
    config, folder, about, _ = trained
    assert {path.name for path in folder.iterdir()} == FILES
    model, config_json = load(folder, CPU)
    assert config_json.pop("model") == about["pretraining"]["model"]
    assert config_json == json.loads(json.dumps(about))
    assert about["prior"] == "parametric"
    assert about["curves_seen"] == 16 * 160
    assert about["seconds"] > 0
    scores = validate(model, PARAMETRIC, config.validation_curves)
    for cutoff in CUTOFFS:
        assert scores[cutoff] == pytest.approx(tuple(about["validation"][str(cutoff)].values()), rel=1e-6)
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    learnt = {line["step"]: line["train/log_score"] for line in lines if "train/log_score" in line}
    assert list(learnt) == [50, 100, 150]
    assert learnt[150] > learnt[50] + 0.1
    assert [line["step"] for line in lines if "validation/10" in line] == [100]


def test_tensorboard_gets_the_same_scalars(monkeypatch, tmp_path):
    monkeypatch.delitem(sys.modules, "torch.utils.tensorboard")
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run(replace(TINY, validate_every=40), tmp_path)
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    for name in ("train/log_score", "validation/80"):
        logged = [(event.step, event.value) for event in events.Scalars(name)]
        assert logged
        assert logged == [(line["step"], pytest.approx(line[name], rel=1e-6)) for line in lines if name in line]


# ------------------------------------------------------------------------------------------------------- stopping, resuming


def stop_at(monkeypatch, stops: dict[int, signal.Signals]) -> list[int]:
    """Sends the process a signal while it computes the given losses, counted over all runs from 1."""
    calls, plain = [0], pretraining.loss

    def interrupted(model: PFN, batch: Batch, *more: float) -> Tensor:
        calls[0] += 1
        if calls[0] in stops:
            os.kill(os.getpid(), stops[calls[0]])
        return plain(model, batch, *more)

    monkeypatch.setattr(pretraining, "loss", interrupted)
    return calls


def handlers() -> list:
    return [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)]


def everything(folder: Path) -> dict[str, Tensor]:
    """All tensors to go on from, but for the seconds spent."""
    tensors = read_tensors(folder / STATE)
    tensors["progress"] = tensors["progress"][:1]
    return tensors


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    run(TINY, folder)
    return folder


@pytest.mark.parametrize(
    "stops",
    [{45: signal.SIGTERM}, {BLOCK: signal.SIGINT}, {1: signal.SIGINT, 33: signal.SIGTERM, 79: signal.SIGTERM}],
    ids=["within a block", "at the end of a block", "three times"],
)
def test_resumed_training_is_the_same_bit_for_bit(monkeypatch, tmp_path, uninterrupted, stops):
    before, calls = handlers(), stop_at(monkeypatch, stops)
    about = run(TINY, tmp_path)
    for done in list(stops)[1:]:
        assert about["curves_seen"] == calls[0] * TINY.batch < TINY.curves
        about = run(TINY, tmp_path, resume=True)
        assert calls[0] == done
    assert about["curves_seen"] == calls[0] * TINY.batch == list(stops)[-1] * TINY.batch
    assert {path.name for path in tmp_path.iterdir()} == FILES - ({"metrics.jsonl"} if max(stops) < 50 else set())
    assert handlers() == before
    about = run(TINY, tmp_path, resume=True)
    assert about["curves_seen"] == TINY.curves
    assert calls[0] == TINY.steps
    want, got = everything(uninterrupted), everything(tmp_path)
    assert want.keys() == got.keys()
    assert {name.split("/")[0] for name in want} == {"model", "optimizer", "progress"}
    for name, x in want.items():
        assert torch.equal(x, got[name]), name
    models = load(uninterrupted, CPU)[0].state_dict(), load(tmp_path, CPU)[0].state_dict()
    for name, x in models[0].items():
        assert torch.equal(x, models[1][name]), name
    scores = [json.loads((folder / "config.json").read_text())["validation"] for folder in (uninterrupted, tmp_path)]
    assert scores[0] == scores[1]


def test_another_seed_trains_another_network(tmp_path, uninterrupted):
    """Negative control of the comparison above."""
    run(replace(TINY, seed=1), tmp_path)
    want, got = everything(uninterrupted), everything(tmp_path)
    assert not any(torch.equal(want[name], got[name]) for name in want if name.endswith("weight"))


def test_a_finished_training_resumes_to_itself(monkeypatch, tmp_path):
    config = replace(TINY, curves=8 * 10)
    about, calls = run(config, tmp_path), stop_at(monkeypatch, {})
    before = everything(tmp_path)
    again = run(config, tmp_path, resume=True)
    assert calls == [0]
    assert again["curves_seen"] == about["curves_seen"] == 80
    assert again["validation"] == about["validation"]
    assert all(torch.equal(x, before[name]) for name, x in everything(tmp_path).items())


def test_a_budget_of_minutes(monkeypatch, tmp_path):
    """The clock ends the run and moves the schedule; a resumed part goes on from the time already spent."""
    rates, plain = [], pretraining.Run.set_rates

    def recording(self, config, progress):
        rates.append(progress)
        plain(self, config, progress)

    monkeypatch.setattr(pretraining.Run, "set_rates", recording)
    endless = replace(TINY, curves=10**9)
    about = run(endless, tmp_path, minutes=0.02)
    assert 1.0 < about["seconds"] < 20
    assert 0 < about["curves_seen"] == len(rates) * TINY.batch < 10**6
    assert rates[0] == 0
    assert rates == sorted(rates)
    assert 0.5 < rates[-1] < 1
    assert run(endless, tmp_path, minutes=0.02, resume=True)["curves_seen"] == about["curves_seen"]


def test_sigterm_ends_a_process_cleanly(tmp_path):
    """A real process: the signal leaves a state to resume from, a model that loads, and exit status 0."""
    endless = replace(TINY, curves=10**9)
    code = (
        "import sys, pathlib\n"
        "from lcx.pretraining.batches import PretrainConfig\n"
        "from lcx.pfn.model import PFNConfig\n"
        "from lcx.pretraining import pretrain\n"
        f"about = pretrain({endless!r}, pathlib.Path(sys.argv[1]), device='cpu', progress=False)\n"
        "print(about['curves_seen'])"
    )
    env = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env, cwd=tmp_path
    )
    try:
        deadline = time.monotonic() + 300
        while not (tmp_path / "metrics.jsonl").exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=300)
    finally:
        process.kill()
    assert process.returncode == 0, err
    assert "Traceback" not in err
    seen = int(out)
    assert seen >= 50 * TINY.batch
    assert {path.name for path in tmp_path.iterdir()} - {"tensorboard"} == FILES
    assert everything(tmp_path)["progress"].item() * TINY.batch == seen
    assert load(tmp_path, CPU)[1]["curves_seen"] == seen
    assert run(endless, tmp_path, resume=True, minutes=1e-9)["curves_seen"] == seen


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"seed": 1}, "got seed=1 instead of 0"),
        ({"batch": 16}, "got batch=16 instead of 8"),
        ({"curves": 10**6}, "got curves=1000000 instead of 640"),
        ({"model": PFNConfig(width=32)}, "got model="),
    ],
    ids=lambda x: str(x)[:16],
)
def test_resuming_with_another_configuration_is_refused(uninterrupted, change, says):
    before = {path.name: path.read_bytes() for path in uninterrupted.iterdir()}
    with pytest.raises(ValueError, match=f"expected the configuration this run began with, {says}"):
        run(replace(TINY, **change), uninterrupted, resume=True)
    assert {path.name: path.read_bytes() for path in uninterrupted.iterdir()} == before


def test_resuming_without_a_run_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"expected a saved run in .*nothing, found none; start without resume"):
        run(TINY, tmp_path / "nothing", resume=True)


def test_a_damaged_state_is_refused(tmp_path):
    config = replace(TINY, curves=8 * 4)
    run(config, tmp_path)
    (tmp_path / STATE).write_bytes((tmp_path / STATE).read_bytes()[:-100])
    with pytest.raises(ValueError, match=STATE):
        run(config, tmp_path, resume=True)


def test_an_error_leaves_no_partial_file_and_the_handlers(monkeypatch, tmp_path):
    def broken(model: PFN, batch: Batch, *more: float) -> Tensor:
        raise FloatingPointError("broken")

    before = handlers()
    monkeypatch.setattr(pretraining, "loss", broken)
    with pytest.raises(FloatingPointError, match="broken"):
        run(TINY, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} <= FILES
    assert handlers() == before


def test_a_run_is_never_overwritten(tmp_path):
    run(replace(TINY, curves=8 * 4), tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(ValueError, match="resume that run"):
        run(replace(TINY, curves=8 * 6, seed=1), tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    (tmp_path / STATE).unlink()  # nor is a model without its run
    with pytest.raises(ValueError, match=r"with model\.safetensors; name another folder"):
        run(replace(TINY, curves=8 * 6, seed=1), tmp_path)
    del before[tmp_path / STATE]
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_metrics_of_steps_that_are_taken_again_are_forgotten(monkeypatch, tmp_path, uninterrupted):
    """As after SIGKILL: the last state is older than the last metrics, of which a line may be half written."""
    stop_at(monkeypatch, {45: signal.SIGTERM})
    run(TINY, tmp_path)
    with (tmp_path / "metrics.jsonl").open("a") as lines:
        lines.write('{"step": 45, "a": 1}\n{"step": 50, "a": 1}\n{"step": 60, "a')
    run(TINY, tmp_path, resume=True)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [(line["step"], list(line)[1]) for line in lines] == [(45, "a"), (50, "train/log_score")]


def test_training_in_a_thread_leaves_the_signals_alone(tmp_path):
    before = handlers()
    with ThreadPoolExecutor(1) as pool:
        about = pool.submit(run, replace(TINY, curves=8 * 4), tmp_path).result()
    assert about["curves_seen"] == 8 * 4
    assert handlers() == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        *[({name: 0}, f"expected {name} >= 1, got 0") for name in ("curves", "batch", "pairs", "targets", "warmup", "validate_every")],
        ({"validation_curves": 1}, "expected validation_curves >= 2, got 1"),
        ({"precision": "fp16"}, "expected precision bf16 or float32, got 'fp16'"),
        ({"prior": "genral"}, "expected a prior out of .*'general', 'parametric'.*, got 'genral'"),
    ],
)
def test_what_cannot_be_trained_is_refused(tmp_path, change, message):
    with pytest.raises(ValueError, match=message):
        run(replace(TINY, **change), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_number_of_steps():
    assert replace(TINY, curves=64, batch=64).steps == 1
    assert replace(TINY, curves=65, batch=64).steps == 2
    assert replace(TINY, curves=128, batch=64).steps == 2


def test_the_clock_saves_a_state_on_the_way(monkeypatch, tmp_path):
    """The state is written every half minute, here at a clock that runs faster."""
    ticking = iter(float(100 * i) for i in range(10**6))
    monkeypatch.setattr(pretraining.time, "monotonic", lambda: next(ticking))
    saved, plain = [], pretraining.Run.save

    def recording(self, folder):
        saved.append(self.step)
        plain(self, folder)

    monkeypatch.setattr(pretraining.Run, "save", recording)
    run(replace(TINY, curves=8 * 6), tmp_path)
    assert saved[-1] == 6
    assert len(saved) >= 3
    assert saved == sorted(saved)


def test_the_first_state_comes_within_ten_seconds_and_then_one_every_half_minute(monkeypatch, tmp_path):
    now, saved, plain = [0.0], [], pretraining.Run.take_step
    monkeypatch.setattr(pretraining.time, "monotonic", lambda: now[0])

    def slow(self, *rest):
        now[0] += 1.0  # a second a step
        return plain(self, *rest)

    monkeypatch.setattr(pretraining.Run, "take_step", slow)
    monkeypatch.setattr(pretraining.Run, "save", lambda self, folder: saved.append(now[0]))
    run(replace(TINY, curves=8 * 80), tmp_path)
    assert saved[0] <= 10
    assert max(b - a for a, b in pairwise(saved)) <= 31


def test_a_run_may_start_from_a_model_and_counts_what_that_has_seen(monkeypatch, tmp_path, trained):
    _, first, about, _ = trained
    config = replace(TINY, start=str(first), seed=1, curves=TINY.batch * 2, muon_rate=0.0, adam_rate=0.0)
    told = pretrain(config, tmp_path / "second", device="cpu", progress=False)
    assert told["curves_seen"] == about["curves_seen"] + config.curves
    assert told["seconds"] >= about["seconds"]
    before, after = (load(folder, CPU)[0].state_dict() for folder in (first, tmp_path / "second"))
    assert all(torch.equal(before[name], after[name]) for name in before)  # at a rate of zero nothing else may change them
    monkeypatch.setattr(state, "load", None)  # resuming needs the model no more
    assert pretrain(config, tmp_path / "second", device="cpu", progress=False, resume=True)["curves_seen"] == told["curves_seen"]


def test_starting_from_a_model_of_another_size_is_refused(tmp_path, trained):
    config = replace(TINY, start=str(trained[1]), model=replace(TINY.model, width=32))
    with pytest.raises(ValueError, match=r"expected to start from PFNConfig.*ask for that size"):
        pretrain(config, tmp_path / "second", device="cpu", progress=False)
