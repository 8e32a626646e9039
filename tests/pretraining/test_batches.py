"""Batches of the general prior: lengths, pairs, fresh targets, what is told, studies and their other runs.

Statistical tests fix their generator; the false-alarm rate they state is the chance that a fresh seed would fail correct code.
"""

import math
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy import stats

from lcx.config import PretrainConfig
from lcx.pretraining import batches, mixture, studies
from lcx.pretraining.batches import BLOCK, FEWEST, LENGTHS, SHARES, Batch, draw_batches, general_batch, range_of
from lcx.pretraining.studies import LONGEST, RUNS, study_batch, unfinished
from lcx.priors.general import GeneralPrior
from lcx.priors.laws import LAWS, Normal, Share
from lcx.priors.parametric import LogNormal

PRIOR = GeneralPrior()
CONFIG = PretrainConfig(prior="general", batch=64, pairs=48, targets=2)
# Plain rises without bounds, rounding, spikes or heavy tails, of known noise.
SIMPLE = {name: Share(0.0) if isinstance(law, Share) else law for name, law in LAWS.items()} | {
    "noise": LogNormal(math.log(0.05), 0), "noise_early": Normal(0, 0), "noise_rise": LogNormal(-60, 0), "correlated": LogNormal(-60, 0),
    "tau": LogNormal(-1.6, 0.3), "shape": LogNormal(0, 0.2), "second": Normal(-1, 0), "stretch": LogNormal(0, 0.3),
}  # fmt: skip


def simple(**changed) -> GeneralPrior:
    return GeneralPrior(laws={**SIMPLE, **changed}, kinds=())


NOTHING = torch.zeros(1, 1)
BLANK = Batch(NOTHING, NOTHING, NOTHING.long(), NOTHING, NOTHING[..., None])
CLEAN = simple(noise=LogNormal(-60, 0), wander=LogNormal(-60, 0))


def made(longest: int, prior: GeneralPrior = PRIOR, seed: int = 0, **changed) -> Batch:
    return general_batch(prior, replace(CONFIG, **changed), longest, torch.Generator().manual_seed(seed))


def counts(batch: Batch) -> torch.Tensor:
    return (~batch.values.isnan()).sum(1)


@pytest.mark.parametrize("longest", LENGTHS)
def test_curves_have_half_to_all_of_the_points_of_the_longest_in_equal_shares(longest):
    """Chi-square of eight classes at 1e-5."""
    found = counts(made(longest, CLEAN, batch=8 * longest, pairs=1)).numpy()
    fewest = FEWEST if longest == min(LENGTHS) else longest // 2
    assert len(found) == 8 * 64
    assert found.min() >= fewest
    assert found.max() <= longest
    edges = np.linspace(fewest, longest + 1, 9).round().astype(int)
    classes = np.histogram(found, edges)[0]
    assert stats.chisquare(classes, np.diff(edges) / (longest + 1 - fewest) * len(found)).pvalue > 1e-5


def test_steps_with_longer_curves_have_fewer_of_them():
    for longest in LENGTHS:
        assert len(made(longest).values) == 64 * 64 // longest
    assert len(made(512, batch=1).values) == 1


def test_batches_of_each_length_come_in_their_shares(monkeypatch):
    """Binomial tests at 1e-5 over 3,200 batches."""
    seen: Counter[int] = Counter()

    def counting(prior, config, longest, generator):
        seen[longest] += 1
        return BLANK

    monkeypatch.setattr(batches, "general_batch", counting)
    for block in range(100):
        draw_batches(PRIOR, CONFIG, block, torch.device("cpu"))
    assert seen.total() == 100 * BLOCK
    for longest, share in zip(LENGTHS, SHARES, strict=True):
        assert stats.binomtest(seen[longest], seen.total(), share).pvalue > 1e-5


