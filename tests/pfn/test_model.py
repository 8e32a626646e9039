"""The PFN: causality, invariances, append against encoding anew, the decoder's output. Random weights: these hold for any."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from lcx.pfn.blocks import linear
from lcx.pfn.context import Context
from lcx.pfn.model import PFN, PFNConfig
from lcx.predictive import Predictive

SMALL = PFNConfig(width=32, layers=2, heads=2, expansion=2, decoder_layers=2, components=5)
TOLERANCE = {"rtol": 1e-5, "atol": 1e-5}
NAN = math.nan


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield


def loud(config: PFNConfig = SMALL, dtype: torch.dtype = torch.float32) -> PFN:
    """A network whose head, gains and biases are as large as after training, so that every part shows in the answer."""
    model, generator = PFN(config), torch.Generator().manual_seed(7)
    for name, p in model.named_parameters():
        size = 0.3 if p.dim() == 1 else p.shape[1] ** -0.5
        p.data += size * torch.randn(p.shape, generator=generator)
        assert p.data.abs().max() > 0.1, name
    return model.to(dtype)


@pytest.fixture(scope="module")
def model():
    return loud()


def curves(batch: int, length: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """Values like a metric's, irregular steps in (1, 60)."""
    generator = torch.Generator().manual_seed(seed)
    steps = 1 + 59 * torch.rand(batch, length, generator=generator, dtype=torch.float64).sort(1).values
    values = 1 - steps**-0.5 + 0.05 * torch.randn(batch, length, generator=generator, dtype=torch.float64)
    return values.to(dtype), steps.to(dtype)


QUERIES = torch.tensor([60.5, 61.0, 75.0, 100.0])


def ahead(model: PFN, context: Context, tokens: Tensor | None = None) -> Predictive:
    """Predictives at QUERIES given all points of each curve, or those up to ``tokens`` (B,)."""
    tokens = context.last if tokens is None else tokens
    return model.decode(context, tokens[:, None], QUERIES.to(context.states.dtype).expand(len(tokens), -1))


def assert_same(a: Predictive, b: Predictive, **tolerance: float) -> None:
    for name in ("logits", "loc", "scale"):
        torch.testing.assert_close(getattr(a, name), getattr(b, name), **(tolerance or TOLERANCE), msg=lambda m, name=name: f"{name}: {m}")


def differs(a: Tensor, b: Tensor) -> bool:
    return bool(((a - b).abs() > 1e-4).any())


# ------------------------------------------------------------------------------------------------------------------ causality


@pytest.mark.parametrize("n", [1, 2, 7, 11])
def test_a_prefix_does_not_depend_on_later_points(model, n):
    values, steps = curves(4, 12)
    context = model.encode(values, steps)
    later = values.clone()
    later[:, n:] = 30 * torch.randn(4, 12 - n, generator=torch.Generator().manual_seed(1))
    moved = steps.clone()
    moved[:, n:] = 0.5 * (moved[:, n:] + 100)
    for other in (model.encode(later, steps), model.encode(values, moved), model.encode(later, moved)):
        assert torch.equal(other.states[:, :n], context.states[:, :n])
        assert differs(other.states[:, n], context.states[:, n])
        tokens = torch.full((4,), n - 1)
        assert_same(ahead(model, other, tokens), ahead(model, context, tokens), rtol=0, atol=0)


@pytest.mark.parametrize("n", [1, 5, 11])
def test_a_prefix_alone_gives_the_same_answer(model, n):
    values, steps = curves(4, 12)
    context, alone = model.encode(values, steps), model.encode(values[:, :n], steps[:, :n])
    torch.testing.assert_close(alone.states, context.states[:, :n], **TOLERANCE)
    assert_same(ahead(model, alone), ahead(model, context, torch.full((4,), n - 1)))


