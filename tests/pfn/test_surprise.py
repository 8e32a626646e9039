"""Points that a model held all but impossible are named; usual ones are not."""

import pytest
import torch

from lcx.curves import as_curves
from lcx.pfn.surprise import surprises
from lcx.pfn.tokens import GeneralTokens
from lcx.predictive import Predictive


def told(values, scale=1.0):
    """What is said if each point was predicted as N(0, scale**2) in the chart, in which the last value is 0 and the range 1."""
    read = GeneralTokens(as_curves(values, horizon=1000)[0], mode="max", bounds=(None, None))

    def decode(read, tokens, queries):
        assert torch.equal(queries.nan_to_num(-1), read.steps[:, 1:].nan_to_num(-1))
        shape = (*queries.shape, 1)
        return Predictive(torch.zeros(shape), torch.zeros(shape), torch.full(shape, scale))

    return surprises(read, decode)


QUIET = [0.01 * (-1) ** k for k in range(20)]
JUMP = "curve 0: jumps at point 8 as no curve of the prior does; the bands may be misplaced or too narrow"


def test_a_single_jump_is_named_by_its_point_whichever_its_sign():
    for size in (1.0, -1.0):
        values = [*QUIET[:7], size, *QUIET[8:], 0.0]
        assert told(values, 0.15) == [JUMP]
        assert told(values, 0.5) == []


def test_a_drift_is_named_where_it_begins_even_if_no_point_stands_out():
    values = [0.0] * 10 + [1.0 - 1e-3 * k for k in range(30)] + [0.0]
    drifting = told(values, 0.5)
    assert len(drifting) == 1
    assert "drifts away from the prediction since point 11 " in drifting[0]


def test_curves_are_named_one_by_one_and_padding_is_no_point():
    calm, wild = [0.0, 1.0, 0.0, 1.0, 0.5], [*QUIET[:7], 1.0, *QUIET[8:], 0.0]
    assert told([calm, wild, calm], 0.15) == [JUMP.replace("curve 0", "curve 1")]
    assert told([calm, calm], 0.15) == []


def test_one_point_cannot_surprise():
    assert told([5.0]) == []


@pytest.mark.parametrize("length", [3, 50])
def test_curves_of_the_model_are_hardly_ever_reported(length):
    """Of 2,000 curves of independent N(0, 1) points 1 in 100,000 should be: false-alarm rate 0.02, and none with this seed."""
    noise = torch.randn(2000, length, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    read = GeneralTokens(as_curves(noise.numpy(), horizon=1000)[0], mode="max", bounds=(None, None))
    last, width = noise[:, -1:], noise.amax(1, keepdim=True) - noise.amin(1, keepdim=True)

    def decode(read, tokens, queries):
        loc, scale = (-last / width).expand(queries.shape)[..., None], (1 / width).expand(queries.shape)[..., None]
        return Predictive(torch.zeros_like(loc), loc, scale)

    assert surprises(read, decode) == []