def test_cut_offs_are_drawn_early_and_queries_evenly_from_what_is_left():
    """K-S at 1e-5: cut-offs are u**power of the points but the last, queries uniform on the later points."""
    for power in (1.0, 1.5):
        batch = made(128, CLEAN, cutoff_power=power, batch=512)
        n, jitter = counts(batch)[:, None], np.random.default_rng(0).uniform(size=(2, batch.tokens.numel()))
        share = ((batch.tokens.flatten().numpy() + jitter[0]) / (n - 1).expand_as(batch.tokens).flatten().numpy()) ** (1 / power)
        assert stats.kstest(share[::16], "uniform").pvalue > 1e-5
        index = (batch.queries[..., None] == batch.steps[:, None]).int().argmax(-1)
        later = (index - batch.tokens - 1).flatten().numpy() + jitter[1]
        left = (n - 1 - batch.tokens).flatten().numpy()
        assert stats.kstest((later / left)[::16], "uniform").pvalue > 1e-5
        assert (index <= n - 1).all()


def test_short_curves_have_fewer_pairs():
    assert made(16).tokens.shape[1] == 12
    assert made(64).tokens.shape[1] == 48
    assert made(512, pairs=7).tokens.shape[1] == 7


def test_targets_lie_on_their_curve_with_noise_of_their_own():
    """Without noise they are the values; with it, not correlated with the noise that was seen nor with one another, 6 standard errors."""
    batch = made(64, CLEAN)
    index = (batch.queries[..., None] == batch.steps[:, None]).int().argmax(-1)
    torch.testing.assert_close(batch.targets, batch.values.gather(1, index)[..., None].expand_as(batch.targets), rtol=0, atol=1e-4)
    level = simple(flat=Share(1.0), flat_noise=LogNormal(0, 0), wander=LogNormal(-60, 0))
    noisy = made(64, level, batch=256)
    index = (noisy.queries[..., None] == noisy.steps[:, None]).int().argmax(-1)
    # Pure noise, in a chart whose origin and width are those of the curve.
    mean, sd = noisy.values.nanmean(1)[:, None, None], noisy.values.masked_fill(noisy.values.isnan(), 0.0)
    sd = ((noisy.values - mean[..., 0]) ** 2).nanmean(1).sqrt()[:, None, None]
    z, seen = (noisy.targets - mean) / sd, (noisy.values.gather(1, index)[..., None] - mean) / sd
    n = z[..., 0].numel()
    assert abs(z.std().item() - 1) < 0.05
    assert abs(stats.pearsonr(z[..., 0].flatten(), seen.flatten()).statistic) < 6 / n**0.5 + 0.03
    assert abs(stats.pearsonr(z[..., 0].flatten(), z[..., 1].flatten()).statistic) < 6 / n**0.5 + 0.03
    assert (z[..., 0] != z[..., 1]).all()


@pytest.mark.parametrize("sides", [("upper",), ("lower",), ("upper", "lower"), ()])
def test_what_is_told_is_in_the_chart_of_the_curve(sides):
    """No value passes a told bound; its distance is the prior's, in ranges of the curve: 0.5 of it above, 1 below."""
    laws = {f"has_{side}": Share(1.0) for side in sides} | {f"told_{side}": Share(1.0) for side in sides}
    room = {"room_above": LogNormal(math.log(0.5), 0), "room_below": LogNormal(0, 0), "offset": LogNormal(math.log(3), 0)}
    quiet = {"noise": LogNormal(-60, 0), "wander": LogNormal(-60, 0)}
    frame, values = (batch := made(64, simple(**laws, **room, **quiet))).frame, batch.values.nan_to_num()
    assert frame is not None
    top, bottom = values.amax(1), values.amin(1)
    torch.testing.assert_close(frame.upper, top + 0.5 if "upper" in sides else torch.full_like(top, math.inf))
    torch.testing.assert_close(frame.lower, bottom - 1 if "lower" in sides else torch.full_like(top, -math.inf))
    torch.testing.assert_close(frame.fallback, torch.full_like(top, 2.5 if len(sides) == 2 else 3.0))


def test_the_range_of_a_curve_leaves_padding_out_and_is_1_where_there_is_none():
    values = torch.tensor([[1.0, 3.0, 99.0], [2.0, 2.0, 99.0], [5.0, -5.0, 0.0]])
    padding = torch.tensor([[False, False, True], [False, False, True], [False, False, False]])
    assert range_of(values, padding).tolist() == [[2.0], [1.0], [10.0]]


# -------------------------------------------------------------------------------------------------------------------- studies


@pytest.fixture
def plainly(monkeypatch):
    """Other runs as they are: no alien ones, and all of them finished."""
    monkeypatch.setattr(studies, "MISLED", 0.0)
    monkeypatch.setattr(studies, "unfinished", lambda values, steps, generator: studies.Others.in_chart(values, steps))