def test_every_point_of_the_prefix_counts(model):
    """The state after the last point changes with the value and with the step of each point before."""
    values, steps = curves(1, 8)
    last = model.encode(values, steps).states[:, -1]
    for i in range(8):
        bump = 0.1 * torch.eye(8)[i]
        assert differs(model.encode(values + bump, steps).states[:, -1], last), i
        assert differs(model.encode(values, steps + bump).states[:, -1], last), i


# ---------------------------------------------------------------------------------------------------------------- invariances


def ragged(batch: int = 5, length: int = 12) -> tuple[Tensor, Tensor, Tensor]:
    values, steps = curves(batch, length, seed=2)
    counts = torch.tensor([1, 2, 5, 9, 12])[:batch]
    padded = torch.arange(length) >= counts[:, None]
    return values.masked_fill(padded, NAN), steps.masked_fill(padded, NAN), counts


def test_padding_and_batch(model):
    """A curve's answer is that of the curve alone, however much padding stands on the right and whatever shares the batch."""
    values, steps, counts = ragged()
    context = model.encode(values, steps)
    assert torch.equal(context.last, counts - 1)
    together = ahead(model, context)
    for i, n in enumerate(counts.tolist()):
        alone = ahead(model, model.encode(values[i : i + 1, :n], steps[i : i + 1, :n]))
        assert_same(alone, Predictive(together.logits[i : i + 1], together.loc[i : i + 1], together.scale[i : i + 1]))
    wide = model.encode(*(torch.nn.functional.pad(x, (0, 40), value=NAN) for x in (values, steps)))
    assert_same(ahead(model, wide), together)


def test_values_on_padded_steps_and_steps_on_padded_values_are_not_read(model):
    values, steps, counts = ragged()
    padded = torch.arange(12) >= counts[:, None]
    want = ahead(model, model.encode(values, steps))
    assert_same(ahead(model, model.encode(values.masked_fill(padded, 7.0), steps)), want, rtol=0, atol=0)
    assert_same(ahead(model, model.encode(values, steps.masked_fill(padded, 33.0))), want, rtol=0, atol=0)


def test_order_of_curves(model):
    values, steps, _ = ragged()
    order = torch.tensor([3, 0, 4, 2, 1])
    straight, turned = ahead(model, model.encode(values, steps)), ahead(model, model.encode(values[order], steps[order]))
    assert_same(turned, Predictive(straight.logits[order], straight.loc[order], straight.scale[order]))


def test_order_and_number_of_queries(model):
    values, steps = curves(3, 10)
    context = model.encode(values, steps)
    generator = torch.Generator().manual_seed(3)
    tokens = torch.randint(0, 10, (3, 20), generator=generator)
    queries = 60 + 40 * torch.rand(3, 20, generator=generator)
    all_at_once = model.decode(context, tokens, queries)
    order = torch.randperm(20, generator=generator)
    turned = model.decode(context, tokens[:, order], queries[:, order])
    assert_same(turned, Predictive(all_at_once.logits[:, order], all_at_once.loc[:, order], all_at_once.scale[:, order]))
    for j in range(0, 20, 7):
        one = model.decode(context, tokens[:, j : j + 1], queries[:, j : j + 1])
        assert_same(one, Predictive(*(x[:, j : j + 1] for x in (all_at_once.logits, all_at_once.loc, all_at_once.scale))))


@pytest.mark.parametrize("missing", [[3], [6], [3, 6], [4, 5, 6], [0], [0, 1, 2], [9, 10], [0, 5, 10]], ids=str)
@pytest.mark.parametrize("what", ["value", "step"])
def test_a_missing_point_is_as_if_left_out(model, missing, what):
    values, steps = curves(3, 11)
    keep = [i for i in range(11) if i not in missing]
    gaps = values.clone(), steps.clone()
    gaps[("value", "step").index(what)][:, missing] = NAN
    context, squeezed = model.encode(*gaps), model.encode(values[:, keep], steps[:, keep])
    torch.testing.assert_close(context.states[:, keep], squeezed.states, **TOLERANCE)
    assert_same(ahead(model, context), ahead(model, squeezed))
    assert torch.equal(context.last, torch.full((3,), keep[-1]))


