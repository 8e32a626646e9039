"""Makes every page that shows results anew: ``python benchmarks/tables.py``.

benchmarks/README.md, RELIABILITY.md and SOURCES.md, the models' cards, and the figures between marks in README.md and docs/.
"""

import ast
from pathlib import Path

from benchmarks import cards, docs_figures, readme_figures
from benchmarks.export import tables as export
from benchmarks.faults import tables as faults
from benchmarks.forecasts import tables as forecasts
from benchmarks.markdown import table
from benchmarks.mcmc import tables as mcmc
from benchmarks.peers import tables as peers
from benchmarks.provenance import BENCHMARKS, ROOT
from benchmarks.scale import tables as scale
from benchmarks.scaling_laws import tables as scaling_laws
from benchmarks.sources import catalogue
from benchmarks.speed import tables as speed
from benchmarks.stopping import tables as stopping
from benchmarks.studies import tables as studies
from benchmarks.synthetic import tables as synthetic
from lcx.extrapolator import models_folder
from lcx.files import write_text

MARK = "<!-- tables -->"
SECTIONS = (
    forecasts.real_curves,
    forecasts.leave_out,
    scaling_laws.scaling_laws,
    studies.studies,
    peers.peers,
    stopping.early_stop,
    stopping.choosing,
    stopping.earlier,
    stopping.early_stop_studies,
    synthetic.beside_parametric,
    synthetic.prior_fit,
    synthetic.study_fit,
    synthetic.log_score,
    synthetic.calibration,
    speed.forecast,
    speed.decisions,
    speed.speed,
    scale.scoring,
    scale.ranks,
    export.exported,
    export.page,
    mcmc.gap,
    mcmc.convergence,
    mcmc.speed,
    mcmc.checks,
    mcmc.sbc,
)


def main() -> None:
    """Rewrites them."""
    for path, text in pages().items():
        write_text(text, path)
        print(path.relative_to(ROOT))


def pages() -> dict[Path, str]:
    """Every page and what it says with the results stored now."""
    readme_page = ROOT / "README.md"
    found = {
        BENCHMARKS / "README.md": figures((BENCHMARKS / "README.md").read_text()),
        BENCHMARKS / "RELIABILITY.md": faults.page(),
        BENCHMARKS / "SOURCES.md": catalogue.page(),
        readme_page: readme_figures.with_figures(readme_page.read_text()),
        **{page: docs_figures.with_figures(page.read_text()) for page in sorted((ROOT / "docs").glob("*.md"))},
    }
    for card in (cards.general, cards.scaling, cards.parametric):
        folder = models_folder() / card.__name__
        found[folder / "README.md"] = card(folder)
    return found


def figures(page: str) -> str:
    """benchmarks/README.md with everything below the mark written anew."""
    sections = [text for make in (folders, *SECTIONS) if (text := make())]
    return page.split(MARK)[0] + MARK + "\n\n" + "\n\n".join(sections) + "\n"


def folders() -> str:
    """Every folder and its question, from its __init__.py."""
    questions = {path.parent.name: ast.get_docstring(ast.parse(path.read_text())) for path in sorted(BENCHMARKS.glob("*/__init__.py"))}
    return "\n".join(table("| folder | question |", ([f"`{name}/`", question] for name, question in questions.items())))


if __name__ == "__main__":
    main()
