"""lcx watch and lcx replay: verdicts from any log, files that grow, break, appear and vanish; savings and false stops of finished runs."""

import json
import math
import sys

import numpy as np
import pandas as pd
import pytest
import torch

from lcx.cli.many_runs import rounded_down
from lcx.extrapolator import Extrapolator
from lcx.replay import freeze_thaw
from lcx.report.leaderboard import standings
from lcx.stopping import hyperparameters
from lcx.stopping.false_stops import usual_share

HORIZON = 40
STEPS = np.arange(1, HORIZON + 1)
FOR_SURE = ["--mode", "max", "--lower", "0", "--upper", "1", "--device", "cpu"]
BASE = [*FOR_SURE, "--metric", "acc", "--horizon", HORIZON]


def rise(top, points, noise=0.002):
    """A run that climbs from 0.1 to ``top`` within some 20 steps."""
    rng = np.random.default_rng(round(1000 * top))
    return 0.1 + (top - 0.1) * (1 - np.exp(-STEPS[:points] / 6)) + noise * rng.standard_normal(points)


RUNS = {"hopeless": rise(0.4, 30), "winner": rise(0.95, 25), "done": rise(0.8, HORIZON), "young": rise(0.7, 1)}


def long_table(runs=RUNS, **attrs):
    rows = [(run, "acc", float(step), y) for run, values in runs.items() for step, y in enumerate(values, 1)]
    table = pd.DataFrame(rows, columns=["run", "metric", "step", "value"])
    table.attrs = attrs
    return table


def by_name(table, **question):
    question = {"mode": "max", "horizon": HORIZON, "bounds": (0, 1), "device": "cpu"} | question
    return {run.run: run for run in standings(table, "acc", **question)}


def to_csv(folder, runs=RUNS):
    folder.mkdir(exist_ok=True)
    for run, values in runs.items():
        pd.DataFrame({"step": STEPS[: len(values)], "acc": values, "loss": -np.asarray(values)}).to_csv(
            folder / run, index=False, na_rep="nan"
        )
    return folder


def to_csv_files(folder, runs):
    return to_csv(folder, {f"{run}.csv": values for run, values in runs.items()})


def to_jsonl(folder, runs):
    folder.mkdir()
    lines = [json.dumps({"run": run, "step": step, "acc": y}) for run, values in runs.items() for step, y in enumerate(values, 1)]
    (folder / "log.jsonl").write_text("\n".join(lines))
    return folder / "log.jsonl"


def to_huggingface(folder, runs):
    for run, values in runs.items():
        (folder / run).mkdir(parents=True)
        history = [{"step": step, "acc": y} for step, y in enumerate(values, 1)]
        (folder / run / "trainer_state.json").write_text(json.dumps({"max_steps": HORIZON, "log_history": history}))
    return folder


def to_tensorboard(folder, runs):
    from torch.utils.tensorboard import SummaryWriter

    for run, values in runs.items():
        with SummaryWriter(str(folder / run)) as writer:
            for step, y in enumerate(values, 1):
                writer.add_scalar("acc", y, step)
    return folder


def to_optuna(folder, runs):
    optuna = pytest.importorskip("optuna")
    folder.mkdir()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(str(folder / "journal.log")))
    study = optuna.create_study(storage=storage, study_name="s", direction="maximize")
    for values in runs.values():
        trial = study.ask()
        for step, y in enumerate(values, 1):
            trial.report(y, step)
        if len(values) == HORIZON:
            study.tell(trial, values[-1])
    return folder / "journal.log"


SLOW = [pytest.param(writer, marks=pytest.mark.slow) for writer in (to_tensorboard, to_optuna)]  # 8 s and 3 s: their packages load slowly


