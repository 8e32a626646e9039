"""How alike the runs of prior studies are, beside real ones: ``python -m benchmarks.synthetic.study_fit --data DIR``.

Every study is reduced to scale-free statistics of likeness (statistics_of_studies.py), every source one vote, shared among its studies.
Without ``--fit``: a table of their quantiles, prior against real. With ``--fit ROUNDS`` the numbers of ``lcx.priors.studies.Likeness`` are
sought that bring the two distributions together, by the cross-entropy method (Rubinstein & Kroese 2004): the distance is the mean
difference of quantiles, statistic by statistic, plus the energy distance of the statistics together (Szekely & Rizzo 2013).
``--leave-out`` fits without the named sources and compares with these too. The numbers printed are copied into ``lcx/priors/studies.py``.
"""

import argparse
import math
from dataclasses import asdict, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy.spatial.distance import cdist

from benchmarks.provenance import provenance, write_result
from benchmarks.synthetic.statistics_of_studies import of_prior, of_source
from lcx.pretraining.sources import Source, load_sources
from lcx.priors.studies import LIKENESS, Likeness

QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
CORRELATIONS, SHARES = ("kind", "form", "noise", "rise", "accidents"), ("unrelated", "fan_in")
SIZES = ("looseness", "start", "start_sd", "size", "size_sd")  # grid, bounds and schedule leave no trace in the statistics
CANDIDATES, KEPT = 24, 6  # of a round
COMPARED = 4000  # studies of the prior in the table


class Real(NamedTuple):
    """Statistics of real studies."""

    names: list[str]
    rows: np.ndarray  # (studies, statistics)
    weights: np.ndarray  # of the studies, sum 1
    points: np.ndarray  # of a run, per study

    def quantiles(self) -> np.ndarray:
        """(quantiles, statistics), every source one vote."""
        return np.quantile(self.rows, QUANTILES, axis=0, weights=self.weights, method="inverted_cdf")


def real(sources: list[Source], looks: int = 40) -> Real:
    """Statistics of sources."""
    rng, names, rows, weights, points = np.random.default_rng(0), [], [], [], []
    for source in sources:
        names, found, lengths = of_source(source, looks, rng)
        rows.append(found)
        weights.append(np.full(len(found), 1 / len(found)))
        points += lengths
    return Real(names, np.concatenate(rows), np.concatenate(weights) / len(rows), np.array(points))


def distance(one: Real, prior: np.ndarray) -> tuple[float, float]:
    """Mean difference of quantiles, in spreads of the real ones, and energy distance of the statistics together."""
    aim = one.quantiles()
    scale = aim[-1] - aim[0] + 0.05
    apart = float((np.abs(np.quantile(prior, QUANTILES, axis=0) - aim) / scale).mean())
    x, y = one.rows / scale, prior / scale
    between, within = one.weights @ cdist(x, y).mean(1), cdist(y, y).mean()
    return apart, float(2 * between - within - one.weights @ cdist(x, x) @ one.weights)


def coded(like: Likeness) -> np.ndarray:
    """The numbers fitted, on scales without limits."""
    correlations = [math.log(-math.log(getattr(like, name))) for name in CORRELATIONS]
    shares = [math.log(x / (1 - x)) for x in (max(getattr(like, name), 0.05) for name in SHARES)]
    return np.array([*correlations, *shares, *(math.log(getattr(like, name)) for name in SIZES)])


def decoded(x: np.ndarray) -> Likeness:
    """Inverse of ``coded``."""
    correlations = np.exp(-np.exp(np.clip(x[: len(CORRELATIONS)], -9, 2)))
    shares = 1 / (1 + np.exp(-x[len(CORRELATIONS) : -len(SIZES)]))
    values = [*correlations, *shares, *np.exp(np.clip(x[-len(SIZES) :], -7, 1.5))]
    return replace(LIKENESS, **dict(zip((*CORRELATIONS, *SHARES, *SIZES), map(float, values), strict=True)))


def fitted(one: Real, rounds: int, studies: int, seed: int = 0) -> Likeness:
    """The likeness after ``rounds`` of drawing candidates, keeping the best and drawing around these."""
    rng = np.random.default_rng(seed)
    mean, sd = coded(LIKENESS), np.full(len(coded(LIKENESS)), 0.8)
    for round_ in range(rounds):
        drawn = mean + sd * rng.standard_normal((CANDIDATES, len(mean)))
        drawn[0] = mean
        scores = [sum(distance(one, of_prior(one.points, studies, round_, decoded(x)))) for x in drawn]
        best = drawn[np.argsort(scores)[:KEPT]]
        mean, sd = 0.2 * mean + 0.8 * best.mean(0), 0.4 * sd + 0.6 * best.std(0)
        print(f"round {round_}: middle {scores[0]:.3f}, best {min(scores):.3f}; {shown(decoded(mean))}", flush=True)
    return decoded(mean)


def shown(like: Likeness) -> str:
    """The numbers, to copy."""
    return ", ".join(f"{name}={value:.3g}" if value < 0.9 else f"{name}={value:.4f}" for name, value in asdict(like).items())


def compare(one: Real, like: Likeness, studies: int) -> dict[str, dict[str, list[float]]]:
    """Prints and gives quantiles of each statistic, real and of the prior."""
    prior, aim, lines = of_prior(one.points, studies, 99, like), one.quantiles(), {}
    for j, name in enumerate(one.names):
        lines[name] = {
            "real": aim[:, j].round(2).tolist(),
            "prior": np.quantile(prior[:, j], QUANTILES).round(2).tolist(),
        }
        print(f"{name:36s} real {lines[name]['real']}  prior {lines[name]['prior']}")
    print("distance: quantiles {:.3f}, energy {:.3f}".format(*distance(one, prior)))
    return lines


def main() -> None:
    """Fits or compares."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of real curves, see benchmarks/curves.py")
    parser.add_argument("--fit", type=int, default=0, metavar="ROUNDS", help="rounds of the fit; 0, the default: only the table")
    parser.add_argument("--studies", type=int, default=320, help="drawn of the prior, for each candidate")
    parser.add_argument("--leave-out", nargs="*", default=[], help="names of sources, or how they begin")
    options = parser.parse_args()
    sources = load_sources(options.data)
    left = [source for source in sources if source.name.startswith(tuple(options.leave_out))]
    one = real([source for source in sources if source not in left])
    like = fitted(one, options.fit, options.studies) if options.fit else LIKENESS
    print(shown(like))
    lines = compare(one, like, COMPARED)
    if left:
        print(f"of {len(left)} sources left out:")
        compare(real(left), like, COMPARED)
    if not options.fit and not left:
        write_result("synthetic/study_fit", {**provenance(), "quantiles": QUANTILES, "likeness": asdict(like), "statistics": lines})


if __name__ == "__main__":
    main()
