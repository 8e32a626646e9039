"""CatBoost: its folder of four files and event files is one run."""

import json

import pytest

from lcx.readers import read, recognise


@pytest.fixture
def info(write):
    """catboost_info as a training with one test set writes it."""
    write("model/catboost_info/learn_error.tsv", "iter\tRMSE\tMAE\n0\t0.9\t0.8\n1\t0.7\t0.6\n")
    write("model/catboost_info/test_error.tsv", "iter\tRMSE\tMAE\n0\t1.0\t0.9\n1\t0.8\tnan\n")
    write("model/catboost_info/time_left.tsv", "iter\tPassed\tRemaining\n0\t500\t49500\n1\t1500\t48500\n")
    write("model/catboost_info/learn/events.out.tfevents", "")
    write("model/catboost_info/tmp/cat_feature_index.1", "")
    metrics = [{"best_value": "Min", "name": "RMSE"}, {"best_value": "Min", "name": "MAE"}]
    about = {"meta": {"test_metrics": metrics, "learn_metrics": metrics, "iteration_count": 100}}
    return write("model/catboost_info/catboost_training.json", json.dumps(about)[:-2] + ',"iterations":[').parent  # cut: it goes on


def test_four_files_are_one_run(info, curve, tmp_path):
    assert recognise(info) == "catboost"
    table = read(tmp_path)
    assert set(table["run"]) == {"model"}
    assert set(table["metric"]) == {"learn/RMSE", "learn/MAE", "test/RMSE", "test/MAE"}
    assert curve(table, "learn/RMSE") == {1: 0.9, 2: 0.7}
    assert curve(table, "test/RMSE") == {1: 1.0, 2: 0.8}
    assert list(table["time"][:2]) == [0.5, 1.5]
    assert table.attrs == {"horizon": {"model": 100}, "mode": {"model": "min"}}
    assert read(info).equals(table)
    assert read(info / "catboost_training.json").equals(table)


def test_of_several_test_sets_each_has_its_name(info, write, curve):
    write("model/catboost_info/test_error.tsv", "iter\tRMSE:0\tQuantile:alpha=0.7:0\tRMSE\tQuantile:alpha=0.7\n0\t1\t2\t3\t4\n")
    table = read(info)
    names = ("test/RMSE", "test/Quantile:alpha=0.7", "test1/RMSE", "test1/Quantile:alpha=0.7")
    assert [curve(table, name) for name in names] == [{1: 1}, {1: 2}, {1: 3}, {1: 4}]


def test_metrics_of_both_directions_have_no_common_one(info, write):
    text = (info / "catboost_training.json").read_text().replace("Min", "Max", 1)
    write("model/catboost_info/catboost_training.json", text)
    assert "mode" not in read(info).attrs


def test_a_row_that_is_being_written_waits_and_a_broken_one_is_named(info, write, curve):
    write("model/catboost_info/learn_error.tsv", "iter\tRMSE\n0\t0.9\n1\t0.7\n2")
    assert curve(read(info), "learn/RMSE") == {1: 0.9, 2: 0.7}
    write("model/catboost_info/learn_error.tsv", "iter\tRMSE\n0\thalf\n1\t0.7\n")
    with pytest.raises(ValueError, match=r"expected numbers under 'iter\\tRMSE' in .*learn_error.tsv, got '0\\thalf' in line 2; mend"):
        read(info)
