"""The browser page in headless Chromium: its numbers are Python's, by keyboard and on a phone, in the dark, by link, on bad input.

Run by ``make test-page``; needs playwright, Debian's chromium, and the page built by ``make page``.
"""

import json
import random
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import lcx
from lcx.cli.page import PAGE
from lcx.export.onnx import LEVELS
from lcx.stopping.rules import never_better, spare_incumbent

sync_api = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium")
EXAMPLES = Path(__file__).parents[3] / "examples"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs chromium"),
    pytest.mark.skipif(not PAGE.exists(), reason="needs the page: make page"),
]
FIELDS = ("horizon", "upto", "lower", "upper", "best")
PREDICT = """async ({text, metric, asked}) => {
  const [{parse}, {predict}] = await Promise.all([import("lcx/table"), import("lcx/forecast")]);
  const runs = parse(text, "run").curves.filter((c) => c.metric === metric).map((c) => {
    const n = c.steps.filter((s) => s <= (asked.upto ?? Infinity)).length;
    return {...c, steps: c.steps.slice(0, n), values: c.values.slice(0, n)};
  });
  return predict(runs, asked);
}"""


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def opened(browser):
    """Opens the page from its file, without a network; nothing but the file may be asked for, and nothing may go wrong unsaid."""
    contexts, trouble = [], []

    def new(fragment="", **options):
        context = browser.new_context(offline=True, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(60_000)
        page.on("request", lambda r: trouble.append(r.url) if not r.url.startswith(("file:", "data:", "blob:")) else None)
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.on("console", lambda message: trouble.append(message.text) if message.type == "error" else None)
        page.goto(PAGE.as_uri() + fragment)
        page.wait_for_selector("html[data-ready]")
        return page

    yield new
    for context in contexts:
        context.close()
    assert trouble == []


def ask(page, mode=None, **fields):
    """Fills in the question."""
    for name, value in fields.items():
        page.fill(f"#{name}", str(value))
    if mode:
        page.check(f"input[name=mode][value={mode}]")


def said(page, words):
    page.wait_for_function("words => document.getElementById('message').textContent.includes(words)", arg=words)
    return page.inner_text("#message")


def table(page):
    page.wait_for_selector("#runs:not([hidden]) tbody tr")
    return [re.split(r"[\t\n]+", row.inner_text()) for row in page.query_selector_all("#runs tbody tr")]


CASES = [  # file, metric, points up to step, horizon, mode, lower, upper, best
    ("digits_accuracy", "accuracy", 30, 100, "max", 0, 1, 0.93),
    ("digits_loss", "loss", 20, 150, "min", 0, None, 0.2),
    ("digits_loss", "train_loss", 5, 100, "min", None, None, 0.01),
    ("overfitting_loss", "loss", 60, 121, "min", 0, None, 0.49),
    ("diverging_loss", "loss", 40, 60, "min", 0, None, 0.4),
    ("diabetes_rmse", "rmse", 10, 100, "min", None, None, 60),
    ("noisy_accuracy", "accuracy", 3, 80, "max", 0, 1, 0.9),
    ("slow_starter_accuracy", "accuracy", 25, 120, "max", 0, 1, 0.8),
    ("sample_size_accuracy", "accuracy", 300, 1197, "max", 0, 1, 0.95),
    ("sample_size_accuracy", "accuracy", 12, 5000.5, "max", None, 1, 0.9),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}-{case[1]}-{case[2]}")
def test_numbers_and_verdict_are_pythons(opened, case):
    file, metric, upto, horizon, mode, lower, upper, best = case
    text = (EXAMPLES / f"{file}.csv").read_text()
    asked = {"mode": mode, "horizon": horizon, "lower": lower, "upper": upper, "best": best, "upto": upto}
    (got,) = opened().evaluate(PREDICT, {"text": text, "metric": metric, "asked": asked})
    curve = pd.read_csv(EXAMPLES / f"{file}.csv").query("step <= @upto")
    answer = lcx.predict(curve[metric], curve["step"], horizon=horizon, mode=mode, at=got["at"], bounds=(lower, upper), device="cpu")
    unit = np.ptp(curve[metric]) or 1.0
    assert got["at"][-1] == horizon
    np.testing.assert_allclose(got["quantiles"], answer.quantile(LEVELS), rtol=0, atol=1e-4 * unit)
    np.testing.assert_allclose(got["better"], answer.prob_better(best), atol=1e-4)
    verdict = spare_incumbent(never_better(0.05))(answer, best)
    assert got["stop"] == verdict.stop
    assert got["chance"] == pytest.approx(verdict.probability, abs=1e-4)


def test_points_missing_or_too_many_are_read_as_in_python(opened):
    steps = np.arange(1, 1001)
    values = 2 / steps**0.5 + 0.01 * np.sin(steps)
    values[::7] = np.nan
    text = "step,loss\n" + "\n".join(f"{s},{v}" for s, v in zip(steps, values, strict=True))
    asked = {"mode": "min", "horizon": 2000, "lower": 0, "upper": None, "best": None}
    (got,) = opened().evaluate(PREDICT, {"text": text, "metric": "loss", "asked": asked})
    answer = lcx.predict(values, steps, horizon=2000, mode="min", at=got["at"], bounds=(0, None), device="cpu")
    np.testing.assert_allclose(got["quantiles"], answer.quantile(LEVELS), rtol=0, atol=1e-4 * np.nanmax(values))
    assert got["stop"] is None


def test_files_of_several_runs_are_overlaid_and_judged_by_the_best_of_the_others(opened, tmp_path):
    curve = pd.read_csv(EXAMPLES / "digits_accuracy.csv")
    for name, values in (("good", curve.accuracy), ("bad", 0.3 * curve.accuracy)):
        curve.assign(accuracy=values).head(30).to_csv(tmp_path / f"{name}.csv", index=False)
    page = opened()
    ask(page, "max", horizon=100, lower=0, upper=1)
    page.set_input_files("#files", [tmp_path / "good.csv", tmp_path / "bad.csv"])
    good, bad = table(page)
    assert (good[0], bad[0]) == ("good", "bad")
    assert "Go on" in " ".join(good)
    assert "Stop" in " ".join(bad)
    assert page.locator("#chart polygon").count() == 2
    best = curve.accuracy.head(30).max()
    answer = lcx.predict(0.3 * curve.accuracy.head(30), horizon=100, mode="max", bounds=(0, 1), device="cpu")
    assert f"{answer.median[-1]:.3g}"[:4] in " ".join(bad)
    assert f"{best:g}" in " ".join(bad)


def test_a_run_that_has_ended_is_drawn_and_judges_the_others(opened, tmp_path):
    curve = pd.read_csv(EXAMPLES / "digits_accuracy.csv")
    curve.to_csv(tmp_path / "ended.csv", index=False)
    curve.assign(accuracy=0.5 * curve.accuracy).head(30).to_csv(tmp_path / "poor.csv", index=False)
    page = opened()
    ask(page, "max", horizon=100, lower=0, upper=1)
    page.set_input_files("#files", [tmp_path / "ended.csv", tmp_path / "poor.csv"])
    ended, poor = (" ".join(row) for row in table(page))
    assert "This run is at its last step." in ended
    assert "Stop" in poor
    assert f"P(better than {curve.accuracy.max():g})" in poor
    assert page.locator("#chart circle").count() == 130
    page.focus("#chart svg")
    page.keyboard.press("End")
    assert page.inner_text("#reading").startswith("Step 100 – ended: observed 0.952; poor: median")
    page.click("#share")
    said(page, "link")
    assert " ".join(table(opened(page.evaluate("location.hash")))[0]) == ended


def test_a_horizon_told_by_pasted_text_may_be_changed(opened):
    page = opened()
    ask(page, "min")
    page.fill("#paste", '{"log_history": [{"step": 1, "loss": 2.0, "grad_norm": NaN}, {"step": 2, "loss": 1.5}], "max_steps": 9}')
    table(page)
    assert page.input_value("#horizon") == "9"
    page.fill("#horizon", "")
    said(page, "Enter the last step of a full run.")
    assert page.input_value("#horizon") == ""


def test_a_trainer_state_brings_its_horizon(opened, tmp_path):
    log = [{"step": s, "epoch": s / 50, "eval_loss": 3 / s**0.3} for s in range(10, 110, 10)]
    (tmp_path / "trainer_state.json").write_text(json.dumps({"log_history": log, "max_steps": 500, "global_step": 100}))
    page = opened()
    page.check("input[value=min]")
    page.set_input_files("#files", tmp_path / "trainer_state.json")
    table(page)
    assert page.input_value("#horizon") == "500"
    assert page.input_value("#metric") == "eval_loss"


def test_it_works_by_keyboard_alone(opened):
    page = opened()

    def reach(identity):
        for _ in range(30):
            if page.evaluate("document.activeElement.id || document.activeElement.value || document.activeElement.tagName") == identity:
                assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
                return
            page.keyboard.press("Tab")
        raise AssertionError(f"{identity} cannot be reached with Tab")

    reach("paste")
    page.keyboard.insert_text("epoch,accuracy\n1,0.31\n2,0.42\n3,0.48\n4,0.5\n")
    reach("max")
    page.keyboard.press("Space")
    reach("horizon")
    page.keyboard.type("20")
    reach("best")
    page.keyboard.type("0.9")
    assert table(page)[0][0] == "pasted"
    for _ in range(4):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.tagName") == "svg":
            break
    page.keyboard.press("Home")
    assert page.inner_text("#reading") == "Step 1 – observed 0.31"
    page.keyboard.press("End")
    assert page.inner_text("#reading").startswith("Step 20 – median 0.")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [(390, 844), (320, 640), (1280, 900)], ids=lambda size: f"{size[0]}px")