@pytest.mark.parametrize("writer", [to_csv_files, to_jsonl, to_huggingface, *SLOW])
def test_any_format_gives_the_same_runs(run, tmp_path, writer):
    horizon = [] if writer in (to_huggingface, to_optuna) else ["--horizon", HORIZON]  # these logs tell it, or that a run is finished
    metric = "value" if writer is to_optuna else "acc"  # a study's metric has no name unless it is given one
    code, out, err = run("watch", writer(tmp_path / "logs", RUNS), *FOR_SURE, "--metric", metric, *horizon, "--once", "--json")
    assert code == 0, err
    answer = json.loads(out)
    expected = sorted(by_name(long_table()).values(), key=lambda row: row.last)
    found = sorted(answer["runs"], key=lambda row: row["last"])
    assert [row["stop"] for row in found] == [row.stop for row in expected]
    assert [row["state"] for row in found] == [row.state for row in expected]
    for mine, theirs in zip(found, expected, strict=True):
        for name in ("step", "horizon", "last", "best", "final", "low", "high", "to_beat", "probability"):
            theirs_now = getattr(theirs, name)
            assert mine[name] == (None if math.isnan(theirs_now) else pytest.approx(theirs_now, rel=1e-4)), name  # events are float32


def test_the_table_is_sorted_by_the_predicted_final_and_has_no_escape_codes(run, tmp_path):
    code, out, _ = run("watch", to_csv_files(tmp_path / "logs", RUNS), *BASE, "--once")
    head, header, *lines = out.splitlines()
    assert code == 0
    assert "\x1b" not in out
    assert head == "acc (max): 4 runs, 3 running, 1 to stop; 64 steps left, 54 of them in runs not to stop"
    assert header.split() == ["run", "verdict", "P(better)", "step", "last", "best", "final", "5", "%", "95", "%", "curve", "reason"]
    assert [line.split()[0] for line in lines] == ["winner.csv", "done.csv", "hopeless.csv", "young.csv"]
    assert [line[len("hopeless.csv") :].strip()[:8].strip() for line in lines] == ["go on", "finished", "stop", "wait"]
    assert "25/40" in lines[0]
    assert lines[-1].endswith("1 value(s) so far, 2 needed")


@pytest.mark.parametrize("command", [("watch", "--once"), ("report", "-o", "page.html")])
def test_beside_trainings_one_thread_forecasts_and_the_others_come_back(run, tmp_path, monkeypatch, command):
    seen, answer, before = [], Extrapolator.__call__, torch.get_num_threads()
    monkeypatch.setattr(Extrapolator, "__call__", lambda *asked, **named: seen.append(torch.get_num_threads()) or answer(*asked, **named))
    monkeypatch.chdir(tmp_path)
    torch.set_num_threads(2)
    code, _, err = run(command[0], to_csv_files(tmp_path / "logs", RUNS), *BASE, *command[1:])
    after = torch.get_num_threads()
    torch.set_num_threads(before)
    assert (code, {*seen}, after) == (0, {1}, 2), err


def test_alone_reads_no_other_run(run, tmp_path):
    logs = to_jsonl(tmp_path / "logs", RUNS)
    for options, others in ([], True), (["--alone"], False):
        code, out, err = run("watch", logs, *BASE, "--once", "--json", *options)
        assert code == 0, err
        found = {row["run"]: row["final"] for row in json.loads(out)["runs"]}
        assert found["winner"] == pytest.approx(by_name(long_table(), others=others)["winner"].final, rel=1e-5)


def test_what_cannot_be_predicted_says_why():
    nan, inf = math.nan, math.inf
    runs = {
        "diverged": [0.2, 0.3, nan, inf],
        "outside": [0.2, 0.3, 1.5],
        "nothing": [nan, nan],
        "beyond": [*rise(0.5, HORIZON), 0.6],
        "pruned": [0.3, 0.31, 0.32],
        "going": [0.3, 0.5, 0.6],
    }
    rows = by_name(long_table(runs, state={"pruned": "PRUNED", "going": "RUNNING"}))
    reasons = {name: row.reason for name, row in rows.items()}
    assert reasons["diverged"] == "no finite value at step 4, 2 in a row"
    assert "outside the bounds" in reasons["outside"]
    assert reasons["nothing"].startswith("no finite value at step 2")
    assert "beyond the horizon" in reasons["beyond"]
    assert (rows["pruned"].state, reasons["pruned"].partition(",")[0]) == ("pruned", "ended at step 3; resumed")
    assert not any(row.stop for row in rows.values())
    assert [name for name, row in rows.items() if not math.isnan(row.probability)] == ["going", "pruned"]
    assert rows["going"].to_beat == 0.6  # of the run beyond the horizon
    assert list(rows)[:2] in (["beyond", "going"], ["going", "beyond"])
    assert rows["diverged"].best == 0.3


