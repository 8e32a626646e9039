"""DVCLive: a file per metric, together one run."""

import pytest

from lcx.readers import read, recognise


@pytest.mark.parametrize("place", ["plots/metrics", "scalars"])  # of now, and of its first versions
def test_a_file_per_metric_is_one_run(write, curve, tmp_path, place):
    write(f"work/dvclive/{place}/train/loss.tsv", "step\tloss\n0\t2.5\n1\t1.5\n2\tnan\n")
    write(f"work/dvclive/{place}/acc.tsv", "timestamp\tstep\tacc\n1700000000000\t0\t0.5\n1700000001000\t1\t0.6\n")
    write("work/dvclive/metrics.json", '{"train": {"loss": 1.0}, "acc": 0.6, "step": 2}')
    write("work/dvclive/params.yaml", "lr: 0.1\n")
    assert recognise(tmp_path / "work" / "dvclive") == "dvclive"
    table = read(tmp_path)
    assert set(table["run"]) == {"work"}
    assert set(table["metric"]) == {"train/loss", "acc"}
    assert {step: value for step, value in curve(table, "train/loss").items() if value == value} == {1: 2.5, 2: 1.5}
    assert curve(table, "acc") == {1: 0.5, 2: 0.6}
    assert set(table["time"].dropna()) == {1700000000, 1700000001}
    assert read(tmp_path / "work" / "dvclive").equals(table)


def test_a_row_that_is_being_written_waits_and_a_broken_one_is_named(write, curve, tmp_path):
    write("run/plots/metrics/loss.tsv", "step\tloss\n1\t2.5\n2\t1.5\n3")
    assert curve(read(tmp_path), "loss", "run") == {1: 2.5, 2: 1.5}
    write("run/plots/metrics/loss.tsv", "step\tloss\n1\t2.5\n2\n3\t1.5\n")
    with pytest.raises(ValueError, match=r"expected numbers under \['step', 'loss'\] in .*loss.tsv, got \['2'\] in line 3; mend"):
        read(tmp_path)
    write("run/plots/metrics/loss.tsv", "loss\n1\n")
    with pytest.raises(ValueError, match=r"expected a column 'step' in .*loss.tsv, got loss"):
        read(tmp_path)