def studied(longest: int, runs: int, prior: GeneralPrior = PRIOR, seed: int = 0, **changed) -> Batch:
    return study_batch(prior, replace(CONFIG, **changed), longest, runs, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("runs", RUNS)
def test_the_others_of_a_run_are_the_rest_of_its_study_in_its_own_chart(plainly, runs):
    """Mapped back by its own affine map: what a run reads of another is that one's curve, up to start and range."""
    batch = studied(32, runs, CLEAN)
    assert batch.others is not None
    theirs, steps = batch.others.values, batch.others.steps
    n = len(batch.values)
    assert theirs.shape[:2] == (n, runs - 1)
    assert n == 64 * 64 // 32 // runs * runs
    whole = (~theirs.isnan()).any(-1)
    for i in range(0, n, 7):
        first = i // runs * runs
        mates = [j for j in range(first, first + runs) if j != i]
        for k in range(runs - 1):
            if not whole[i, k]:
                continue
            shape = theirs[i, k][~theirs[i, k].isnan()]
            assert torch.equal(steps[i, k][: len(shape)].float(), batch.steps[first + (i - first + k + 1) % runs][: len(shape)])
            chart = (shape - shape[0]) / (shape.max() - shape.min())
            assert any(
                len(shape) == counts(batch)[j] and torch.allclose(chart.float(), batch.values[j][: len(shape)], atol=1e-4) for j in mates
            )


def test_some_runs_are_asked_alone_and_half_of_the_rest_know_all_others(plainly):
    """Of 6 runs: 15 % read none, beside those that keep none of a random share; binomial at 1e-5."""
    known = torch.cat([(~studied(16, 6, seed=seed).others.values.isnan()).any(-1).sum(1) for seed in range(4)])
    p_none = 0.15 + 0.85 * 0.5 / 6  # each of five is kept with a chance that is uniform: 0 to 5 are kept equally often
    assert stats.binomtest(int((known == 0).sum()), len(known), p_none).pvalue > 1e-5
    assert stats.binomtest(int((known == 5).sum()), len(known), 0.85 * (0.5 + 0.5 / 6)).pvalue > 1e-5
    assert set(known.tolist()) == set(range(6))


def test_the_runs_of_four_studies_in_five_are_equally_long():
    """Binomial at 1e-5 over 1,300 studies; by chance alone runs that may differ hardly ever agree."""
    equal = []
    for seed in range(2):
        n = counts(studied(64, 12, CLEAN, seed=seed, batch=1024)).view(-1, 12)
        equal.append((n == n[:, :1]).all(1))
        assert n.min() >= FEWEST
        assert n.max() <= 64
        varied = n[~equal[-1]].double()
        assert 0.1 < varied.log().std(1).median() < 0.5
    both = torch.cat(equal)
    assert stats.binomtest(int(both.sum()), len(both), 0.8).pvalue > 1e-5


def test_runs_of_a_study_are_told_one_bound_that_none_of_them_passes(plainly):
    bounds = {"has_upper": Share(1.0), "told_upper": Share(1.0), "has_lower": Share(1.0), "told_lower": Share(1.0)}
    batch = studied(32, 6, simple(**bounds))
    frame, others = batch.frame, batch.others
    assert frame is not None
    assert others is not None
    slack = 1e-4 * (1 + frame.fallback[:, None].double())
    for bound, sign in ((frame.upper, 1.0), (frame.lower, -1.0)):
        limit = sign * bound[:, None].double()
        assert bound.isfinite().all()
        assert (sign * batch.values.nan_to_num() <= limit + slack).all()
        assert (sign * others.values.nan_to_num().flatten(1) <= limit + slack).all()
        assert (sign * batch.targets.flatten(1) <= limit + slack).all()
    torch.testing.assert_close(frame.fallback, frame.upper - frame.lower)


def test_where_no_bound_is_told_none_is_made_up_and_the_scale_is_that_of_the_run(plainly):
    frame = studied(32, 6, simple(offset=LogNormal(math.log(3), 0), wander=LogNormal(-60, 0), noise=LogNormal(-60, 0))).frame
    assert frame is not None
    assert frame.upper.isinf().all()
    assert frame.lower.isinf().all()
    torch.testing.assert_close(frame.fallback, torch.full_like(frame.fallback, 3.0), rtol=1e-3, atol=0)


def test_targets_of_a_study_are_later_values_of_their_own_run(plainly):
    batch = studied(32, 6, CLEAN)
    index = (batch.queries[..., None] == batch.steps[:, None]).int().argmax(-1)
    assert (index > batch.tokens).all()
    torch.testing.assert_close(batch.targets, batch.values.gather(1, index)[..., None].expand_as(batch.targets), rtol=0, atol=1e-3)
    assert (batch.values[:, 0] == 0).all()
    noisy = studied(32, 6)
    assert (noisy.targets[..., 0] != noisy.targets[..., 1]).double().mean() > 0.5


def test_in_a_running_study_some_runs_have_not_finished():
    """Of 45 % of the targets; of these half of the others on average, at a place that is uniform or, for 40 %, from 10 to 50 %."""
    n, k, m = 4000, 4, 100
    steps = torch.arange(1.0, m + 1).expand(n, k, m).double()
    told = unfinished(torch.ones(n, k, m, dtype=torch.float64), steps, torch.Generator().manual_seed(0))
    seen = (~told.values.isnan()).sum(-1)
    assert torch.equal(told.steps.isnan(), told.values.isnan())
    assert torch.equal(told.values.isnan(), told.values.isnan().cummax(-1).values), "the end of a run is missing, not its middle"
    running = (seen < m).any(1)
    assert stats.binomtest(int(running.sum()), n, 0.45 * (1 - 1 / 5)).pvalue > 1e-5  # a share that is uniform keeps all of four: 1 in 5
    cut = seen[seen < m].double() / m
    assert cut.numel() / (n * k) == pytest.approx(0.45 * 0.5, abs=0.02)
    early = ((cut > 0.1) & (cut < 0.5)).double().mean()
    assert early == pytest.approx(0.4 + 0.6 * 0.4, abs=0.03)
    assert cut.min() < 0.03
    assert cut.max() > 0.97
    padded = torch.cat([steps, torch.full((n, k, 5), torch.nan)], -1) / 1000
    same = unfinished(torch.ones_like(padded).masked_fill(padded.isnan(), torch.nan), padded, torch.Generator().manual_seed(0))
    assert torch.equal((~same.values.isnan()).sum(-1), seen), "neither padding nor the unit of steps matters"


# -------------------------------------------------------------------------------------------------------------------- mixture


def test_a_mixture_has_studies_in_their_share_and_all_their_sizes(monkeypatch):
    """Binomial at 1e-5 over 3,200 batches."""
    sizes: Counter[tuple[int, int]] = Counter()
    singles: Counter[int] = Counter()

    def study(prior, config, longest, runs, generator):
        sizes[longest, runs] += 1
        return BLANK

    def single(prior, config, longest, generator):
        singles[longest] += 1
        return BLANK

    monkeypatch.setattr(mixture, "study_batch", study)
    monkeypatch.setattr(mixture, "general_batch", single)
    config = replace(CONFIG, studies=0.3, model=replace(CONFIG.model, chart="general", reader=16))
    for block in range(100):
        assert len(mixture.draw_mixture(PRIOR, config, [], block, torch.device("cpu"))) == BLOCK
    total = sizes.total() + singles.total()
    assert stats.binomtest(sizes.total(), total, 0.3).pvalue > 1e-5
    for longest in LONGEST:
        for runs in RUNS:
            assert stats.binomtest(sizes[longest, runs], sizes.total(), 1 / len(LONGEST) / len(RUNS)).pvalue > 1e-5
    for longest, share in zip(LENGTHS, SHARES, strict=True):
        assert stats.binomtest(singles[longest], singles.total(), share).pvalue > 1e-5


def test_streams_of_processes_and_blocks_differ():
    seeds = [batches.stream(seed, block, rank, ranks) for seed in (0, 1) for block in (0, 1, 12) for rank in (0, 1) for ranks in (2, 12)]
    assert len(set(seeds)) == len(seeds)
    low = [seed % 2**32 for seed in seeds]  # all that a generator of a CPU reads
    assert len(set(low)) == len(low)
    assert all(a != b for a, b in pairwise(seeds))