def test_a_lone_run_has_nothing_to_beat_and_the_incumbent_is_spared():
    alone = by_name(long_table({"a": rise(0.5, 20)}))["a"]
    assert (alone.stop, alone.reason) == (False, "there is no other run to beat yet")
    assert alone.low < alone.final < alone.high
    fallen = np.concatenate([rise(0.95, 20), np.full(15, 0.2)])  # 0.92, then 0.2: it will hardly see 0.8 again
    rows = by_name(long_table({"fallen": fallen, "other": rise(0.8, 30)}))
    assert rows["fallen"].probability <= 0.05
    assert not rows["fallen"].stop
    assert rows["fallen"].reason.startswith("holds the best value")
    assert rows["other"].stop


def test_mode_min_mirrors_mode_max():
    low = {name: 1 - values for name, values in RUNS.items()}
    rows, mirrored = by_name(long_table()), by_name(long_table(low), mode="min")
    assert list(rows) == list(mirrored)
    for name, row in rows.items():
        assert mirrored[name].stop == row.stop
        np.testing.assert_allclose(1 - mirrored[name].final, row.final, atol=2e-3)


def looks(run, monkeypatch, changes, *arguments):
    """The JSON of each look, with a change of the files before each but the first."""
    left = list(changes)
    monkeypatch.setattr("time.sleep", lambda seconds: left.pop(0)())
    code, out, err = run("watch", *arguments, "--every", "0.01", "--refreshes", len(changes) + 1, "--json")
    assert code == 0, err
    assert not left
    return [json.loads(line) for line in out.splitlines()]


