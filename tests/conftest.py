"""Shapes in annotations are checked while tests run; no test may change a global of torch; no test draws from global randomness."""

import pytest
import torch
from jaxtyping import install_import_hook

install_import_hook("lcx", "typechecker.check")


@pytest.fixture(autouse=True)
def _torch_globals_unchanged():
    before = torch.get_default_dtype(), torch.get_num_threads(), torch.is_grad_enabled(), torch.initial_seed()
    state = torch.get_rng_state()
    yield
    assert (torch.get_default_dtype(), torch.get_num_threads(), torch.is_grad_enabled(), torch.initial_seed()) == before
    assert torch.equal(torch.get_rng_state(), state), "a test or the code it ran drew from torch's global generator"


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(20261122)


@pytest.fixture(scope="session")
def extrapolator():
    import lcx

    return lcx.load("parametric", "cpu")
