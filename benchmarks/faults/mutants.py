"""Small faults put into the code of one folder, and whether its own tests notice: ``make test-mutants FOLDER=lcx/stopping``.

mutmut makes the faults (another operator, comparison, constant, argument, branch) and runs the tests that reach the changed function, in
forks of one process. A random sample of them is tried; those that change nothing but a text or an error that is raised are not counted,
and functions under decorators are left alone by mutmut. Interrupt it at any time: the same command goes on. What survives is printed and
stored with its difference; a reason why one does not matter is written by hand into results/harmless_mutants.json.
"""

import argparse
import ast
import copy
import difflib
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from scipy.stats import beta

from benchmarks.provenance import ROOT, provenance, read_result, write_result

# The front door's modules, whose tests lie beside the folders.
FRONT = {f"lcx/{x}.py": x.replace("extrapolation", "extrapolator") for x in ("curves", "scores", "extrapolator", "extrapolation")}
LINKED = ("lcx", "tests", "models", "examples", "scripts", "benchmarks", "docs", "README.md", "pyproject.toml")
CAUGHT = {"killed", "timeout", "segfault", "suspicious"}


class Change(NamedTuple):
    """A function before and after a fault was put into it."""

    file: str
    before: ast.FunctionDef
    after: ast.FunctionDef

    def __str__(self) -> str:
        before, after = ([x for part in node.body for x in ast.unparse(part).splitlines()] for node in (self.before, self.after))
        return "\n".join(f"{line[0]} {line[1:].strip()}" for line in difflib.ndiff(before, after) if line[0] in "+-")


def main() -> None:
    """Tries a sample of a folder's mutants and stores the score."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", help="lcx/stopping, say; lcx for the modules at the front door")
    parser.add_argument("--mutants", type=int, default=40, help="so many, drawn at random")
    parser.add_argument("--seed", type=int, default=0, help="of the draw")
    parser.add_argument("--again", action="store_true", help="try anew those that survived, as after a new test")
    options = parser.parse_args()
    folder = options.folder.strip("/")
    files = list(FRONT) if folder == "lcx" else sorted(str(x.relative_to(ROOT)) for x in (ROOT / folder).rglob("*.py"))
    tests = sorted({f"tests/test_{x}.py" for x in FRONT.values()}) if folder == "lcx" else [folder.replace("lcx", "tests", 1)]
    work = prepared(folder, files, tests)
    os.chdir(work)  # whence mutmut reads its settings
    changes = {name: change for file in files for name, change in mutants(file).items()}
    chosen = random.Random(options.seed).sample(sorted(changes), min(options.mutants, len(changes)))
    known = verdicts(work)
    pending = [name for name in chosen if name not in known or (options.again and known[name] not in CAUGHT)]
    print(f"{folder}: {len(changes)} mutants, {len(chosen)} drawn, {len(pending)} to try")
    if pending:
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"OMP_NUM_THREADS": "1"}
        command = [str(Path(sys.executable).parent / "mutmut"), "run", "--max-children", "1", *pending]
        subprocess.run(command, cwd=work, env=environment, check=False)
    os.chdir(ROOT)
    store(folder, options, len(changes), {name: (changes[name], verdicts(work).get(name)) for name in chosen})


def prepared(folder: str, files: list[str], tests: list[str]) -> Path:
    """A folder in which mutmut works, with its settings and the verdicts so far."""
    work = ROOT / "runs" / "mutants" / folder.replace("/", "-")
    work.mkdir(parents=True, exist_ok=True)
    for name in LINKED:
        if not (work / name).is_symlink():
            (work / name).symlink_to(ROOT / name)

    def lines(items: Any) -> str:
        return "".join(f"\n    {x}" for x in items)

    also = lines(x for x in LINKED if x not in ("lcx", "pyproject.toml"))
    (work / "setup.cfg").write_text(
        f"[mutmut]\nsource_paths =\n    lcx/\nonly_mutate ={lines(files)}\nalso_copy ={also}\n"
        f"pytest_add_cli_args_test_selection ={lines(tests)}\ntrack_dependencies = false\nuse_git_change_detection = false\n"
        "timeout_multiplier = 4.0\ntimeout_constant = 10.0\n"
    )
    return work


def mutants(file: str) -> dict[str, Change]:
    """Every mutant of a file by mutmut's name, without those that change texts and raised errors alone."""
    from mutmut.mutation.file_mutation import mutate_file_contents
    from mutmut.utils.format_utils import get_mutant_name

    made = mutate_file_contents(file, Path(file).read_text())
    functions = {node.name: node for node in ast.walk(ast.parse(made.code)) if isinstance(node, ast.FunctionDef)}
    found, bare = {}, {name: _bare(node) for name, node in functions.items() if "__mutmut_" in name}
    for name in made.mutant_names:
        original = name.partition("__mutmut_")[0] + "__mutmut_orig"
        if bare[original] != bare[name]:
            found[get_mutant_name(Path(file), name)] = Change(file, functions[original], functions[name])
    return found


class _WithoutTexts(ast.NodeTransformer):
    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        return ast.Constant("") if isinstance(node.value, str) else node

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        return ast.Pass()


def _bare(function: ast.FunctionDef) -> list[str]:
    return [ast.dump(_WithoutTexts().visit(copy.deepcopy(part))) for part in (function.args, *function.body)]


def verdicts(work: Path) -> dict[str, str]:
    """What became of each mutant that was tried."""
    from mutmut.stats import status_by_exit_code

    metas = [json.loads(path.read_text())["exit_code_by_key"] for path in (work / "mutants").rglob("*.meta")]
    return {name: status_by_exit_code[code] for meta in metas for name, code in meta.items() if code not in (None, 2)}


def store(folder: str, options: argparse.Namespace, population: int, tried: dict[str, tuple[Change, str | None]]) -> None:
    """Writes the folder's row and prints the survivors."""
    reasons = read_result("faults/harmless_mutants") or {}
    done = {name: (change, verdict) for name, (change, verdict) in tried.items() if verdict is not None}
    survivors = [(change.file, str(change)) for change, verdict in done.values() if verdict not in CAUGHT]
    harmless = [(file, change) for file, change in survivors if change in reasons.get(file, {})]
    left = [change for change in survivors if change not in harmless]
    counted = len(done) - len(harmless)
    row = {
        **provenance(),
        "population": population,
        "drawn": len(tried),
        "tried": len(done),
        "harmless": len(harmless),
        "caught": counted - len(left),
        "interval": interval(counted - len(left), counted),
        "survivors": [{"file": file, "change": change} for file, change in left],
    }
    for file, change in left:
        print(f"survived in {file}:\n{change}")
    print(f"{folder}: {row['caught']} of {counted} caught, 95 % interval {row['interval']}; {len(tried) - len(done)} not tried yet")
    write_result("faults/mutants", {**(read_result("faults/mutants") or {}), folder: row})


def interval(caught: int, of: int) -> list[float]:
    """Clopper and Pearson's 95 % interval of a share."""
    low = beta.ppf(0.025, caught, of - caught + 1) if caught else 0.0
    high = beta.ppf(0.975, caught + 1, of - caught) if caught < of else 1.0
    return [round(float(x), 3) for x in (low, high)]


if __name__ == "__main__":
    main()