def test_everything_fits_and_can_be_read(opened, size, scheme, tmp_path):
    page = opened(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)
    page.click("#example")
    table(page)
    page.screenshot(path=tmp_path / "page.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    dim = page.evaluate(CONTRAST)
    assert [text for text, ratio in dim if ratio < 4.5] == []  # WCAG 2 AA
    small = "[...document.querySelectorAll('input:not([type=radio]):not([type=file]), select, button, .button')]"
    assert page.evaluate(f"{small}.every((e) => e.getBoundingClientRect().height >= 36)")
    unlabelled = "[...document.querySelectorAll('input, select, textarea')].filter((e) => !e.labels?.length).map((e) => e.id)"
    assert page.evaluate(unlabelled) == []


CONTRAST = """() => {
  const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255).map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (e) => {
    for (; e; e = e.parentElement) {
      const c = rgb(getComputedStyle(e).backgroundColor);
      if (c.length < 4 || c[3] > 0) return c;
    }
    return [255, 255, 255];
  };
  return [...document.querySelectorAll("body *")].filter((e) => e.getClientRects().length && !e.disabled
      && [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim())).map((e) => {
    const style = getComputedStyle(e);
    const front = light(rgb(e.namespaceURI.endsWith("svg") ? style.fill : style.color)), back = light(behind(e));
    return [e.textContent.trim().slice(0, 30), (Math.max(front, back) + 0.05) / (Math.min(front, back) + 0.05)];
  });
}"""


def test_a_link_holds_the_data_only_after_a_click_and_shows_the_same(opened):
    page = opened()
    page.click("#example")
    before = table(page)
    assert "#" not in page.url
    page.click("#share")
    said(page, "link")
    fragment = page.evaluate("location.hash")
    other = opened(fragment)
    assert table(other) == before
    assert {name: other.input_value(f"#{name}") for name in FIELDS} == {name: page.input_value(f"#{name}") for name in FIELDS}
    assert other.locator("#chart circle").count() == page.locator("#chart circle").count()


@pytest.mark.parametrize(
    ("text", "fields", "words"),
    [
        ("epoch,accuracy\n1,0.5,3\n", {}, "Expected 2 cells in each row, as in the header; got 3 in row 2"),
        ("this is no table\nat all", {}, "Expected a column of numbers"),
        ('{"values": ', {}, "Expected JSON"),
        ("step,loss\n1,nan\n2,nan\n", {}, "Expected finite values at steps > 0; got none"),
        ("loss\n1\n0.5\n", {"horizon": "2"}, "Expected no steps at or beyond the last step of a full run, 2; got 2"),
        ("loss\n1\n0.5\n", {"horizon": "ten"}, "Expected a number for “Last step of a full run”; got “ten”"),
        ("loss\n1\n0.5\n", {"horizon": "-4"}, "Enter a number > 0"),
        ("loss\n1\n0.5\n", {"lower": "0.7"}, "Expected values between the bounds 0.7 and ∞; got 0.5 at step 2"),
        ("loss\n1\n0.5\n", {"lower": "3", "upper": "2"}, "Expected a lower bound below the upper; got 3 and 2"),
        ("loss\n1\n0.5\n", {"upto": "0.5"}, "Expected at least one value; got none"),
        ("loss\n1\n0.5\n", {"best": "0,4"}, "Write decimals with a point"),
        ("loss\n1e308\n-1e308\n", {}, "Expected values with a finite range"),
    ],
)
def test_bad_input_is_told_in_three_parts(opened, text, fields, words):
    page = opened()
    ask(page, "min", **{"horizon": "20", **fields})
    page.fill("#paste", text)
    message = said(page, words)
    assert re.match(r"Expected .+; got .+\. .+\.$", message)
    assert "error" in page.get_attribute("#message", "class")
    assert page.is_hidden("#figure")
    page.fill("#paste", "loss\n1\n0.5\n")  # and it recovers
    ask(page, "min", horizon=20, lower="", upper="", upto="", best="")
    table(page)


@pytest.mark.parametrize("fragment", ["#1.AAAA", "#2.abc", "#1.", "#1.%%%", "#nonsense"])
def test_a_foreign_or_damaged_link_is_refused(opened, fragment):
    assert "made by this page" in said(opened(fragment), "Expected a link")


def test_names_from_a_log_are_never_run(opened):
    page = opened()
    ask(page, "max", horizon=9)
    page.fill("#paste", "run,step,<img src=x onerror=alert(1)>\n<script>alert(2)</script>,1,0.5\n<script>alert(2)</script>,2,0.6\n")
    assert table(page)[0][0] == "<script>alert(2)</script>"
    assert page.locator("img, #runs script, #chart script").count() == 0


def test_any_text_is_read_or_refused(opened):
    """5,000 mutilated logs and links: curves that hold what they promise, or the documented error; nothing else, and nothing slow."""
    draw = random.Random(5)
    seeds = [path.read_text() for path in sorted(EXAMPLES.glob("*.csv"))]
    seeds = [text[: draw.randrange(80, 400)] for text in seeds]
    seeds += [
        '{"log_history": [{"step": 1, "loss": 2.0}, {"step": 2, "loss": 1.5}], "max_steps": 9}',
        '[{"epoch": 0, "a": 1}, {"epoch": 1}]',
    ]
    seeds += [
        "run\tstep\tmetric\tvalue\na\t0\tx\t1\na\t1\tx\t2\n",
        "0.1 0.2 nan",
        '"a ""b""";step\n1;2\n',
        "[1, null, 3]",
        '{"values": [1, 2]}',
    ]
    pieces = [
        ",",
        ";",
        "\t",
        "\n",
        "\r\n",
        '"',
        "nan",
        "-inf",
        "1e999",
        "1e-320",
        "step",
        "run",
        "metric,value",
        "\0",
        "\ufeff",
        "{",
        "]",
        "é",
        "😀",
    ]

    def mutilated():
        text = draw.choice(seeds)
        for _ in range(draw.randrange(1, 8)):
            i = draw.randrange(len(text) + 1)
            j = min(len(text), i + draw.choice((0, 0, 1, 5, 40)))
            text = text[:i] + draw.choice((draw.choice(pieces), text[j : j + 30], "")) + text[j:]
        return text

    check = """async (texts) => {
      const [{parse, InputError}, {decode}] = await Promise.all([import("lcx/table"), import("lcx/share")]);
      const whole = (c) => c.values.length && c.values.length === c.steps.length && c.values.every(Number.isFinite)
        && c.steps.every((s, i) => Number.isFinite(s) && s > 0 && (i === 0 || s > c.steps[i - 1])) && typeof c.run === "string";
      const counts = {read: 0, refused: 0, wrong: []};
      for (const text of texts) {
        const begin = performance.now();
        try {
          const {curves} = parse(text, "log");
          if (curves.length && curves.every(whole)) counts.read++; else counts.wrong.push(text);
        } catch (error) {
          if (error instanceof InputError && /^Expected .+; got .+\\. .+\\.$/s.test(error.message)) counts.refused++;
          else counts.wrong.push([text, String(error)]);
        }
        if (performance.now() - begin > 2000) counts.wrong.push([text, "slow"]);
        try { await decode("#1." + btoa(unescape(encodeURIComponent(text)))); counts.wrong.push(["decoded", text]); }
        catch (error) { if (!(error instanceof InputError)) counts.wrong.push(["link", text, String(error)]); }
      }
      return counts;
    }"""
    counts = opened().evaluate(check, [mutilated() for _ in range(5000)])
    assert counts["wrong"] == []
    assert counts["read"] > 500
    assert counts["refused"] > 500


def test_the_download_is_small():
    assert PAGE.stat().st_size <= 20e6
