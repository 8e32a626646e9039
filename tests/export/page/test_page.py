"""The browser page in headless Chromium: its numbers are Python's, by keyboard and on a phone, in the dark, by link, on bad input.

Run by ``make test-page``; needs playwright, Debian's chromium, and the page built by ``make page``.
"""

import json
import random
import re
import shutil
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import lcx
from lcx.cli.page import PAGE
from lcx.export.onnx import LEVELS
from lcx.stopping.rules import never_better, spare_incumbent

pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium")
EXAMPLES = Path(__file__).parents[3] / "examples"
pytestmark = [
    pytest.mark.slow,  # 3 min in all, some 3 s each, but 30 for any text
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


@contextmanager
def opening(browser):
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


@pytest.fixture
def opened(browser):
    with opening(browser) as new:
        yield new


@pytest.fixture(scope="module")
def shared(browser):
    """One page for the many questions that it forgets: a start takes two seconds."""
    with opening(browser) as new:
        yield new()


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
def test_numbers_and_verdict_are_pythons(shared, case):
    file, metric, upto, horizon, mode, lower, upper, best = case
    text = (EXAMPLES / f"{file}.csv").read_text()
    asked = {"mode": mode, "horizon": horizon, "lower": lower, "upper": upper, "best": best, "upto": upto}
    (got,) = shared.evaluate(PREDICT, {"text": text, "metric": metric, "asked": asked})
    curve = pd.read_csv(EXAMPLES / f"{file}.csv").query("step <= @upto")
    answer = lcx.predict(curve[metric], curve["step"], horizon=horizon, mode=mode, at=got["at"], bounds=(lower, upper), device="cpu")
    unit = np.ptp(curve[metric]) or 1.0
    assert got["at"][-1] == horizon
    np.testing.assert_allclose(got["quantiles"], answer.quantile(LEVELS), rtol=0, atol=1e-4 * unit)
    np.testing.assert_allclose(got["better"], answer.prob_better(best), atol=1e-4)
    verdict = spare_incumbent(never_better(0.05))(answer, best)
    assert got["stop"] == verdict.stop
    assert got["chance"] == pytest.approx(verdict.probability, abs=1e-4)


def study(count=12):
    """Runs of the example's kind: each slower than the one before, at every step or every third, the even ones finished at step 100."""
    curve = pd.read_csv(EXAMPLES / "digits_accuracy.csv")
    for k in range(count):
        steps = np.arange(1 + k % 3, 101 if k % 2 == 0 else 12 + 5 * k, 1 + 2 * (k % 3 == 0))
        values = np.interp(steps / (1 + 0.2 * k), curve.step, curve.accuracy) - 0.003 * k
        yield f"run{k}", steps, values


def test_runs_that_inform_one_another_are_predicted_as_in_python(opened):
    runs = list(study())
    long = np.arange(1, 1001) / 10  # of which 256 points are read
    runs.append(("long", long, 0.9 - 0.7 * (1 + long) ** -0.5))
    text = "run,step,accuracy\n" + "\n".join(f"{name},{s},{v}" for name, steps, values in runs for s, v in zip(steps, values, strict=True))
    page = opened()
    for others in (True, False):
        asked = {"mode": "max", "horizon": 100, "lower": 0, "upper": 1, "best": None, "others": others}
        got = page.evaluate(PREDICT, {"text": text, "metric": "accuracy", "asked": asked})
        for k, (_, steps, values) in enumerate(runs):
            rest = [(t, y) for i, (_, t, y) in enumerate(runs) if i != k]
            if steps[-1] == 100:
                assert got[k]["at"] == []
                continue
            question = {"horizon": 100, "mode": "max", "at": got[k]["at"], "bounds": (0, 1), "device": "cpu"}
            answer = lcx.predict(values, steps, others=rest if others else None, **question)
            np.testing.assert_allclose(got[k]["quantiles"], answer.quantile(LEVELS), rtol=0, atol=1e-4 * np.ptp(values))
            best = max(y.max() for _, y in rest)
            np.testing.assert_allclose(got[k]["better"], answer.prob_better(best), atol=1e-4)


def test_runs_inform_one_another_unless_switched_off(opened, tmp_path):
    for name, steps, values in study(3):
        pd.DataFrame({"epoch": steps, "accuracy": values}).to_csv(tmp_path / f"{name}.csv", index=False)
    page = opened()
    ask(page, "max", horizon=100, lower=0, upper=1)
    page.set_input_files("#files", sorted(tmp_path.glob("*.csv")))
    together = table(page)
    assert page.inner_text("#together") == "Each forecast also learns from the 2 other runs"
    page.focus("#others")
    page.keyboard.press("Space")
    page.wait_for_function("row => document.querySelectorAll('#runs tbody tr')[1].innerText !== row", arg="\t".join(together[1]))
    (_, steps, values), first, last = list(study(3))[1], *(list(study(3))[i] for i in (0, 2))
    page.wait_for_timeout(500)
    alone = table(page)
    for shown, others in ((together, [first[1:], last[1:]]), (alone, None)):
        answer = lcx.predict(values, steps, horizon=100, mode="max", bounds=(0, 1), others=others, device="cpu")
        assert f"{answer.median[-1]:.4g}"[:5] in " ".join(shown[1])
    assert alone[1][2] != together[1][2]
    page.click("#share")
    said(page, "link")
    other = opened(page.evaluate("location.hash"))
    assert table(other) == alone
    assert not other.is_checked("#others")


def test_nothing_set_is_inferred_and_may_be_cleared(opened):
    curve = pd.read_csv(EXAMPLES / "digits_accuracy.csv").head(30)
    page = opened()
    page.fill("#paste", curve.assign(loss=1 - curve.accuracy).rename(columns={"accuracy": "eval_accuracy"}).to_csv(index=False))
    (row,) = table(page)
    fields = {name: page.input_value(f"#{name}") for name in FIELDS}
    assert fields == {"horizon": "60", "upto": "", "lower": "0", "upper": "1", "best": ""}
    assert page.is_checked("input[value=max]")
    answer = lcx.predict(curve.accuracy, horizon=60, mode="max", bounds=(0, 1), device="cpu")
    assert f"{answer.quantile(0.95)[-1]:.4g}"[:5] in " ".join(row)
    told = "Suggested, for you to change or clear: direction and bounds by the name “eval_accuracy”; the last step is twice as far as now."
    assert page.inner_text("#suggested") == told
    page.select_option("#metric", "loss")
    page.wait_for_selector("input[value=min]:checked")
    assert (page.input_value("#lower"), page.input_value("#upper")) == ("0", "")
    page.fill("#lower", "")
    page.fill("#horizon", "")
    said(page, "Enter the last step of a full run.")
    page.fill("#horizon", "90")
    table(page)
    assert (page.input_value("#lower"), page.input_value("#horizon")) == ("", "90")
    page.select_option("#metric", "eval_accuracy")
    page.wait_for_selector("input[value=max]:checked")
    assert (page.input_value("#lower"), page.input_value("#upper"), page.input_value("#horizon")) == ("0", "1", "90")


def test_what_was_entered_is_kept_and_what_nobody_can_tell_is_asked(opened):
    page = opened()
    ask(page, "min")
    page.fill("#paste", "accuracy\n0.1\n0.2\n")
    table(page)
    assert page.is_checked("input[value=min]")
    page.click("#clear")
    page.fill("#paste", "score\n0.1\n0.2\n")
    said(page, "Choose whether larger or smaller values are better.")
    assert page.input_value("#horizon") == "4"


def test_a_bad_file_is_named_and_skipped(opened, tmp_path):
    (tmp_path / "good.csv").write_text("epoch,accuracy\n1,0.3\n2,0.4\n3,0.45\n")
    (tmp_path / "bad.csv").write_text("no numbers\nhere\n")
    page = opened()
    page.set_input_files("#files", [tmp_path / "bad.csv", tmp_path / "good.csv"])
    assert [row[0] for row in table(page)] == ["good"]
    assert page.inner_text("#faults").startswith("bad.csv is left out. Expected a column of numbers")
    page.fill("#horizon", "20")  # which mends nothing
    page.wait_for_function("() => document.querySelector('#numbers tbody tr:last-child').textContent.includes('20')")
    assert page.inner_text("#faults").startswith("bad.csv is left out.")
    page.set_input_files("#files", [tmp_path / "good.csv"])
    page.wait_for_function("() => document.querySelectorAll('#runs tbody tr').length === 2")
    assert page.inner_text("#faults") == ""


def test_a_single_run_at_its_end_is_shown_as_finished(opened):
    page = opened()
    ask(page, horizon=2)
    page.fill("#paste", "loss\n1\n0.5\n")
    (row,) = table(page)
    assert " ".join(row[1:]).startswith("0.5 0.5 – – Finished")
    assert page.locator("#chart circle").count() == 2


def many(count):
    """A log of runs of which the later ones are better."""
    rows = (f"run-{k:03},{s},{0.5 + 0.001 * k - 0.3 * s**-0.5}" for k in range(count) for s in range(1, 6 + k % 5))
    return "run,step,accuracy\n" + "\n".join(rows) + "\n"


def test_of_many_runs_the_best_are_shown_or_those_chosen(opened):
    page = opened()
    ask(page, horizon=20)
    page.fill("#paste", many(40))
    assert len(table(page)) == 10
    assert page.inner_text("#chosen") == "The 10 best so far of 40 runs are shown: choose others"
    assert page.inner_text("#together") == "Each forecast also learns from the 39 other runs"
    page.click("#chosen")
    shown = page.locator("#names input:checked").evaluate_all("boxes => boxes.map((box) => box.value)")
    assert [row[0] for row in table(page)] == shown
    page.locator("#names input:checked").first.click()
    page.wait_for_function("() => document.querySelectorAll('#runs tbody tr').length === 9")
    page.fill("#search", "N-003")
    page.focus("#names input")
    page.keyboard.press("Space")
    page.wait_for_function("() => document.querySelectorAll('#runs tbody tr').length === 10")
    assert page.evaluate("document.activeElement.value") == "run-003"
    assert table(page)[0][0] == "run-003"
    page.fill("#search", "")
    assert page.locator("#names input:not(:checked):not(:disabled)").count() == 0
    page.click("#best-runs")
    page.wait_for_function("() => !document.querySelector('#runs tbody').innerText.includes('run-003')")


def test_one_run_is_brought_out_from_its_row_and_read_under_the_pointer(opened):
    page = opened()
    ask(page, horizon=20)
    page.fill("#paste", many(3))
    table(page)
    lit = "document.querySelector('#chart .one .lit polyline')?.getAttribute('stroke') ?? null"
    colours = page.locator("#runs .swatch").evaluate_all("all => all.map((one) => getComputedStyle(one).backgroundColor)")
    page.hover("#runs tbody tr:nth-child(2)")
    assert page.evaluate(f"const made = document.createElement('i'); made.style.color = {lit}; made.style.color") == colours[1]
    page.focus("#runs tbody tr:nth-child(3) .name")
    page.keyboard.press("Enter")
    page.mouse.move(5, 5)
    page.focus("#horizon")
    assert page.get_attribute("#runs tbody tr:nth-child(3) .name", "aria-pressed") == "true"
    assert page.evaluate(f"const made = document.createElement('i'); made.style.color = {lit}; made.style.color") == colours[2]
    dot = page.locator("#chart circle").first.bounding_box()  # of the run drawn first, which is not lit
    page.mouse.move(dot["x"] + 2, dot["y"] + 2)
    assert re.fullmatch(r"Step 1 – run-00\d: observed 0\.\d+", page.inner_text("#reading"))


def test_axes_may_be_logarithmic_where_values_are_above_zero(opened):
    page = opened()
    page.fill("#paste", "step,loss\n" + "\n".join(f"{s},{1000 / s**2}" for s in range(1, 30)))
    table(page)
    linear = page.locator("#chart circle").evaluate_all("all => all.map((one) => Number(one.getAttribute('cy')))")
    page.check("#log-values")
    page.check("#log-steps")
    points = np.array(
        page.locator("#chart circle").evaluate_all("all => all.map((one) => ['cx', 'cy'].map((n) => Number(one.getAttribute(n))))")
    )
    assert np.diff(points[:, 1]) == pytest.approx(
        np.diff(points[:, 0]) * np.diff(points[:2, 1]) / np.diff(points[:2, 0]), abs=0.1
    )  # a line
    assert not np.allclose(points[:, 1], linear)
    page.fill("#paste", "step,loss\n1,2\n2,0\n3,-1\n")
    page.wait_for_selector("#log-values:disabled")


def test_picture_and_numbers_are_saved(opened, tmp_path):
    page = opened(accept_downloads=True)
    ask(page, horizon=20)
    page.fill("#paste", many(2))
    table(page)
    for kind in ("csv", "png"):
        with page.expect_download() as download:
            page.click(f"#{kind}")
        download.value.save_as(tmp_path / f"lcx.{kind}")
    saved = pd.read_csv(tmp_path / "lcx.csv")
    assert list(saved) == ["run", "step", "accuracy", *(f"q{q}" for q in LEVELS), "p_better"]
    assert saved.groupby("run")["step"].max().to_dict() == {"run-000": 20, "run-001": 20}
    assert saved["accuracy"].notna().sum() == 5 + 6
    assert saved.loc[saved["accuracy"].isna(), [f"q{q}" for q in LEVELS]].notna().all(axis=None)
    picture = (tmp_path / "lcx.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert len(picture) > 10_000


def test_on_a_phone_the_answer_comes_first_once_there_is_one(opened):
    page = opened(viewport={"width": 390, "height": 844})
    above = "document.getElementById('answer').offsetTop < document.getElementById('form').offsetTop"
    assert not page.evaluate(above)
    page.click("#example")
    table(page)
    assert page.evaluate(above)
    page.click("#clear")
    said(page, "Paste a curve")
    assert not page.evaluate(above)


def test_points_missing_or_too_many_are_read_as_in_python(shared):
    steps = np.arange(1, 1001)
    values = 2 / steps**0.5 + 0.01 * np.sin(steps)
    values[::7] = np.nan
    text = "step,loss\n" + "\n".join(f"{s},{v}" for s, v in zip(steps, values, strict=True))
    asked = {"mode": "min", "horizon": 2000, "lower": 0, "upper": None, "best": None}
    (got,) = shared.evaluate(PREDICT, {"text": text, "metric": "loss", "asked": asked})
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
    others = [(None, curve.accuracy.head(30))]
    answer = lcx.predict(0.3 * curve.accuracy.head(30), horizon=100, mode="max", bounds=(0, 1), others=others, device="cpu")
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
    page.wait_for_selector("svg text.beat >> text=to beat 0.9", timeout=60_000)  # the last answer: an earlier one would be drawn over later
    assert table(page)[0][0] == "pasted"
    for _ in range(4):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.tagName") == "svg":
            break
    page.keyboard.press("Home")
    assert page.inner_text("#reading") == "Step 1 – observed 0.31"
    page.keyboard.press("End")
    assert page.inner_text("#reading").startswith("Step 20 – median 0.")


def test_the_chart_keeps_the_focus_when_another_answer_comes(opened):
    page = opened()
    page.fill("#paste", "epoch,accuracy\n1,0.31\n2,0.42\n3,0.48\n4,0.5\n")
    page.fill("#horizon", "20")
    table(page)
    page.focus("svg[tabindex]")
    page.evaluate("best.value = 0.55; best.dispatchEvent(new Event('input', { bubbles: true }))")
    page.wait_for_selector("svg text.beat", timeout=60_000)
    assert page.evaluate("document.activeElement.tagName") == "svg"


@pytest.mark.parametrize("size", [(390, 844), (320, 640), (1280, 900)], ids=lambda size: f"{size[0]}px")
def test_everything_fits_and_can_be_read(opened, size, tmp_path):
    page = opened(viewport={"width": size[0], "height": size[1]})
    page.click("#example")
    table(page)
    page.screenshot(path=tmp_path / "page.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    assert page.locator("#png").bounding_box()["y"] == page.locator("#csv").bounding_box()["y"]  # side by side
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        dim = page.evaluate(CONTRAST)
        assert [text for text, ratio in dim if ratio < 4.5] == []  # WCAG 2 AA
    small = "[...document.querySelectorAll('input:not([type=radio]):not([type=checkbox]):not([type=file]), select, button, .button')]"
    assert page.evaluate(f"{small}.every((e) => !e.getClientRects().length || e.getBoundingClientRect().height >= 36)")
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
        ("loss\n1\n0.5\n", {"horizon": "1"}, "Expected no steps beyond the last step of a full run, 1; got 2"),
        ("loss\n1\n0.5\n", {"horizon": "ten"}, "Expected a number for “Last step of a full run”; got “ten”"),
        ("loss\n1\n0.5\n", {"horizon": "-4"}, "Enter a number > 0"),
        ("loss\n1\n0.5\n", {"lower": "0.7"}, "Expected values between the bounds 0.7 and ∞; got 0.5 at step 2"),
        ("loss\n1\n0.5\n", {"lower": "3", "upper": "2"}, "Expected a lower bound below the upper; got 3 and 2"),
        ("loss\n1\n0.5\n", {"upto": "0.5"}, "Expected at least one value; got none"),
        ("loss\n1\n0.5\n", {"best": "0,4"}, "Write decimals with a point"),
        ("loss\n1e308\n-1e308\n", {}, "Expected values with a finite range"),
    ],
)
def test_bad_input_is_told_in_three_parts(shared, text, fields, words):
    page = shared
    page.click("#clear")
    said(page, "Paste a curve")
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


def test_any_text_is_read_or_refused(shared):
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
    counts = shared.evaluate(check, [mutilated() for _ in range(5000)])
    assert counts["wrong"] == []
    assert counts["read"] > 500
    assert counts["refused"] > 500


def test_the_download_is_small():
    assert PAGE.stat().st_size <= 20e6
