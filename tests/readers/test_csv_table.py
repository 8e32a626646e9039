"""CSV as people have it: without a step column, by pandas' index, with blanks, with cells that are written rather than numbers."""

import math

import numpy as np
import pytest

from lcx.readers import read
from lcx.readers.table import is_hidden


@pytest.mark.parametrize(
    ("text", "metric", "points"),
    [
        ("loss\n0.5\n0.4\n", "loss", {1: 0.5, 2: 0.4}),
        ("loss,acc\n0.5,0.1\n0.4,NA\n0.3,0.2\n", "acc", {1: 0.1, 3: 0.2}),
        (",loss\n0,0.5\n1,0.4\n", "loss", {1: 0.5, 2: 0.4}),  # pandas' index
        (",loss\n10,0.5\n20,0.4\n", "loss", {10: 0.5, 20: 0.4}),
        (",epoch,loss\n0,5,0.5\n1,10,0.4\n", "loss", {5: 0.5, 10: 0.4}),
        ("epoch loss\n1 0.5\n2   0.4\n", "loss", {1: 0.5, 2: 0.4}),
        ("# epoch loss\n1 0.5\n2 0.4\n", "loss", {1: 0.5, 2: 0.4}),  # as numpy.savetxt writes it
        ("# seed 3\nepoch,loss\n1,0.5\n# a note\n2,0.4\n", "loss", {1: 0.5, 2: 0.4}),
        ("episode,reward,steps\n1,-10,36\n2,-9,20\n3,-5,11\n", "reward", {1: -10, 2: -9, 3: -5}),
        ("Epoch\tTotalEnvInteracts\tAverageEpRet\n0\t4000\t1.5\n1\t8000\t2.5\n", "AverageEpRet", {4000: 1.5, 8000: 2.5}),
        ('"step","loss"\n"1","5e-1"\n"2","4E-1"\n', "loss", {1: 0.5, 2: 0.4}),
        ("epoch;loss\n1;0,53\n2;0,4\n", "loss", {1: 0.53, 2: 0.4}),
        ("epoch;loss\n1;1.234,5\n2;987,5\n", "loss", {1: 1234.5, 2: 987.5}),
        ('epoch,reward\n1,"1,234"\n2,"12,345.5"\n', "reward", {1: 1234, 2: 12345.5}),
        ("epoch,acc\n1,53.2%\n2,60 %\n", "acc", {1: 53.2, 2: 60}),
        ("step|loss\n1|0.5\n2|0.4\n", "loss", {1: 0.5, 2: 0.4}),
        ("step,loss\r1,0.5\r2,0.4\r", "loss", {1: 0.5, 2: 0.4}),
        ("step,loss,loss\n1,0.5,0.1\n2,0.4,0.2\n", "loss (2)", {1: 0.1, 2: 0.2}),
        ("0.5\n0.4\n3e-1\n", "value", {1: 0.5, 2: 0.4, 3: 0.3}),
        ("epoch,loss\n1,inf\n2,-Infinity\n3,NaN\n", "loss", {1: math.inf, 2: -math.inf, 3: math.nan}),
    ],
)
def test_tables_as_people_have_them(log, curve, text, metric, points):
    np.testing.assert_equal(curve(log("log.csv", text), metric), points)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
def test_encodings(log, curve, encoding):
    assert curve(log("log.csv", "epoch,größe\r\n1,0.5\r\n2,0.4\r\n".encode(encoding)), "größe") == {1: 0.5, 2: 0.4}


def test_a_part_of_a_whole_tells_the_horizon(log, curve):
    table = log("log.csv", "epoch,loss\n1/40,0.5\n2/40,0.4\n")
    assert curve(table, "loss") == {1: 0.5, 2: 0.4}
    assert table.attrs["horizon"] == {"log.csv": 40.0}


def test_a_cell_that_is_no_number_is_named(log, curve):
    with pytest.warns(UserWarning, match=r"log\.csv: column 'loss' holds numbers, but 'oops' in line 4; these cells are left out"):
        table = log("log.csv", "epoch,loss,note\n1,0.5,a\n\n2,oops,b\n3,0.4,3\n")
    assert curve(table, "loss") == {1: 0.5, 3: 0.4}
    assert set(table["metric"]) == {"loss"}  # a column of notes, one of which reads like a number
    with pytest.raises(ValueError, match=r"column of numbers in .*log\.csv, got only words in 'name' \('x', \.\.\.\)"):
        log("log.csv", "name,place\nx,y\n", "csv")
    with pytest.raises(ValueError, match=r"got only words in 'loss' \('0\.5 \(0\.1\)', \.\.\.\)"):
        log("log.csv", "epoch,loss\n1,0.5 (0.1)\n2,0.4 (0.1)\n")


def test_text_that_begins_like_a_list_is_not_taken_for_json(log):
    with pytest.raises(ValueError, match="expected a log in one of the formats"):
        log("train.log", "[2024-02-24 18:24:04] - INFO - Divided images\n[2024-02-24 18:24:05] - INFO - Built the model\n")


def test_values_without_a_step_are_named(log, curve):
    with pytest.warns(UserWarning, match=r"rows without a step are left out: loss in line 3, acc in line 3 \(2 in all\)$"):
        table = log("log.csv", "epoch,loss,acc\n1,0.5,0.1\n,0.4,0.2\n3,0.3,0.3\n")
    assert curve(table, "loss") == {1: 0.5, 3: 0.3}
    with pytest.warns(UserWarning, match="column 'epoch' holds numbers, but 'mean' in line 4"), pytest.warns(match="loss in line 4"):
        table = log("log.csv", "epoch,loss\n1,0.5\n2,0.4\nmean,0.45\n")
    assert curve(table, "loss") == {1: 0.5, 2: 0.4}