def test_inputs_are_not_edited(model):
    values, steps, _ = ragged()
    before = values.clone(), steps.clone()
    context = model.encode(values, steps, cache=True)
    states = context.states.clone()
    model.append(context, torch.full((5,), NAN), torch.full((5,), 70.0))
    assert torch.equal(values.nan_to_num(-9), before[0].nan_to_num(-9))
    assert torch.equal(steps.nan_to_num(-9), before[1].nan_to_num(-9))
    assert torch.equal(context.states, states)


# --------------------------------------------------------------------------------------------------------------------- append


class Rows:
    """What each curve has seen so far, to be encoded anew."""

    def __init__(self, values: Tensor, steps: Tensor) -> None:
        pairs = [torch.stack([v, s], -1) for v, s in zip(values, steps, strict=True)]
        self.rows = [p[~p.isnan().any(-1)] for p in pairs]

    def plus(self, value: Tensor, step: Tensor) -> "Rows":
        new = torch.stack([value, step], -1)
        grown = Rows.__new__(Rows)
        grown.rows = [r if p.isnan().any() else torch.cat([r, p[None]]) for r, p in zip(self.rows, new, strict=True)]
        return grown

    def encode(self, model: PFN) -> Context:
        values, steps = torch.nn.utils.rnn.pad_sequence(self.rows, batch_first=True, padding_value=NAN).unbind(-1)
        return model.encode(values, steps)


def point(rows: Rows, seed: int, share_missing: float = 0.0) -> tuple[Tensor, Tensor]:
    """The next value and step of each curve; the step moves a little towards 60.4, the value is NaN now and then."""
    generator = torch.Generator().manual_seed(1000 + seed)
    last = torch.stack([r[-1] if len(r) else torch.tensor([0.0, 1.0]).to(r) for r in rows.rows])
    value = last[:, 0] + 0.1 * torch.randn(len(last), generator=generator, dtype=torch.float64).to(last)
    missing = torch.rand(len(last), generator=generator) < share_missing
    return value.masked_fill(missing, NAN), last[:, 1] + 0.05 * (60.4 - last[:, 1])


def test_one_token_appended_equals_encoding_anew(model):
    values, steps = curves(4, 9)
    context = model.append(model.encode(values[:, :8], steps[:, :8], cache=True), values[:, 8], steps[:, 8])
    anew = model.encode(values, steps)
    torch.testing.assert_close(context.states, anew.states, **TOLERANCE)
    assert torch.equal(context.values, values)
    assert torch.equal(context.steps, steps)
    assert context.seen.all()
    assert_same(ahead(model, context), ahead(model, anew))


def test_all_but_one_token_appended(model):
    """From one point to 60, so that the buffers grow several times; every state on the way is right."""
    values, steps = curves(3, 60)
    context = model.encode(values[:, :1], steps[:, :1], cache=True)
    for i in range(1, 60):
        context = model.append(context, values[:, i], steps[:, i])
    torch.testing.assert_close(context.states, model.encode(values, steps).states, **TOLERANCE)


@pytest.mark.parametrize("share_missing", [0.0, 0.4])
def test_tokens_appended_to_a_ragged_batch(model, share_missing):
    """Padding then stands between the points; NaN is appended now and then."""
    values, steps, _ = ragged()
    rows, context = Rows(values, steps), model.encode(values, steps, cache=True)
    missed = 0
    for i in range(20):
        new = point(rows, i, share_missing)
        missed += int(new[0].isnan().sum())
        rows, context = rows.plus(*new), model.append(context, *new)
        assert_same(ahead(model, context), ahead(model, rows.encode(model)))
    assert bool(missed) == (share_missing > 0)
    assert context.values.shape == context.steps.shape == context.seen.shape == context.states.shape[:2] == (5, 32)


