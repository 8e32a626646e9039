"""``lcx page``: opens the browser page, or writes a copy of it."""

import shutil
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from lcx.files import write_atomically

PAGE = Path(__file__).parents[1] / "export" / "page" / "lcx.html"


def page(save: Annotated[Path | None, typer.Option(help="Write the page to this file instead of opening it.")] = None) -> None:
    """Open the page that predicts in the browser.

    The page needs neither a server nor a network.
    """
    if not PAGE.exists():
        raise FileNotFoundError(f"expected the page at {PAGE}, got none; a source tree builds it with: make page")
    if save is not None:
        write_atomically(save, lambda temporary: shutil.copyfile(PAGE, temporary))
        print(save)
        return
    print(PAGE.as_uri())  # also for machines without a browser
    webbrowser.open(PAGE.as_uri())
