"""The eleven families against NumPy formulas written as in Domhan et al. (2015), Table 1; broadcasting; gradients."""

import inspect
import math

import numpy as np
import pytest
import torch

from lcx.priors import families

T = np.array([1.0, 1.5, 2.0, 7.0, 17.3, 50.0, 99.0, 100.0])
ROWS = 40
ANY, POSITIVE = (-1.5, 1.5), (0.05, 2.0)

# name -> (formula of the table, range of each parameter in the order of the arguments)
TABLE = {
    "pow3": (lambda t, c, a, alpha: c - a * t**-alpha, {"c": ANY, "a": ANY, "alpha": ANY}),
    "pow4": (lambda t, c, a, b, alpha: c - (a * t + b) ** -alpha, {"c": ANY, "a": POSITIVE, "b": POSITIVE, "alpha": ANY}),
    "exp4": (lambda t, c, a, b, alpha: c - np.exp(-a * t**alpha + b), {"c": ANY, "a": POSITIVE, "b": ANY, "alpha": ANY}),
    "log_log_linear": (lambda t, a, b: np.log(a * np.log(t) + b), {"a": POSITIVE, "b": POSITIVE}),
    "log_power": (lambda t, a, b, c: a / (1 + (t / np.exp(b)) ** c), {"a": ANY, "b": ANY, "c": ANY}),
    "vapor_pressure": (lambda t, a, b, c: np.exp(a + b / t + c * np.log(t)), {"a": ANY, "b": ANY, "c": ANY}),
    "weibull": (
        lambda t, a, beta, kappa, delta: a - (a - beta) * np.exp(-((kappa * t) ** delta)),
        {"a": ANY, "beta": ANY, "kappa": POSITIVE, "delta": POSITIVE},
    ),
    "mmf": (
        lambda t, a, beta, kappa, delta: a - (a - beta) / (1 + (kappa * t) ** delta),
        {"a": ANY, "beta": ANY, "kappa": POSITIVE, "delta": POSITIVE},
    ),
    "janoschek": (
        lambda t, a, beta, kappa, delta: a - (a - beta) * np.exp(-kappa * t**delta),
        {"a": ANY, "beta": ANY, "kappa": POSITIVE, "delta": POSITIVE},
    ),
    "ilog2": (lambda t, c, a: c - a / np.log(t + 1), {"c": ANY, "a": ANY}),
    "hill3": (
        lambda t, ymax, eta, kappa: ymax * t**eta / (kappa**eta + t**eta),
        {"ymax": ANY, "eta": POSITIVE, "kappa": (0.5, 60.0)},
    ),
}

# Arguments at which powers, or a product with them, leave float32 in one direction or the other; every curve itself is finite.
TINY, LARGE = math.exp(-12), math.exp(12)
EXTREMES = {
    "pow3": [(0.5, 0.4, TINY), (0.5, 0.4, LARGE), (1.25, -0.6, 30.0), (0.0, 0.0, LARGE)],
    "pow4": [(0.5, 1.0, TINY, LARGE), (0.5, 1e-6, 1.0, LARGE), (0.5, LARGE, 1.0, TINY), (0.5, 3.0, 1e-20, 30.0)],
    "exp4": [(0.5, TINY, 0.0, 0.5), (0.5, 1.0, 0.0, 60.0), (0.5, LARGE, -80.0, 8.0), (0.5, 1.0, 0.0, -60.0), (0.5, 1.0, 1.0, LARGE)],
    "log_log_linear": [(TINY, TINY), (LARGE, LARGE), (0.0, 1e-30)],
    "log_power": [(1.0, -60.0, -3.0), (1.0, 60.0, -3.0), (1.0, 60.0, 3.0), (1.0, 2.0, -LARGE), (1.0, 2.0, LARGE)],
    "vapor_pressure": [(-80.0, 0.0, 0.0), (0.0, -LARGE, 0.0), (0.0, 0.0, -LARGE), (0.0, -LARGE, TINY)],
    "weibull": [(0.9, 0.1, LARGE, 20.0), (0.9, 0.1, TINY, 20.0), (0.9, 0.1, TINY, TINY), (0.9, 0.1, 1.0, LARGE)],
    "mmf": [(0.9, 0.1, LARGE, 20.0), (0.9, 0.1, TINY, 20.0), (0.9, 0.1, TINY, TINY), (0.9, 0.1, 1.0, LARGE)],
    "janoschek": [(0.9, 0.1, LARGE, 20.0), (0.9, 0.1, TINY, 20.0), (0.9, 0.1, TINY, TINY), (0.9, 0.1, 1.0, LARGE), (0.9, 2.0, 1e-3, 7.4)],
    "ilog2": [(1.0, 0.5), (1e-30, -1e30)],
    "hill3": [(1.0, LARGE, 10.0), (1.0, 60.0, 1e-3), (1.0, 60.0, LARGE), (1.0, TINY, TINY)],
}
NAMES = pytest.mark.parametrize("name", TABLE)


