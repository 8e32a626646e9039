"""Is gold right? ``python benchmarks/mcmc/gold_check.py`` holds it against two methods that share no code with its sampler.

- Importance sampling from 4 million prior draws, every gold context of 10 points where its effective sample size exceeds 1,000.
- Nested sampling (dynesty, random walks of 60 steps, 500 live points from the admissible prior, density in NumPy), the first 20 of
  these contexts: on the low-noise ones beyond them it loses modes (LOG.md).

Both give the log evidence and the log score of the later points. Writes benchmarks/mcmc/results/gold_check.json; dynesty's contexts are
stored in runs/gold_check.jsonl as they finish, so that the command may be interrupted.
"""

import argparse
import time
from typing import Any

import numpy as np
import torch
from tqdm.auto import tqdm

from benchmarks.mcmc.references import curves, score_law
from benchmarks.provenance import ROOT, provenance, read_result, write_result
from benchmarks.rows import append, appended, stored
from benchmarks.speed.rivals import law_ranges, mean_curve
from lcx.predictive import Predictive
from lcx.priors.parametric import PARAMETRIC

DRAWS, BLOCK, ENOUGH, KEPT = 1 << 22, 1 << 14, 1000, 4000
STORE = ROOT / "runs" / "gold_check.jsonl"


def main() -> None:
    """Runs both checks and prints how far gold is from them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nested", type=int, default=20, help="contexts for dynesty")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = (read_result("mcmc/gold") or {"rows": []})["rows"]
    gold = {(row["curve"], row["cutoff"]): row for row in rows}
    short = sorted(curve for curve, cutoff in gold if cutoff == 10)
    weighed = importance(short)
    result = {**provenance(), "importance": summary(weighed, gold)}
    print(result["importance"]["summary"])
    contexts = [(row["curve"], row["cutoff"]) for row in weighed[: options.nested]]
    result["nested"] = summary(nested_all(contexts), gold)
    print(result["nested"]["summary"])
    write_result("mcmc/gold_check", result)


def summary(rows: list[dict[str, Any]], gold: dict[tuple[int, int], dict[str, Any]]) -> dict[str, Any]:
    """Differences to gold: of log evidence in units of both errors, of the log score in nats."""
    for row in rows:
        other = gold[row["curve"], row["cutoff"]]
        runs = np.array(other["log_evidence_of_runs"])
        row["log_evidence_difference"] = float(row["log_evidence"] - np.logaddexp(*runs) + np.log(2))
        row["log_score_difference"] = row["log_score"] - other["log_score"]
        row["quantile_distance"] = float(
            np.mean(np.abs(np.array(row["quantiles"]) - other["quantiles"]).mean(1) / np.ptp(np.array(other["quantiles"]), axis=1))
        )
    evidence, score = (np.array([row[f"log_{name}_difference"] for row in rows]) for name in ("evidence", "score"))
    n = len(rows)
    facts = {
        "contexts": n,
        "log_evidence_difference": [float(evidence.mean()), float(evidence.std(ddof=1) / n**0.5)],
        "log_score_difference": [float(score.mean()), float(score.std(ddof=1) / n**0.5)],
        "quantile_distance": float(np.mean([row["quantile_distance"] for row in rows])),
        "median_seconds": float(np.median([row["seconds"] for row in rows])),
    }
    return {"summary": facts, "rows": [{k: v for k, v in row.items() if k != "quantiles"} for row in rows]}


def importance(some: list[int], cutoff: int = 10) -> list[dict[str, Any]]:
    """Contexts of ``cutoff`` points weighed against the same prior draws, where enough of them count."""
    begin, generator = time.perf_counter(), torch.Generator().manual_seed(2**62 + 4)
    context = torch.from_numpy(curves()[some, :cutoff]).float()
    steps = torch.arange(1.0, cutoff + 1)
    theta, weight = [], []
    for _ in tqdm(range(DRAWS // BLOCK), desc="importance"):
        block = PARAMETRIC.parameters(PARAMETRIC.draw(BLOCK, generator))
        residual = (context[:, None] - PARAMETRIC.mean_curve(block, steps)).square().sum(-1)
        sigma = PARAMETRIC.sigma(block)
        weight.append(-0.5 * residual / sigma**2 - cutoff * (torch.log(sigma) + 0.5 * np.log(2 * np.pi)))
        theta.append(block)
    parameters, log_weight = torch.cat(theta), torch.cat(weight, 1).double()
    seconds, rows = (time.perf_counter() - begin) / len(some), []
    for curve, weights in zip(some, log_weight, strict=True):
        share = torch.softmax(weights, 0)
        ess = float(1 / (share**2).sum())
        if ess < ENOUGH:
            continue
        chosen = torch.searchsorted(share.cumsum(0), (torch.rand(KEPT, generator=generator) + torch.arange(KEPT)).double() / KEPT)
        evidence = float(torch.logsumexp(weights, 0) - np.log(DRAWS))
        row = {"curve": curve, "cutoff": cutoff, "ess": ess, "log_evidence": evidence, "log_evidence_error": ess**-0.5}
        rows.append(row | {"seconds": seconds} | scored(parameters[chosen.clamp(max=DRAWS - 1)].double(), curve, cutoff))
    return rows


def nested_all(contexts: list[tuple[int, int]]) -> list[dict[str, Any]]:
    """Nested sampling of the contexts that are not stored yet."""
    rows = {(row["curve"], row["cutoff"]): row for row in stored(STORE)}
    with appended(STORE) as out:
        for context in tqdm(contexts, desc="dynesty"):
            if context not in rows:
                rows[context] = nested(*context)
                append(rows[context], out)
    return [rows[context] for context in contexts]


def nested(curve: int, cutoff: int) -> dict[str, Any]:
    """One context by dynesty."""
    import dynesty
    from scipy.special import ndtr, ndtri

    begin, y = time.perf_counter(), curves()[curve, :cutoff]
    uniform, start, width = law_ranges()

    def likelihood(u: np.ndarray) -> float:
        theta = start + width * np.where(uniform, u, ndtri(u))
        f, log_sigma = mean_curve(theta[:-1]), theta[-1]
        if not (f[-1] >= f[0] and f.min() >= 0 and f.max() <= 1):
            return -1e300
        return float(-0.5 * np.sum((y - f[:cutoff]) ** 2) * np.exp(-2 * log_sigma) - cutoff * (log_sigma + 0.5 * np.log(2 * np.pi)))

    # Live points from the admissible prior: the evidence is then relative to it, as that of SMC is.
    live = ndtr(PARAMETRIC.draw(600, torch.Generator().manual_seed(curve)).double().numpy())
    density = np.array([likelihood(u) for u in live])
    live, density = live[density > -1e299][:500], density[density > -1e299][:500]
    sampler_of: Any = dynesty.NestedSampler
    sampler = sampler_of(
        likelihood, np.copy, 13, nlive=500, bound="multi", sample="rwalk", walks=60,
        live_points=[live, live.copy(), density], rstate=np.random.default_rng(curve),
    )  # fmt: skip
    sampler.run_nested(dlogz=0.05, print_progress=False)
    found = sampler.results
    u = found.samples_equal(rstate=np.random.default_rng(curve))
    u = u[np.linspace(0, len(u) - 1, min(KEPT, len(u))).round().astype(int)]
    theta = PARAMETRIC.parameters(torch.from_numpy(ndtri(u.clip(1e-12, 1 - 1e-12))))
    row = {"curve": curve, "cutoff": cutoff, "log_evidence": float(found["logz"][-1]), "log_evidence_error": float(found["logzerr"][-1])}
    row |= {"calls": int(np.sum(found["ncall"])), "seconds": time.perf_counter() - begin}
    return row | scored(theta, curve, cutoff)


def scored(theta: torch.Tensor, curve: int, cutoff: int) -> dict[str, Any]:
    """The log score and quantiles of equally weighted draws."""
    steps = torch.arange(cutoff + 1.0, 101.0, dtype=theta.dtype)
    mean = PARAMETRIC.mean_curve(theta, steps).T
    law = Predictive(torch.zeros_like(mean), mean, PARAMETRIC.sigma(theta).expand_as(mean))
    full = score_law(law, curve, cutoff)
    return {"log_score": full["log_score"], "quantiles": full["quantiles"]}


if __name__ == "__main__":
    main()
