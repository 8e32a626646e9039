"""lcx report: the numbers on the page, what competes and what does not, hostile names; nothing is loaded, and only sorting is run."""

import base64
import hashlib
import math
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
import torch

import lcx
from lcx.cli import app
from lcx.report.html import report_html
from lcx.report.svg import fan

HORIZON = 60
STEPS = np.arange(1, HORIZON + 1)
EVIL = "<script>alert(1)</script>\"'&]]><img src=x onerror=alert(2)>"


def rise(top, points):
    rng = np.random.default_rng(round(1000 * top))
    return 0.1 + (top - 0.1) * (1 - np.exp(-STEPS[:points] / 6)) + 0.002 * rng.standard_normal(points)


RUNS = {
    "hopeless": rise(0.4, 30),
    "leader": rise(0.95, 25),
    "rival": rise(0.93, 20),
    "done": rise(0.8, HORIZON),
    "young": rise(0.7, 1),
    EVIL: rise(0.9, 10),
}


def long_table(runs=RUNS, **attrs):
    rows = [(run, "acc", float(step), y) for run, values in runs.items() for step, y in enumerate(values, 1)]
    table = pd.DataFrame(rows, columns=["run", "metric", "step", "value"])
    table.attrs = attrs
    return table


def report(runs=RUNS, **question):
    given = {"mode": "max", "horizon": HORIZON, "bounds": (0, 1), "device": "cpu"} | question
    return report_html(long_table(runs), "acc", **given)


class Page(HTMLParser):
    """The rows of the ranking as text, the tags used, and their attributes."""

    def __init__(self, text):
        super().__init__()
        self.rows, self.tags, self.attrs, self.words, self.inside = [], set(), [], [], False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attrs += attrs
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
            self.inside = True

    def handle_endtag(self, tag):
        self.inside = self.inside and tag not in ("td", "th")

    def handle_data(self, data):
        self.words.append(data)
        if self.inside:
            self.rows[-1][-1] += data

    def column(self, name):
        """Cells of a column by run."""
        head = self.rows[0].index(name)
        return {row[1]: row[head] for row in self.rows[1:]}


