"""What a log tells: the horizon from the log, the settings beside it or the other runs; direction and bounds; and how it is said."""

import json

import pandas as pd
import pytest

from lcx.cli.forecasts import curves_of, others_of
from lcx.cli.inference import infer, told
from lcx.readers import read


def write(folder, run, steps, *, metric="val_loss", settings=None):
    (folder / run).mkdir(parents=True)
    pd.DataFrame({"epoch": range(1, steps + 1), metric: [0.5 + 1 / e for e in range(1, steps + 1)]}).to_csv(
        folder / run / "results.csv", index=False
    )
    if settings:
        (folder / run / "args.yaml").write_text(settings)


def ask(folder, metric="val_loss", **given):
    return infer(read(folder), str(folder), metric, **given)


def test_the_settings_of_each_run_tell_its_horizon(tmp_path):
    write(tmp_path, "a", 5, settings="epochs: 50\n")
    write(tmp_path, "b/c", 5, settings="epochs: 80\n")
    write(tmp_path, "d", 6)
    asked = ask(tmp_path)
    assert asked.horizons == {"a": 50, "b/c": 80}  # nothing tells that of d
    assert told([asked])[0] == "horizons 50 to 80 from args.yaml (--horizon)"
    alone = infer(read(tmp_path / "a" / "results.csv"), str(tmp_path / "a" / "results.csv"), "val_loss")
    assert alone.horizons == {"a": 50}
    assert infer(read(tmp_path / "a"), str(tmp_path / "a"), "val_loss").horizons == {"a": 50}


def test_runs_that_are_known_to_go_on_do_not_tell_where_others_end(tmp_path):
    write(tmp_path, "a", 20, settings="epochs: 90\n")
    write(tmp_path, "b", 20)
    assert ask(tmp_path).horizons == {"a": 90}
    write(tmp_path, "c", 20)
    table = read(tmp_path)
    assert infer(table, str(tmp_path), "val_loss").horizons == {"a": 90, "b": 20, "c": 20}
    table.attrs["state"] = {"c": "RUNNING"}
    assert infer(table, str(tmp_path), "val_loss").horizons == {"a": 90}


def test_runs_in_another_unit_of_steps_tell_nothing(tmp_path):
    for name in ("a", "b"):
        write(tmp_path, name, 20)
    pd.DataFrame({"step": [100, 200], "val_loss": [0.9, 0.8]}).to_csv(tmp_path / "c.csv", index=False)
    pd.DataFrame({"epoch": [1, 2], "val_loss": [0.9, 0.8]}).to_csv(tmp_path / "d.csv", index=False)
    table = read(tmp_path)
    asked = ask(tmp_path)
    assert asked.horizons == {"a": 20, "b": 20, "d.csv": 20}
    curves, _ = curves_of(table, "val_loss")
    assert [len(steps) for steps, _ in others_of(curves, "d.csv", asked, table.attrs["counter"])] == [20, 20]
    assert others_of(curves, "c.csv", asked, table.attrs["counter"]) == []


def test_settings_behind_the_run_are_not_its_plan(tmp_path):
    write(tmp_path, "a", 60, settings="epochs: 50\n")
    assert ask(tmp_path).horizons == {}


def test_runs_that_end_together_tell_the_horizon_and_one_alone_does_not(tmp_path):
    for name, steps in (("a", 20), ("b", 20), ("c", 7)):
        write(tmp_path, name, steps)
    asked = ask(tmp_path)
    assert asked.horizons == dict.fromkeys("abc", 20)
    assert told([asked])[0] == "horizon 20 from the end of 2 runs (--horizon)"
    write(tmp_path, "d", 30)
    assert ask(tmp_path).horizons == {}
    assert ask(tmp_path, longest=True).horizons == dict.fromkeys("abcd", 30)
    table = read(tmp_path)
    table.attrs["state"] = {"a": "FINISHED"}
    assert infer(table, str(tmp_path), "val_loss").horizons == {"a": 20, "b": 20, "c": 20, "d": 30}


def test_what_is_said_and_what_was_given(tmp_path):
    write(tmp_path, "a", 20, metric="accuracy")
    lines = ["larger is better, by the name accuracy (--mode)", "bounds 0 to 100, by name and values (--lower, --upper)"]
    assert told([ask(tmp_path, "accuracy", horizon=30)]) == lines  # one of the values is 1.5
    given = ask(tmp_path, "accuracy", horizon=30, mode="min", lower=float("-inf"), upper=2.0)
    assert (given.bounds, given.mode, told([given])) == ((None, 2.0), "min", [])


def test_watch_report_and_replay_infer_the_same(run, tmp_path):
    logs = tmp_path / "logs"
    for name, steps in (("a", 20), ("b", 20), ("c", 20), ("d", 9)):
        write(logs, name, steps, settings="epochs: 20\n")
    lines = ["horizon 20 from args.yaml (--horizon)", "smaller is better, by the name val_loss (--mode)"]
    lines.append("not below 0, by name and values (--lower, --upper)")
    code, out, err = run("watch", logs, "--once", "--device", "cpu")
    assert code == 0, err
    assert out.startswith("val_loss (min): 4 runs, 1 running")
    assert set(lines) <= set(out.splitlines())
    watched = json.loads(run("watch", logs, "--once", "--json", "--device", "cpu")[1])
    assert watched["inferred"] == {"mode": "name", "bounds": "name and values", "horizon": "args.yaml"}
    assert (watched["mode"], watched["bounds"], {row["horizon"] for row in watched["runs"]}) == ("min", [0, None], {20})
    code, out, err = run("report", logs, "-o", tmp_path / "report.html", "--device", "cpu")
    assert (code, err.splitlines()) == (0, lines)
    assert all(line in (tmp_path / "report.html").read_text() for line in lines)
    code, out, err = run("replay", logs, "--orders", "0", "--json")
    assert code == 0, err
    assert err.splitlines()[:3] == lines
    assert json.loads(out)["inferred"]["horizon"] == "args.yaml"


@pytest.mark.parametrize("command", ["watch", "report"])
def test_what_they_cannot_know_they_ask_for_with_the_option(run, tmp_path, command):
    write(tmp_path / "logs", "a", 20)
    code, out, err = run(command, tmp_path / "logs", "--device", "cpu")
    assert (code, out) == (2, "")
    assert err == f"lcx: expected the last step of the run, which logs does not tell; type: lcx {command} {tmp_path / 'logs'} --horizon N\n"


def test_of_several_metrics_one_is_to_be_chosen(run, tmp_path):
    pd.DataFrame({"epoch": [1, 2], "loss": [2.0, 1.0], "val_loss": [3.0, 2.0], "lr": 0.1}).to_csv(tmp_path / "log.csv", index=False)
    code, _, err = run("watch", tmp_path / "log.csv", "--horizon", "9")
    assert (code, err.count("\n")) == (2, 1)
    assert err.endswith(f"log.csv, got loss, val_loss; type: lcx watch {tmp_path / 'log.csv'} --metric val_loss\n")