def test_runs_grow_break_appear_and_vanish(run, tmp_path, monkeypatch):
    folder = to_huggingface(tmp_path / "logs", {"a": rise(0.9, 20), "b": rise(0.5, 10)})
    state, whole = folder / "b" / "trainer_state.json", (folder / "b" / "trainer_state.json").read_text()

    def grow():
        to_huggingface(tmp_path / "longer", {"a": rise(0.9, 21)})
        (tmp_path / "longer" / "a" / "trainer_state.json").replace(folder / "a" / "trainer_state.json")

    changes = [
        grow,
        lambda: state.write_text(whole[: len(whole) // 2]),
        lambda: state.write_text(whole),
        lambda: to_csv_files(folder, {"c": rise(0.7, 5)}),
        lambda: (state.unlink(), state.parent.rmdir()),
    ]
    seen = looks(run, monkeypatch, changes, folder, *BASE)
    assert [sorted(row["run"] for row in look["runs"]) for look in seen] == [*[["a", "b"]] * 4, ["a", "b", "c.csv"], ["a", "c.csv"]]
    steps = [{row["run"]: row["step"] for row in look["runs"]} for look in seen]
    assert [step["a"] for step in steps] == [20, *[21] * 5]
    assert steps[2]["b"] == 10
    assert ["trainer_state.json" in " ".join(look["warnings"]) for look in seen] == [False, False, True, False, False, False]


def test_a_single_file_may_be_half_written_or_gone_for_a_while(run, tmp_path, monkeypatch):
    file = to_jsonl(tmp_path / "logs", RUNS)
    whole = file.read_text()
    changes = [
        lambda: file.write_text("{"),
        file.unlink,
        lambda: file.write_text('{"step": 1, "other": 2}'),
        lambda: file.write_text(whole),
    ]
    seen = looks(run, monkeypatch, changes, file, *BASE)
    assert all(look["runs"] == seen[0]["runs"] for look in seen)
    assert [bool(look["warnings"]) for look in seen] == [False, True, True, True, False]
    assert "'acc'" in seen[3]["warnings"][0]


def test_the_limit_for_a_rate_of_false_stops_falls_with_the_number_of_runs(run, tmp_path):
    """Of three runs with a value: the table has a fourth, of which nothing was logged."""
    logs = to_csv_files(tmp_path / "logs", {name: RUNS[name] for name in ("hopeless", "winner", "done")} | {"empty": np.full(3, np.nan)})
    code, out, _ = run("watch", logs, *BASE, "--once", "--json", "--false-stops", "0.1")
    assert code == 0
    assert json.loads(out)["delta"] == pytest.approx(usual_share(0.1) / 3)
    code, _, _ = run("report", logs, *BASE, "--false-stops", "0.1", "--output", tmp_path / "report.html")
    assert code == 0
    assert f"at most {usual_share(0.1) / 3:g} at every later step" in (tmp_path / "report.html").read_text()


def test_no_point_so_early_is_said(run, tmp_path):
    code, _, err = run("watch", to_csv_files(tmp_path / "logs", RUNS), *BASE, "--once", "--upto", "0.5")
    assert code == 2
    assert "expected points up to step 0.5, got none before step 1; raise --upto" in " ".join(err.split())


def test_control_c_ends_cleanly(run, tmp_path, monkeypatch):
    def interrupt(seconds):
        assert seconds == 7
        raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", interrupt)
    code, out, err = run("watch", to_csv_files(tmp_path / "logs", RUNS), *BASE, "--every", "7")
    assert (code, err) == (0, "")
    assert out.count("4 runs") == 1


def test_a_terminal_is_redrawn_in_place(run, tmp_path, monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    code, out, _ = run("watch", to_csv_files(tmp_path / "logs", RUNS), *BASE, "--every", "0.01", "--refreshes", "2")
    assert code == 0
    assert "\x1b[1A" in out  # up a line
    assert "winner.csv" in out
    assert out.endswith("\x1b[?25h")  # the cursor is shown again


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["watch", "LOGS", "--metric", "accuracy", "--mode", "max", "--horizon", "40"], "out of acc, loss, got 'accuracy'"),
        (["watch", "LOGS", "--metric", "acc", "--mode", "max"], "--horizon N"),
        (["watch", "LOGS", "--metric", "acc", "--mode", "up", "--horizon", "40"], "'up'"),
        (["watch", "LOGS", "--metric", "acc", "--mode", "max", "--horizon", "-1"], "-1"),
        (["watch", "LOGS", "--metric", "acc", "--mode", "max", "--horizon", "40", "--delta", "1"], "got 1.0"),
        (["watch", "LOGS", "--metric", "acc", "--mode", "max", "--horizon", "40", "--false-stops", "0.9"], "from 0.01 to 0.5, got 0.9"),
        (["watch", "LOGS", "--metric", "acc", "--mode", "max", "--horizon", "40", "--min-points", "0"], "min_points"),
        (["watch", "LOGS", "--metric", "acc", "--mode", "max", "--horizon", "40", "--every", "0"], "--every"),
        (["watch", "LOGS", "--metric", "acc", "--mode", "max", "--horizon", "40", "--refreshes", "0"], "--refreshes"),
        (["watch", "LOGS", "--metric", "acc", "--mode", "max", "--horizon", "40", "--format", "yaml"], "yaml"),
        (["watch", "LOGS", "--metric", "acc", "--mode", "max", "--horizon", "40", "--model", "none"], "model"),
        (["watch", "LOGS/none", "--metric", "acc", "--mode", "max", "--horizon", "40"], "does not exist"),
        (["watch", "EMPTY", "--metric", "acc", "--mode", "max", "--horizon", "40"], "got none"),
    ],
)
def test_bad_input_prints_one_line_and_exits_with_2(run, tmp_path, arguments, words):
    (tmp_path / "empty").mkdir()
    logs = str(to_csv_files(tmp_path / "logs", RUNS))
    code, out, err = run(*(a.replace("LOGS", logs).replace("EMPTY", str(tmp_path / "empty")) for a in arguments))
    assert (code, out) == (2, "")
    assert words in err
    assert len(err.strip().splitlines()) == 1


