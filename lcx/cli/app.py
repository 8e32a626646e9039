"""The command ``lcx`` with all its commands. Bad input prints one line and exits with 2."""

import sys

import typer

from lcx.cli import pretrain
from lcx.cli.export import export
from lcx.cli.info import info
from lcx.cli.mcmc import mcmc
from lcx.cli.page import page
from lcx.cli.predict import predict
from lcx.cli.replay import replay
from lcx.cli.report import report
from lcx.cli.runs import runs
from lcx.cli.score import score
from lcx.cli.watch import watch

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True, pretty_exceptions_enable=False)
app.command()(predict)
app.command()(mcmc)
app.command()(info)
app.command()(runs)
app.command()(replay)
app.command()(watch)
app.command()(report)
app.command()(score)
app.command()(export)
app.command()(page)


@app.callback()
def _describe() -> None:
    """Predict the rest of learning curves, and decide which runs to stop.

    lcx COMMAND --help describes a command, with an example.
    """


@app.command(
    "pretrain",
    help="Train a model on a prior.",
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
)
def _pretrain(context: typer.Context) -> None:
    pretrain.main(context.args, "lcx pretrain")


def main() -> None:
    """Runs the command line; user errors become one line on standard error and exit code 2."""
    try:
        app()
    except (ValueError, TypeError, ImportError, OSError) as error:
        print(f"lcx: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
