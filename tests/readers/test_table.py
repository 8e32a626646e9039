"""The long table: which names are hidden, what is kept of points given in any order."""

import math

import numpy as np
import pandas as pd
import pytest

from lcx.readers.table import is_hidden, long_table

METRICS = """loss val_loss train_loss_step loss_epoch epoch_accuracy metrics/mAP50-95(B) rollout/ep_rew_mean rollout/ep_len_mean eprewmean
AverageEpRet episode_reward_mean grad_norm val_bleu wer eval/acc step_loss test-rmse lm|loss"""
HIDDEN = """lr lr-AdamW/pg1 lr/pg0 learning_rate train/learning_rate info/learner/cur_lr weight_decay time Time data_time eval_runtime eta
eval_samples_per_second time/fps train/n_updates misc/nupdates num_updates episodes_total timesteps_total seed memory train/clip_range
loss|scale consumed|samples config/gamma batch_id step_avg_ms wall_time"""


@pytest.mark.parametrize(("names", "hidden"), [(METRICS, False), (HIDDEN, True)], ids=["shown", "hidden"])
def test_settings_times_and_counters_are_hidden(names, hidden):
    names = [name.replace("|", " ") for name in names.split()]
    assert [name for name in names if is_hidden(name) != hidden] == []


@pytest.mark.parametrize("categorical", [False, True])
def test_points_in_any_order_become_a_sorted_table(categorical):
    points = [
        ("b", "loss", 2, 5),
        ("b", "loss", 1, 6),
        ("a", "loss", 1, math.nan),
        ("b", "acc", 1, 0.5),
        ("a", "epoch", 1, 1),
        ("b", "loss", 2, 4),
    ]
    frame = pd.DataFrame(points, columns=["run", "metric", "step", "value"])
    if categorical:
        frame = frame.astype({"run": "category", "metric": "category"})
    with pytest.warns(UserWarning, match=r"^log: a value is followed by another of the same step in b, which counts: loss at step 2$"):
        table = long_table(frame, "log", attrs={"state": {"a": "done", "c": "gone"}})
    expected = [("a", "loss", 1, math.nan), ("b", "acc", 1, 0.5), ("b", "loss", 1, 6), ("b", "loss", 2, 4)]
    np.testing.assert_equal([tuple(row) for row in table.itertuples(index=False)], expected)
    assert table.attrs == {"state": {"a": "done"}}
    with pytest.warns(
        UserWarning, match=r"^log: a value is followed by another of the same step, which counts: loss at step 2 in line 10$"
    ):
        long_table(frame, "log", line=lambda point: point + 10)


def test_repeated_steps_are_said_once_per_run_and_not_where_nothing_is_lost():
    points = [(f"run {i}", name, step, value) for i in range(8) for name in ("acc", "loss") for step, value in ((1, 1), (2, 2), (2, 2 + i))]
    with pytest.warns(UserWarning, match="followed by another") as said:
        table = long_table(pd.DataFrame(points, columns=["run", "metric", "step", "value"]), "log")
    assert [str(warning.message) for warning in said] == [
        f"log: 2 values are followed by another of the same step in run {i}, which counts: acc at step 2, loss at step 2{more}"
        for i, more in [(1, ""), (2, ""), (3, ""), (4, ""), (5, "; so in 2 more runs")]
    ]
    assert list(table["value"][table["step"] == 2]) == [2 + i for i in range(8) for _ in range(2)]
