"""Others that mislead: of which studies they are, how often, and that they agree with one another where they should."""

import numpy as np
import pytest
import torch

from lcx.config import PFNConfig, PretrainConfig
from lcx.pfn.model import PFN
from lcx.pretraining import studies
from lcx.pretraining.misled import mislead
from lcx.pretraining.objective import general_scores, loss, relative_weight, surprise
from lcx.pretraining.sources import Run, Source
from lcx.pretraining.studies import study_batch
from lcx.priors.named import PRIORS

FREE = (-np.inf, np.inf)


def source(name: str, sign: int, bounds: tuple[float, float], levels: list[float], horizon: float) -> Source:
    """Studies of five runs, each of a level of its own."""
    steps = np.arange(1.0, 9) / 8 * horizon
    studied = [[Run(steps, level + k / 10 + steps / horizon / 100) for k in range(5)] for level in levels]
    return Source(name, sign, bounds, studied, [str(level) for level in levels])


MINE = source("mine", -1, (0, np.inf), [10.0, 20.0], 8)
ALIKE = source("alike", -1, (0, np.inf), [30.0], 80)
UNLIKE = source("unlike", 1, FREE, [-1000.0], 8)


def test_a_study_told_as_it_is_is_another_one_of_the_same_kind_of_metric_on_the_steps_of_the_target():
    study, rng = MINE.studies[0], np.random.default_rng(0)
    me, rest = Run(study[0].steps, -study[0].values), [Run(run.steps, -run.values) for run in study[1:]]
    levels, agreeing, kept = [], 0, 0
    for _ in range(600):
        told = mislead(rest, me, MINE, study, [MINE, ALIKE, UNLIKE], 8, rng)
        assert all(run.steps[-1] == 8 for run in told)
        kept += any(run is other for run in told for other in rest)
        ends = np.array([-run.values[0] for run in told])
        if len(told) and all(np.isin(np.floor(ends / 10) * 10, [20, 30])) and (ends % 10 < 0.5).all():
            levels.append(np.floor(ends[0] / 10) * 10)
            agreeing += len(set(np.floor(ends / 10))) == 1
    assert set(levels) == {20.0, 30.0}
    assert agreeing == len(levels)
    assert len(levels) / 600 == pytest.approx(0.4 * 0.7, abs=0.1)  # 5 standard errors
    assert 0.05 < kept / 600 < 0.6, "some keep a part of their own study"


def test_runs_of_any_study_are_laid_into_the_range_of_the_target():
    """Their first values a normal number of ranges off, with a standard deviation of 0.3 or 0.5: never beyond six of these."""
    one = Source("one", -1, (0, np.inf), MINE.studies[:1], ["10"])  # there is no other study to be told as it is
    study, rng = one.studies[0], np.random.default_rng(0)
    me, rest = Run(study[0].steps, -study[0].values), [Run(run.steps, -run.values) for run in study[1:]]
    told = [run for _ in range(300) for run in mislead(rest, me, one, study, [one, UNLIKE], 8, rng)]
    off = np.array([(run.values[0] - me.values[0]) / np.ptp(me.values) for run in told if not any(run is other for other in rest)])
    assert len(off) > 100
    assert np.abs(off).max() < 3
    assert 0.2 < off.std() < 0.6


def test_alien_runs_of_the_prior_agree_with_one_another_for_half_of_the_misled():
    n, k, generator = 4000, 5, torch.Generator().manual_seed(0)
    values = torch.ones(n, k, 4, dtype=torch.float64)
    steps = torch.arange(n).double()[:, None, None].expand(n, k, 4).contiguous()
    told, at = studies._misled(values, steps, k, generator)
    changed = (at != steps).any(-1)
    assert changed.any(1).double().mean() == pytest.approx(studies.MISLED, abs=0.04)  # 5 standard errors
    several = changed.sum(1) > 1
    spread = torch.where(changed, told[..., 0], torch.nan)[several]
    alike = torch.tensor([row[~row.isnan()].std() < 1e-9 for row in spread]).double().mean()
    assert 0.4 < alike < 0.65


def test_the_loss_of_a_batch_with_others_is_of_forecasts_with_and_without_them():
    config = PretrainConfig(prior="general", batch=8, pairs=8, targets=2, model=PFNConfig(32, 1, chart="general", reader=16), studies=1.0)
    model = PFN(config.model)
    with torch.no_grad():
        model.reader.last.weight.normal_(0, 0.3, generator=torch.Generator().manual_seed(0))
    batch = study_batch(PRIORS["general"], config, 32, 3, torch.Generator().manual_seed(1))

    def one(some):
        score, unit = general_scores(model, some)
        weight = relative_weight(unit, 0.5)
        return (surprise(-score) * (weight / weight.mean())[..., None]).mean()

    told, alone = one(batch), one(batch._replace(others=None))
    assert abs(told - alone) > 1e-3
    torch.testing.assert_close(loss(model, batch), 0.6 * told + 0.4 * alone)