@pytest.mark.parametrize("what", ["value", "step"])
def test_nan_appended_leaves_a_curve_as_it_was(model, what):
    values, steps, counts = ragged()
    context = model.encode(values, steps, cache=True)
    value, step = torch.linspace(0.2, 0.9, 5), torch.full((5,), 60.2)
    gone = torch.tensor([True, False, True, False, True])
    new = (value.masked_fill(gone, NAN), step) if what == "value" else (value, step.masked_fill(gone, NAN))
    after = model.append(context, *new)
    assert torch.equal(after.last, torch.where(gone, counts - 1, 12))
    before, now = ahead(model, context), ahead(model, after)
    assert_same(*(Predictive(p.logits[gone], p.loc[gone], p.scale[gone]) for p in (before, now)), rtol=0, atol=0)
    assert differs(before.loc[~gone], now.loc[~gone])


def test_tokens_appended_to_curves_that_have_only_missing_points(model):
    values, steps = curves(2, 3)
    values[0] = NAN
    rows, context = Rows(values, steps), model.encode(values, steps, cache=True)
    for i in range(4):
        value, step = point(rows, i)
        if i == 0:
            value[0] = NAN  # once more
        rows, context = rows.plus(value, step), model.append(context, value, step)
        assert context.states.isfinite().all()
        if i > 0:  # before, there is nothing to predict from
            assert_same(ahead(model, context), ahead(model, rows.encode(model)))


def test_branches_are_independent(model):
    """Two points appended to the same context give two contexts, each right, also after more points on either."""
    values, steps = curves(3, 6)
    root = model.encode(values, steps, cache=True)
    trunk_rows = Rows(values, steps)
    for start in range(2):  # first from an encoding, whose buffers are full, then from a context with room at the end
        low, high = (torch.full((3,), x) for x in (-2.0, 3.0))
        step = torch.full((3,), 60.1 + 0.1 * start)
        one, two = model.append(root, low, step), model.append(root, high, step)
        one_more, two_more = model.append(one, high, step + 0.02), model.append(two, low, step + 0.02)
        again = model.append(root, low, step)
        for context, points in {
            id(one): (one, [low]),
            id(two): (two, [high]),
            id(one_more): (one_more, [low, high]),
            id(two_more): (two_more, [high, low]),
            id(again): (again, [low]),
        }.values():
            rows = trunk_rows
            for i, value in enumerate(points):
                rows = rows.plus(value, step + 0.02 * i)
            assert_same(ahead(model, context), ahead(model, rows.encode(model)))
        trunk_rows = trunk_rows.plus(low, torch.full((3,), 60.05))
        root = model.append(root, low, torch.full((3,), 60.05))


@pytest.mark.parametrize("seed", range(4))
def test_any_tree_of_appends(model, seed):
    """A random tree of 40 contexts grown in random order, checked only at the end: no branch spoils another."""
    values, steps, _ = ragged(4)
    generator = torch.Generator().manual_seed(seed)
    nodes = [(Rows(values, steps), model.encode(values, steps, cache=True))]
    for i in range(40):
        newest = torch.rand((), generator=generator) < 0.5
        rows, context = nodes[-1 if newest else int(torch.randint(len(nodes), (), generator=generator))]
        new = point(rows, 100 * seed + i, share_missing=0.2)
        nodes.append((rows.plus(*new), model.append(context, *new)))
    for rows, context in nodes:
        assert_same(ahead(model, context), ahead(model, rows.encode(model)))


def test_append_costs_no_copy_of_the_cache(model):
    values, steps = curves(2, 5)
    context = model.append(model.encode(values, steps, cache=True), torch.ones(2), torch.full((2,), 61.0))
    nxt = model.append(context, torch.ones(2), torch.full((2,), 62.0))
    assert nxt.cache is context.cache