def columns(name: str) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(sum(map(ord, name)))
    return {arg: rng.uniform(*span, size=(ROWS, 1)) for arg, span in TABLE[name][1].items()}


def tensors(arrays: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    return {arg: torch.from_numpy(x) for arg, x in arrays.items()}


def test_the_table_is_complete():
    public = {n for n, f in inspect.getmembers(families, inspect.isfunction) if f.__module__ == families.__name__ and n[0] != "_"}
    assert public == set(TABLE)
    assert len(TABLE) == 11


@NAMES
def test_formula(name):
    args = columns(name)
    ours = getattr(families, name)(torch.from_numpy(T), **tensors(args))
    want = TABLE[name][0](T, **args)
    assert np.isfinite(want).all()
    np.testing.assert_allclose(ours.numpy(), want, rtol=1e-11, atol=1e-12)


@NAMES
def test_arguments_come_in_the_order_of_the_table(name):
    args = columns(name)
    by_position = getattr(families, name)(torch.from_numpy(T), *tensors(args).values())
    np.testing.assert_allclose(by_position.numpy(), TABLE[name][0](T, **args), rtol=1e-11, atol=1e-12)


@NAMES
def test_float32(name):
    args = {arg: x.float() for arg, x in tensors(columns(name)).items()}
    ours = getattr(families, name)(torch.from_numpy(T).float(), **args)
    want = TABLE[name][0](T, **{arg: x.double().numpy() for arg, x in args.items()})
    assert ours.dtype == torch.float32
    # The absolute part is for differences of numbers that nearly cancel, the relative one for exp of numbers up to about 10.
    np.testing.assert_allclose(ours.numpy(), want, rtol=1e-4, atol=1e-4)


@NAMES
def test_broadcasting(name):
    family, args, t = getattr(families, name), tensors(columns(name)), torch.from_numpy(T)
    flat = family(t, **args)
    assert flat.shape == (ROWS, len(T))
    assert torch.equal(family(t, **{arg: x.reshape(5, -1, 1) for arg, x in args.items()}), flat.reshape(5, -1, len(T)))
    own = t * torch.linspace(1.0, 1.5, ROWS, dtype=t.dtype)[:, None]
    looped = torch.stack([family(own[i], **{arg: x[i] for arg, x in args.items()}) for i in range(ROWS)])
    torch.testing.assert_close(family(own, **args), looped, rtol=1e-13, atol=1e-13)


@NAMES
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_and_gradients_are_finite_at_extreme_parameters(name, dtype):
    t = torch.from_numpy(T).to(dtype)
    for point in EXTREMES[name]:
        args = [torch.tensor([x], dtype=dtype, requires_grad=True) for x in point]
        curve = getattr(families, name)(t, *args)
        assert curve.isfinite().all(), point
        for arg, gradient in zip(TABLE[name][1], torch.autograd.grad(curve.sum(), args), strict=True):
            assert gradient.isfinite().all(), (point, arg)


@NAMES
def test_gradients_equal_finite_differences(name):
    args = [x[:4].requires_grad_() for x in tensors(columns(name)).values()]
    assert torch.autograd.gradcheck(lambda *a: getattr(families, name)(torch.from_numpy(T[:5]), *a), args)
