"""Questions about several steps at once, answered from sample paths: ``python -m benchmarks.forecasts.paths --data DIR --model NAME``.

Each curve (benchmarks/curves.py) is cut at 20 and 40 % of its points; paths go through at most ``ASKED`` of its later points. Asked is the
best value among these. Per source: CRPS of the paths' best, in the curve's width; share of curves whose best lies inside the paths' central
90 %; and the share of paths that end below the 5, 50 and 95 % quantile of the forecast of the last step, which should be these. Beside the
paths: draws of each step by itself. Written to results/paths.json in this folder.
"""

import argparse
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

import lcx
from benchmarks.curves import RealCurve, load_all
from benchmarks.provenance import provenance, write_result

SHARES, ASKED, PATHS = (0.2, 0.4), 20, 400
LEVELS = (0.05, 0.5, 0.95)


def main() -> None:
    """Asks, scores, writes, prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of .npz and .json files of learning curves")
    parser.add_argument("--model", default="default", help="name or folder of a model")
    parser.add_argument("--curves", type=int, default=20, help="per source; default 20")
    options = parser.parse_args()
    model, sources = lcx.load(options.model, "cpu"), load_all(options.data, options.curves)
    rows = {}
    with tqdm(total=len(SHARES) * sum(map(len, sources.values())), unit="curve") as bar:
        for share in SHARES:
            for name, curves in sources.items():
                found = np.array([asked(model, curve, share, i) for i, curve in enumerate(curves)])
                rows[f"{name} at {100 * share:.0f} %"] = found.mean(0).round(4).tolist()
                bar.update(len(curves))
    columns = ["CRPS", "CRPS, steps apart", "inside 90 %", "inside 90 %, steps apart", *(f"ends below {100 * x:.0f} %" for x in LEVELS)]
    mean = np.mean(list(rows.values()), 0).round(4).tolist()
    write_result("forecasts/paths", {**provenance(), "columns": columns, "mean": mean, "rows": rows})
    for name, row in [*rows.items(), ("mean", mean)]:
        print(f"{name:45} " + " ".join(f"{x:7.3f}" for x in row))
    print(", ".join(columns))


def asked(model: lcx.Extrapolator, curve: RealCurve, share: float, seed: int) -> list[float]:
    """CRPS and coverage of the best later value, by paths and by steps apart; shares of paths that end below the quantiles."""
    k = curve.cut(share)
    chosen = np.unique(np.linspace(k, len(curve.values) - 1, ASKED).round().astype(int))
    answer = model(curve.values[:k], curve.steps[:k], at=curve.steps[chosen], horizon=curve.steps[-1], mode=curve.mode, bounds=curve.bounds)
    best = np.max if curve.mode == "max" else np.min
    truth, paths = best(curve.values[chosen]), answer.sample(PATHS, seed=seed)
    apart = np.random.default_rng(seed).permuted(paths, axis=0)
    scored = [scores(best(draws, 1), truth, curve.width) for draws in (paths, apart)]
    ends = [(paths[:, -1] < answer.quantile(level)[-1]).mean() for level in LEVELS]
    return [*(crps for crps, _ in scored), *(inside for _, inside in scored), *ends]


def scores(draws: np.ndarray, truth: float, width: float) -> tuple[float, bool]:
    """CRPS of an ensemble in widths, at most 5, and whether its central 90 % hold the truth."""
    low, high = np.quantile(draws, [0.05, 0.95])
    crps = np.abs(draws - truth).mean() - 0.5 * np.abs(draws[:, None] - draws).mean()
    return min(crps / width, 5.0), low <= truth <= high


if __name__ == "__main__":
    main()
