"""How like real curves the prior "general" is, and the numbers of its laws: ``python benchmarks/synthetic/prior_fit.py --data DIR``.

Every curve is reduced to scale-free statistics (statistics_of_curves.py). Without ``--fit``: a table of their quantiles, prior against real
(every source one vote), and a picture of 48 draws beside 48 real curves. With ``--fit ROUNDS``: each real curve is matched by the prior
draws whose statistics are nearest, and every law moves towards the moments of the matched latents; then new draws are made, and so on (an
approximate-Bayesian form of the cross-entropy method; Rubinstein & Kroese 2004). With ``--kinds K`` the real curves are first clustered by
their statistics, not by where they come from, and each cluster gets laws of its own. ``--leave-out`` fits without the named sources. The
laws printed are copied into ``lcx/priors/general.py``.
"""

import argparse
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.curves import RealCurve, load_all
from benchmarks.provenance import provenance, results_of, write_result
from benchmarks.synthetic.statistics_of_curves import GIVEN, prior_rows, real_rows, table
from lcx.priors.general import GeneralPrior
from lcx.priors.laws import Normal, Share
from lcx.priors.parametric import LogNormal

FIXED = {"parametric", "uneven", "dense", "told_upper", "told_lower", "walk_told", "offset", "has_upper", "has_lower"}
QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)


def told_apart(real: np.ndarray, weights: np.ndarray, prior: np.ndarray) -> float:
    """How well a classifier tells real from prior by the statistics, out of fold: AUC, 0.5 is not at all."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import KFold

    x, y = np.vstack([real, prior]), np.r_[np.ones(len(real)), np.zeros(len(prior))]
    w = np.r_[weights * len(prior), np.ones(len(prior))]
    chance = np.empty(len(x))
    for train, test in KFold(4, shuffle=True, random_state=0).split(x):
        model = HistGradientBoostingClassifier(max_iter=80, learning_rate=0.1, max_leaf_nodes=12, l2_regularization=5.0)
        chance[test] = model.fit(x[train], y[train], sample_weight=w[train]).predict_proba(x[test])[:, 1]
    return float(roc_auc_score(y, chance, sample_weight=w))


def improved(prior: GeneralPrior, z: torch.Tensor, w: np.ndarray, step: float = 0.7) -> GeneralPrior:
    """The prior with each law moved towards the weighted moments of the latents ``z``."""
    w, laws = w / w.sum(), dict(prior.laws)
    for i, (name, law) in enumerate(prior.laws.items(), 1):
        if name in FIXED:
            continue
        x = z[:, i].double().numpy()
        mean = (w * x).sum()
        sd = math.sqrt((w * (x - mean) ** 2).sum())
        if isinstance(law, Share):
            hit = (w * law(z[:, i]).numpy()).sum()
            laws[name] = replace(law, chance=float(np.clip(law.chance + step * (hit - law.chance), 0.02, 0.97)))
        elif isinstance(law, (Normal, LogNormal)):
            factor = 1 + step * (float(np.clip(sd, 0.6, 1.4)) - 1)
            laws[name] = replace(law, mean=law.mean + step * law.sd * mean, sd=law.sd * factor)
    return GeneralPrior(prior.name, laws)


def fitted(prior: GeneralPrior, real: np.ndarray, weights: np.ndarray, lengths: np.ndarray, rounds: int, draws: int) -> GeneralPrior:
    """The prior after ``rounds`` of matching the given real curves, each by the three draws whose statistics are nearest."""
    from sklearn.neighbors import NearestNeighbors

    rng = np.random.default_rng(0)
    center, spread = np.nanmean(real, 0), np.nanstd(real, 0) + 0.05
    pool = rng.choice(lengths, 2000, p=weights)
    bounded = {"has_upper": Share(1.0), "has_lower": Share(1.0)}  # so that every draw can tell of the room to a bound
    for round_ in range(rounds):
        rows, z = prior_rows(replace(prior, laws=prior.laws | bounded), pool, draws, round_)
        # A bound that a real curve has not got is no distance from anything.
        aim, drawn = ((np.nan_to_num((x - center) / spread)).clip(-5, 5) for x in (real, table(rows, GIVEN)))
        distance, nearest = NearestNeighbors(n_neighbors=3).fit(drawn).kneighbors(aim)
        print(f"  round {round_}: mean distance {np.average(distance[:, 0], weights=weights):.2f}", flush=True)
        prior = improved(prior, z[nearest.ravel()], np.repeat(weights, 3))
    return prior


def clusters(real: np.ndarray, weights: np.ndarray, kinds: int) -> np.ndarray:
    """Which of ``kinds`` shapes each real curve has: k-means on ranks of the statistics."""
    from sklearn.cluster import KMeans
    from sklearn.decomposition import PCA

    ranks = np.nan_to_num(real, nan=10.0).argsort(0).argsort(0) / len(real)
    model: Any = KMeans(kinds, random_state=0)
    return model.fit(PCA(8).fit_transform(ranks), sample_weight=weights).labels_


def show(prior: GeneralPrior, base: GeneralPrior, share: float | None = None) -> None:
    """Prints the laws that changed by more than a fifth of their spread, or all that changed if there is no ``share``."""
    print(f"    ({share:.3f}, {{" if share else "LAWS")
    for name, law in prior.laws.items():
        old = vars(base.laws[name])
        far = max(abs(x - old[key]) / max(0.2, old.get("sd", 0.5)) for key, x in vars(law).items())
        if far > (0.2 if share else 0):
            print(f'        "{name}": {type(law).__name__}({", ".join(f"{x:.2f}" for x in vars(law).values())}),')
    print("    })," if share else "")


def main() -> None:
    """Fits or compares."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--fit", type=int, default=0, metavar="ROUNDS")
    parser.add_argument("--kinds", type=int, default=0)
    parser.add_argument("--draws", type=int, default=12_000)
    parser.add_argument("--leave-out", nargs="*", default=[])
    options = parser.parse_args()
    sources = {name: curves for name, curves in load_all(options.data, 200).items() if name not in options.leave_out}
    prior = GeneralPrior()
    rows, weights = real_rows(sources)
    real, lengths = table(rows, GIVEN), np.concatenate([[len(c.values) for c in curves] for curves in sources.values()])
    if options.kinds:
        labels, names = clusters(real, weights, options.kinds), np.concatenate([[c.source for c in x] for x in sources.values()])
        for k in range(options.kinds):
            of = labels == k
            share = weights[of].sum()
            counts = {str(n): int((names[of] == n).sum()) for n in sources}
            print(f"kind {k}, share {share:.3f}: {counts}", flush=True)
            base = GeneralPrior(laws=prior.laws)
            show(fitted(base, real[of], weights[of] / share, lengths[of], options.fit, options.draws), base, share)
    elif options.fit:
        show(fitted(prior, real, weights, lengths, options.fit, options.draws), prior)
    else:
        drawn, _ = prior_rows(prior, np.random.default_rng(0).choice(lengths, 2000, p=weights), options.draws, 99)
        compare(rows, weights, drawn, told_apart(real, weights, table(drawn, GIVEN)))
        draw(sources, prior)


