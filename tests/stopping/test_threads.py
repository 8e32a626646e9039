"""Decisions leave the caller's number of threads as it was, and take one thread where more would only wait."""

import os
from typing import Any

import pytest
import torch

from lcx.extrapolation import Extrapolation
from lcx.extrapolator import Extrapolator
from lcx.stopping import stopper, threads
from lcx.stopping.threads import few_threads


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
def test_a_small_prediction_takes_one_thread_and_gives_back_two(monkeypatch):
    seen, answer = [], Extrapolator.__call__

    def watched(*asked: Any, **named: Any) -> Extrapolation:
        seen.append(torch.get_num_threads())
        return answer(*asked, **named)

    monkeypatch.setattr(Extrapolator, "__call__", watched)
    early = stopper.EarlyStopper(horizon=10, mode="max")
    for step in range(1, 4):
        assert not early.update(step, 0.1 * step).stop
    assert (seen, torch.get_num_threads()) == ([1, 1], 2)


@pytest.mark.usefixtures("two_threads")
def test_a_large_prediction_takes_those_there_are():
    with few_threads(threads.MOST + 1):
        assert torch.get_num_threads() == 2
    assert torch.get_num_threads() == 2


@pytest.mark.usefixtures("two_threads")
def test_the_number_comes_back_after_an_error():
    with pytest.raises(ZeroDivisionError), few_threads(1):
        _ = 1 / 0
    assert torch.get_num_threads() == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
@pytest.mark.filterwarnings("ignore:.*fork")
@pytest.mark.usefixtures("two_threads")
def test_a_forked_process_stays_on_one_thread():
    """Its parent's threads are not there."""
    if (child := os.fork()) == 0:
        with few_threads(1):
            pass
        os._exit(torch.get_num_threads())
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1
