"""How often MCMC passes its gate, and at what cost: ``python benchmarks/mcmc/convergence.py --methods smc-gate --curves 400``.

Curves of the parametric prior, cut at 10/20/40/80 of 100 points, as in benchmarks/mcmc/pfn_vs_mcmc.py. What is found is kept, a short
row a context, in benchmarks/mcmc/results/convergence_METHOD.jsonl, so the command may be interrupted and given again, on another
machine too, and without ``--methods`` it only summarises. Rows of other code of the samplers stay in the file but are left out, unless
``--same-answers`` says that the change between left the draws as they are. With ``--hardest`` the contexts of which gold has the lowest
ESS come first, and have a line of their own.

A context passes if R-hat (not of SMC), ESS and divergences keep the limits of ``lcx.mcmc`` within ``LIMIT`` seconds of processor time:
wall time says little on a shared machine. Writes benchmarks/mcmc/results/convergence.json.
"""

import argparse
import ast
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from benchmarks.mcmc.pfn_vs_mcmc import Key, answers, distance, index, paired
from benchmarks.mcmc.references import CUTOFFS, METHODS
from benchmarks.provenance import ROOT, provenance, read_result, results_of, write_result
from benchmarks.rows import append, appended, stored

LIMIT = 60  # the default of lcx.mcmc(seconds=)
COLUMNS = ("curve", "cutoff", "converged", "cpu", "ess", "log_score", "distance")  # the last: of quantiles, from gold's
_CODE = ("lcx/reference/*.py", "lcx/priors/parametric.py", "lcx/priors/families.py")
Row = dict[str, Any]


def main() -> None:
    """Runs what is missing, then summarises all that is stored."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--curves", type=int, default=400)
    parser.add_argument("--cutoffs", type=int, nargs="*", default=CUTOFFS, choices=CUTOFFS)
    parser.add_argument("--methods", nargs="*", default=[], choices=sorted(METHODS))
    parser.add_argument("--hardest", type=int, default=0, help="of gold's 800 contexts")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--same-answers", nargs="*", default=[], metavar="CODE", help="other code, by its tag, whose rows count too")
    options = parser.parse_args()
    tags, gold = (code(), *options.same_answers), index((read_result("mcmc/gold") or {"rows": []})["rows"])
    hardest = sorted(gold, key=lambda key: gold[key]["ess"])[: options.hardest]
    asked = [*hardest, *((curve, cutoff) for curve in range(options.curves) for cutoff in options.cutoffs)]
    for method in options.methods:
        store(method, list(dict.fromkeys(asked)), tags, gold, options.processes)
    methods = (read_result("mcmc/convergence") or {"methods": {}})["methods"]  # of those of which no rows are kept
    for method in METHODS:
        rows = list(kept(method, tags).values())
        groups = {f"{c} %": [row for row in rows if row["cutoff"] == c and row["curve"] < options.curves] for c in CUTOFFS}
        groups[f"hardest {len(hardest)} of {len(gold)}"] = [row for row in rows if (row["curve"], row["cutoff"]) in hardest]
        methods |= {method: found} if (found := {name: summary(some, gold) for name, some in groups.items() if some}) else {}
    write_result("mcmc/convergence", {**provenance(), "limit": LIMIT, "methods": methods})
    for method, groups in methods.items():
        for group, row in groups.items():
            print(f"{method:<11}{group}: {row['passed']} of {row['contexts']}  cpu {row['cpu']}  ess {row['ess']}")


def store(method: str, contexts: list[Key], tags: tuple[str, ...], gold: dict[Key, Row], processes: int) -> None:
    """Answers the contexts of which no row is kept, and keeps one of each, below a line that says by which code."""
    known = set(kept(method, tags))
    if known.issuperset(contexts):
        return
    with appended(path_of(method)) as out:
        about = provenance()
        append({"code": tags[0], **{name: about[name] for name in ("date", "commit", "device", "torch")}, "columns": COLUMNS}, out)
        for row in answers(method, contexts, known, processes):
            key = row["curve"], row["cutoff"]
            row |= {"ess": round(row["ess"]), "cpu": round(row["cpu"], 2), "log_score": round(row["log_score"], 4)}
            row["distance"] = round(distance(row, gold[key]), 5) if key in gold else None
            append({"row": [row[name] for name in COLUMNS]}, out)


def kept(method: str, tags: tuple[str, ...]) -> dict[Key, Row]:
    """The rows of the code named."""
    rows, tag, columns = list[Row](), "", ()
    lines = stored(path_of(method))
    for line in lines:
        if "code" in line:
            tag, columns = line["code"], line["columns"]
        elif tag in tags:
            rows.append(dict(zip(columns, line["row"], strict=True)))
    if others := sum("row" in line for line in lines) - len(rows):
        print(f"{method}: {others} rows of other code than {', '.join(tags)} are left out")
    return index(rows)


def path_of(method: str) -> Path:
    """The file of a method's rows."""
    return results_of("mcmc") / f"convergence_{method}.jsonl"


def code() -> str:
    """A short tag of the code that the draws depend on, whatever its comments, docstrings and layout."""
    digest = hashlib.sha256()
    for path in sorted(path for pattern in _CODE for path in ROOT.glob(pattern)):
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
                node.body = node.body[1:] or [ast.Pass()]
        digest.update(ast.unparse(tree).encode())
    return digest.hexdigest()[:12]


def summary(rows: list[Row], gold: dict[tuple[int, int], Row]) -> dict[str, Any]:
    """How many pass, with the exact 95 % interval of Clopper and Pearson; seconds and ESS; and the distance from gold."""
    passed = sum(row["converged"] and row["cpu"] <= LIMIT for row in rows)
    interval = stats.binomtest(passed, len(rows)).proportion_ci()
    out = {
        "contexts": len(rows),
        "passed": passed,
        "interval": [round(float(x), 4) for x in interval],
        "cpu": [round(float(x), 1) for x in np.quantile([row["cpu"] for row in rows], [0.5, 0.95, 1])],
        "ess": [round(float(x)) for x in np.quantile([row["ess"] for row in rows], [0, 0.5])],
    }
    known = index(rows)
    shared = [key for key in known if key in gold]
    if shared:
        out["this_minus_gold"] = [round(x, 5) for x in paired(known, gold, shared)]
        out["quantile_distance"] = round(float(np.mean([known[key]["distance"] for key in shared])), 4)
    return out


if __name__ == "__main__":
    main()