@pytest.fixture(scope="module")
def shown():
    page, runs = report()
    return page, Page(page), runs


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs the command in this process: exit code, standard output, standard error."""

    def command(*arguments):
        monkeypatch.setattr(sys, "argv", ["lcx", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            app.main()
        out = capsys.readouterr()
        return stopped.value.code or 0, out.out, out.err

    return command


def forecast(name, others=True):
    """The end of a run, with all runs that have gone further than the shortest in view."""
    known = [(STEPS[: len(y)], y) for other, y in RUNS.items() if other != name and len(y) > len(RUNS[EVIL])]
    question = {"horizon": HORIZON, "mode": "max", "bounds": (0, 1), "at": [HORIZON], "device": "cpu"}
    return lcx.predict(RUNS[name], others=known if others else None, **question)


def chance(cell):
    return float(cell.removesuffix(" %")) / 100


def test_finals_intervals_and_verdicts_are_those_of_predict_and_the_rule(shown):
    _, page, runs = shown
    whole, alone = forecast("leader"), forecast("leader", others=False)
    assert float(page.column("final")["leader"]) == pytest.approx(whole.median[0], abs=2e-4)
    low, high = map(float, page.column("90 % interval")["leader"].split(" – "))
    np.testing.assert_allclose([low, high], whole.quantile([0.05, 0.95])[0], atol=2e-4)
    median, low, high = map(float, re.findall(r"[\d.]+", page.column("final, alone")["leader"]))
    np.testing.assert_allclose([low, median, high], alone.quantile([0.05, 0.5, 0.95])[0], atol=2e-4)
    verdicts = page.column("verdict")
    assert {name: verdicts[name] for name in ("hopeless", "leader", "done", "young")} == {
        "hopeless": "stop",
        "leader": "go on",
        "done": "finished",
        "young": "wait",
    }
    assert [run.run for run in runs if run.stop] == ["hopeless"]
    text = "".join(page.words)
    assert "1 to stop" in text
    assert next(run.reason for run in runs if run.stop) in text
    assert "1 value(s) so far, 2 needed" in text


def test_p_ends_best_is_that_of_independent_finals(shown):
    """Against quadrature, sum over a grid of dF_i times the other F: 5 standard errors of the page's draws, and its rounding; false alarm
    3e-6."""
    _, page, _ = shown
    grid = torch.linspace(0, 1, 20_001, dtype=torch.float64)
    cdfs = {"done": (grid >= RUNS["done"][-1]).double()}
    for name in ("hopeless", "leader", "rival", EVIL):
        cdfs[name] = forecast(name).predictive.cdf(grid[:, None])[:, 0]
    got = page.column("P(ends best)")
    for name in ("done", "hopeless", "leader", "rival"):
        others = torch.stack([cdf for other, cdf in cdfs.items() if other != name]).prod(0)
        want = (cdfs[name].diff() * (others[1:] + others[:-1]) / 2).sum().item()
        assert abs(chance(got[name]) - want) < 5 * math.sqrt(want * (1 - want) / 10_000) + 0.006, name
    assert sum(chance(cell) for cell in got.values() if cell) == pytest.approx(1, abs=0.02)
    assert got["young"] == ""


def test_equal_finished_runs_share_and_ended_ones_do_not_compete():
    runs = {"a": rise(0.8, HORIZON), "b": rise(0.8, HORIZON), "c": rise(0.6, HORIZON), "crashed": rise(0.99, 40)}
    table = long_table(runs, state={"crashed": "failed"})
    page, _ = report_html(table, "acc", mode="max", horizon=HORIZON, bounds=(0, 1), device="cpu")
    assert Page(page).column("P(ends best)") == {"a": "50 %", "b": "50 %", "c": "0 %", "crashed": ""}
    assert Page(page).column("verdict")["crashed"] == "resume"
    worst, _ = report_html(table, "acc", mode="min", horizon=HORIZON, bounds=(0, 1), device="cpu")
    assert Page(worst).column("P(ends best)")["c"] == "100 %"


def test_a_value_to_beat_is_compared_with_every_run_and_competes():
    page, runs = report(best=0.97, others=False)
    assert {run.to_beat for run in runs} == {0.97}
    found = re.search(r"P\(no run ends better than 0\.97\): ([\d.]+ %)", "".join(Page(page).words))
    shares = [chance(cell) for cell in Page(page).column("P(ends best)").values() if cell]
    assert chance(found[1]) + sum(shares) == pytest.approx(1, abs=0.03)
    assert 0.05 < chance(found[1]) < 1
    hopeless = next(run for run in runs if run.run == "hopeless")
    answer = lcx.predict(RUNS["hopeless"], horizon=HORIZON, mode="max", bounds=(0, 1), device="cpu")
    assert hopeless.stop
    assert hopeless.probability == pytest.approx(answer.prob_better(0.97).max(), abs=1e-6)
    _, spared = report({"best itself": np.append(rise(0.9, 20), 0.2), "b": rise(0.3, 40)}, best=0.85, delta=0.999)
    assert {run.run: run.stop for run in spared} == {"best itself": False, "b": True}
    with pytest.raises(ValueError, match="expected best as a finite number, got nan"):
        report(best=math.nan)


def test_hostile_names_stay_text_and_nothing_is_loaded_or_run():
    table = long_table()
    table["metric"] = "</title><script>x</script>"
    page, _ = report_html(
        table, "</title><script>x</script>", mode="max", horizon=HORIZON, bounds=(0, 1), device="cpu", notes=("<b onclick=x>",)
    )
    page.encode("utf-8")
    parsed = Page(page)
    assert parsed.tags.isdisjoint({"img", "link", "iframe", "object", "use", "image"})
    assert not [name for name, _ in parsed.attrs if name.startswith("on") or name in ("src", "xlink:href")]
    assert all(re.fullmatch(r"#r\d+", where) for name, where in parsed.attrs if name == "href")
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)  # that which sorts, and no other is allowed
    allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{allowed}'\"" in page
    assert "table.sorted" in script
    assert not re.search(r"url\(|@import|https?:", page)
    text = "".join(parsed.words)
    assert "<script>alert(1)</script>" in text
    assert "</title><script>x</script>" in text
    assert "<b onclick=x>" in text


def charts(page):
    return [
        ElementTree.fromstring(svg) for svg in re.findall(r"<svg .*?</svg>", page) if 'class="bar"' not in svg and 'class="all"' not in svg
    ]


def test_every_run_has_a_chart_that_stays_inside_its_box():
    runs = RUNS | {
        "spiky": np.append(rise(0.5, 20), [1e9, 0.5]),
        "constant": np.full(10, 0.3),
        "lost": np.append(rise(0.6, 10), [math.nan, math.inf]),
        "nothing": np.array([math.nan]),
        "long": np.interp(np.linspace(0, 1, HORIZON - 1), [0, 1], [0, 0.5]),
    }
    page, _ = report(runs, bounds=(None, None))
    drawn = charts(page)
    assert len(drawn) == len(runs)
    for svg in drawn:
        for shape in svg.iter():
            for x, y in re.findall(r"(-?[\d.]+|nan|inf),(-?[\d.]+|nan|inf)", shape.get("points", "") + shape.get("d", "")):
                assert 0 <= float(x) <= 300
                assert 0 <= float(y) <= 150


def test_the_page_takes_a_few_kilobytes_a_run():
    t, rng = np.linspace(0.01, 1, 150), np.random.default_rng(3)
    runs = {f"run {i}": (1 - 0.8 * t**0.3 + 0.02 * rng.standard_normal(150))[: 20 + i] for i in range(0, 100, 4)}
    page, shown = report(runs, mode="min", horizon=150)
    assert len(shown) == len(charts(page)) == 25
    assert len(page) < 25 * 8000 + 12_000  # 200 runs: 1.6 MB


def test_runs_to_resume_are_named_with_their_reason_and_drawn():
    runs = {"killed": rise(0.95, 20), "pruned": rise(0.4, 20), "done": rise(0.8, HORIZON)}
    table = long_table(runs, state={"killed": "KILLED", "pruned": "PRUNED"})
    page, rows = report_html(table, "acc", mode="max", horizon=HORIZON, bounds=(0, 1), device="cpu")
    text = " ".join("".join(Page(page).words).split())
    assert "Each forecast reads the other runs that have gone further." in text
    assert "0 running, 1 finished, 2 ended; 0 to stop, 1 to resume." in text
    reason = next(row.reason for row in rows if row.resume)
    assert f"killed at step 20 of {HORIZON}: {reason.partition('; ')[2]}" in text
    (svg,) = re.findall(r'<svg class="all".*?</svg>', page)
    kinds = [shape.get("class") for shape in ElementTree.fromstring(svg).iter() if shape.get("class")]
    assert sum(kind.startswith("median") for kind in kinds) == 1
    assert "Blue: medians of the runs that go on or should be resumed" in text
    given, rows = report_html(table, "acc", mode="max", horizon=HORIZON, bounds=(0, 1), device="cpu", best=0.9999)
    assert ("to resume" in "".join(Page(given).words).partition("How to read")[0], rows[0].to_beat) == (False, 0.9999)


def test_the_page_predicts_once_with_the_others_and_once_alone(monkeypatch):
    calls, call = [], lcx.Extrapolator.__call__
    monkeypatch.setattr(lcx.Extrapolator, "__call__", lambda self, *given, **asked: calls.append(asked) or call(self, *given, **asked))
    report()
    assert [asked["others"] is not None for asked in calls] == [True, False]
    assert [len(asked["horizon"]) for asked in calls] == [4, 4]
    page, _ = report(others=False)
    assert len(calls) == 3
    assert "type=checkbox" not in page


def test_the_head_says_what_the_page_is_about(shown):
    page, _ = report(source="logs/<b>", model="general")
    text = " ".join("".join(Page(page).words).split())
    assert "acc: 6 runs of logs/<b>" in text
    assert "model general. Each forecast reads the other runs that have gone further." in text
    left = sum(HORIZON - len(y) for y in RUNS.values())
    assert f"5 running, 1 finished; 1 to stop. {left} steps are left in the running runs, {left - 30} of them in those not to stop" in text
    assert "Likeliest to end best: leader," in text
    assert text.index("Ranking") < text.index("1 to stop, and why") < text.index("All runs") < text.index("Each run")
    reason = next(run.reason for run in shown[2] if run.stop)
    assert re.fullmatch(r"ends near 0\.\d+; the best is 0\.93\d+ of leader, the chance to beat it \S+", reason)
    assert re.fullmatch(r"[\d.]+ to beat 0\.\d+ of rival", next(run.reason for run in shown[2] if run.run == "leader"))


def test_all_runs_are_in_the_first_chart_with_the_leader_marked(shown):
    (svg,) = re.findall(r'<svg class="all".*?</svg>', shown[0])
    kinds = [shape.get("class") for shape in ElementTree.fromstring(svg).iter() if shape.get("class")]
    assert sum(kind.startswith("seen") for kind in kinds) == len(RUNS)
    assert kinds.count("median first") == 1
    assert kinds.count("median cut") == 1
    assert kinds.count("wide") == 4


def test_thinning_keeps_spikes_and_ends():
    values = np.where(np.arange(5000) == 2500, 0.9, 0.2 + 1e-5 * np.arange(5000))
    drawn = fan((np.arange(1.0, 5001), values), np.empty(0), np.empty((0, 5)), horizon=5000, to_beat=math.nan)
    seen = next(shape for shape in ElementTree.fromstring(drawn).iter() if shape.get("class") == "seen").get("points").split()
    assert len(seen) <= 122
    heights = [float(point.split(",")[1]) for point in seen]
    assert min(heights) < 0.5 * max(heights)
    x = [float(point.split(",")[0]) for point in seen]
    assert (x[0], x[-1], x) == (46.0, 296.0, sorted(x))


def test_the_command_writes_the_page_or_nothing(run, tmp_path):
    folder = tmp_path / "logs"
    folder.mkdir()
    for name, values in {"a": rise(0.9, 20), "b": rise(0.3, 30)}.items():
        pd.DataFrame({"step": STEPS[: len(values)], "acc": values}).to_csv(folder / f"{name}.csv", index=False)
    (folder / "broken.json").write_text('{"log_history": [')
    base = ["report", folder, "--metric", "acc", "--mode", "max", "--horizon", HORIZON, "--device", "cpu"]
    out = tmp_path / "page.html"
    code, said, err = run(*base, "--lower", "0", "--upper", "1", "-o", out)
    assert (code, err) == (0, "")
    assert said == f"{out}: 2 runs, 1 to stop\n"
    text = "".join(Page(out.read_text(encoding="utf-8")).words)
    assert "broken.json" in text
    before = out.read_bytes()
    assert f"acc: 2 runs of {folder}" in text
    assert "type=checkbox" in out.read_text(encoding="utf-8")
    assert run(*base, "--alone", "-o", tmp_path / "alone.html")[0] == 0
    assert "type=checkbox" not in (tmp_path / "alone.html").read_text(encoding="utf-8")
    (tmp_path / "alone.html").unlink()
    code, said, err = run(*base[:3], "loss", *base[4:], "-o", out)
    assert (code, said) == (2, "")
    assert "got 'loss'" in err
    code, _, err = run(*base, "-o", tmp_path / "none" / "page.html")
    assert code == 2
    assert len(err.strip().splitlines()) == 1
    assert out.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["logs", "page.html"]


@pytest.mark.slow  # 2 s, where there is a browser
@pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium")
def test_a_browser_shows_it_without_a_message(shown, tmp_path):
    """A script in a name would run here; the console says what the page was denied."""
    page, parsed, _ = shown
    path = tmp_path / "report.html"
    path.write_text(page, encoding="utf-8")
    command = ["chromium", "--headless", "--no-sandbox", "--enable-logging=stderr", "--dump-dom", path.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    assert "CONSOLE" not in done.stderr
    assert Page(done.stdout).column("verdict") == parsed.column("verdict")


@pytest.mark.slow  # 1 s, where there is a browser
@pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium")
def test_a_click_sorts_the_table(shown, tmp_path):
    """With a click written into the page, whose policy would not let it run."""
    click = 'document.querySelectorAll("thead button")[7].click();document.querySelectorAll("thead button")[7].click();'
    page = re.sub(r"<meta http-equiv.*?>", "", shown[0]).replace("</script></body>", f"</script><script>{click}</script></body>")
    path = tmp_path / "report.html"
    path.write_text(page, encoding="utf-8")
    done = subprocess.run(
        ["chromium", "--headless", "--no-sandbox", "--dump-dom", path.as_uri()], capture_output=True, text=True, timeout=300
    )
    steps = [int(step.split("/")[0]) for step in Page(done.stdout).column("step").values()]
    assert steps == sorted(steps, reverse=True)
