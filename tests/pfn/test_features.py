"""Features of a token: what the general chart reads of points that are missing, equal, far away or in another unit."""

import math

import pytest
import torch

from lcx.pfn.features import GENERAL_TOKEN, Frame, general_query, general_tokens

INF = math.inf


def frame(batch: int = 1, lower: float = -INF, upper: float = INF, fallback: float = 1.0) -> Frame:
    return Frame(*(torch.full((batch,), x) for x in (lower, upper, fallback)))


def described(values, steps=None, told: Frame | None = None):
    """Features, units and gaps of one curve; NaN is a missing point, as ``PFN.encode`` marks it."""
    values = torch.as_tensor(values, dtype=torch.float32)[None]
    seen = ~values.isnan()
    steps = torch.arange(1.0, values.shape[1] + 1)[None] if steps is None else torch.as_tensor(steps, dtype=torch.float32)[None]
    return [x[0] for x in general_tokens(values.where(seen, 0.0), steps.where(seen, 100.0), seen, told or frame())]


@pytest.mark.parametrize("missing", [1, 2, 5])
def test_what_is_missing_before_the_first_seen_token_is_described_as_a_lone_point_and_never_by_an_infinity(missing):
    """It is not used, but every layer computes with it; ``described`` puts 0 at step 100 there, as ``PFN.encode`` does."""
    for told in (frame(), frame(lower=-1.0, upper=2.0)):
        found, alone = described([math.nan] * missing + [0.0, 0.2, 0.1], told=told), described([0.0], [100.0], told)
        for part, one in zip(found, alone, strict=True):
            assert part.isfinite().all()
            assert torch.equal(part[:missing], one.expand_as(part[:missing]))


@pytest.mark.parametrize("missing", [[0], [0, 1, 2], [3], [4, 5], [0, 4, 7]], ids=str)
def test_a_token_is_described_as_if_the_missing_ones_before_it_were_not_there(missing):
    values, steps = torch.tensor([3.0, 1.0, 2.5, 2.0, 4.0, 4.5, 4.4, 4.4]), torch.tensor([1.0, 2, 4, 7, 11, 16, 22, 29])
    kept = [i for i in range(8) if i not in missing]
    gaps = values.clone()
    gaps[missing] = math.nan
    for with_gaps, without in zip(described(gaps, steps), described(values[kept], steps[kept]), strict=True):
        torch.testing.assert_close(with_gaps[kept], without)


@pytest.mark.parametrize(("a", "b"), [(1e-6, 0.0), (1e6, -3e6), (1.0, 5.0)])
def test_features_are_those_of_any_affine_map_of_the_metric(a, b):
    values = [0.0, 1.0, 1.0, 3.0, 2.5, 2.75]
    plain, mapped = (
        described(values, told=frame(lower=-1, upper=4)),
        described([a * y + b for y in values], told=frame(1, b - a, 4 * a + b, a)),
    )
    torch.testing.assert_close(mapped[0], plain[0], rtol=0, atol=2e-3)
    torch.testing.assert_close(mapped[1] / a, plain[1], rtol=1e-3, atol=0)
    assert plain[0].shape == (6, GENERAL_TOKEN)


def test_the_unit_is_the_size_of_the_changes_whatever_their_sign_and_follows_the_latest_ones():
    assert described([0.0, 0.25, 0.0, 0.25, 0.5])[1][1:].tolist() == pytest.approx([0.25] * 4)
    unit = described([0.0, 1e9] + [1e9 + 64.0 * k for k in range(1, 40)])[1]
    assert unit[2] > 1e6
    assert 64 < unit[-1] < 200
    flat = described([2.0, 2.0, 2.0, 3.0], told=frame(fallback=7.0))[1]
    assert flat[:3].tolist() == pytest.approx([7.0] * 3)
    assert flat[3] < 7
    repeats = described([0.0, 1.0] + [1.0] * 100)[1]
    assert (repeats > 0).all()


def test_no_later_token_knows_the_scale_that_was_assumed_while_all_values_were_equal():
    one, two = (described([2.0, 2.0, 2.0, 3.0, 2.5], told=frame(fallback=x)) for x in (1.0, 50.0))
    torch.testing.assert_close(one[0][3:], two[0][3:], rtol=0, atol=0)
    torch.testing.assert_close(one[1][3:], two[1][3:], rtol=0, atol=0)
    assert two[1][0] == 50 * one[1][0]


def test_the_spacing_is_that_of_the_last_two_seen_steps():
    assert described([0.0, 1.0, math.nan, 2.0], [2.0, 5.0, 6.0, 15.0])[2][[0, 1, 3]].tolist() == [2.0, 3.0, 10.0]


def test_bounds_show_only_where_they_are_told_and_more_the_nearer_they_are():
    values = [0.0, 0.5, 0.75, 0.9]
    free, near, far = (described(values, told=frame(upper=x))[0] for x in (INF, 1.0, 10.0))
    changed = (free != near).any(0)
    assert changed.sum() == 1
    column = int(changed.nonzero())
    assert (free[:, column] == -1).all()
    assert (near[:, column] >= 0).all()
    assert (far[:, column] > near[:, column]).all()
    below = (described(values, told=frame(lower=-1.0))[0] != free).any(0)
    assert below.sum() == 1
    assert not (below & changed).any()


def test_features_stay_small_whatever_the_curve():
    for values in ([0.0, 1e30, -1e30], [1e-30, 2e-30, 1e-30], [0.0, 1.0, 1.0 + 1e-7], [5.0] * 4):
        features = described(values, told=frame(lower=-1e37, upper=1e37))[0]
        assert features.isfinite().all()
        assert features.abs().max() <= 12


def test_queries_are_told_apart_by_step_distance_and_spacing():
    step, gap = torch.tensor([[10.0]]), torch.tensor([[2.0]])
    one = general_query(torch.tensor([[20.0, 50.0, 100.0]]), step, gap)
    assert one.isfinite().all()
    assert ((one[0].diff(dim=0)) > 0).all()  # each feature rises with the step that is asked for
    assert (general_query(torch.tensor([[20.0]]), torch.tensor([[15.0]]), gap) != one[:, :1]).any()
    spaced = general_query(torch.tensor([[20.0]]), step, 2 * gap) != one[:, :1]
    assert spaced.sum() == 1
    at = general_query(torch.tensor([[10.0]]), step, gap)
    assert at.isfinite().all(), "at the last step itself"