def test_a_size_is_a_step_only_if_it_rises(log, curve):
    assert curve(log("log.csv", "size,acc\n10,0.1\n20,0.2\n"), "acc") == {10: 0.1, 20: 0.2}
    assert curve(log("log.csv", "size,acc\n20,0.1\n10,0.2\n"), "acc") == {1: 0.1, 2: 0.2}


def test_a_second_training_in_a_file_is_a_second_run(log, curve):
    with pytest.warns(UserWarning, match=r"the steps of log\.csv start again in line 5; read as further runs log\.csv \(2\)$"):
        table = log("log.csv", "epoch,loss\n1,3\n2,2\nepoch,loss\n1,4\n2,3\n3,2\n")
    assert curve(table, "loss", "log.csv") == {1: 3, 2: 2}
    assert curve(table, "loss", "log.csv (2)") == {1: 4, 2: 3, 3: 2}


def test_rows_out_of_order_are_one_run(log, curve):
    assert curve(log("log.csv", "epoch,loss\n3,1\n1,3\n2,2\n"), "loss") == {1: 3, 2: 2, 3: 1}


def test_a_panel_of_wandb_has_a_column_per_run(log, curve):
    header = ",".join(f'"{name}"' for run in ("fox-1", "a - b") for name in (f"{run} - loss", f"{run} - loss__MIN", f"{run} - loss__MAX"))
    table = log("export.csv", f'"Step",{header}\n"0","3","3","3","","",""\n"10","2","2","2","4","4","4"\n"20","","","","NaN","5","5"\n')
    assert curve(table, "loss", "fox-1") == {1: 3, 11: 2}
    np.testing.assert_equal(curve(table, "loss", "a - b"), {11: 4, 21: math.nan})
    assert set(table["metric"]) == {"loss"}
    table = log("export.csv", "trainer/global_step,x - val/acc,y - val/acc\n1,3,4\n2,5,6\n")
    assert curve(table, "val/acc", "y") == {1: 4, 2: 6}


SB3 = """rollout/ep_len_mean,rollout/ep_rew_mean,time/fps,time/time_elapsed,time/total_timesteps,train/clip_range,train/loss
20.5,20.1,900,2,2048,,
30.5,30.1,800,5,4096,0.2,7.5
"""
BASELINES = "eplenmean\teprewmean\tfps\tmisc/nupdates\tmisc/total_timesteps\n10\t-200\t500\t1\t2048\n11\t-190\t510\t2\t4096\n"


def test_tables_of_reinforcement_learning(log, curve):
    table = log("PPO_1/progress.csv", SB3)
    assert curve(table, "rollout/ep_rew_mean", "PPO_1") == {2048: 20.1, 4096: 30.1}
    assert curve(table, "train/loss") == {4096: 7.5}
    assert list(table["time"].unique()) == [2, 5]
    assert {name for name in table["metric"].unique() if not is_hidden(name)} == {
        "rollout/ep_rew_mean",
        "rollout/ep_len_mean",
        "train/loss",
    }
    table = log("ppo2/progress.csv", BASELINES)
    assert curve(table, "eprewmean") == {2048: -200, 4096: -190}
    assert {name for name in table["metric"].unique() if not is_hidden(name)} == {"eprewmean", "eplenmean"}


def test_rllib_without_the_constants_of_its_configuration(log, curve):
    rows = "training_iteration,timesteps_total,episode_reward_mean,time_total_s,config/lr,config/gamma,info/learner/cur_lr,trial_id,done\n"
    table = log("PPO_x/progress.csv", rows + "1,4000,20.5,3,0.1,0.9,0.1,a1,False\n2,8000,30.5,6,0.1,0.9,0.1,a1,False\n")
    assert curve(table, "episode_reward_mean", "PPO_x") == {1: 20.5, 2: 30.5}
    assert not [name for name in table["metric"].unique() if name.startswith("config/")]
    assert {name for name in table["metric"].unique() if not is_hidden(name)} == {"episode_reward_mean"}
    table = log(
        "PPO_y/result.json",
        "".join(
            f'{{"training_iteration": {i}, "episode_reward_mean": {i / 2}, "config": {{"lr": 0.1}}, "env": {{"num_episodes": 4}}}}\n'
            for i in (1, 2)
        ),
    )
    assert curve(table, "episode_reward_mean") == {1: 0.5, 2: 1}
    assert {name for name in table["metric"].unique() if not is_hidden(name)} == {"episode_reward_mean"}


def test_a_csv_per_run_and_a_csv_with_a_run_column(log, curve, tmp_path):
    for run, value in (("a", 3), ("b", 4)):
        log(f"runs/{run}.csv", f"step,loss\n1,{value}\n2,{value - 1}\n")
    table = read(tmp_path / "runs")
    assert [curve(table, "loss", f"{run}.csv") for run in "ab"] == [{1: 3, 2: 2}, {1: 4, 2: 3}]
    table = log("all.csv", "run_name,step,loss\na,1,3\nb,1,4\na,2,2\nb,2,3\n")
    assert [curve(table, "loss", run) for run in "ab"] == [{1: 3, 2: 2}, {1: 4, 2: 3}]
