"""Stable-Baselines3: monitors of one and of several environments, and evaluations."""

import numpy as np
import pytest

from lcx.readers import read, recognise

MONITOR = '#{"t_start": 1700000000.5, "env_id": "CartPole-v1"}\nr,l,t,is_success\n10.0,20,1.5,False\n30.0,40,2.5,True\n'


def test_a_monitor_counts_the_steps_of_its_episodes(write, curve):
    file = write("run/monitor.csv", MONITOR + "7.0,1")  # the last row is being written
    assert recognise(file) == "sb3"
    table = read(file)
    assert set(table["run"]) == {"run"}
    assert curve(table, "return") == {20: 10, 60: 30}
    assert curve(table, "episode_length") == {20: 20, 60: 40}
    assert curve(table, "is_success") == {20: 0, 60: 1}
    assert list(table["time"][:2]) == [1700000002, 1700000003]


def test_environments_side_by_side_are_one_run_in_the_order_of_time(write, curve, tmp_path):
    write("ppo/0.monitor.csv", MONITOR)
    write("ppo/1.monitor.csv", '#{"t_start": 1700000001.0, "env_id": null}\nr,l,t\n50.0,5,1.2\n')
    table = read(tmp_path)
    assert set(table["run"]) == {"ppo"}
    assert curve(table, "return") == {20: 10, 25: 50, 65: 30}
    assert read(tmp_path / "ppo").equals(table)
    write("named/a.monitor.csv", MONITOR)
    write("named/b.monitor.csv", MONITOR)
    assert set(read(tmp_path / "named")["run"]) == {"a.monitor.csv", "b.monitor.csv"}


def test_the_progress_of_the_training_has_the_name_of_its_folder(write, tmp_path):
    write("ppo/0.monitor.csv", MONITOR)
    write("ppo/progress.csv", "time/total_timesteps,rollout/ep_rew_mean\n128,20\n256,30\n")
    assert set(read(tmp_path)["run"]) == {"ppo", "ppo/0.monitor.csv"}
    assert set(read(tmp_path)[lambda table: table["run"] == "ppo"]["metric"]) == {"rollout/ep_rew_mean"}


def test_evaluations_are_means_over_their_episodes(tmp_path, curve):
    (tmp_path / "ppo").mkdir()
    file = tmp_path / "ppo" / "evaluations.npz"
    np.savez(file, timesteps=[500, 1000], results=[[1.0, 3.0], [5.0, 9.0]], ep_lengths=[[10, 20], [30, 50]])
    assert recognise(file) == "sb3"
    table = read(tmp_path)
    assert set(table["run"]) == {"ppo"}
    assert curve(table, "eval/mean_reward") == {500: 2, 1000: 7}
    assert curve(table, "eval/mean_ep_length") == {500: 15, 1000: 40}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("r,l,t\n1,2,3\n", "first line"),
        ('#{"t_start": 1}\nr,l\n1,2\n', "columns r, l and t"),
        ('#{"t_start": 1}\nr,l,t\n1,x,3\n1,2,3\n', "line 3"),
        ('#{"t_start": 1}\nr,l,t\n', "step > 0"),
    ],
)
def test_a_monitor_that_is_none_is_refused(write, text, words):
    with pytest.raises(ValueError, match=f"expected .*{words}"):
        read(write("monitor.csv", text), "sb3")


def test_evaluations_that_are_none_are_refused(tmp_path):
    file = tmp_path / "evaluations.npz"
    for arrays in (
        {"timesteps": [1], "results": np.array([[None]])},
        {"timesteps": [1, 2], "results": [[1.0]]},
        {"timesteps": [], "results": []},
    ):
        np.savez(file, **arrays)
        with pytest.raises(ValueError, match=r"expected .*evaluations.npz, got"):
            read(file)
    np.savez(file, timesteps=[1], results=[[1.0]])
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(ValueError, match=r"expected the evaluations of SB3 in .*; copy it again"):
        read(file)
