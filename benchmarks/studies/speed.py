"""What other runs cost: ``python -m benchmarks.studies.speed --model NAME_OR_FOLDER``.

On one thread, turn by turn: the whole call of a forecast of one run of 40 points at 60 steps, without others and with 1, 10, 100 and 1,000
of 100 points each; and 100 runs in one call, alone and each reading the rest ("batch"). The runs are studies of the general prior. Writes
results/speed.json.
"""

import argparse
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

import lcx
from benchmarks.provenance import provenance, write_result
from benchmarks.studies.tables import of_speed
from benchmarks.timing import compare, interleave, required, timer
from lcx.priors.general import GeneralPrior
from lcx.priors.named import PRIORS
from lcx.priors.studies import draw_study

CUT, HORIZON, COUNTS, BATCH = 40, 100, (1, 10, 100, 1000), 100
ONE, MANY = "one run", f"{BATCH} runs in one call"
DEAREST = {f"{ONE}, 10 others / {ONE}": 2.5, f"{MANY}, reading one another / {MANY}": 4.0}


def runs(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Steps and values of the runs of one study of the prior, (count, 100) each; larger is better."""
    generator, prior = torch.Generator().manual_seed(seed), PRIORS["general"]
    assert isinstance(prior, GeneralPrior)
    latents, places = draw_study(prior, 1, count, generator)
    drawn = prior.simulate(latents, torch.full((count,), HORIZON), generator)
    values = drawn.observe(drawn.base, drawn.sd, generator)
    return drawn.steps.double().numpy(), places.put(values, values[:, :1]).double().numpy()


def main() -> None:
    """Times them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="default", help="name or folder of a model with a reader; default the recommended one")
    parser.add_argument("--rounds", type=int, default=9, help="turns; default 9")
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = lcx.load(options.model, "cpu")
    steps, values = runs(1 + max(COUNTS))
    others = list(zip(steps[1:], values[1:], strict=True))

    def ask(count: int, told: Any = None) -> None:
        chosen = slice(count) if count > 1 else 0
        asked = {"at": steps[chosen, CUT:], "horizon": steps[chosen, -1], "mode": "max", "others": told}
        model(values[chosen, :CUT], steps[chosen, :CUT], **asked).quantile([0.05, 0.5, 0.95])

    calls = {ONE: timer(partial(ask, 1), 10, threads=1)}
    calls |= {f"{ONE}, {k:,} others": timer(partial(ask, 1, others[:k]), 10 if k <= 10 else 1, threads=1) for k in COUNTS}
    calls |= {MANY: timer(partial(ask, BATCH), threads=1), f"{MANY}, reading one another": timer(partial(ask, BATCH, "batch"), threads=1)}
    pairs = [(name, MANY if name.startswith(MANY) else ONE) for name in calls if name not in (ONE, MANY)]
    about = {**provenance(), "threads": 1, "rounds": options.rounds, "model": Path(options.model).name}
    about["command"] = about["command"].replace(options.model, Path(options.model).name)
    part = compare(interleave(calls, options.rounds), pairs)
    limits = {name: value for ratio, limit in DEAREST.items() for name, value in required(part, ratio, limit).items()}
    result = {**about, **part, "required": limits}
    write_result("studies/speed", result)
    print("\n".join(of_speed(result)))
    for name, limit in limits.items():
        print(f"{'met' if limit['met'] else 'MISSED'}: {name} is {limit['value']}, required {limit['required']}")


if __name__ == "__main__":
    main()
