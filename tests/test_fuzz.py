"""No input, however odd, gets more than an answer by the rules or a documented error (checks: benchmarks/faults/fuzz.py, fuzz_files.py)."""

import math

import pytest
from hypothesis import HealthCheck, settings

import lcx
from benchmarks.faults import fuzz, fuzz_files

FEW = settings(max_examples=6, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))
MANY = settings(FEW, max_examples=1000, derandomize=False)
settings.register_profile("few", FEW)
settings.register_profile("many", MANY)

profiles = pytest.mark.parametrize("profile", ["few", pytest.param("many", marks=pytest.mark.slow)])  # 45 s a door


@profiles
@pytest.mark.parametrize("door", [fuzz.predict, fuzz.backtest, fuzz.equivariance, fuzz.stopper], ids=lambda door: door.__name__)
def test_answers(profile, door):
    settings.get_profile(profile)(door)()


@profiles
@pytest.mark.parametrize("door", [fuzz_files.reader, fuzz_files.command_line, fuzz_files.checkpoint], ids=lambda door: door.__name__)
def test_files(profile, door, tmp_path):
    settings.get_profile(profile)(door(tmp_path))()


# --------------------------------------------------------------------------------------------------------------- found by it


@pytest.mark.parametrize("values", [[0.0, 1e60], [1e-44, 2e-44, 3e-44], [5e-324, 0.0], [0.0, 1.0, -1e300]], ids=str)
@pytest.mark.parametrize("model", ["general", "parametric"])
def test_values_of_any_size_get_finite_quantiles(values, model):
    fuzz.check_answer(lcx.predict(values, horizon=9, mode="max", model=model, device="cpu"), (None, None))


def test_bounds_and_horizons_as_far_as_numbers_go():
    far = (-1e308, 1e307)
    fuzz.check_answer(lcx.predict([0.5, 0.6], horizon=9, mode="max", bounds=far, device="cpu"), far)
    answer = lcx.predict([0.5, 0.6, 0.65], [1, 1e307, 1e308], horizon=1.7e308, mode="max", device="cpu")
    fuzz.check_answer(answer, (None, None))
    fuzz.check_steps(answer, 1.7e308)
    for model in ("general", "parametric"):  # a tail of the answer would overflow
        with pytest.raises(ValueError, match=r"values up to 1e\+300 in size"):
            lcx.predict([0.0, 8.5e307], horizon=3, mode="max", model=model, device="cpu")
    with pytest.raises(ValueError, match="with a finite range; got"):
        lcx.predict([0.9e308, 1.7e308], horizon=9, mode="max", device="cpu")


@pytest.mark.parametrize(
    "change",
    [{"runs": None}, {"settings": [1]}, {"settings": {"horizon": 9, "mode": "max", "more": 1}}, {"runs": [{"run": 1}]}]
    + [{"runs": [{"run": "a", "steps": [1, x], "values": [0.1, 0.2], "agreed": 0}]} for x in (None, -1, math.inf, "x")]
    + [{"runs": [{"run": [], "steps": [1], "values": [0.1], "agreed": 0}]}, {"runs": [{"run": 1, "steps": [1], "values": [], "agreed": 0}]}]
    + [{"runs": [{"run": 1, "steps": [1], "values": [0.1], "agreed": x}]} for x in (None, "x", math.inf)]
    + [{"turns": x} for x in (None, "x", math.inf)],
    ids=str,
)
def test_what_is_no_state_of_a_stopper_is_refused(change):
    state = lcx.EarlyStopper(9, "max").state()
    with pytest.raises(ValueError):
        lcx.EarlyStopper.from_state(state | change)
    for name in state.keys() - {"turns"}:  # which those of version 0.1.0 lack
        with pytest.raises(ValueError, match=r"expected what EarlyStopper\.state gave"):
            lcx.EarlyStopper.from_state({key: x for key, x in state.items() if key != name})


@pytest.mark.slow  # 18 s
def test_threads_share_a_model_and_a_stopper():
    """More of it, and processes, in benchmarks/faults/faults.py."""
    from benchmarks.faults import workers

    found = workers.of_threads(6, threads=8)
    assert found["furthest, general"] == found["furthest, parametric"] == 0
    assert found["verdicts that differ"] == found["curves that differ"] == 0
