"""Joint draws of the rest of a curve: the law at each step, what belongs together, and curves of a batch apart from one another.

Statistical tests fix their generator; the false-alarm rate they state is the chance that a fresh seed would fail correct code.
"""

import numpy as np
import pytest
import torch
from scipy import stats

from lcx.curves import as_curves
from lcx.pfn.checkpoint import load
from lcx.pfn.decoding import decode, draw_paths, to_user
from lcx.pfn.model import PFN
from lcx.pfn.tokens import GeneralTokens, model_steps
from lcx.predictive import Predictive

RISING = 0.9 - 0.6 * np.arange(1, 21) ** -0.7 + 0.02 * np.sin(np.arange(20.0))
AT = torch.tensor([21.0, 22.0, 60.0, 100.0], dtype=torch.float64)
NO_BOUNDS = (None, None)


@pytest.fixture(scope="module")
def general(request) -> PFN:
    return load(request.config.rootpath / "models" / "general", torch.device("cpu"))[0]


def forecast(model: PFN, curves: list[np.ndarray], bounds=NO_BOUNDS) -> tuple[GeneralTokens, torch.Tensor, Predictive]:
    packed, _ = as_curves(curves, horizon=100, bounds=bounds)
    read = GeneralTokens(packed, mode="max", bounds=bounds)
    ahead = model_steps(AT.expand(len(curves), -1), packed).float()
    return read, ahead, to_user(decode(model, read, (read.counts - 1)[:, None], ahead), read.scale, bounds)


def paths(model: PFN, curves: list[np.ndarray], n: int, seed: int = 0, bounds=NO_BOUNDS) -> tuple[torch.Tensor, Predictive]:
    read, ahead, law = forecast(model, curves, bounds)
    return draw_paths(model, read, ahead, law, n, torch.Generator().manual_seed(seed)), law


def test_paths_have_the_law_of_each_step_for_each_curve_of_a_batch(general):
    """Curves in two units and of two lengths; shares below quantiles, 5 standard errors at 24 places: false alarm 1e-5."""
    found, law = paths(general, [RISING, 1000 + 64 * RISING[:9]], 400)
    assert found.shape == (2, 400, 4)
    for level in (0.1, 0.5, 0.9):
        share = (found <= law.icdf(torch.tensor(level, dtype=torch.float64))[:, None]).double().mean(1)
        assert (share - level).abs().max() < 5 * (level * (1 - level) / 400) ** 0.5


def test_neighbouring_steps_of_a_path_belong_together_more_than_distant_ones(general):
    """Rank correlations over 500 paths: of the two last steps far above 0 (standard error 0.04), as much in any unit of the metric."""
    found, _ = paths(general, [RISING, 1000 + 64 * RISING], 500)
    for one in found:
        last, early = (stats.spearmanr(one[:, i], one[:, j]).statistic for i, j in ((2, 3), (0, 3)))
        assert last > 0.5
        assert last > early + 0.1
    together = [stats.spearmanr(one[:, 2], one[:, 3]).statistic for one in found]
    assert abs(together[0] - together[1]) < 5 * 0.04


def test_paths_keep_to_the_bounds_and_are_decided_by_their_generator(general):
    found, _ = paths(general, [RISING + 0.09], 60, bounds=(0.0, 1.0))
    assert found.max() <= 1
    assert found.min() >= 0
    assert torch.equal(found, paths(general, [RISING + 0.09], 60, bounds=(0.0, 1.0))[0])
    assert not torch.equal(found, paths(general, [RISING + 0.09], 60, seed=1, bounds=(0.0, 1.0))[0])


def test_a_few_paths_are_as_good_as_many(general):
    few, _ = paths(general, [RISING], 3)
    assert few.shape == (1, 3, 4)
    assert torch.equal(few[0], paths(general, [RISING], 50)[0][0, :3])


def test_a_law_in_model_units_becomes_the_same_law_in_the_users():
    """A falling scale turns a law round; log densities differ by the log of the slope."""
    read = GeneralTokens(as_curves([3.0, 1.0, 2.0], horizon=9)[0], mode="min", bounds=NO_BOUNDS)
    law = Predictive(torch.zeros(1, 1, 2), torch.tensor([[[0.0, 1.0]]]), torch.tensor([[[0.5, 0.25]]]))
    users = to_user(law, read.scale, NO_BOUNDS)
    assert users.loc.dtype == torch.float64
    slope, worst = read.scale.slope.item(), read.scale.worst.item()
    assert slope < 0
    assert users.loc[0, 0].tolist() == pytest.approx([worst, worst + slope])
    assert users.scale[0, 0].tolist() == pytest.approx([-0.5 * slope, -0.25 * slope])
    y = torch.tensor([[0.3]])
    inner = law.log_prob(y).item() - np.log(-slope)
    assert users.log_prob(worst + slope * y.double()).item() == pytest.approx(inner, rel=1e-5)


def test_curves_of_many_lengths_are_read_each_as_if_alone_and_hardly_padded(general, monkeypatch):
    lengths = np.random.default_rng(5).permutation(np.r_[np.arange(3, 43), 500, 400])
    curves = [0.9 - 0.6 * np.arange(1, n + 1) ** -0.7 + 0.01 * np.sin(np.arange(n)) for n in lengths]
    packed, _ = as_curves(curves, horizon=600)
    read, ahead = GeneralTokens(packed, mode="max", bounds=NO_BOUNDS), torch.full((len(curves), 1), 100.0)
    encode, tokens = general.encode, []
    monkeypatch.setattr(general, "encode", lambda values, *rest, **more: (tokens.append(values.numel()), encode(values, *rest, **more))[1])
    last = (read.counts - 1)[:, None]
    law = decode(general, read, last, ahead)
    assert sum(tokens) < 2.5 * lengths.sum()
    for i in (0, 7, int(lengths.argmax()), int(lengths.argmin())):
        packed, _ = as_curves([curves[i]], horizon=600)
        alone = decode(general, GeneralTokens(packed, mode="max", bounds=NO_BOUNDS), last[i : i + 1] * 0 + lengths[i] - 1, ahead[:1])
        for whole, one in zip((law.logits, law.loc, law.scale), (alone.logits, alone.loc, alone.scale), strict=True):
            torch.testing.assert_close(whole[i], one[0], rtol=1e-4, atol=1e-5)