LATE = 0.1 + 0.88 / (1 + np.exp(-(STEPS - 28) / 2))  # at chance for 20 steps, then the best of all
FINISHED = {
    "a winner": rise(0.95, HORIZON),
    **{f"hopeless {i}": np.full(HORIZON, 0.2 + 0.01 * i) + rise(0.1, HORIZON) - 0.1 for i in range(4)},
}
REPLAY = ["replay", "LOGS", "--metric", "acc", "--mode", "max", "--lower", "0", "--upper", "1"]


def replayed(run, logs, *arguments):
    code, out, err = run(*(str(logs) if a == "LOGS" else a for a in REPLAY), "--json", *arguments)
    assert code == 0, err
    return json.loads(out)


@pytest.fixture
def pausing_asks_nothing(monkeypatch):
    """Freeze-thaw, which asks the model hundreds of times, takes all runs for equally promising."""
    monkeypatch.setattr(freeze_thaw, "_ask", lambda *_: ((0.5, 0.1), np.zeros(20)))


@pytest.fixture
def pictures(monkeypatch):
    """The figures saved, which are written to their files too."""
    pytest.importorskip("matplotlib").use("agg")
    from matplotlib.figure import Figure

    saved, savefig = [], Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda figure, *a, **k: (saved.append(figure), savefig(figure, *a, **k)))
    return saved


def test_hopeless_runs_are_stopped_and_the_winner_is_not(run, tmp_path, pictures):
    answer = replayed(run, to_jsonl(tmp_path / "logs", FINISHED), "--orders", "2", "--plot", tmp_path / "regret.png")
    assert (answer["best_run"], answer["runs"], answer["steps"]) == ("a winner", list(FINISHED), 5 * HORIZON)
    assert (list(answer["methods"]), answer["hyperparameters"]) == (BARE, [])
    mine, none = (answer["methods"][name]["recorded"] for name in ("lcx 0.05", "no stopping"))
    assert [row["stopped"] for row in mine["runs"]] == [False, *[True] * 4]
    assert all(row["probability"] <= 0.05 and row["to_beat"] == answer["best"] for row in mine["runs"][1:])
    assert (mine["false_stops"], mine["why"], mine["best"]) == (0, [], answer["best"])
    assert mine["saved"] == pytest.approx(1 - sum(row["steps"] for row in mine["runs"]) / answer["steps"])
    assert mine["saved"] > 0.6
    assert (none["saved"], none["stopped"], none["steps_to_best"]) == (0, 0, mine["steps_to_best"])
    shuffled = answer["methods"]["lcx 0.05"]["shuffled"]
    assert shuffled["found_best"] == 1
    assert shuffled["speed_up"] > answer["methods"]["no stopping"]["shuffled"]["speed_up"]
    assert len(shuffled["costs"]) == len(shuffled["regret"]) == 100
    assert shuffled["regret"][-1] == 0
    assert answer["methods"]["no stopping"]["shuffled"]["stopped"] == 0
    lines = {line.get_label(): line for line in pictures[0].axes[0].lines}
    assert list(lines) == list(answer["methods"])
    for name, line in lines.items():
        np.testing.assert_allclose(line.get_ydata()[9::10], answer["methods"][name]["shuffled"]["regret"], atol=1e-6)
    assert lines["lcx 0.05"].get_linewidth() > lines["ASHA"].get_linewidth()
    assert (tmp_path / "regret.png").read_bytes()[:4] == b"\x89PNG"


BARE = ["no stopping", "patience 5", "median rule", "ASHA", "top 1 after 1", "lcx 0.05", "lcx freeze-thaw"]
CHOSEN = ["no stopping, runs chosen", "lcx 0.05, runs chosen", "lcx freeze-thaw, runs chosen"]


