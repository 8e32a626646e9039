"""The browser page in headless Chromium: size, seconds to the first prediction, and a picture of it: ``python benchmarks/export/page.py``.

The first prediction is timed from opening the file, with the data in its address, to the chart on the screen: unpacking, starting the
runtime, loading the model, predicting. Every round is a new browser. The next predictions are of the same curve cut at other points, from
the call to its answer. Needs playwright, Chromium, and the page (``make page``). Writes benchmarks/export/results/page.json and page.png.
"""

import argparse
import gzip
import shutil
import statistics
import time
from pathlib import Path
from typing import Any

from benchmarks.provenance import provenance, results_of, write_result
from lcx.cli.page import PAGE

NEXT = """async () => {
  const {predict} = await import("lcx/forecast"), seconds = [];
  const curve = [...document.querySelector("#paste").value.matchAll(/,(.+)/g)].map((found) => Number(found[1])).filter(Number.isFinite);
  for (let n = 10; n < 70; n++) {
    const run = {run: "example", steps: curve.slice(0, n).map((_, i) => i + 1), values: curve.slice(0, n)};
    const begin = performance.now();
    await predict([run], {mode: "max", horizon: 100, lower: 0, upper: 1, best: 0.93});
    seconds.push((performance.now() - begin) / 1000);
  }
  return seconds;
}"""


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--chromium", default=shutil.which("chromium"))
    options = parser.parse_args()
    from playwright.sync_api import sync_playwright  # pyright: ignore[reportMissingImports]

    with sync_playwright() as playwright:

        def start() -> Any:
            return playwright.chromium.launch(executable_path=options.chromium, args=["--no-sandbox"])

        fragment = link_of_example(start())
        first = [first_prediction(start(), fragment) for _ in range(options.rounds)]
        browser = start()
        later = picture(browser, results_of("export") / "page.png")
        version = browser.version
        browser.close()
    result = {
        **provenance(),
        "browser": f"Chromium {version}",
        "megabytes": round(PAGE.stat().st_size / 1e6, 2),
        "megabytes_gzip": round(len(gzip.compress(PAGE.read_bytes(), 6)) / 1e6, 2),
        "first_prediction_seconds": {"median": round(statistics.median(first), 3), "all": [round(x, 3) for x in first], "required": 2},
        "next_prediction_seconds": {"median": round(statistics.median(later), 4), "rounds": len(later)},
    }
    write_result("export/page", result)
    print(result)


def link_of_example(browser: Any) -> str:
    """The fragment with the example's data and settings."""
    page = ready(browser, "")
    page.click("#example")
    page.wait_for_selector("#share:enabled")
    page.click("#share")
    page.wait_for_function("() => location.hash.length > 1")
    fragment = page.evaluate("location.hash")
    browser.close()
    return fragment


def first_prediction(browser: Any, fragment: str) -> float:
    """Seconds from opening the page to its chart."""
    page = browser.new_page()
    begin = time.perf_counter()
    page.goto(PAGE.as_uri() + fragment)
    page.wait_for_selector("#chart svg")
    seconds = time.perf_counter() - begin
    browser.close()
    return seconds


def picture(browser: Any, path: Path) -> list[float]:
    """Takes a picture of the example; seconds of later predictions."""
    page = ready(browser, "")
    page.click("#example")
    page.wait_for_selector("#chart svg")
    page.screenshot(path=path)
    return page.evaluate(NEXT)


def ready(browser: Any, fragment: str) -> Any:
    """The page, its model loaded."""
    page = browser.new_page(viewport={"width": 1180, "height": 820}, device_scale_factor=1)
    page.set_default_timeout(120_000)
    page.goto(PAGE.as_uri() + fragment)
    page.wait_for_selector("html[data-ready]")
    return page


if __name__ == "__main__":
    main()
