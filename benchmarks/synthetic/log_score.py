"""Log score of a shipped model on fresh curves of its prior, and what its training cost: ``python benchmarks/synthetic/log_score.py``.

Mean log score (nats per point) of all points after 10, 20, 40 and 80 of 100, on curves never used before, against LC-PFN's published
P3. Each curve's score under its own true mean and sigma is the control variate. Writes benchmarks/synthetic/results/log_score.json.
"""

import argparse
import time
from typing import Any

import lcx
from benchmarks.provenance import provenance, write_result
from lcx.pretraining.objective import validate
from lcx.priors.named import PRIORS

# Adriaensen et al. 2023: 12 x 512 transformer, 26.8 M parameters, 10 M curves of 100 points, about 8 hours on one RTX 2080.
P3 = {"10": 1.758, "20": 2.133, "40": 2.403, "80": 2.519}
P3_PARAMETERS, P3_CURVES = 26.8e6, 10e6
SEED = 2**62 + 1  # apart from training blocks (seed * 2**20 and up) and from the validation curves (2**62)


def main() -> None:
    """Scores the model and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="parametric")
    parser.add_argument("--curves", type=int, default=100_000)
    options = parser.parse_args()
    extrapolator = lcx.load(options.model)
    begun = time.monotonic()
    table = scores_of(extrapolator, options.curves)
    write_result(
        f"synthetic/log_score_{options.model}" if options.model != "parametric" else "synthetic/log_score",
        {
            **provenance(extrapolator.device),
            "model": options.model,
            "curves": options.curves,
            "seconds": round(time.monotonic() - begun, 1),
            "scores": table,
            "training": training_cost(extrapolator),
        },
    )
    for cutoff, row in table.items():
        print(f"{cutoff:>3} %  {row['log_score']:.4f} ± {row['standard_error']:.4f}   P3 {row['P3']}   {'met' if row['met'] else 'MISSED'}")


def scores_of(extrapolator: lcx.Extrapolator, curves: int) -> dict[str, dict[str, Any]]:
    """Mean log score with its standard error, per cut-off, and P3's."""
    scores = validate(extrapolator.model, PRIORS[extrapolator.about["prior"]], curves, seed=SEED)
    return {
        str(cutoff): {"log_score": mean, "standard_error": error, "P3": P3[str(cutoff)], "met": mean >= P3[str(cutoff)]}
        for cutoff, (mean, error) in scores.items()
    }


def training_cost(extrapolator: lcx.Extrapolator) -> dict[str, float | str]:
    """Curves, wall time and multiply-adds of the training run, beside P3's.

    Multiply-adds of one curve: three times (forward and backward) its tokens through the encoder plus its pairs through the
    decoder; attention's own products included. P3's: three times 100 tokens through its 26.8 M parameters.
    """
    about, config = extrapolator.about, extrapolator.model.config
    pairs = about["pretraining"]["pairs"]
    width, inner = config.width, config.expansion * config.width
    token = config.layers * (4 * width**2 + 2 * width * inner + 2 * 100 * width)
    pair = config.decoder_layers * 2 * width * inner + width * (width + 3 * config.components)
    ours = 3 * (100 * token + pairs * pair)
    return {
        "parameters": sum(p.numel() for p in extrapolator.model.parameters()),
        "curves": about["curves_seen"],
        "hours": round(about["seconds"] / 3600, 3),
        "device": about["device"],
        "multiply_adds": ours * about["curves_seen"],
        "P3_parameters": P3_PARAMETERS,
        "P3_curves": P3_CURVES,
        "P3_multiply_adds": 3 * 100 * P3_PARAMETERS * P3_CURVES,
    }


if __name__ == "__main__":
    main()