def by_rate(folder, rates):
    """Runs of Ray Tune, each with its params.json; the larger the learning rate, the better the run."""
    to_csv(folder, {})
    for i, rate in enumerate(rates):
        (folder / f"r{i}").mkdir()
        pd.DataFrame({"training_iteration": STEPS[:10], "acc": rise(0.3 + rate / 2, 10)}).to_csv(
            folder / f"r{i}" / "progress.csv", index=False
        )
        (folder / f"r{i}" / "params.json").write_text(json.dumps({"lr": rate, "seed": 1, "name": f"r{i}"}))
        (folder / f"r{i}" / "summary.json").write_text(json.dumps({"acc": rate}))
    return folder


@pytest.mark.usefixtures("pausing_asks_nothing")
def test_runs_are_chosen_by_the_hyperparameters_of_the_log(run, tmp_path, monkeypatch):
    pytest.importorskip("sklearn")
    monkeypatch.setattr(hyperparameters, "TREES", 10)
    logs = by_rate(tmp_path / "logs", [0.1, 0.3, 0.2, 0.4, 0.5, 0.15, 0.25, 0.35, 0.9])
    answer = replayed(run, logs, "--orders", "1")
    assert list(answer["methods"]) == BARE + CHOSEN
    assert (answer["hyperparameters"], answer["warnings"]) == (["lr"], [])
    plain, choosing = (answer["methods"][name] for name in ("no stopping", "no stopping, runs chosen"))
    assert choosing["recorded"]["steps_to_best"] < plain["recorded"]["steps_to_best"] == 90  # the best is the last of the order
    assert (choosing["recorded"]["saved"], choosing["recorded"]["false_stops"]) == (0, 0)
    assert set(choosing["shuffled"]) == set(plain["shuffled"])
    code, out, err = run(*(str(logs) if a == "LOGS" else a for a in REPLAY), "--orders", "1")
    assert (code, "hyperparameters in the log: lr" in err.splitlines()) == (0, True)
    assert [sum(line.startswith(name) for line in out.splitlines()) for name in CHOSEN] == [2, 2, 2]
    assert not [line for line in out.splitlines() if line.startswith("false stop, lcx freeze-thaw")]
    assert max(len(line) for line in out.splitlines() if not line.startswith("false stop")) <= 110


@pytest.mark.usefixtures("pausing_asks_nothing")
def test_the_logs_of_earlier_studies_tell_which_run_begins(run, tmp_path, monkeypatch):
    pytest.importorskip("sklearn")
    monkeypatch.setattr(hyperparameters, "TREES", 10)
    rates = [0.1, 0.3, 0.2, 0.4, 0.5, 0.15, 0.25, 0.35, 0.9]
    logs, past = by_rate(tmp_path / "logs", rates), by_rate(tmp_path / "past", rates[::-1])
    pd.read_csv(past / "r1" / "progress.csv").head(5).to_csv(past / "r1" / "progress.csv", index=False)  # this run did not end
    answer = replayed(run, logs, "--orders", "0", "--earlier", past)
    first = [answer["methods"][name]["recorded"]["steps_to_best"] for name in CHOSEN]
    assert (answer["hyperparameters"], answer["earlier"]) == (["lr"], [str(past)])
    assert max(first) < 40  # earlier studies name three runs of large rates; the order and the first runs alone find the best at 90
    assert answer["warnings"] == ["past: 1 run(s) end before the horizon and are left out: r1 (step 5 of 10)"]
    code, _, err = run(*(str(logs) if a == "LOGS" else a for a in REPLAY), "--orders", "0", "--earlier", str(past))
    assert (code, "earlier study: 8 runs of past by acc" in err.splitlines()) == (0, True)


