"""Forecasts that read the study's other runs: what must change them, and what must not."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import lcx
from lcx.curves import as_curves
from lcx.pfn.features import Frame
from lcx.pfn.model import PFN, _with_copies
from lcx.pfn.moves import MOST, describe
from lcx.pfn.others import LONGEST, Others
from lcx.pfn.reader import NEAREST, NOTHING, Copies, _spacing

ASKED = {"horizon": 100, "mode": "max", "at": [40, 70, 100]}


@pytest.fixture(scope="module", params=[False, True], ids=["means", "copies"])
def model(request):
    """The shipped network with a reader that says something whatever the training: random where it begins with zeros."""
    return with_reader(request.param)


def with_reader(copies):
    shipped = lcx.load("general", "cpu")
    net = PFN(replace(shipped.model.config, reader=48, copies=copies))
    weights = {n: p for n, p in shipped.model.state_dict().items() if not n.startswith("reader")}
    net.load_state_dict(net.state_dict() | weights)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for layer in (net.reader.last, net.reader.gate, *([net.reader.copy] if copies else [])):
            layer.weight.copy_(0.3 * torch.randn(layer.weight.shape, generator=generator))
        if copies:
            net.reader.copy.bias[:2] = 5  # about as much weight as the rest
    return lcx.Extrapolator(net.eval(), shipped.about)


def run(a, points=100, seed=0):
    t = np.arange(1.0, points + 1)
    return t, 1 - a * t**-0.5 + 0.01 * np.random.default_rng(seed).normal(size=points)


TARGET = run(0.6, 30)[1]
OTHERS = [run(a, n, i) for i, (a, n) in enumerate([(0.3, 100), (0.5, 100), (0.7, 60), (0.9, 100)])]


def same(one, two, tolerance=0.0):
    """The same mixtures; one may have further components without any weight, copies of runs that are not known."""
    laws, fewest = (one.predictive, two.predictive), min(x.predictive.loc.shape[-1] for x in (one, two))
    assert all((law.logits.softmax(-1)[..., fewest:] == 0).all() for law in laws)
    for name in ("logits", "loc", "scale"):
        here, there = (getattr(law, name)[..., :fewest] for law in laws)
        np.testing.assert_allclose(here, there, rtol=tolerance, atol=tolerance)


def test_other_runs_change_the_answer(model):
    alone, told = model(TARGET, **ASKED), model(TARGET, **ASKED, others=OTHERS)
    assert np.abs(alone.median - told.median).max() > 1e-3


@pytest.mark.parametrize("nobody", [None, [], (), "batch"])
def test_without_other_runs_the_answer_is_that_of_the_curve_alone_to_the_bit(model, nobody):
    same(model(TARGET, **ASKED), model(TARGET, **ASKED, others=nobody))


def test_runs_without_a_point_after_the_cut_off_change_nothing(model):
    same(model(TARGET, **ASKED), model(TARGET, **ASKED, others=[(t[:20], y[:20]) for t, y in OTHERS]))


def test_the_order_of_the_others_does_not_matter_to_the_bit(model):
    same(model(TARGET, **ASKED, others=OTHERS), model(TARGET, **ASKED, others=OTHERS[::-1]))


@settings(deadline=None, max_examples=20)
@given(slope=st.floats(0.01, 1e4), origin=st.floats(-1e3, 1e3), flip=st.booleans())
def test_an_affine_map_of_the_whole_study_maps_the_answer(model, slope, origin, flip):
    sign, mode = (-1, "min") if flip else (1, "max")
    mapped = [(t, origin + sign * slope * y) for t, y in OTHERS]
    one = model(TARGET, **ASKED, others=OTHERS)
    two = model(origin + sign * slope * TARGET, horizon=100, mode=mode, at=ASKED["at"], others=mapped)
    np.testing.assert_allclose(two.median, origin + sign * slope * one.median, atol=1e-4 * slope + 1e-9 * abs(origin))


def test_steps_count_in_the_users_unit(model):
    thousand = [(1000 * t, y) for t, y in OTHERS]
    two = model(TARGET, 1000 * np.arange(1.0, 31), horizon=100_000, mode="max", at=[40_000, 70_000, 100_000], others=thousand)
    same(model(TARGET, **ASKED, others=OTHERS), two, 1e-5)


def test_in_a_batch_each_curve_reads_all_the_rest_and_never_itself(model):
    curves = [y[:n] for (_, y), n in zip([*OTHERS, run(0.4, 80, 9)], (30, 50, 60, 90, 20), strict=True)]
    asked = {"horizon": 100, "mode": "max", "at": [95, 100]}
    together = model(curves, **asked, others="batch").median
    for i, curve in enumerate(curves):
        rest = [(None, other) for k, other in enumerate(curves) if k != i]
        np.testing.assert_allclose(together[i], model(curve, **asked, others=rest).median, rtol=1e-5)


def test_curves_serve_as_others(model):
    values = np.full((len(OTHERS), 100), np.nan)
    for row, (_, y) in zip(values, OTHERS, strict=True):
        row[: len(y)] = y
    curves = lcx.Curves(torch.from_numpy(values), torch.arange(1.0, 101).double().expand(4, -1).clone(), torch.full((4,), 100.0).double())
    same(model(TARGET, **ASKED, others=OTHERS), model(TARGET, **ASKED, others=curves))


def test_every_cut_off_of_a_back_test_answers_as_a_prediction_from_there(model):
    told = model.backtest(TARGET, **ASKED, cutoffs=[5, 12, 30], others=OTHERS)
    for i, cut in enumerate((5, 12, 30)):
        np.testing.assert_allclose(told.median[i], model(TARGET[:cut], **ASKED, others=OTHERS).median, rtol=1e-4)


def test_an_appended_point_reads_as_if_encoded_anew(model):
    net, steps = model.model, torch.arange(1.0, 31)[None]
    values = torch.from_numpy(TARGET)[None].float()
    frame = Frame(torch.tensor([-torch.inf]), torch.tensor([torch.inf]), torch.ones(1))
    padded = torch.full((1, 4, 100), torch.nan).double()
    theirs = padded.clone()
    for k, (t, y) in enumerate(OTHERS):
        padded[0, k, : len(t)], theirs[0, k, : len(y)] = torch.from_numpy(t), torch.from_numpy(y)
    others = Others.in_chart(theirs, padded)
    with torch.inference_mode():
        whole = net.decode(net.encode(values, steps, frame=frame), torch.tensor([[29]]), torch.tensor([[50.0, 100.0]]), others)
        begun = net.encode(values[:, :29], steps[:, :29], cache=True, frame=frame)
        grown = net.append(begun, values[:, 29], steps[:, 29])
        appended = net.decode(grown, torch.tensor([[29]]), torch.tensor([[50.0, 100.0]]), others)
    torch.testing.assert_close(whole.loc, appended.loc, rtol=1e-4, atol=1e-5)


def test_later_points_of_the_target_are_not_read(model):
    changed = np.concatenate([TARGET[:15], TARGET[15:] + 5])
    one, two = (model.backtest(y, **ASKED, cutoffs=[15], others=OTHERS) for y in (TARGET, changed))
    np.testing.assert_allclose(one.median, two.median, atol=1e-4)


def told(model, others, queries=(50.0, 100.0)):
    """What the reader is told of others (steps, values), after the target's 30 points."""
    frame = Frame(torch.tensor([-torch.inf]), torch.tensor([torch.inf]), torch.ones(1))
    context = model.model.encode(torch.from_numpy(TARGET)[None].float(), torch.arange(1.0, 31)[None], frame=frame)
    values, steps = (torch.full((1, len(others), max(len(t) for t, _ in others)), torch.nan).double() for _ in range(2))
    for k, (t, y) in enumerate(others):
        steps[0, k, : len(t)], values[0, k, : len(y)] = torch.from_numpy(t), torch.from_numpy(y)
    return describe(Others.in_chart(values, steps), context, torch.tensor([[29]]), torch.tensor([list(queries)])), context


