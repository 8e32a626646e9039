"""Early stopping in a plain PyTorch loop: two learning rates against a value to beat; the stopper's state is in the checkpoints.

Give a folder for the checkpoints to go on where an interrupted run was.
"""

import sys
from pathlib import Path
from tempfile import mkdtemp

import torch

import lcx
from lcx.stopping import decide_on_rank_zero

folder = Path(sys.argv[1] if len(sys.argv) > 1 else mkdtemp())
x = torch.randn(1000, 20, generator=torch.Generator().manual_seed(0))
y = (x.sum(1) > 0).float()
loss = torch.nn.functional.binary_cross_entropy_with_logits
for rate in (0.001, 1.0):
    weights, first, reason = torch.zeros(20, requires_grad=True), 1, "trained to the end"
    stopper = lcx.EarlyStopper(horizon=30, mode="min", bounds=(0, None), min_points=4)
    if (checkpoint := folder / f"rate {rate}.pt").exists():
        saved = torch.load(checkpoint)
        weights, first, reason, stopper = saved["weights"], saved["next"], saved["reason"], lcx.EarlyStopper.from_state(saved["stopper"])
    for epoch in range(first, 31):
        for batch in range(0, 500, 100):
            (slope,) = torch.autograd.grad(loss(x[batch : batch + 100] @ weights, y[batch : batch + 100]), weights)
            weights.data -= rate * slope
        verdict = decide_on_rank_zero(stopper.update(epoch, loss(x[500:] @ weights, y[500:]).item(), best=0.15))
        first, reason = (31, verdict.reason) if verdict.stop else (epoch + 1, reason)
        torch.save({"weights": weights, "next": first, "reason": reason, "stopper": stopper.state()}, checkpoint)
        if verdict.stop:
            break
    print(f"rate {rate}: predicted {stopper.predicted_value():.3f}, {reason}")
