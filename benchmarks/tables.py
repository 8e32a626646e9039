"""Makes the tables of benchmarks/README.md and the model card from results/*.json: ``python benchmarks/tables.py``."""

import hashlib
import json
from dataclasses import asdict
from typing import Any

from benchmarks import mcmc_tables
from benchmarks.provenance import ROOT, read_result
from lcx.batches import PretrainConfig
from lcx.checkpoint import write_text
from lcx.extrapolate import models_folder

MARK = "<!-- tables -->"


def main() -> None:
    """Rewrites everything below the mark, and models/parametric/README.md."""
    own = [make() for make in (log_scores, calibration, speed)]
    against = [make(origin) for make in (mcmc_tables.gap, mcmc_tables.speed, mcmc_tables.checks, mcmc_tables.sbc)]
    parts = [table for table in own + against if table]
    page = ROOT / "benchmarks" / "README.md"
    write_text(page.read_text().split(MARK)[0] + MARK + "\n\n" + "\n\n".join(parts) + "\n", page)
    card = ROOT / "models" / "parametric" / "README.md"
    write_text(model_card(), card)
    print(f"{page}\n{card}")


def origin(result: dict[str, Any]) -> str:
    """One line of provenance."""
    return f"`{result['command']}`, {result['date']}, commit {result['commit']}, {result['device']}, torch {result['torch']}."


def log_scores() -> str | None:
    """Log score beside P3's, and what training cost."""
    result = read_result("log_score")
    if result is None:
        return None
    cost = result["training"]
    rows = [f"| {c} % | {s['log_score']:.4f} ± {s['standard_error']:.4f} | {s['P3']} |" for c, s in result["scores"].items()]
    return "\n".join(
        [
            "## Log score on the parametric prior",
            "",
            f"Mean log score in nats per point of all points after the cut-off, {result['curves']:,} fresh curves, higher is better;",
            "± is the standard error, with each curve's score under its own truth as control variate. P3: LC-PFN's largest model as",
            "published.",
            "",
            "| cut-off | lcx `parametric` | LC-PFN P3 |",
            "|---|---|---|",
            *rows,
            "",
            "| training | lcx `parametric` | LC-PFN P3 | ratio |",
            "|---|---|---|---|",
            f"| parameters | {cost['parameters']:,} | {cost['P3_parameters']:,.0f} | {cost['P3_parameters'] / cost['parameters']:.0f} |",
            f"| curves | {cost['curves']:,} | {cost['P3_curves']:,.0f} | {cost['P3_curves'] / cost['curves']:.1f} |",
            f"| multiply-adds | {cost['multiply_adds']:.2g} | {cost['P3_multiply_adds']:.2g} "
            f"| {cost['P3_multiply_adds'] / cost['multiply_adds']:.0f} |",
            f"| wall time | {cost['hours']:.2f} h, 2 CPU cores (shared) | about 8 h, RTX 2080 | |",
            "",
            origin(result),
        ]
    )


def calibration() -> str | None:
    """Coverage and PIT per cut-off with the negative control."""
    result = read_result("calibration")
    if result is None:
        return None
    rows = []
    for cutoff, row in result["cutoffs"].items():
        for name in ("model", "scale_x_1.5"):
            cover = row[name]["coverage"]
            rows.append(
                f"| {cutoff} % | {name.replace('_', ' ')} | " + " | ".join(f"{100 * cover[q]:.1f}" for q in ("0.5", "0.8", "0.95")) + " | "
            )
            low, high = min(row[name]["histogram"]), max(row[name]["histogram"])
            rows[-1] += f"{low:.2f}–{high:.2f}, {'inside' if row[name]['inside_band'] else 'outside'} |"
    low, high = result["band"]
    paths = result["paths"]
    return "\n".join(
        [
            "## Calibration",
            "",
            f"{result['curves']:,} fresh curves per cut-off, one later step each. Coverage of central intervals in per cent; PIT",
            f"histogram of {result['bins']} bins relative to uniform against the simultaneous 99 % band {low:.2f}–{high:.2f}.",
            "The second row of each pair is the negative control, the same model with its scales multiplied by 1.5.",
            "",
            "| cut-off | | 50 % | 80 % | 95 % | PIT |",
            "|---|---|---|---|---|---|",
            *rows,
            "",
            "![PIT histograms](results/calibration.png)",
            "",
            f"Sampled paths against marginal quantiles ({paths['curves']} curves cut at 20, {paths['paths']:,} paths each): share of",
            "draws below the quantile.",
            "",
            "| step | " + " | ".join(f"{level}" for level in paths["levels"]) + " |",
            "|---" * (len(paths["levels"]) + 1) + "|",
            *(
                f"| {step:.0f} | " + " | ".join(f"{b:.3f}" for b in below) + " |"
                for step, below in zip(paths["at"], paths["share_below"], strict=True)
            ),
            "",
            origin(result),
        ]
    )