@pytest.mark.parametrize(
    ("logs", "past", "said"),
    [
        ([0.5] * 4, [0.1, 0.2, 0.3], "expected hyperparameters that differ between runs beside --earlier, got none in the log; leave"),
        ([0.1, 0.2, 0.3], [0.5] * 4, "expected hyperparameters that differ between runs in past, got none; leave this --earlier out"),
        ([0.1, 0.2, 0.3], [0.1, 0.2], "past: expected 3 or more finished runs of acc, got 2; give the folder of more runs"),
    ],
)
def test_earlier_studies_that_tell_nothing_are_refused(run, tmp_path, logs, past, said):
    pytest.importorskip("sklearn")
    logs, past = by_rate(tmp_path / "logs", logs), by_rate(tmp_path / "past", past)
    code, _, err = run(*(str(logs) if a == "LOGS" else a for a in REPLAY), "--orders", "0", "--earlier", str(past))
    assert code == 2
    assert said in " ".join(err.replace("│", " ").split())


@pytest.mark.usefixtures("pausing_asks_nothing")
def test_without_what_tells_runs_apart_none_are_chosen(run, tmp_path):
    answer = replayed(run, by_rate(tmp_path / "logs", [0.5] * 4), "--orders", "0")
    assert (list(answer["methods"]), answer["hyperparameters"], answer["warnings"]) == (BARE, [], [])


