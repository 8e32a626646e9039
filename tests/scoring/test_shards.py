"""lcx score: every curve once, whatever is killed, resumed, shared out or damaged; whole files only."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from lcx.cli import app
from lcx.scoring.parts import plan, tables
from lcx.scoring.scorer import BatchScorer
from lcx.scoring.shards import MANIFEST, Summary, score

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")
COUNT, ROWS = 50, 8  # seven parts, the last one short


def curves(count):
    rng = np.random.default_rng(1)
    values = [rng.random(rng.integers(1, 6)).tolist() for _ in range(count)]
    values[13] = [float("inf")]
    return pa.table({"run": [f"run {i}" for i in range(count)], "values": values, "unused": ["x"] * count})


@pytest.fixture(scope="module")
def scorer():
    return BatchScorer(model="parametric", device="cpu", horizon=20, mode="max", at=2)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    path = tmp_path_factory.mktemp("in") / "curves.parquet"
    pq.write_table(curves(COUNT), path, row_group_size=11)
    return path


@pytest.fixture(scope="module")
def expected(scorer):
    return scorer(curves(COUNT)).to_pandas()


def run(source, folder, scorer, **given):
    return score(source, folder, scorer, rows=ROWS, progress=False, **given)


def check(folder, expected):
    """The folder holds every curve once, and nothing but whole parts and the manifest."""
    assert sorted(p.name for p in folder.iterdir()) == [MANIFEST, *(f"part-{i:06d}.parquet" for i in range(7))]
    got = pd.read_parquet(folder)
    assert list(got["row"]) == list(range(COUNT))
    assert list(got["run"]) == list(expected["run"])
    np.testing.assert_allclose(got["mean"], expected["mean"], rtol=1e-5)
    np.testing.assert_allclose(np.stack(got["at_0.95"][:13]), np.stack(expected["at_0.95"][:13]), rtol=1e-5)
    assert list(got.index[got["error"] != ""]) == [13]


def test_a_run_makes_every_part_and_a_second_run_none(source, scorer, expected, tmp_path, monkeypatch):
    assert run(source, tmp_path, scorer) == Summary(rows=COUNT, errors=1, parts=7, found=0, missing=0)
    check(tmp_path, expected)
    monkeypatch.setattr("lcx.scoring.shards._some", lambda parts, *_: pytest.fail("made again") if parts else iter(()))
    assert run(source, tmp_path, scorer) == Summary(rows=COUNT, errors=1, parts=7, found=7, missing=0)


def test_shards_of_any_number_make_one_whole(source, scorer, expected, tmp_path):
    assert run(source, tmp_path, scorer, shard=(1, 3)) == Summary(rows=16, errors=0, parts=2, found=0, missing=5)
    assert run(source, tmp_path, scorer, shard=(0, 2)).missing == 3
    run(source, tmp_path, scorer, shard=(1, 2))
    check(tmp_path, expected)
    others = [run(source, tmp_path, scorer, shard=(i, 9)) for i in range(9)]  # more shards than parts
    assert sum(one.parts for one in others) == sum(one.found for one in others) == 7


def test_an_interruption_loses_the_part_at_hand_only(source, scorer, expected, tmp_path, monkeypatch):
    made, write = [], pq.write_table

    def stopped(table, opened, *rest):
        made.append(table)
        if len(made) == 4:
            opened.write(b"half a part")
            raise KeyboardInterrupt
        write(table, opened, *rest)

    monkeypatch.setattr(pq, "write_table", stopped)
    with pytest.raises(KeyboardInterrupt):
        run(source, tmp_path, scorer)
    assert sorted(p.name for p in tmp_path.iterdir()) == [MANIFEST, *(f"part-{i:06d}.parquet" for i in range(3))]
    assert run(source, tmp_path, scorer).found == 3
    check(tmp_path, expected)
    assert len(made) == 8


def test_what_a_kill_leaves_is_swept_and_a_damaged_part_made_again(source, scorer, expected, tmp_path):
    run(source, tmp_path, scorer)
    damaged, spoilt, lost, foreign = (tmp_path / f"part-{i:06d}.parquet" for i in (1, 2, 4, 5))
    damaged.write_bytes(damaged.read_bytes()[:100])
    data = spoilt.read_bytes()
    length = int.from_bytes(data[-8:-4], "little")  # of the footer
    spoilt.write_bytes(data[: -8 - length] + b"\xff" * length + data[-8:])
    lost.rename(tmp_path / ".part-000004.parquet.a1b2c3")
    pq.write_table(pa.table({"row": range(ROWS)}), foreign)
    assert run(source, tmp_path, scorer).found == 3
    check(tmp_path, expected)


@pytest.mark.parametrize("change", ["input", "settings", "rows"])
def test_another_input_or_other_settings_are_refused(source, scorer, tmp_path, change):
    run(source, tmp_path, scorer, shard=(0, 7))
    before = {p.name: p.stat().st_mtime_ns for p in tmp_path.iterdir()}
    other, rows = source, ROWS
    if change == "input":
        (tmp_path / "in").mkdir()
        other = tmp_path / "in" / source.name
        pq.write_table(curves(COUNT).set_column(0, "run", pa.array(["another"] * COUNT)), other, row_group_size=11)
    elif change == "settings":
        scorer = BatchScorer(model="parametric", device="cpu", horizon=21, mode="max", at=2)
    else:
        rows = 9
    with pytest.raises(
        ValueError, match=f"another '{'rows_per_part' if change == 'rows' else 'horizon' if change == 'settings' else 'input'}'"
    ):
        score(other, tmp_path, scorer, rows=rows, progress=False)
    assert {name: (tmp_path / name).stat().st_mtime_ns for name in before} == before


def test_files_of_others_are_left_alone(source, scorer, tmp_path):
    """A folder with parts that are not ours, or with the input, is refused before anything is removed or written."""
    for name, came in (("part-000000.parquet", "which this command did not make"), ("curves.parquet", "the folder of the input")):
        folder = tmp_path / name
        folder.mkdir()
        data = source.read_bytes()
        (folder / name).write_bytes(data)
        with pytest.raises(ValueError, match=f"expected a folder of its own for the answers, got .*{came}"):
            run(folder, folder, scorer)
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == {name: data}
    with pytest.raises(ValueError, match="which this command did not make"):
        run(source, tmp_path / "part-000000.parquet", scorer)
    (tmp_path / MANIFEST).write_text("[1")
    with pytest.raises(ValueError, match="expected what this command wrote in"):
        run(source, tmp_path, scorer)


def test_an_input_that_cannot_be_scored_is_named(source, scorer, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.parquet").write_bytes(source.read_bytes())
    for name in ("._a.parquet", "_more.parquet"):  # as some systems leave them; other readers of folders skip them too
        (folder / name).write_bytes(b"no Parquet")
    assert run(folder, tmp_path / "out", scorer).rows == COUNT
    for content in (b"no Parquet", b""):
        (folder / "b.parquet").write_bytes(content)
        with pytest.raises(ValueError, match=r"expected a Parquet file, got .*b\.parquet"):
            run(folder, tmp_path / "more", scorer)
    pq.write_table(curves(20).rename_columns(["run", "value", "unused"]), folder / "b.parquet")
    for workers in (1, 2):
        with pytest.raises(ValueError, match=r"b\.parquet: expected a column 'values'"):
            run(folder, tmp_path / "more", scorer, workers=workers)
    assert not (tmp_path / "more").exists()


@pytest.mark.parametrize("groups", [1, 7, 8, 1000])
def test_parts_are_read_whole_whatever_the_row_groups(tmp_path, groups):
    table = curves(COUNT)
    for name, some in (("b", table[20:]), ("a", table[:20])):
        pq.write_table(some, tmp_path / f"{name}.parquet", row_group_size=groups)
    parts = plan(tmp_path, ROWS)
    assert [part.stop - part.start for part in parts] == [8, 8, 4, 8, 8, 8, 6]
    chosen = [parts[i] for i in (1, 2, 4, 6)]
    for part, got in tables(chosen, ["values", "run", "missing"]):
        assert got.column_names == ["values", "run"]
        assert got["run"].to_pylist() == [f"run {i}" for i in range(part.first, part.first + part.stop - part.start)]
        chosen.remove(part)
    assert not chosen


def test_the_command(source, expected, tmp_path, monkeypatch, capsys):
    def command(*arguments):
        monkeypatch.setattr(sys, "argv", ["lcx", "score", str(source), str(tmp_path), *arguments])
        with pytest.raises(SystemExit) as stopped:
            app.main()
        return stopped.value.code or 0, capsys.readouterr()

    base = ["--horizon", "20", "--mode", "max", "--at", "2", "--rows", "8", "--model", "parametric", "--device", "cpu"]
    code, shown = command(*base, "--shard", "0/2")
    assert code == 0
    assert "24 curves in 3 parts, 0 of which were there" in shown.out
    assert "4 parts of other shards are missing" in shown.out
    assert "warning: 1 of 24 curves have no answer" in shown.err
    assert command(*base)[0] == 0
    check(tmp_path, expected)
    assert json.loads((tmp_path / MANIFEST).read_text())["horizon"] == 20
    for wrong, message in (
        (["--shard", "2/2"], "count from 0"),
        (["--shard", "one"], "expected --shard as i/n"),
        (["--horizon", "21"], "another 'horizon'"),
        (["--quantiles", "0.5,1"], "quantile levels"),
        (["--quantiles", "low"], "expected --quantiles as numbers"),
    ):
        code, shown = command(*base, *wrong)
        assert code == 2
        assert message in shown.err
        assert len(shown.err.strip().splitlines()) == 1
    code, shown = command()  # neither column nor option
    assert code == 2
    assert "expected a column 'horizon'" in shown.err


@pytest.mark.slow  # 12 s
def test_two_workers_make_what_one_makes_and_a_dead_one_is_told(source, scorer, expected, tmp_path):
    assert run(source, tmp_path / "two", scorer, workers=2) == Summary(rows=COUNT, errors=1, parts=7, found=0, missing=0)
    check(tmp_path / "two", expected)
    source.with_name("broken").mkdir()
    broken = source.with_name("broken") / "curves.parquet"
    data = bytearray(source.read_bytes())
    data[200:400] = bytes(200)
    broken.write_bytes(data)
    with pytest.raises(ChildProcessError, match="exit code 1"):
        run(broken, tmp_path / "broken", scorer, workers=2)


@pytest.mark.slow  # 40 s
def test_killed_at_random_moments_nothing_is_lost_or_made_twice(tmp_path):
    """A short version of benchmarks/faults/kills_of_scoring.py: kill -9 at 3 moments."""
    from benchmarks.faults.kills_of_scoring import trials

    found = trials(tmp_path, kills=3, curves=600, rows=50, seed=5)
    assert found["kills"] == 3
    assert found["half_files"] == found["lost"] == found["twice"] == found["changed"] == found["left_over"] == 0


RAY = """
import sys, pyarrow.parquet as pq, ray, lcx
ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
table = pq.read_table(sys.argv[1])
data = ray.data.from_arrow([table.slice(i, 50) for i in range(0, 200, 50)])  # the actors take all CPUs: none is left for a task
given = {"model": "parametric", "device": "cpu", "horizon": 20, "mode": "max", "at": 2}
actors = ray.data.ActorPoolStrategy(size=2)
for kind in ("pyarrow", "numpy"):
    mapped = data.map_batches(lcx.BatchScorer, fn_constructor_kwargs=given, batch_format=kind, batch_size=64, compute=actors)
    mapped.to_pandas().to_pickle(f"{sys.argv[2]}/{kind}.pkl")
