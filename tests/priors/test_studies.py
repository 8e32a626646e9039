"""Studies of the general prior: each run alone follows the prior, and runs of a study are alike."""

from dataclasses import replace

import pytest
import torch
from scipy import stats

from lcx.priors import GeneralPrior
from lcx.priors.scaling import ScalingPrior
from lcx.priors.studies import GROUPS, LIKENESS, draw_study

PRIOR = GeneralPrior()


def latents(studies, runs, seed=0):
    return draw_study(PRIOR, studies, runs, torch.Generator().manual_seed(seed))[0].view(studies, runs, -1)


def test_every_ingredient_has_a_correlation():
    assert sorted(name for names in GROUPS.values() for name in names) == sorted(PRIOR.laws)
    assert all(0 < getattr(LIKENESS, group) < 1 for group in GROUPS)


def test_a_prior_of_other_ingredients_is_refused():
    with pytest.raises(
        ValueError, match=r"expected ingredients that lcx.priors.studies.GROUPS names.*got 'ordinary' of the prior 'scaling'; train on"
    ):
        draw_study(ScalingPrior(), 2, 3, torch.Generator().manual_seed(0))


def test_each_latent_of_a_run_is_standard_normal():
    z = latents(4000, 2)[:, 1]
    p = [stats.kstest(z[:, i], "norm").pvalue for i in range(z.shape[1])]
    assert min(p) > 1e-3 / len(p)  # false-alarm rate 1e-3


def test_latents_of_two_runs_of_a_study_are_correlated_as_said_and_those_of_two_studies_are_not():
    z = latents(4000, 2)
    group = {name: key for key, names in GROUPS.items() for name in names}
    for i, (name, key) in enumerate([("kind", "kind"), *[(n, group[n]) for n in PRIOR.laws]]):
        column = 0 if name == "kind" else z.shape[2] - len(PRIOR.laws) + i - 1
        r = torch.corrcoef(z[:, :, column].T)[0, 1].item()
        # The exponent of r is log-normal, and some studies have little in common.
        normal = torch.randn(100_000, generator=torch.Generator().manual_seed(1))
        mean = (getattr(LIKENESS, key) ** torch.exp(LIKENESS.looseness * normal)).mean().item()
        assert abs(r - mean * (1 if key in ("kind", "grid", "bounds") else 1 - LIKENESS.unrelated)) < 5 / 4000**0.5, name
    apart = torch.corrcoef(torch.stack([z[:-1, 0].flatten(), z[1:, 0].flatten()]))[0, 1]
    assert abs(apart) < 5 / z[:-1, 0].numel() ** 0.5


@pytest.mark.parametrize("unrelated", [0.4, 1.0])
def test_runs_of_unrelated_studies_have_grid_bounds_and_kind_in_common_and_nothing_else(unrelated):
    """Correlations over 4,000 pairs at 5 standard errors, some ninety: false alarm 1e-4."""
    z = draw_study(PRIOR, 4000, 2, torch.Generator().manual_seed(0), replace(LIKENESS, unrelated=unrelated, looseness=0.0))[0]
    z = z.view(4000, 2, -1)
    group = {name: key for key, names in GROUPS.items() for name in names}
    keys = ["kind"] * (z.shape[2] - len(PRIOR.laws)) + [group[name] for name in PRIOR.laws]
    for i, key in enumerate(keys):
        related = 1.0 if key in ("kind", "grid", "bounds") else 1 - unrelated
        assert abs(torch.corrcoef(z[:, :, i].T)[0, 1].item() - related * getattr(LIKENESS, key)) < 5 / 4000**0.5, i


def test_starts_and_rises_differ_more_in_some_studies_than_in_others():
    like = replace(LIKENESS, fan_in=0.0)
    places = draw_study(PRIOR, 2000, 8, torch.Generator().manual_seed(0), like)[1]
    for x, size in ((places.start, like.start), (places.rise.log(), like.size)):
        spread = x.view(2000, 8).std(1)
        assert 0.7 < spread.median() / size < 1.3
        assert spread.quantile(0.9) > 3 * spread.quantile(0.1)


def test_runs_that_fan_in_differ_in_their_starts_and_not_in_their_ends():
    places = draw_study(PRIOR, 50, 8, torch.Generator().manual_seed(0), replace(LIKENESS, start=1e-6, start_sd=0.0, fan_in=1.0))[1]
    one = torch.ones(len(places.rise), 1)
    torch.testing.assert_close(places.put(one, 0 * one), one, atol=1e-3, rtol=0)
    assert places.start.std() > 0.01


def test_runs_that_start_alike_also_go_on_alike():
    z, places = draw_study(PRIOR, 2000, 8, torch.Generator().manual_seed(0))
    speed = z.view(2000, 8, -1)[..., -len(PRIOR.laws) + list(PRIOR.laws).index("tau")].std(1)
    assert stats.spearmanr(speed, places.start.view(2000, 8).std(1)).statistic > 0.3


def test_runs_are_put_on_a_common_scale_from_their_first_values():
    places = draw_study(PRIOR, 3, 2, torch.Generator().manual_seed(0))[1]
    curve, first = torch.rand(6, 5, generator=torch.Generator().manual_seed(1)), torch.zeros(6, 1)
    torch.testing.assert_close(places.put(curve, first), places.start + places.rise * curve)
