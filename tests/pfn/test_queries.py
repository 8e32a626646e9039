"""Cut-offs of a back-test and the steps that are asked from each; those of a prediction are in tests/test_curves.py."""

import re

import numpy as np
import pytest
import torch

from lcx.curves import Scale, as_curves
from lcx.pfn.queries import MAX_GRID, as_cutoffs, as_queries, queries_after, tokens_before
from lcx.pfn.tokens import Tokens

NAN = np.nan
CURVES = as_curves([[1.0, 2.0, 3.0, 4.0], [5.0, 6.0]], [[1, 2, 4, 5], [2, 3]], horizon=[6, 5], finished=True)[0]


def rows(x: torch.Tensor) -> list:
    return [[[t for t in cut if t == t] for cut in curve] for curve in x.tolist()]


def test_default_cut_offs_are_all_but_the_last_point_of_the_longest_curve():
    assert as_cutoffs(None, CURVES).tolist() == [1, 2, 3]
    assert as_cutoffs(None, as_curves([1.0], horizon=3)[0]).tolist() == [1]
    assert as_cutoffs([2, 4], CURVES).tolist() == [2, 4]
    assert as_cutoffs(3, CURVES).tolist() == [3]


@pytest.mark.parametrize("wrong", [[0, 1], [2, 2], [3, 2], [5], [1.5], [], [[1, 2]], ["a"]], ids=str)
def test_other_cut_offs_are_refused(wrong):
    said = f"expected cutoffs as strictly increasing whole numbers of points within 1..4, got {wrong!r}; leave it out for every cut-off"
    with pytest.raises(ValueError, match=re.escape(said)):
        as_cutoffs(wrong, CURVES)


def test_from_each_cut_off_the_curves_own_later_steps_and_the_rest_up_to_the_horizon_are_asked():
    asked = queries_after(torch.tensor([1, 2, 3]), None, CURVES)
    assert rows(asked) == [[[2, 4, 5, 6], [4, 5, 6], [5, 6]], [[3, 4, 5], [4, 5], []]]


def test_steps_that_are_given_are_asked_from_the_cut_offs_before_them():
    asked = queries_after(torch.tensor([1, 2]), [3.0, 4.5], CURVES)
    assert rows(asked) == [[[3, 4.5], [3, 4.5]], [[3, 4.5], [4.5]]]
    with pytest.raises(ValueError, match="after the last observed step"):
        queries_after(torch.tensor([2]), [2.0], CURVES)


def test_a_default_grid_has_512_steps_at_most_and_ends_at_the_horizon():
    short, exact, long = (as_queries(None, as_curves([1.0, 2.0], horizon=2 + n)[0])[0] for n in (3.5, MAX_GRID, MAX_GRID + 1))
    assert short.tolist() == [3, 4, 5, 5.5]
    assert exact.tolist() == list(range(3, MAX_GRID + 3))
    assert len(long) == MAX_GRID
    assert long[-1] == MAX_GRID + 3
    assert long.diff().min() == pytest.approx(long.diff().max())
    assert long[0] > 2


def test_cut_offs_before_the_first_point_that_is_read_are_refused_where_something_is_asked():
    curves = as_curves([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]], [[0.5, 0.9, 30.0], [10.0, 20.0, 30.0]], horizon=100)[0]
    ends = torch.zeros(2, dtype=torch.float64), torch.ones(2, dtype=torch.float64)
    read = Tokens(curves, Scale(*ends))
    cuts = torch.tensor([2, 3])
    with pytest.raises(
        ValueError, match="expected cut-offs from 1 % of the horizon on, got 2 points before it; leave the early cut-offs out"
    ):
        tokens_before(read, cuts, torch.full((2, 2, 1), 50.0))
    nothing = torch.tensor([[[NAN], [50.0]], [[50.0], [50.0]]])
    assert tokens_before(read, cuts, nothing).tolist() == [[0, 0], [1, 2]]
