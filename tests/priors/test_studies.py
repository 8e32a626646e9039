"""Studies of the general prior: each run alone follows the prior, and runs of a study are alike."""

import torch
from scipy import stats

from lcx.priors import GeneralPrior
from lcx.priors.studies import KIND, SHARED, draw_places, draw_study_latents

PRIOR = GeneralPrior()


def latents(studies, runs, seed=0):
    return draw_study_latents(PRIOR, studies, runs, torch.Generator().manual_seed(seed)).view(studies, runs, -1)


def test_every_ingredient_has_a_correlation():
    assert sorted(name for names in SHARED.values() for name in names) == sorted(PRIOR.laws)


def test_each_latent_of_a_run_is_standard_normal():
    z = latents(4000, 2)[:, 1]
    p = [stats.kstest(z[:, i], "norm").pvalue for i in range(z.shape[1])]
    assert min(p) > 1e-3 / len(p)  # false-alarm rate 1e-3


def test_latents_of_two_runs_of_a_study_are_correlated_as_said_and_those_of_two_studies_are_not():
    z = latents(4000, 2)
    named = {name: r for r, names in SHARED.items() for name in names}
    for i, (name, usual) in enumerate([("kind", KIND), *[(n, named[n]) for n in PRIOR.laws]]):
        column = 0 if name == "kind" else z.shape[2] - len(PRIOR.laws) + i - 1
        r = torch.corrcoef(z[:, :, column].T)[0, 1].item()
        # The exponent of r is log-normal with median 1, and a tenth of the studies share little.
        mean = (usual ** torch.exp(torch.randn(100_000, generator=torch.Generator().manual_seed(1)))).mean().item()
        assert abs(r - mean * (0.9 if usual < 0.97 else 1)) < 5 / 4000**0.5, name
    apart = torch.corrcoef(torch.stack([z[:-1, 0].flatten(), z[1:, 0].flatten()]))[0, 1]
    assert abs(apart) < 5 / z[:-1, 0].numel() ** 0.5


def test_starts_and_rises_differ_more_in_some_studies_than_in_others():
    places = draw_places(2000, 8, torch.Generator().manual_seed(0))
    for x, median in ((places.start, 0.08), (places.rise.log(), 0.3)):
        spread = x.view(2000, 8).std(1)
        assert 0.5 * median < spread.median() < 1.5 * median
        assert spread.quantile(0.9) > 3 * spread.quantile(0.1)


def test_runs_are_put_on_a_common_scale_from_their_first_values():
    places = draw_places(3, 2, torch.Generator().manual_seed(0))
    curve, first = torch.rand(6, 5, generator=torch.Generator().manual_seed(1)), torch.zeros(6, 1)
    torch.testing.assert_close(places.put(curve, first), places.start + places.rise * curve)
