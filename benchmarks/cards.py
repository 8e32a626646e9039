"""Model cards from config.json, weights and benchmark results: called by ``python benchmarks/tables.py``."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.markdown import table
from benchmarks.provenance import command, digest_of_weights, read_result
from lcx.pretraining.batches import PretrainConfig


def parametric(folder: Path) -> str:
    """models/parametric/README.md."""
    about = json.loads((folder / "config.json").read_text())
    result = read_result("synthetic/log_score") or {"scores": {}}
    scores = ([f"{c} %", f"{s['log_score']:.4f} ± {s['standard_error']:.4f}"] for c, s in result["scores"].items())
    return "\n".join(
        [
            "# parametric",
            "",
            "A PFN for the LC-PFN prior: increasing curves in [0, 1], three weighted families (pow3, Janoschek, ilog2), independent normal",
            "noise (`lcx/priors/parametric.py`; Adriaensen et al., NeurIPS 2023). Trained on synthetic curves alone; no real curve",
            "was seen.",
            "",
            *training(folder, about),
            "",
            "Log score on fresh curves (`python benchmarks/synthetic/log_score.py`), nats per point:",
            "",
            *table("| cut-off | mean ± standard error |", scores),
            "",
            "Limits: the prior knows no curve that ends below its start, no correlated or changing noise, no value far outside",
            "[worst, best]. Points before 1 % of the horizon are not read. If a curve has more than 100 points, 100 of them are read;",
            "`Extrapolation.warnings` says when that applies.",
            "",
            "Licence: MIT.",
            "",
        ]
    )


def general(folder: Path) -> str:
    """models/general/README.md."""
    about = json.loads((folder / "config.json").read_text())
    return "\n".join(
        [
            "# general",
            "",
            "A PFN for real curves of any metric, direction, scale and step grid, which can read the study's other runs. Trained on",
            "synthetic curves and studies (`lcx/priors/general.py`, `lcx/priors/studies.py`), in its last stages also on the real curves",
            "below. The numbers of its prior were fitted to summary statistics of the same sources",
            "(`benchmarks/synthetic/prior_fit.py`). So scores on them are not of unseen sources.",
            "",
            *seen(about),
            *training(folder, about),
            f"- Pairs were weighted by (unit of change / range)^{about['pretraining']['relative']}: the model answers for a prior tilted",
            "  towards curves that change little beside what was seen, since errors are judged relative to a curve's own range.",
            "",
            *real(),
            *ground(),
            "Limits: contexts of two or three points rest on the prior alone. Sudden events (divergence, collapse of a return) are in the",
            "bands only as far as the prior has them. If a curve has more than 512 points, 128 averages",
            "are read.",
            "With all values equal the scale is the width of the bounds, the distance to the one bound there is, or max(|value|, 1).",
            "",
            "Licence: MIT.",
            "",
        ]
    )


def scaling(folder: Path) -> str:
    """models/scaling/README.md."""
    about = json.loads((folder / "config.json").read_text())
    return "\n".join(
        [
            "# scaling",
            "",
            "A PFN for losses over the size of a training set, a budget or a network: power laws with and without floors, smooth",
            "breaks, plateaus and double descent, on geometric and even grids (`lcx/priors/scaling.py`). `lcx predict --times` asks it.",
            "It began with the weights of `general`, which has seen the real curves that its card lists, and went on with synthetic",
            "curves alone, 30 % of them of the general prior. It reads one curve, none beside it.",
            "",
            *training(folder, about),
            "",
            "On 92 published scaling laws, none of which it has seen: benchmarks/README.md, Scaling laws.",
            "",
            "Limits: the late gains of a training run under a falling learning rate, divergence and returns are a small part of its",
            "prior: ask `general` about training runs. If a curve has more than 512 points, 128 averages are read.",
            "",
            "Licence: MIT.",
            "",
        ]
    )


def seen(about: dict[str, Any]) -> list[str]:
    """The real curves that a model was trained on, a row per source."""
    rows = [f"| {s['name']} | {s['runs']} | {s['studies']} | {s['licence'] or '?'} | {s['origin'] or '?'} |" for s in about.get("real", [])]
    if not rows:
        return []
    return [
        "How to obtain each source, and the command that turns it into the curves seen: benchmarks/SOURCES.md of the repository. Runs are",
        "those left without the ones that are short, very large or there twice.",
        "",
        "| source | runs | studies | licence | from |",
        "|---|---|---|---|---|",
        *rows,
        "",
    ]


def training(folder: Path, about: dict[str, Any]) -> list[str]:
    """Size, training and hash, a line or two each."""
    size, options = about["model"], about["pretraining"]
    grids = [f"  {100 * options['irregular']:.0f} % of the curves on irregular grids."] if about["prior"] == "parametric" else []
    here = about.get("hardware")
    precision = f"precision {options['precision']}" + ("," if grids else ".")
    return [
        f"- Size: {size['layers']} layers of width {size['width']}, {size['heads']} heads, {size['components']} components, float32.",
        f"- Training: {about['curves_seen']:,} curves, {about['seconds'] / 60:.0f} minutes on {about.get('hardware', about['device'])}"
        + (", but for stages that say otherwise, " if any(stage.get("hardware", here) != here for stage in stages_of(about)) else ", ")
        + (precision if options["precision"] else "float32."),
        *grids,
        *commands(about),
        f"- SHA-256 of model.safetensors: `{digest_of_weights(str(folder))}`",
    ]


def stages_of(about: dict[str, Any]) -> list[dict[str, Any]]:
    """What a config records of each stage of a training, the first one first."""
    return [*(stages_of(about["started_from"]) if "started_from" in about else []), about]


def commands(about: dict[str, Any]) -> list[str]:
    """The commands that trained a model, a line each, from what its config records of the stages."""
    defaults, lines, before = asdict(PretrainConfig()), [], {}
    here, start = about.get("hardware"), ""
    for number, stage in enumerate(stages_of(about), 1):
        elsewhere = f" on {stage['hardware']}" if stage.get("hardware", here) != here else ""
        given = {**stage["pretraining"], **stage["pretraining"]["model"]}
        given |= {"start": start} if number > 1 else {}
        # A stage that is averaged with what it began with names that as it was called then.
        earlier = start if stage.get("averaged_with") == stage["pretraining"].get("start") else stage.get("averaged_with")
        start = "runs/mean" if "averaged_with" in stage else f"runs/stage{number}"
        defaults |= defaults["model"]
        flags = " ".join(
            f"--{'no-' * (value is False)}{name.replace('_', '-')}" + ("" if isinstance(value, bool) else f" {value}")
            for name, value in given.items()
            # What is back at its default is told too: with --start some options default to those of the stage before.
            if name != "model" and value is not None and (value != defaults.get(name) or value != before.get(name, value))
        )
        before = given
        lines.append(
            f"- Stage {number}, {stage['curves_seen']:,} curves when it ended{elsewhere}, commit {stage.get('commit', '?')}"
            + (f", interrupted after {stage['stopped_after']:g} minutes:" if "stopped_after" in stage else ":")
        )
        lines.append(f"  `python scripts/pretrain.py --folder runs/stage{number} --minutes {stage.get('minutes', '?')} {flags}`")
        if "remark" in stage:
            lines.append(f"  {stage['remark']}")
        if "averaged_with" in stage:
            then = "" if number == len(stages_of(about)) else ", and the next stage starts from the mean"
            lines.append(f"- Then its weights were averaged with earlier ones{then}:")
            lines.append(f"  `python scripts/average.py {earlier} runs/stage{number} --folder runs/mean`")
    return lines


def real() -> list[str]:
    """CRPS, coverage and the worst cells on the development curves."""
    result = read_result("forecasts/real_curves")
    if result is None or "lcx:general" not in result["methods"]:
        return []
    methods = {name: result["methods"][name] for name in ("lcx:general", "lcx:parametric", "last-value", "random-walk", "best-of-three")}
    cuts = list(methods["lcx:general"]["mean"])
    rows = [[name, *(f"{one['mean'][cut]['crps'][0]:.3f}" for cut in cuts)] for name, one in methods.items()]
    covered = (f"{100 * methods['lcx:general']['mean'][cut]['covered'][-1]:.1f}" for cut in cuts)
    rows.append(["coverage of 90 % intervals, per cent", *covered])
    against = result["against"]["lcx:general"]
    cells = [(cut, source, cell["ratio"]) for cut in cuts for source, cell in against[cut]["sources"].items()]
    worse = [f"{source} at {cut} % ({ratio:.2f})" for cut, source, ratio in cells if ratio > 1.1]
    listed = "Cells where it loses to the best simple baseline by more than 10 % (ratio of CRPS): " + (", ".join(worse) or "none") + "."
    return [
        "On real curves (`benchmarks/forecasts/real_curves.py`), CRPS in units of each curve's range, mean over sources; lower is better:",
        "",
        *table("| | " + " | ".join(f"{cut} %" for cut in cuts) + " |", rows),
        "",
        listed,
        "",
    ]


def ground() -> list[str]:
    """Beside the parametric model on its own prior."""
    result = read_result("synthetic/general")
    if result is None:
        return []
    gaps = ", ".join(f"{row['difference'][0]:+.3f} at {cut} %" for cut, row in result["scores"].items())
    ratio = result["latency"]["ratio"]
    return [
        f"On {result['curves']:,} fresh curves of the parametric prior, given without bounds, its log score less that of the parametric",
        f"model (`{command(result)}`, nats per point): {gaps}. One curve takes {ratio['median']:.2f} times as long as with that model.",
        "",
    ]