def compare(real: dict[str, np.ndarray], weights: np.ndarray, rows: dict[str, np.ndarray], auc: float) -> None:
    """Prints and stores quantiles of each statistic."""
    one, other, lines = table(real), table(rows), {}
    for j, name in enumerate(real):
        lines[name] = {
            "real": quantiles_of(one[:, j], weights),
            "prior": [round(float(q), 3) for q in np.nanquantile(other[:, j], QUANTILES)] if np.isfinite(other[:, j]).any() else None,
        }
        print(f"{name:34s} real {lines[name]['real']}  prior {lines[name]['prior']}")
    write_result("synthetic/prior_fit", {**provenance(), "quantiles": QUANTILES, "auc": auc, "statistics": lines})


def quantiles_of(values: np.ndarray, weights: np.ndarray) -> list[float] | None:
    """Weighted quantiles of one statistic, NaN left out; None if no curve has it, as room above where no source has an upper bound."""
    there = np.flatnonzero(~np.isnan(values))
    if not len(there):
        return None
    order = there[values[there].argsort()]
    cumulated = weights[order].cumsum()
    return [round(float(values[order][np.searchsorted(cumulated, q * cumulated[-1])]), 3) for q in QUANTILES]


def draw(sources: dict[str, list[RealCurve]], prior: GeneralPrior) -> None:
    """48 real curves (left) beside 48 draws with the same numbers of points, each scaled to its own range."""
    import matplotlib.pyplot as plt

    names, rng = list(sources), np.random.default_rng(1)
    chosen = [sources[names[i % len(names)]][i // len(names)] for i in range(48)]
    generator = torch.Generator().manual_seed(5)
    lengths = torch.tensor(rng.permutation([len(c.values) for c in chosen]))
    drawn = prior.simulate(prior.draw(48, generator), lengths, generator)
    values = drawn.observe(drawn.base, drawn.sd, generator)
    figure, axes = plt.subplots(6, 17, figsize=(22, 7.5), layout="constrained")
    for i in range(48):
        row, column = divmod(i, 8)
        c = chosen[i]
        n = int(lengths[i])
        for ax, t, y, color in (
            (axes[row, column], c.steps, c.values if c.mode == "max" else -c.values, "#2a6fbb"),
            (axes[row, column + 9], drawn.steps[i, :n], values[i, :n], "#f0861a"),
        ):
            ax.plot(t, y, ".-", color=color, ms=2.5, lw=0.7)
            if t[-1] / t[0] > 3 * len(t):
                ax.set_xscale("log")
                ax.minorticks_off()
            ax.set(xticks=[], yticks=[])
    for ax in axes[:, 8]:
        ax.axis("off")
    figure.suptitle("48 real curves, larger is better (left, every source) beside 48 draws of the prior (right)")
    figure.savefig(results_of("synthetic") / "prior_fit.png", dpi=80)


if __name__ == "__main__":
    main()
