"""Early stopping in a plain training loop: logistic regression on made-up data at five learning rates, 60 epochs each at most."""

import numpy as np

import lcx

rng = np.random.default_rng(0)
x = rng.normal(size=(2000, 30)) * np.geomspace(3, 0.1, 30)
y = x @ rng.normal(size=30) + rng.normal(size=2000) > 0
stopper = lcx.EarlyStopper(horizon=60, mode="min", bounds=(0, None), min_points=5)
for rate in (0.003, 0.0003, 0.03, 0.001, 0.01):
    weights = np.zeros(30)
    for epoch in range(1, 61):
        for batch in rng.permutation(1000).reshape(-1, 50):
            weights -= rate * x[batch].T @ (1 / (1 + np.exp(-x[batch] @ weights)) - y[batch]) / 50
        loss = np.logaddexp(0, np.where(y, -1, 1) * (x @ weights))[1000:].mean()
        verdict = stopper.update(epoch, loss, run=f"rate {rate}")
        if verdict.stop:
            break
    print(f"rate {rate}: epoch {epoch}, loss {loss:.3f}, predicted {stopper.predicted_value(f'rate {rate}'):.3f}: {verdict.reason}")
