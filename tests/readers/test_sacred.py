"""Sacred: the folder of a run by its FileStorageObserver."""

import json

import pytest

from lcx.readers import read, recognise

TIMES = ["2026-01-02T03:04:05.500000", "2026-01-02T03:04:06.500000"]
METRICS = {
    "train.loss": {"steps": [0, 10], "timestamps": TIMES, "values": [2.5, 1.5]},
    "acc": {"steps": [0], "timestamps": TIMES[:1], "values": [{"dtype": "float64", "py/object": "numpy.float64", "value": 0.5}]},
    "note": {"steps": [0], "timestamps": TIMES[:1], "values": ["text"]},
}


def run_of(write, name, metrics):
    write(f"{name}/run.json", '{"experiment": {"name": "mnist"}, "status": "COMPLETED"}')
    write(f"{name}/config.json", '{"seed": 1, "training": {"max_steps": 50, "epochs": 3}}')
    write(f"{name}/cout.txt", "step 1 loss 7\n")
    return write(f"{name}/metrics.json", json.dumps(metrics, indent=2))


def test_a_folder_per_run(write, curve, tmp_path):
    file = run_of(write, "my_runs/1", METRICS)
    run_of(write, "my_runs/2", METRICS)
    assert {recognise(file), recognise(file.parent)} == {"sacred"}
    table = read(tmp_path)
    assert list(table["run"].unique()) == ["my_runs/1", "my_runs/2"]
    assert set(table["metric"]) == {"train.loss", "acc"}
    assert curve(table, "train.loss", "my_runs/1") == {1: 2.5, 11: 1.5}
    assert curve(table, "acc", "my_runs/2") == {1: 0.5}
    assert sorted(set(table["time"])) == [1767323045.5, 1767323046.5]
    assert table.attrs["state"]["my_runs/1"] == "COMPLETED"
    assert table.attrs["horizon"]["my_runs/2"] == 50
    assert set(read(file)["run"]) == {"1"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"loss": {"steps": [1, 2], "values": [1]}}', "one length .* 'loss'"),
        ('{"loss": {"steps": [1', "JSON"),
        ("[1]", "a list"),
        ("{}", "step > 0"),
    ],
)
def test_what_is_not_so_is_refused(write, text, words):
    with pytest.raises(ValueError, match=f"expected .*{words}"):
        read(write("run/metrics.json", text), "sacred")