def test_append_without_a_cache_is_refused(model):
    context = model.encode(*curves(2, 5))
    assert context.cache is None
    with pytest.raises(ValueError, match="expected a context with a cache, got one without; encode with cache=True"):
        model.append(context, torch.ones(2), torch.full((2,), 61.0))


# --------------------------------------------------------------------------------------------------------------------- decode


@pytest.mark.parametrize(("batch", "pairs"), [(1, 1), (3, 1), (1, 8), (3, 8)])
def test_shapes(model, batch, pairs):
    context = model.encode(*curves(batch, 6))
    queries = torch.linspace(61, 100, pairs).expand(batch, -1)
    full = model.decode(context, torch.full((batch, pairs), 5), queries)
    assert full.batch_shape == (batch, pairs)
    assert full.logits.shape == full.loc.shape == full.scale.shape == (batch, pairs, SMALL.components)
    assert full.warp is full.lower is full.upper is None
    for tokens in (torch.full((batch, 1), 5), torch.tensor([[5]])):
        assert_same(model.decode(context, tokens, queries), full, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("end", [-1, 0, 1])
@pytest.mark.parametrize("factor", [1.0, 100.0, 1e4])
def test_scales_are_positive_and_finite_whatever_the_weights(factor, end):
    wild = loud()
    wild.head.weight *= factor
    wild.head.bias *= factor
    wild.head.bias[2 * SMALL.components :] += end * 1e6  # of the scales and their unit
    predictive = ahead(wild, wild.encode(*curves(50, 6)))
    assert (predictive.scale >= 1e-4).all()
    assert (predictive.scale <= 1.0001 * math.exp(3 + 4)).all()
    assert predictive.log_prob(torch.full((50, 4), 0.5)).isfinite().all()
    if end:
        torch.testing.assert_close(predictive.scale, torch.full_like(predictive.scale, 1e-4 if end < 0 else math.exp(7)), rtol=1e-3, atol=0)


def test_location_moves_with_the_last_value():
    """With a head of zeros the mixture is centred on the last seen value, not on a fixed place or on padding."""
    blank = loud()
    blank.head.weight.zero_()
    blank.head.bias.zero_()
    values, steps, counts = ragged()
    predictive = ahead(blank, blank.encode(values, steps))
    last = values.gather(1, counts[:, None] - 1)
    torch.testing.assert_close(predictive.loc, last[..., None].expand(-1, 4, SMALL.components))


def test_answers_depend_on_the_query(model):
    predictive = ahead(model, model.encode(*curves(2, 6)))
    assert all(differs(predictive.loc[:, i], predictive.loc[:, j]) for i in range(4) for j in range(i))


def test_answers_depend_on_state_value_and_step_of_the_token(model):
    """Each is read by the decoder itself, the value as a shift of the location."""
    context = model.encode(*curves(2, 6))
    before = ahead(model, context)
    assert differs(ahead(model, replace(context, states=context.states.roll(1, 2))).loc, before.loc)
    assert differs(ahead(model, replace(context, steps=0.5 * context.steps)).loc, before.loc)
    torch.testing.assert_close(ahead(model, replace(context, values=context.values + 0.25)).loc, before.loc + 0.25)


def test_float64(model):
    """The same answer in more digits: what holds to 1e-5 in float32 holds to 1e-10 here."""
    values, steps, _ = ragged()
    precise = loud(dtype=torch.float64)
    context = precise.encode(values.double(), steps.double(), cache=True)
    assert context.states.dtype == torch.float64
    torch.testing.assert_close(ahead(precise, context).loc.float(), ahead(model, model.encode(values, steps)).loc, rtol=1e-4, atol=1e-4)
    rows = Rows(values.double(), steps.double())
    new = point(rows, 0)
    grown, anew = precise.append(context, *new), rows.plus(*new).encode(precise)
    for a, b in zip(grown.states[torch.arange(5), grown.last], anew.states[torch.arange(5), anew.last], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


@torch.enable_grad()
def test_gradients_are_finite_beside_padding_and_missing_points():
    values, steps, _ = ragged()
    values[4, [0, 1, 5]] = NAN
    model = loud()
    predictive = ahead(model, model.encode(values, steps))
    predictive.log_prob(torch.full((5, 4), 0.7)).sum().backward()
    for name, p in model.named_parameters():
        assert p.grad is not None, name
        assert p.grad.isfinite().all(), name
        assert (p.grad != 0).any(), name


# -------------------------------------------------------------------------------------------------------------- configuration


def size(config: PFNConfig) -> int:
    return sum(p.numel() for p in PFN(config).parameters())


def expected_size(c: PFNConfig) -> int:
    mlp = 2 * c.width + (c.width + 1) * c.expansion * c.width + (c.expansion * c.width + 1) * c.width
    block = 2 * c.width + 4 * c.width**2 + mlp
    inputs = (7 + 1) * c.width + (6 + 1) * c.width + (c.width + 1) * c.width
    head = (c.width + 1) * (3 * c.components + 1)
    return inputs + c.layers * block + 2 * c.width + c.decoder_layers * mlp + 2 * c.width + head


@pytest.mark.parametrize(
    "config",
    [
        PFNConfig(),
        SMALL,
        replace(SMALL, width=48),
        replace(SMALL, layers=1),
        replace(SMALL, components=1),
        replace(SMALL, decoder_layers=1),
    ],
    ids=["default", "small", "width", "layers", "components", "decoder"],
)
def test_number_of_parameters(config):
    assert size(config) == expected_size(config)


def test_the_default_is_small():
    """About 1 MB; LC-PFN's largest network has 26.8 million parameters."""
    assert size(PFNConfig()) < 300_000


def test_wrong_config_is_refused():
    for wrong in ({"width": 10, "heads": 4}, {"heads": -4}, {"layers": 0}, {"components": 0}):
        with pytest.raises(ValueError, match="expected positive whole numbers and width a multiple of heads, got"):
            PFN(replace(PFNConfig(), **wrong))
    with pytest.raises(TypeError):
        PFNConfig(depth=3)


def test_weights_are_a_function_of_the_generator():
    """Building a network draws from no global generator (tests/conftest.py looks after each test) and gives the same weights."""
    states = [PFN(SMALL).state_dict(), PFN(SMALL).state_dict()]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    other = PFN(SMALL)
    other.initialise(torch.Generator().manual_seed(1))
    assert not torch.equal(other.embed.weight, states[0]["embed.weight"])
    other.initialise(torch.Generator().manual_seed(0))
    assert all(torch.equal(p, states[0][name]) for name, p in other.state_dict().items())


def test_a_new_network_starts_wide_and_centred_on_the_last_value():
    fresh = PFN(SMALL)
    values, steps = curves(20, 10)
    predictive = ahead(fresh, fresh.encode(values, steps))
    error = (predictive.mean - values[:, -1:]).abs()
    assert error.max() < 0.1
    assert 0.05 < predictive.variance.sqrt().min() < predictive.variance.sqrt().max() < 1


def test_products_of_many_rows_are_those_of_float64_and_have_gradients():
    """Many rows go another way than few, on a CPU: through oneDNN."""
    layer = loud(SMALL).blocks[0].mlp.up
    rows = torch.randn(3000, SMALL.width, generator=torch.Generator().manual_seed(0))
    exact = torch.nn.functional.linear(rows.double(), layer.weight.double(), layer.bias.double())
    for x, right in (
        (rows, exact),
        (rows[:3], exact[:3]),
        (rows.view(30, 100, -1), exact.view(30, 100, -1)),
        (rows.t()[None].mT, exact[None]),
    ):
        assert torch.allclose(linear(layer, x).double(), right, rtol=1e-5, atol=1e-5)
    with torch.enable_grad():
        linear(layer, rows).sum().backward()
    assert torch.allclose(layer.bias.grad, torch.tensor(3000.0))
