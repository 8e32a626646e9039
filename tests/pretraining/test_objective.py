"""The loss of pretraining, in cases that can be worked out by hand."""

import math
from dataclasses import replace

import pytest
import torch
from scipy import stats
from torch import Tensor

from lcx.config import PFNConfig, PretrainConfig
from lcx.pfn.context import Context
from lcx.pfn.features import Frame
from lcx.pfn.model import PFN
from lcx.pfn.others import Others
from lcx.predictive import Predictive
from lcx.pretraining import objective
from lcx.pretraining.batches import Batch
from lcx.pretraining.objective import CUTOFFS, general_scores, loss, relative_weight, surprise, validate
from lcx.priors.general import GeneralPrior
from lcx.priors.named import PRIORS

TINY = PFNConfig(width=8, layers=1, heads=1, expansion=1, decoder_layers=1, components=1, chart="general")
INF = math.inf


class Says(PFN):
    """Answers every question with N(loc, scale**2), and with N(told, scale**2) if it may read other runs."""

    loc, scale, told = 0.0, 1.0, 0.0

    def decode(self, context: Context, tokens: Tensor, queries: Tensor, others: Others | None = None) -> Predictive:
        shape = (*queries.shape, 1)
        loc = self.loc if others is None else self.told
        return Predictive(torch.zeros(shape), torch.full(shape, loc), torch.full(shape, self.scale))


def says(loc: float, scale: float, told: float = 0.0) -> Says:
    model = Says(TINY)
    model.loc, model.scale, model.told = loc, scale, told
    return model


def batch(values: list[list[float]], targets: list[list[float]], lower: float = -INF, upper: float = INF) -> Batch:
    """Curves that are asked from their last token, one query each."""
    y = torch.tensor(values)
    steps = torch.arange(1.0, y.shape[1] + 1).expand_as(y)
    last, ends = torch.full((len(y), 1), y.shape[1] - 1), (torch.full((len(y),), x) for x in (lower, upper, 1.0))
    return Batch(y, steps, last, torch.full((len(y), 1), 50.0), torch.tensor(targets)[:, None], Frame(*ends))


EVEN = [0.0, 0.25, 0.5, 0.75, 1.0]  # of which the unit of change is 0.25
COARSE = [0.0, 1.0, 0.0, 1.0, 0.0]  # 1


def test_a_surprise_of_up_to_20_nats_counts_in_full_and_beyond_it_in_its_logarithm():
    x = torch.tensor([-5.0, 0.0, 19.0, 20.0, 20 + math.e - 1, 20 + math.e**3 - 1])
    torch.testing.assert_close(surprise(x), torch.tensor([-5.0, 0.0, 19.0, 20.0, 21.0, 23.0]))
    far = surprise(torch.tensor([1e3, 1e6, 1e12]))
    assert (far.diff() > 1).all(), "what is worse is never as good"
    assert far[-1] < 50
    slope = torch.tensor([10.0, 30.0, 1e6], requires_grad=True)
    surprise(slope).sum().backward()
    assert slope.grad is not None
    assert (slope.grad > 0).all(), "there is always a way back"


def test_the_loss_goes_on_growing_with_a_divergence_that_nobody_could_foresee():
    """-log N(d; 0, 1) less the log of the unit, 0.25, is d**2 / 2 + 0.919 + 1.386; beyond 20 only its logarithm is added."""
    by_size = {d: loss(says(0.0, 1.0), batch([EVEN], [[d]])).item() for d in (2.0, 10.0, 100.0, 1000.0)}
    plain = {d: d**2 / 2 + 0.5 * math.log(2 * math.pi) + math.log(4) for d in by_size}
    assert by_size[2.0] == pytest.approx(plain[2.0], rel=1e-5)
    for d in (10.0, 100.0, 1000.0):
        assert by_size[d] == pytest.approx(20 + math.log(plain[d] - 19), rel=1e-5)


def test_a_score_is_that_of_the_law_inside_the_told_bounds_per_unit_of_change():
    """Against scipy's truncated normal law; the unit of the curve is 0.25."""
    for lower, upper in ((-INF, INF), (0.0, INF), (-1.0, 0.5), (0.4, 0.7)):
        score, unit = general_scores(says(0.3, 0.5), batch([EVEN], [[0.45, 0.5]], lower, upper))
        exact = stats.truncnorm((lower - 0.3) / 0.5, (upper - 0.3) / 0.5, 0.3, 0.5).logpdf([0.45, 0.5]) + math.log(0.25)
        assert score[0, 0].tolist() == pytest.approx(exact, rel=1e-4)
        assert unit.item() == pytest.approx(0.25)
    far = general_scores(says(50.0, 0.5), batch([EVEN], [[0.4]], 0.0, 1.0))[0]
    assert far.isfinite().all(), "a law with no mass between the bounds"


