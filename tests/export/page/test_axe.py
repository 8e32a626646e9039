"""axe-core finds no serious fault of accessibility in the browser page and in the HTML report, light, dark and on a phone.

Run by ``make test-page``, which fetches axe-core; a minute.
"""

import shutil
from pathlib import Path

import pytest

from lcx.cli.page import PAGE
from lcx.readers import read
from lcx.report import report_html

pytest.importorskip("playwright.sync_api")
ROOT = Path(__file__).parents[3]
AXE = ROOT / ".venv-page" / "axe.min.js"
pytestmark = [
    pytest.mark.slow,  # 25 s
    pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium"),
    pytest.mark.skipif(not AXE.exists(), reason="needs axe-core: make test-page"),
]
PHONE = {"width": 390, "height": 844}


@pytest.fixture
def faults(browser):
    """The serious faults of a page: what breaks which rule. ``do`` brings the page to where it is looked at."""
    contexts = []

    def found(address, do=lambda page: None, **options):
        context = browser.new_context(offline=True, bypass_csp=True, **options)  # the report lets no script run but its own
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.goto(address)
        do(page)
        page.add_script_tag(path=AXE)
        answer = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        assert len(answer["passes"]) > 10  # it has looked
        return [
            (fault["id"], node["html"][:200], node["failureSummary"])
            for fault in answer["violations"]
            if fault["impact"] in ("serious", "critical")
            for node in fault["nodes"]
        ]

    yield found
    for context in contexts:
        context.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    table = read(ROOT / "examples" / "sweep.jsonl")
    table = table[(table["run"] <= "run 05") & ((table["step"] <= 30) | (table["run"] == "run 00"))]
    text, _ = report_html(table, "loss", mode="min", horizon=60, bounds=(0, None), device="cpu", notes=("a note",))
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(text, encoding="utf-8")
    return path.as_uri()


def answered(page):
    page.wait_for_selector("html[data-ready]")
    page.click("#example")
    page.wait_for_selector("#runs:not([hidden]) tbody tr")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [None, PHONE], ids=["desk", "phone"])
def test_the_report_has_no_serious_fault(faults, report, scheme, viewport):
    assert faults(report, color_scheme=scheme, **({} if viewport is None else {"viewport": viewport})) == []


@pytest.mark.skipif(not PAGE.exists(), reason="needs the page: make page")
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [None, PHONE], ids=["desk", "phone"])
def test_the_page_with_an_answer_has_no_serious_fault(faults, scheme, viewport):
    assert faults(PAGE.as_uri(), answered, color_scheme=scheme, **({} if viewport is None else {"viewport": viewport})) == []
