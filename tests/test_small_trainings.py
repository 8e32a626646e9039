"""Studies that are really trained: the same each time, in the format of real curves, and they show learning."""

import json

import numpy as np
import pytest

from lcx.pretraining.sources import load_source

pytest.importorskip("sklearn")
torch = pytest.importorskip("torch")

from benchmarks.small_trainings import __main__ as command  # noqa: E402
from benchmarks.small_trainings.optimizers import SCHEDULES, Recipe, descend, schedule  # noqa: E402
from benchmarks.small_trainings.studies import Study, runs_of  # noqa: E402

# Of each kind a study that takes half a second at most.
CHEAP = {"nets": 3, "regressions": 5, "fits": 4, "control": 6, "text": 0, "rounds": 1, "sizes": 3}


def trained(kind: str, runs: int = 3) -> dict[str, Study]:
    maker, sources = command.KINDS[kind]
    with np.errstate(all="ignore"):
        made = maker(np.random.default_rng(5), CHEAP[kind], runs)
    return dict.fromkeys(sources, made) if isinstance(made, Study) else made


@pytest.mark.parametrize("kind", command.KINDS)
def test_a_study_is_the_same_each_time_and_its_best_run_learns(kind):
    first, again = trained(kind), trained(kind)
    sources = command.KINDS[kind][1]
    assert first.keys() <= sources.keys()
    for name, study in first.items():
        assert study.values.shape == (3, len(study.steps))
        assert (np.diff(study.steps) > 0).all()
        np.testing.assert_array_equal(study.values, again[name].values)
        gain = study.values[:, -1] - study.values[:, 0]
        assert np.nanmax(gain if sources[name][1] == "max" else -gain) > 0


def test_files_are_read_as_real_curves_and_an_interrupted_command_goes_on(tmp_path):
    counts = command.make("fits", 2, 0, tmp_path)["small_fits_loss"]
    source = load_source(tmp_path / "small_fits_loss.npz")
    assert (source.sign, source.bounds) == (-1, (0, np.inf))
    assert len(source.studies) == counts["studies"] == 2
    assert sum(map(len, source.studies)) == counts["runs"]
    assert json.loads((tmp_path / "small_fits_loss.json").read_text())["licence"].startswith("MIT")
    parts = {path: path.stat().st_mtime_ns for path in (tmp_path / "parts").iterdir()}
    command.make("fits", 3, 0, tmp_path)
    assert len(parts) == 2
    assert all(path.stat().st_mtime_ns == before for path, before in parts.items())


def test_diverged_equal_and_motionless_runs():
    steps, falling = np.arange(1.0, 9), np.linspace(2, 1, 8)
    diverged = np.where(steps > 6, np.inf, 10**steps)
    kept = runs_of(Study("s", steps, np.array([falling, falling, diverged])))
    assert [int(np.isfinite(values).sum()) for _, values in kept] == [8, 6]
    assert runs_of(Study("s", steps, np.array([falling, np.ones(8), np.ones(8) * 2]))) == []


@pytest.mark.parametrize(("beta1", "fresh", "beta2"), [(0.9, 1.0, 0.0), (0.9, 0.1, 0.999)])
def test_descent_is_that_of_torch(beta1, fresh, beta2):
    """Momentum and Adam, on two quadratics at once."""
    curvature, start, rates = torch.tensor([[1.0, 0.1], [0.3, 2.0]]), torch.tensor([[1.0, -2.0], [3.0, 0.5]]), (0.05, 0.01)
    column = [torch.full((2, 1), x) for x in (beta1, fresh, beta2, 0.0, np.inf)]
    how, mine = Recipe(torch.tensor([rates]), *column), start.clone()
    descend(lambda w, _: 0.5 * (curvature * w.square()).sum(1), mine, how, np.array([0, 19]), lambda w, _: [w.sum(1)])
    for run, rate in enumerate(rates):
        theirs = start[run].clone().requires_grad_()
        one = torch.optim.SGD([theirs], rate, momentum=beta1) if not beta2 else torch.optim.Adam([theirs], rate, (beta1, beta2))
        for _ in range(20):
            one.zero_grad()
            (0.5 * (curvature[run] * theirs.square()).sum()).backward()
            one.step()
        torch.testing.assert_close(mine[run], theirs.detach(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", SCHEDULES)
def test_rates_stay_between_zero_and_one_and_warm_up(name):
    rates = schedule(name, 100, 10, np.random.default_rng(0))
    assert ((rates >= 0) & (rates <= 1)).all()
    assert rates[0] <= 0.1
