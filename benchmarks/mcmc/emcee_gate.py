"""How many steps emcee needs to pass the gate of ``lcx.mcmc``: ``python benchmarks/mcmc/emcee_gate.py --minutes 25``.

One context, the noisiest of the first 20 curves cut at 10 points (benchmarks/mcmc/references.py), where the posterior is widest: 100
walkers of emcee on the latents, with a density that looks at each curve once. Of every ``CHUNK`` steps one in ``THIN`` is kept in
runs/emcee_gate, and whenever there are a tenth more the second half of all so far is held against the gate. The command may be
interrupted and given again, and ends when the gate is passed or the minutes of processor time, over all calls, are spent. Writes
benchmarks/mcmc/results/emcee_gate.json.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import emcee
import numpy as np
import torch
from tqdm.auto import tqdm

from benchmarks.mcmc.pfn_vs_mcmc import distance, index
from benchmarks.mcmc.references import SEED, curves, score_law
from benchmarks.provenance import ROOT, provenance, read_result, write_result
from lcx.files import write_atomically
from lcx.predictive import Predictive
from lcx.priors.parametric import PARAMETRIC
from lcx.reference.diagnostics import chain_diagnostics

STORE = ROOT / "runs" / "emcee_gate"
WALKERS, CHUNK, THIN, CUTOFF = 100, 10_000, 50, 10
WATCHED = [11, 33, 55, 78, 100]  # steps whose predictions are held against the gate, as lcx.mcmc chooses them
GRID = torch.arange(1.0, 101.0, dtype=torch.float64)


def main() -> None:
    """Goes on from what is stored."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=25, help="of processor time, over all calls; default 25")
    parser.add_argument("--store", type=Path, default=STORE)
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.store.mkdir(parents=True, exist_ok=True)
    curve, found = noisiest(20), check(chains(options.store))
    with tqdm(unit="step", initial=found["steps"], desc=f"curve {curve}") as bar:
        while not found["passed"] and spent(options.store) < 60 * options.minutes:
            for _ in range(1 + found["steps"] // (10 * CHUNK)):
                advance(curve, options.store)
                bar.update(CHUNK)
            found = check(chains(options.store))
            bar.set_postfix(rhat=found["rhat"], ess=found["ess"])
    gold = index((read_result("mcmc/gold") or {"rows": []})["rows"])
    row = score_law(law(chains(options.store)), curve, CUTOFF)
    about = {"seed": SEED, "curve": curve, "cutoff": CUTOFF, "walkers": WALKERS, **found, "cpu": round(spent(options.store), 1)}
    compared = {"log_score": row["log_score"], "gold_log_score": gold[curve, CUTOFF]["log_score"]}
    about |= {**compared, "quantile_distance": round(distance(row, gold[curve, CUTOFF]), 4)}
    write_result("mcmc/emcee_gate", {**provenance(), **about})
    print(about)


def noisiest(n: int) -> int:
    """Of the first ``n`` curves the one whose observed points differ most from one to the next."""
    return int(np.diff(curves()[:n, :CUTOFF], axis=1).std(1).argmax())


def density(curve: int) -> Any:
    """Log posterior density of latents (N, dim), -inf outside the admissible set: the curve is evaluated once, at all 100 steps."""
    y = torch.from_numpy(curves()[curve, :CUTOFF])

    def log_density(z: np.ndarray) -> np.ndarray:
        latents = torch.from_numpy(z)
        theta = PARAMETRIC.parameters(latents)
        f, sigma = PARAMETRIC.mean_curve(theta, GRID), PARAMETRIC.sigma(theta)
        misfit = (((y - f[:, :CUTOFF]) / sigma[:, None]) ** 2).sum(1)
        total = -0.5 * (misfit + (latents**2).sum(1)) - CUTOFF * torch.log(sigma)
        return total.masked_fill(~PARAMETRIC.admits(f), -torch.inf).nan_to_num(nan=-torch.inf, neginf=-torch.inf).numpy()

    return log_density


def advance(curve: int, store: Path) -> None:
    """``CHUNK`` steps from where the last chunk ended, or from prior draws."""
    begin, parts = time.process_time(), sorted(store.glob("*.npz"))
    random = np.random.RandomState(1000 * curve + len(parts))
    first = PARAMETRIC.draw(WALKERS, torch.Generator().manual_seed(curve)).double().numpy()
    start = np.load(parts[-1])["last"] if parts else first
    sampler = emcee.EnsembleSampler(WALKERS, PARAMETRIC.dim, density(curve), vectorize=True)
    state = sampler.run_mcmc(emcee.State(start, random_state=random.get_state()), CHUNK, skip_initial_state_check=bool(parts))
    kept = sampler.get_chain(thin=THIN)
    assert state is not None
    assert kept is not None
    told = {"chain": kept.astype(np.float32), "last": state.coords, "cpu": np.array(time.process_time() - begin)}
    write_atomically(store / f"{len(parts):04d}.npz", lambda temporary: np.savez(temporary, **told))


def chains(store: Path) -> np.ndarray:
    """The latents kept so far, (draws, walkers, dim)."""
    parts = [np.load(path)["chain"] for path in sorted(store.glob("*.npz"))]
    return np.concatenate(parts) if parts else np.empty((0, WALKERS, PARAMETRIC.dim), np.float32)


def spent(store: Path) -> float:
    """Seconds of processor time of all steps so far; the looks at the gate not counted."""
    return float(sum(np.load(path)["cpu"] for path in store.glob("*.npz")))


def check(chain: np.ndarray) -> dict[str, Any]:
    """The gate of ``lcx.mcmc`` on the second half, each walker a chain: largest R-hat and least ESS of five predictions and sigma."""
    if not len(chain):
        return {"steps": 0, "rhat": None, "ess": None, "passed": False}
    theta = PARAMETRIC.parameters(torch.from_numpy(chain[len(chain) // 2 :]).double())
    f = PARAMETRIC.mean_curve(theta, torch.tensor(WATCHED).double())
    rhat, bulk, tail = chain_diagnostics(torch.cat([f, PARAMETRIC.sigma(theta)[..., None]], -1).transpose(0, 1).numpy())
    worst, least = float(rhat.max()), float(min(bulk.min(), tail.min()))
    return {
        "steps": len(chain) * THIN,
        "rhat": round(worst, 4),
        "ess": round(np.nan_to_num(least)),
        "passed": worst <= 1.01 and least >= 400,
    }


def law(chain: np.ndarray) -> Predictive:
    """The answer of 4,000 draws of the second half."""
    z = torch.from_numpy(chain[len(chain) // 2 :]).double().flatten(0, 1)
    theta = PARAMETRIC.parameters(z[torch.linspace(0, len(z) - 1, 4000).long()])
    mean = PARAMETRIC.mean_curve(theta, GRID[CUTOFF:]).T
    return Predictive(torch.zeros_like(mean), mean, PARAMETRIC.sigma(theta).expand_as(mean))


if __name__ == "__main__":
    main()