def test_of_many_runs_the_closest_so_far_are_read(model):
    near = [run(0.6, 100, seed) for seed in range(100, 100 + MOST)]
    far = [(t, y + 5) for t, y in (run(0.1, 100, seed) for seed in range(3 * MOST))]
    (one, _), (two, _) = told(model, near), told(model, far[:20] + near + far[20:])
    torch.testing.assert_close(one.moves, two.moves)
    torch.testing.assert_close(one.features[..., :-1], two.features[..., :-1])  # the last is how many there are


def test_paths_read_the_others_too(model):
    alone, told = (model(TARGET, **ASKED, others=others).sample(200) for others in (None, OTHERS))
    assert told.shape == (200, 3)
    assert np.abs(np.median(told, 0) - model(TARGET, **ASKED, others=OTHERS).median).max() < 0.1
    assert np.abs(np.median(told, 0) - np.median(alone, 0)).max() > 1e-3


def test_long_runs_are_thinned_and_read(model):
    fine = [(np.linspace(t[0], t[-1], 20 * LONGEST), np.interp(np.linspace(t[0], t[-1], 20 * LONGEST), t, y)) for t, y in OTHERS]
    one, two = model(TARGET, **ASKED, others=OTHERS).median, model(TARGET, **ASKED, others=fine).median
    np.testing.assert_allclose(one, two, atol=0.02)


