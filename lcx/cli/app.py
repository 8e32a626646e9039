"""The command ``lcx`` with all its commands. Bad input prints one line and exits with 2."""

import os
import sys
from typing import Any

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

_UsageError: Any = typer.BadParameter.__base__  # of click, wherever this version of typer has it

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
    """Runs the command line; user errors become one line on standard error and exit code 2, a closed pipe behind it is no error."""
    out = sys.stdout
    try:
        code = app(prog_name="lcx", standalone_mode=False) or 0
        out.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())  # lest the interpreter flush into the closed pipe as it ends
        code = 0
    except SystemExit as stopped:
        code = stopped.code if sys.stdout is out else 0  # typer replaces it where a pipe was closed
    except _UsageError as error:
        code = 2
        if "\n" in error.format_message():  # the help, asked for by no arguments
            error.show()
        else:
            command = error.ctx.command_path if error.ctx else "lcx"
            print(f"lcx: {error.format_message().rstrip('.')}; see {command} --help", file=sys.stderr)
    except (ValueError, TypeError, ImportError, OSError) as error:
        code = 2
        print(f"lcx: {' '.join(str(error).split())}", file=sys.stderr)
    sys.exit(code)


if __name__ == "__main__":
    main()