ray.shutdown()
"""


@pytest.mark.slow  # starts Ray, where it is installed
def test_ray_data_maps_batches_with_actors(tmp_path):
    pytest.importorskip("ray.data")
    pq.write_table(curves(200), tmp_path / "in.parquet")
    # In a process of its own: Ray starts threads and warns of what this project turns into errors.
    given = [sys.executable, "-c", RAY, str(tmp_path / "in.parquet"), str(tmp_path)]
    out = subprocess.run(given, capture_output=True, text=True, timeout=1200, check=False)
    assert out.returncode == 0, out.stderr[-3000:]
    expected = BatchScorer(model="parametric", device="cpu", horizon=20, mode="max", at=2)(curves(200)).to_pandas().sort_values("run")
    for kind in ("pyarrow", "numpy"):
        got = pd.read_pickle(tmp_path / f"{kind}.pkl").sort_values("run")
        assert list(got["run"]) == list(expected["run"])
        assert list(got["error"]) == list(expected["error"])
        np.testing.assert_allclose(got["mean"].astype(float), expected["mean"], rtol=1e-5)
        ahead = [np.concatenate([np.asarray(row, dtype=float) for row in frame["at_0.95"]]) for frame in (got, expected)]
        np.testing.assert_allclose(*ahead, rtol=1e-5)