@pytest.mark.parametrize("size", [0.0, 1e-300, 1e30, 1e190, 1e308])
def test_others_of_any_size_give_a_finite_ordered_answer(model, size):
    for target in (TARGET, TARGET[:1], np.full(5, 0.5)):
        quantiles = model(target, **ASKED, others=[(t, size * y) for t, y in OTHERS]).quantile([0.05, 0.5, 0.95])
        assert np.isfinite(quantiles).all()
        assert (np.diff(quantiles) >= 0).all()


@pytest.mark.parametrize(
    ("others", "error", "said"),
    [
        ("study", ValueError, "pairs, Curves or 'batch'"),
        ([np.arange(5.0)], ValueError, "pair"),
        ([("a", "b")], TypeError, "numbers"),
        ([([1, 2], [0.1, np.inf])], ValueError, "finite"),
        ([([2, 1], [0.1, 0.2])], ValueError, "increasing"),
        ([([1, 2], [0.1])], ValueError, "as many steps"),
    ],
)
def test_odd_others_are_refused_with_what_to_do(model, others, error, said):
    with pytest.raises(error, match=said):
        model(TARGET, **ASKED, others=others)


def test_a_model_that_reads_one_curve_refuses_others():
    with pytest.raises(ValueError, match="Expected no others"):
        lcx.predict(TARGET, **ASKED, bounds=(0, 1), model="parametric", others=[OTHERS[0]])


def test_moves_are_those_of_the_runs_in_units_of_change(model):
    t, y = OTHERS[0]
    answer, context = told(model, [(t, y)])
    unit = context.units[0, 29].item()
    np.testing.assert_allclose(answer.moves[0, :, 0, 0], (y[[49, 99]] - TARGET[29]) / unit, rtol=1e-3)
    np.testing.assert_allclose(answer.moves[0, :, 0, 1], (y[[49, 99]] - y[29]) / unit, rtol=1e-3)
    assert answer.known.all()


def test_a_run_that_begins_after_the_cut_off_is_told_from_one_that_has_begun(model):
    t = np.arange(30.0, 101)
    (begun, _), (later, _) = (told(model, [(t[i:], np.full(len(t) - i, 0.8))]) for i in (0, 1))  # from step 30, the cut-off, and 31
    torch.testing.assert_close(begun.moves, later.moves)
    assert (begun.features[..., -4] == 1).all()
    assert (later.features[..., -4] == -1).all()


def test_chunks_of_curves_give_what_single_ones_do(model):
    curves = [run(a, 30, i)[1] for i, a in enumerate(np.linspace(0.2, 1, 40))]
    together = model(curves, **ASKED, others=OTHERS).median
    np.testing.assert_allclose(together[37], model(curves[37], **ASKED, others=OTHERS).median, rtol=1e-4)