def speed() -> str | None:
    """Every section of speed.json: medians, ratios, thresholds."""
    result = read_result("speed")
    if result is None:
        return None
    lines = ["## Speed", "", "Medians over interleaved rounds; brackets hold the quartiles. Ratios are formed within rounds."]
    for name, section in result.items():
        if not isinstance(section, dict):
            continue
        lines += ["", f"### {name}", ""]
        if "seconds" in section:
            lines += ["| timed | seconds |", "|---|---|"]
            lines += [f"| {what} | {_spread(x)} |" for what, x in section["seconds"].items()]
        if "ratios" in section:
            required = section.get("required", {})
            lines += ["", "| ratio | value | required |", "|---|---|---|"]
            limits = {what: required.get(what, {}).get("required", "") for what in section["ratios"]}
            lines += [f"| {what} | {_spread(x)} | {limits[what]} |" for what, x in section["ratios"].items()]
        if "curves_per_second" in section:
            lines += ["", "Curves per second: " + ", ".join(f"{k} {v:,}" for k, v in section["curves_per_second"].items()) + "."]
        if "networks" in section:
            lines += ["", "| network | parameters | multiply-adds of a pass |", "|---|---|---|"]
            lines += [f"| {k} | {v['parameters']:,} | {v['multiply_adds']:,} |" for k, v in section["networks"].items()]
        if "mebibytes" in section:
            lines += ["", "| batch | MiB before | MiB added at the peak |", "|---|---|---|"]
            lines += [f"| {k} | {_spread(v['before'])} | {_spread(v['added'])} |" for k, v in section["mebibytes"].items()]
        lines += ["", origin(section)]
    return "\n".join(lines)


def _spread(x: dict[str, Any]) -> str:
    low, high = x["quartiles"]
    return f"{x['median']:.3g} [{low:.3g}, {high:.3g}]"


def training_commands(about: dict[str, Any]) -> list[str]:
    """The commands that trained a model, a line each, from what its config records of the stages."""
    defaults, lines = asdict(PretrainConfig()), []
    stages = [about["started_from"], about] if "started_from" in about else [about]
    for number, stage in enumerate(stages, 1):
        given = {**stage["pretraining"], **stage["pretraining"]["model"]}
        given |= {"start": f"runs/stage{number - 1}"} if number > 1 else {}
        defaults |= defaults["model"]
        flags = " ".join(
            f"--{name.replace('_', '-')}" + ("" if value is True else f" {value}")
            for name, value in given.items()
            if name != "model" and value != defaults.get(name)
        )
        lines.append(f"- Stage {number}, {stage['curves_seen']:,} curves when it ended, commit {stage.get('commit', '?')}:")
        lines.append(f"  `python scripts/pretrain.py --folder runs/stage{number} --minutes {stage.get('minutes', '?')} {flags}`")
    return lines


def model_card() -> str:
    """models/parametric/README.md from its config.json, the weights' hash and the log scores."""
    folder = models_folder() / "parametric"
    about = json.loads((folder / "config.json").read_text())
    weights = (folder / "model.safetensors").read_bytes()
    size, training, result = about["model"], about["pretraining"], read_result("log_score") or {"scores": {}}
    scores = [f"| {c} % | {s['log_score']:.4f} ± {s['standard_error']:.4f} |" for c, s in result["scores"].items()]
    return "\n".join(
        [
            "# parametric",
            "",
            "A PFN for the LC-PFN prior: increasing curves in [0, 1], three weighted families (pow3, Janoschek, ilog2), independent normal",
            "noise (`lcx/prior.py`; Adriaensen et al., NeurIPS 2023). Trained on synthetic curves alone; no real curve was seen.",
            "",
            f"- Size: {size['layers']} layers of width {size['width']}, {size['heads']} heads, {size['components']} components, float32.",
            f"- Training: {about['curves_seen']:,} curves, {about['seconds'] / 60:.0f} minutes on "
            f"{about.get('hardware', about['device'])}, precision {training['precision']},",
            f"  {100 * training['irregular']:.0f} % of the curves on irregular grids.",
            *training_commands(about),
            f"- SHA-256 of model.safetensors: `{hashlib.sha256(weights).hexdigest()}`",
            "",
            "Log score on fresh curves (`python benchmarks/log_score.py`), nats per point:",
            "",
            "| cut-off | mean ± standard error |",
            "|---|---|",
            *scores,
            "",
            "Limits: the prior knows no curve that ends below its start, no correlated or changing noise, no value far outside",
            "[worst, best]. Points before 1 % of the horizon are not read, and of more than 100 points 100 are;",
            "`Extrapolation.warnings` says when that applies.",
            "",
            "Licence: MIT.",
            "",
        ]
    )


if __name__ == "__main__":
    main()