@pytest.mark.usefixtures("pausing_asks_nothing")
def test_without_scikit_learn_it_is_said_how_to_choose_runs(run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    answer = replayed(run, by_rate(tmp_path / "logs", [0.1, 0.2, 0.3]), "--orders", "0")
    assert (list(answer["methods"]), answer["hyperparameters"]) == (BARE, ["lr"])
    assert answer["warnings"] == ["no runs are chosen by their hyperparameters, which needs scikit-learn: pip install 'lcx[hpo]'"]


@pytest.mark.usefixtures("pausing_asks_nothing")
def test_a_false_stop_is_named_with_its_step_and_probability(run, tmp_path):
    logs = to_jsonl(tmp_path / "logs", {**FINISHED, "late": LATE})
    answer = replayed(run, logs, "--orders", "2")
    mine = answer["methods"]["lcx 0.05"]
    (why,) = mine["recorded"]["why"]
    stopped = mine["recorded"]["runs"][answer["runs"].index("late")]
    assert mine["recorded"]["false_stops"] == 1
    assert (why["run"], why["step"], why["chance"]) == ("late", stopped["steps"], stopped["probability"])
    assert why["chance"] <= 0.05
    assert why["peak"] == pytest.approx(LATE.max())
    assert mine["recorded"]["steps_to_best"] is None
    often = {row["run"]: row["orders"] for row in mine["shuffled"]["why"]}
    assert sum(often.values()) == pytest.approx(2 * mine["shuffled"]["false_stops"])
    code, out, _ = run(*(str(logs) if a == "LOGS" else a for a in REPLAY), "--orders", "2")
    assert code == 0
    assert f"false stop, lcx 0.05: late was stopped at step {why['step']:g} with a chance of {why['chance']:.2g} to beat" in out
    row = next(line.split() for line in out.splitlines() if line.startswith("lcx 0.05"))
    assert row[2:4] == [str(mine["recorded"]["stopped"]), "1"]
    assert row[-1] == "never"
    told, row = (
        mine["shuffled"],
        next(line.split() for line in out.split("2 shuffled orders")[1].splitlines() if line.startswith("lcx 0.05")),
    )
    assert row[2:5] == [f"{told['stopped']:.1f}", f"{told['false_stops']:.2f}", f"{told['saved']:.0%}"]
    assert told["false_stops"] < told["stopped"]
    spared = replayed(run, logs, "--orders", "0", "--min-points", "30", "--delta", "0.05", "--delta", "1e-9")
    assert list(spared["methods"])[-3:] == ["lcx 0.05", "lcx 1e-09", "lcx freeze-thaw"]
    assert spared["methods"]["lcx 0.05"]["recorded"]["false_stops"] == 0
    assert spared["methods"]["lcx 0.05"]["shuffled"] is None


@pytest.mark.usefixtures("pausing_asks_nothing")
def test_the_recorded_order_is_that_of_the_times_and_the_seed_fixes_the_others(run, tmp_path):
    rows = [
        {"run": name, "step": step, "acc": y, "time": 1.7e9 + 1000 * (9 - i) + step}
        for i, (name, values) in enumerate(FINISHED.items())
        for step, y in enumerate(values[:10], 1)
    ]
    (tmp_path / "log.jsonl").write_text("\n".join(map(json.dumps, rows)))
    answer = replayed(run, tmp_path / "log.jsonl", "--orders", "1", "--seed", "1")
    assert answer["runs"] == list(FINISHED)[::-1]
    assert replayed(run, tmp_path / "log.jsonl", "--orders", "1", "--seed", "1") == answer
    other = replayed(run, tmp_path / "log.jsonl", "--orders", "1", "--seed", "2")
    assert other["methods"] != answer["methods"]


@pytest.mark.usefixtures("pausing_asks_nothing")
def test_unfinished_runs_are_said_and_left_out_or_used(run, tmp_path):
    diverged = np.where(STEPS < 10, 0.5, np.nan)  # logged to the end, though not a number
    logs = to_csv_files(tmp_path / "logs", {**FINISHED, "short": rise(0.9, 20), "diverged": diverged})
    answer = replayed(run, logs, "--orders", "0")
    assert {"short.csv", "diverged.csv"} & set(answer["runs"]) == {"diverged.csv"}
    assert answer["warnings"] == ["1 run(s) end before the horizon and are left out: short.csv (step 20 of 40)"]
    answer = replayed(run, logs, "--orders", "0", "--unfinished")
    assert "short.csv" in answer["runs"]
    assert "used as far as they go" in answer["warnings"][0]
    states = {name: values[19::20] for name, values in FINISHED.items()}  # logged at steps 20 and 40
    sparse = to_huggingface(tmp_path / "sparse", states)
    for file in sparse.glob("*/trainer_state.json"):
        state = json.loads(file.read_text())
        state |= {"max_steps": 55, "log_history": [row | {"step": 20 * row["step"]} for row in state["log_history"]]}
        file.write_text(json.dumps(state))
    answer = replayed(run, sparse, "--orders", "0")
    assert (len(answer["runs"]), answer["horizon"], answer["warnings"]) == (len(FINISHED), 55, [])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--metric", "f1"], "out of acc, loss, got 'f1'"),
        (["--mode", "up"], "'up'"),
        (["--horizon", "60"], "3 or more finished runs of acc, got 0"),
        (["--horizon", "30"], "by their horizon"),
        (["--delta", "1"], "delta [1.0]"),
        (["--patience", "0"], "patience [0]"),
        (["--orders", "-1"], "orders -1"),
        (["--confirm", "0"], "confirm 0"),
        (["--model", "none"], "model"),
    ],
)
def test_replay_refuses_in_one_line(run, tmp_path, arguments, words):
    logs = str(to_csv_files(tmp_path / "logs", FINISHED))
    code, out, err = run(*(logs if a == "LOGS" else a for a in REPLAY), *arguments)
    assert (code, out) == (2, "")
    assert words in err
    assert len(err.strip().splitlines()) == 1


def test_two_finished_runs_are_too_few(run, tmp_path):
    logs = to_csv_files(tmp_path / "logs", dict(list(FINISHED.items())[:2]))
    code, _, err = run(*(str(logs) if a == "LOGS" else a for a in REPLAY))
    assert code == 2
    assert "expected 3 or more finished runs of acc, got 2; give the folder of more runs" in err


@pytest.mark.parametrize(
    ("found", "shown"),
    [(0.123456, 0.1234), (0.05, 0.05), (0.99999, 0.9999), (1.23456e-5, 1.234e-5), (np.nextafter(0.1234, 0), 0.1233), (0.1235, 0.1235)],
)
def test_a_limit_found_is_never_rounded_up(found, shown):
    """It lies just below the chance of a run that must not be stopped."""
    assert rounded_down(found) == shown
