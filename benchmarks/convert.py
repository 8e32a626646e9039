"""Makes the .npz and .json files that benchmarks/forecasts/real_curves.py and ``lcx pretrain --real`` read.

A public source that the model `general` saw, exactly as it saw it (benchmarks/SOURCES.md says where each is had):

    python -m benchmarks.convert pythia_eval_accuracy --raw pythia --folder DIR

All of LCDB's or TaskSet's curves, or anyone's table:

    python benchmarks/convert.py lcdb lcdb-0.1.0/lcdb/database-accuracy.csv DIR/lcdb10_accuracy_mean
    python benchmarks/convert.py taskset DPL/data/taskset DIR/taskset_text_valid_loss --pattern 'FixedTextRNN*.json'
    python benchmarks/convert.py table runs.csv DIR/mine --metric "validation accuracy" --direction max

The metric's name matters: benchmarks/curves.py tells from it the bounds a user would name.
"""

import argparse
from pathlib import Path

from benchmarks.sources.catalogue import READERS
from benchmarks.sources.files import Source, chosen, chosen_parts, digest, write
from benchmarks.sources.optimizers import taskset
from benchmarks.sources.tabular import lcdb, table

KINDS = {"lcdb": "a database-<metric>.csv", "taskset": "a folder of .json files", "table": "a .csv of run, step, value"}


def main() -> None:
    """Reads a source and writes the two files."""
    options = parser().parse_args()
    if options.kind in READERS:
        public(options.kind, options.raw, options.folder)
        return
    if options.kind == "lcdb":
        source = lcdb(options.input)
    elif options.kind == "taskset":
        source = taskset(options.input, options.pattern)
    else:
        source = table(options.input, options.metric, options.direction, options.columns, options.group)
    write(source, options.output)
    report(source, options.output)


def parser() -> argparse.ArgumentParser:
    """The command's arguments: a kind, and what goes with it."""
    main_parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = main_parser.add_subparsers(dest="kind", required=True, metavar="KIND", help="a public source by its name, or:")
    for name in READERS:
        one = kinds.add_parser(name)
        one.add_argument("--raw", type=Path, required=True, help="the repository or archive that holds it, see benchmarks/SOURCES.md")
        one.add_argument("--folder", type=Path, required=True, help="where the two files go")
    for kind, what in KINDS.items():
        one = kinds.add_parser(kind, help=what)
        one.add_argument("input", type=Path, help=what)
        one.add_argument("output", type=Path, help="path of the two files, without their endings")
        if kind == "taskset":
            one.add_argument("--pattern", default="*.json", help="which of the folder's files")
        if kind == "table":
            one.add_argument("--metric", required=True, help="what the values are, in words")
            one.add_argument("--direction", required=True, choices=["min", "max"])
            one.add_argument("--columns", nargs=3, default=["run", "step", "value"], metavar=("RUN", "STEP", "VALUE"))
            one.add_argument("--group", default=None, help="column that names the task of a run; default none")
    return main_parser


def public(name: str, raw: Path, folder: Path) -> None:
    """Writes the part of a public source that the model `general` saw, and says whether it is the same."""
    part = chosen_parts()[name]
    source = chosen(READERS[name](raw), part)
    same = digest(write(source, folder / name, dtype="float32")) == part.digest
    report(source, folder / name)
    print(
        "The values are those that the model general saw."
        if same
        else "The values differ from those that the model general saw; check out the commit that benchmarks/SOURCES.md names."
    )


def report(source: Source, path: Path) -> None:
    """One line on what was written."""
    print(f"{len(source.curves)} curves of {len(set(source.groups))} groups: {path}.npz, {path}.json")


if __name__ == "__main__":
    main()