def test_copies_lie_where_the_runs_were_and_where_their_moves_lead():
    told_by_copies = with_reader(True)
    runs = [(t, y) for t, y in OTHERS if len(t) == 100]
    with torch.no_grad():
        told_by_copies.model.reader.copy.weight.zero_()
        for kind in (0, 1):
            told_by_copies.model.reader.copy.bias.copy_(torch.tensor([40.0 * (kind == 0), 40.0 * (kind == 1), -5.0, -5.0]))
            law = told_by_copies(TARGET, **ASKED, others=runs).predictive
            smooth = lambda y, t: y[int(0.92 * t + 0.999) - 1 : int(1.08 * t)].mean()  # noqa: E731
            for i, t in enumerate(ASKED["at"]):
                moves = [y[t - 1] if kind == 0 else TARGET[-1] + smooth(y, t) - smooth(y, 30) for _, y in runs]
                heavy = law.logits[0, i].softmax(-1) > 0.1
                np.testing.assert_allclose(np.sort(law.loc[0, i][heavy]), np.sort(moves), atol=1e-5 if kind == 0 else 5e-3)
                np.testing.assert_allclose(law.logits[0, i].softmax(-1)[heavy], 1 / 3, atol=1e-3)


def test_a_copy_that_the_mixture_hardly_reaches_loses_weight_as_the_square_of_its_distance():
    """Two equal copies beside N(0, 1), at 1 and at 15, ten times as far as weighs in full."""
    alone = [torch.tensor([[[x]]]) for x in (0.3, 0.0, 1.0)]
    copies = Copies(torch.tensor([[[-1.0, -1.0, NOTHING]]]), torch.tensor([[[1.0, 15.0, 0.0]]]), torch.full((1, 1, 3), 0.1))
    law = _with_copies(*alone, copies, torch.zeros(1, 1, 1), torch.ones(1, 1, 1))
    own, near, far, nothing = law.logits.softmax(-1).flatten().tolist()
    assert near / own == pytest.approx(np.exp(-1), rel=1e-5)  # told beside the mixture alone, whatever the size of its logits
    assert near / far == pytest.approx(100, rel=1e-5)
    assert nothing == 0


def test_the_unit_of_a_copy_is_the_way_to_the_second_nearest_place():
    places = torch.tensor([3.0, 3.1, 3.4, 9.0]).view(1, 1, 4, 1)
    known = torch.tensor([[[True, True, True, False]]])
    np.testing.assert_allclose(_spacing(places, known).flatten()[:3], [0.4, 0.3, 0.4], rtol=1e-5)  # 0, the last value, is a place too
    one = _spacing(places, torch.tensor([[[True, False, False, False]]])).flatten()[0]
    np.testing.assert_allclose(one, 3.0)  # to the last value, where there is no other
    assert _spacing(torch.zeros(1, 1, 2, 1), torch.ones(1, 1, 2, dtype=torch.bool)).min() == NEAREST  # repeated values


def test_of_runs_that_move_alike_float32_tells_what_float64_does():
    """The spread of equal moves is zero; taken as a difference of squares, it would be nothing but rounding, and change with threads."""
    steps = np.arange(1.0, 21)
    others = [(steps, end - 0.5 * steps**-0.8) for end in (0.9, 0.85, 0.8)]
    shipped = lcx.load("general", "cpu")
    exact = lcx.Extrapolator(PFN(shipped.model.config).double(), shipped.about)
    exact.model.load_state_dict(shipped.model.state_dict())
    curves, _ = as_curves((0.95 - 0.5 * steps**-0.8)[:5], None, horizon=20)
    read = shipped._read(curves, "max", (None, None), None)
    known = shipped._others(others, curves, read, "max", (None, None))
    one, two = (told_by(model.model, read, known) for model in (shipped, exact))
    assert np.allclose(one, two, rtol=1e-4, atol=1e-4)


def told_by(net, read, known):
    dtype = net.head.weight.dtype
    with torch.inference_mode():
        context = net.encode(read.values.to(dtype), read.steps.to(dtype), frame=Frame(*(x.to(dtype) for x in read.frame)))
        law = net.decode(context, torch.tensor([[4]]), torch.tensor([[50.0, 100.0]], dtype=dtype), known)
    return torch.cat([law.logits, law.loc, law.scale.log()], -1).double().numpy()
