"""How well the general model does on a domain its prior never saw: ``python benchmarks/forecasts/leave_out.py --data DIR --minutes 10``.

For each domain below: the prior's laws and kinds are fitted anew to the other domains' curves alone (benchmarks/synthetic/prior_fit.py;
kinds set by hand after a domain's curves are dropped with it), a model is trained from scratch on that prior, and it is scored on the
domain left out (benchmarks/scores.py). ``none`` trains as long on a prior fitted to all domains, by the same steps: the difference between
the two is what having seen a domain is worth. A domain holds whole sources, so this asks more than leaving out one source.

Everything lies in runs/leave_out/<domain>; the command may be interrupted and called again, and goes on.
The ingredients of the prior were chosen, and its first laws guessed and fitted, with all sources in view: that part cannot be left out.
"""

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

import lcx
from benchmarks.curves import CUTOFFS, RealCurve, load_all
from benchmarks.provenance import ROOT, provenance, write_result
from benchmarks.scores import ask_model, score
from benchmarks.synthetic.prior_fit import clusters, fitted
from benchmarks.synthetic.statistics_of_curves import GIVEN, real_rows, table
from lcx.files import write_text
from lcx.pfn.checkpoint import STATE
from lcx.pfn.model import PFNConfig
from lcx.pretraining.batches import PretrainConfig
from lcx.pretraining.loop import pretrain
from lcx.priors.general import GeneralPrior
from lcx.priors.laws import KINDS, LAWS, Law, Normal, Share
from lcx.priors.named import PRIORS
from lcx.priors.parametric import LogNormal, Uniform

DOMAINS = {
    "none": (),
    "workloads": ("algoperf_valid_loss", "algoperf_valid_score", "algoperf_valid_wer"),
    "language": ("modded_nanogpt_val_loss", "nasbench_nlp_wikitext2_val_loss", "taskset_text_valid_loss"),
    "returns": ("arlbench_sobol_return", "dopamine_atari_return"),
    "log grids": ("lcdb10_accuracy_mean", "lcdb10_logloss_mean", "pythia_eval_accuracy"),
}
BY_HAND = {"log grids": KINDS[-2], "returns": KINDS[-1]}  # the domain that each was made after
FITTED = 0.66  # share of the fitted kinds together, as in lcx/priors/laws.py
MAPS = {law.__name__: law for law in (LogNormal, Normal, Share, Uniform)}


def main() -> None:
    """Fits, trains, scores and stores what is still missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=10.0, help="training per domain; default 10")
    parser.add_argument("--domains", nargs="*", choices=DOMAINS, default=list(DOMAINS))
    parser.add_argument("--fit-only", action="store_true")
    options = parser.parse_args()
    for domain in options.domains:
        folder = ROOT / "runs" / "leave_out" / domain.replace(" ", "-")
        prior = fit(options.data, domain, folder / "prior.json")
        if options.fit_only:
            continue
        if not trained(folder, options.minutes):
            PRIORS[prior.name] = prior
            size = PFNConfig(width=96, layers=4, chart="general")
            config = PretrainConfig(prior=prior.name, model=size, curves=20_000_000, validation_curves=1000)
            pretrain(config, folder, minutes=options.minutes, resume=(folder / STATE).exists())
            if not trained(folder, options.minutes):
                raise SystemExit("interrupted; the same command goes on")
    if not options.fit_only:
        report(options.data, options.minutes)


def trained(folder: Path, minutes: float) -> bool:
    """Whether a model lies there that had its minutes; an interrupted training leaves one too."""
    path = folder / "config.json"
    return path.exists() and json.loads(path.read_text())["seconds"] >= 60 * minutes


def fit(data: Path, domain: str, path: Path) -> GeneralPrior:
    """The prior fitted without a domain; stored at ``path``."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        sources = {name: curves for name, curves in load_all(data, 200).items() if name not in DOMAINS[domain]}
        rows, weights = real_rows(sources)
        real, lengths = table(rows, GIVEN), np.concatenate([[len(c.values) for c in curves] for curves in sources.values()])
        base = fitted(GeneralPrior(laws=LAWS, kinds=()), real, weights, lengths, 5, 20_000)
        labels, kinds = clusters(real, weights, 10), []
        for k in range(10):
            of = labels == k
            share = weights[of].sum()
            laws = fitted(GeneralPrior(laws=base.laws, kinds=()), real[of], weights[of] / share, lengths[of], 7, 20_000).laws
            kinds.append((FITTED * share, {name: widened(law) for name, law in laws.items() if law != base.laws[name]}))
        kinds += [kind for of, kind in BY_HAND.items() if of != domain]
        told = {"laws": as_json(base.laws), "kinds": [(share, as_json(laws)) for share, laws in kinds]}
        write_text(json.dumps(told, indent=1), path)
    told = json.loads(path.read_text())
    return GeneralPrior(laws=as_laws(told["laws"]), kinds=tuple((share, as_laws(laws)) for share, laws in told["kinds"]))


def widened(law: Law) -> Law:
    """The law with 1.5 times the spread, as in lcx/priors/laws.py."""
    return replace(law, sd=1.5 * law.sd) if isinstance(law, (Normal, LogNormal)) else law


def as_json(laws: dict[str, Law]) -> dict[str, Any]:
    """Laws as names and numbers."""
    return {name: [type(law).__name__, asdict(law)] for name, law in laws.items()}


def as_laws(told: dict[str, Any]) -> dict[str, Law]:
    """What :func:`as_json` wrote."""
    return {name: MAPS[kind](**numbers) for name, (kind, numbers) in told.items()}


def report(data: Path, minutes: float) -> None:
    """Scores each source with the model that never saw its domain, and with ``none``."""
    sources = load_all(data, 80)
    rows: dict[str, Any] = {}
    for domain, names in DOMAINS.items():
        folders = {"left out": domain, "all in": "none"}
        if not names or not all((ROOT / "runs" / "leave_out" / d.replace(" ", "-") / "config.json").exists() for d in folders.values()):
            continue
        for label, d in folders.items():
            model = lcx.load(ROOT / "runs" / "leave_out" / d.replace(" ", "-"), "cpu")
            for name in names:
                rows.setdefault(name, {"domain": domain})[label] = cells(model, sources[name])
    mean = {
        label: {key: np.mean([row[label][key] for row in rows.values()], 0).round(4).tolist() for key in ("crps", "covered")}
        for label in ("left out", "all in")
    }
    seen = {
        d: json.loads(p.read_text())["curves_seen"]
        for d in DOMAINS
        if (p := ROOT / "runs" / "leave_out" / d.replace(" ", "-") / "config.json").exists()
    }
    write_result("forecasts/leave_out", {**provenance(), "minutes": minutes, "curves seen": seen, "mean": mean, "sources": rows})
    for label, means in mean.items():
        print(f"{label:9s} CRPS {means['crps']}  coverage of 90 % intervals {means['covered']}")


def cells(model: lcx.Extrapolator, curves: list[RealCurve]) -> dict[str, list[float]]:
    """CRPS and coverage of 90 % intervals at each cut-off."""
    scored = [score(ask_model(model, curves, share, None), curves, share) for share in CUTOFFS]
    return {
        "crps": [round(float(one["crps"].mean()), 4) for one in scored],
        "covered": [round(float(one["covered"][:, 2].mean()), 4) for one in scored],
    }


if __name__ == "__main__":
    torch.set_num_threads(2)
    main()