def test_curves_that_hardly_change_weigh_less_by_the_power_that_is_asked_for():
    assert relative_weight(torch.tensor([1.0, 0.25, 4.0, 0.0]), 0.5).tolist() == pytest.approx([1.0, 0.5, 1.0, 0.01])
    model, both = says(0.0, 1.0), batch([EVEN, COARSE], [[0.0], [3.0]])
    one, other = (-general_scores(model, both)[0][i].mean() for i in (0, 1))
    assert abs(one - other) > 1
    torch.testing.assert_close(loss(model, both, power=0.5), (0.5 * one + other) / 1.5)
    torch.testing.assert_close(loss(model, both, power=0.0), (one + other) / 2)
    torch.testing.assert_close(loss(model, both), loss(model, both, power=0.5))


def test_with_other_runs_three_fifths_of_the_loss_are_of_forecasts_that_read_them():
    one = batch([EVEN], [[0.0]])
    nothing = torch.zeros(1, 1, 2, dtype=torch.float64)
    several = one._replace(others=Others.in_chart(nothing, 1 + nothing))
    alone, told = (loss(says(loc, 1.0), one) for loc in (0.0, 4.0))
    torch.testing.assert_close(loss(says(0.0, 1.0, told=4.0), several), 0.6 * told + 0.4 * alone)


def test_the_loss_of_the_parametric_chart_is_the_mean_negative_log_density():
    model = Says(replace(TINY, chart="parametric"))
    model.loc, model.scale = 0.25, 0.5
    some = batch([EVEN, COARSE], [[0.3, 0.5], [1.0, -1.0]])._replace(frame=None)
    exact = -stats.norm(0.25, 0.5).logpdf([0.3, 0.5, 1.0, -1.0]).mean()
    assert loss(model, some).item() == pytest.approx(exact, rel=1e-5)


def test_validation_of_the_general_prior_scores_every_later_point_once_and_is_capped_as_the_loss_is(monkeypatch):
    """On curves whose points are all alike but the last: its share among the later ones of each cut-off is known."""
    values = torch.zeros(4, 64)
    values[:, -1] = 1.0
    values[:, 1:2] = 1.0  # the unit of change is then not the fallback
    steps = torch.arange(1.0, 65).expand(4, -1) * 100 / 64
    lengths = torch.tensor([64, 64, 32, 40])
    padding = torch.arange(64) >= lengths[:, None]
    values = values.masked_fill(padding, math.nan).clone()
    values[range(4), lengths - 1] = 1.0
    ends = Frame(torch.full((4,), -INF), torch.full((4,), INF), torch.ones(4))
    made = Batch(
        values, steps.masked_fill(padding, math.nan), torch.zeros(4, 1).long(), torch.full((4, 1), 50.0), torch.zeros(4, 1, 1), ends
    )
    monkeypatch.setattr(objective, "general_batch", lambda *given: made)
    prior = PRIORS["general"]
    assert isinstance(prior, GeneralPrior)
    found = validate(says(0.0, 0.1), prior, 128)
    assert list(found) == list(CUTOFFS)
    model = says(0.0, 0.1)
    for cutoff, (mean, error) in found.items():
        scores = []
        for i, n in enumerate(lengths.tolist()):
            token = n * cutoff // 100 - 1
            row = Batch(*(x[i : i + 1] for x in made[:5]), Frame(*(x[i : i + 1] for x in ends)))
            later = values[i, token + 1 : n]
            asked = replace_pairs(row, token, steps[i, token + 1 : n], later)
            scores.append(-surprise(-general_scores(model, asked)[0]).mean())
        expected = torch.stack(scores)
        assert mean == pytest.approx(expected.mean().item(), rel=1e-4)
        assert error == pytest.approx(expected.repeat(2).std().item() / 8**0.5, rel=1e-3)


def replace_pairs(row: Batch, token: int, queries: Tensor, targets: Tensor) -> Batch:
    n = len(queries)
    return row._replace(tokens=torch.full((1, n), token), queries=queries[None], targets=targets[None, :, None])


def test_validation_of_the_general_prior_is_reproducible_and_depends_on_the_seed():
    prior, config = PRIORS["general"], replace(PretrainConfig(), model=TINY)
    assert isinstance(prior, GeneralPrior)
    model = PFN(config.model)
    one, again, other = (validate(model, prior, 64, seed=seed) for seed in (1, 1, 2))
    assert one == again
    assert one != other
