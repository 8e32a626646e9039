"""Every shipped model is calibrated and sharp on fresh draws of its prior.

A transformer trained on draws is calibrated up to its approximation error, which is far below what 2,000 curves resolve, so the
tests are those of an exactly calibrated predictive. False-alarm rates are per test and cut-off; seeds are fixed.
"""

from itertools import pairwise

import pytest
import torch
from scipy.stats import binom, kstest

from lcx.extrapolator import load
from lcx.priors.parametric import PARAMETRIC
from lcx.scores import covered, pit

N = 2000


@pytest.fixture(scope="module")
def curves():
    return PARAMETRIC.sample(N, torch.Generator().manual_seed(77))


CUTOFFS = (2, 10, 20, 40, 80)


@pytest.fixture(scope="module")
def decoded(curves):
    """Per cut-off, the predictives of one uniformly drawn later point and of the last 20, from one encoding: a state knows no later points.

    100 curves at a time, which a CPU's cache holds.
    """
    model, parts = load("parametric", "cpu").model, {cutoff: ([], []) for cutoff in CUTOFFS}
    with torch.inference_mode():
        for start in range(0, N, 100):
            steps = curves.steps[start : start + 100]
            context = model.encode(curves.values[start : start + 100, :80], steps[:, :80])
            for cutoff, (one, last) in parts.items():
                query = queries(cutoff)[start : start + 100]
                one.append(model.decode(context, torch.full_like(query, cutoff - 1), steps.gather(1, query)))
                last.append(model.decode(context, torch.tensor([[cutoff - 1]]), steps[:, 80:]))
    return {cutoff: tuple(map(joined, both)) for cutoff, both in parts.items()}


def queries(cutoff):
    return torch.randint(cutoff, 100, (N, 1), generator=torch.Generator().manual_seed(cutoff))


def joined(laws):
    return type(laws[0])(*(torch.cat([getattr(law, name) for law in laws]) for name in ("logits", "loc", "scale")))


@pytest.fixture(scope="module", params=CUTOFFS)
def at_cutoff(request, curves, decoded):
    """Predictive and truth of one uniformly drawn later point of each curve: independent across curves."""
    return decoded[request.param][0].double(), curves.values.gather(1, queries(request.param)).double()


@pytest.fixture(scope="module")
def others():
    """The middle points of other curves: the prior predictive without any context."""
    return PARAMETRIC.sample(N, torch.Generator().manual_seed(78)).values[:, 50]


def widened(law, factor):
    return type(law)(law.logits, law.loc, factor * law.scale)


def uniform(law, truth):
    """K-S p-value of the PIT against U(0, 1)."""
    return kstest(pit(law, truth).flatten().numpy(), "uniform").pvalue


def covers(law, truth, level):
    """Two-sided binomial p-value of the coverage."""
    hits = int(covered(pit(law, truth), level).sum())
    return 2 * min(binom.cdf(hits, N, level), binom.sf(hits - 1, N, level))


def test_pit_is_uniform_and_coverage_is_right(at_cutoff):
    """False-alarm rate 1e-3 for the K-S test and 1e-3 for each coverage."""
    assert uniform(*at_cutoff) > 1e-3
    for level in (0.5, 0.8, 0.95):
        assert covers(*at_cutoff, level) > 1e-3


@pytest.mark.parametrize("factor", [1.5, 1 / 1.5])
def test_the_same_tests_reject_the_same_model_with_other_scales(at_cutoff, factor):
    law, truth = at_cutoff
    assert uniform(widened(law, factor), truth) < 1e-6
    assert covers(widened(law, factor), truth, 0.8) < 1e-6


def test_it_is_sharp(at_cutoff, others):
    """Beats the context-free prior predictive (a kernel estimate at each query step), which is calibrated as well."""
    law, truth = at_cutoff
    width = 0.05
    density = torch.exp(-0.5 * ((truth.float() - others[None, :]) / width) ** 2).mean(1).double() / (width * (2 * torch.pi) ** 0.5)
    gain = law.log_prob(truth).squeeze(1) - torch.log(density + 1e-12)
    assert gain.mean() > 5 * gain.std() / N**0.5
    assert gain.mean() > 0.5


def test_knowing_more_predicts_better(curves, decoded):
    """Mean log score of the points after 80, seen from ever later cut-offs; each step must gain by five standard errors."""
    scores = [decoded[cutoff][1].log_prob(curves.values[:, 80:]).mean(1) for cutoff in CUTOFFS]
    for earlier, later in pairwise(scores):
        gain = later - earlier
        assert gain.mean() > 5 * gain.std() / N**0.5
