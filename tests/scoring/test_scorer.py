"""BatchScorer: the numbers of predict for every kind of batch, errors per row, nothing but arguments in the pickle."""

import math
import pickle

import numpy as np
import pandas as pd
import pytest

import lcx
from lcx.scoring.scorer import BatchScorer

NAN = float("nan")
MIXED = pd.DataFrame(
    [
        ("a", [0.31, 0.42, 0.48], None, 20.0, "max", 0.0, 1.0, 0.7, 3),
        ("b", [0.31, None, 0.48, 0.5], [2, 5, 9, 12.5], 40.0, "max", 0.0, 1.0, None, 0),
        ("c", [2.3, 1.7, 1.4, 1.3, 1.21], [1e3, 2e3, 4e3, 8e3, 1.6e4], 1e5, "min", 0.0, None, 0.9, 5),
        ("d", [2.3, 1.7, 1.4, 1.3, 1.21], None, 1e4, "min", None, None, 0.9, 5),
        ("e", [55.0], None, 2.0, "max", None, 100.0, 60.0, 1),
        ("f", list(np.linspace(0.2, 0.999, 150)), None, 151.0, "max", None, 1.0, 0.9, 4),
        ("g", [0.999, 0.9995, 0.9996], None, 100.0, "max", 0.0, 1.0, 0.9997, 4),
        ("h", [0.0, 0.0], [1, 3], 100.0, "min", 0.0, 1.0, 0.0, 2),
    ],
    columns=["run", "values", "steps", "horizon", "mode", "lower", "upper", "best", "at_count"],
)
BAD = {
    "infinite": ({"values": [0.1, math.inf]}, "finite values; got values[1] = inf"),
    "nothing": ({"values": None}, "at least one finite value"),
    "all missing": ({"values": [NAN, NAN]}, "at least one finite value"),
    "outside": ({"values": [0.1, 1.5]}, "values within (0.0, 1.0); got values[1] = 1.5"),
    "fewer steps": ({"steps": [1]}, "as many steps as values"),
    "more steps": ({"steps": [1, 2, 3]}, "as many steps as values"),
    "falling steps": ({"steps": [2, 1]}, "steps strictly increasing"),
    "endless": ({"horizon": math.inf}, "finite horizon > 0"),
    "late": ({"horizon": 2.0}, "no steps at or beyond the horizon"),
    "no horizon": ({"horizon": NAN}, "finite horizon > 0"),
    "mode": ({"mode": "up"}, "mode 'max' or 'min'; got 'up'"),
    "bounds": ({"lower": 2.0}, "bounds as (lower, upper)"),
    "count": ({"at_count": -1}, "at_count as a whole number"),
    "memory": ({"at_count": 10**9}, "at_count as a whole number from 0 to 65536; got 1000000000"),
}
ODD = {  # what only Python objects can hold
    "words": ({"values": ["a", 0.2]}, "values as real numbers; got values[0] = 'a'"),
    "nested": ({"values": [[0.1, 0.2]]}, "values as a list of numbers"),
    "horizon": ({"horizon": "ten"}, "horizon as a number; got 'ten'"),
}


@pytest.fixture(scope="module")
def scorer():
    return BatchScorer(model="parametric", device="cpu")


@pytest.fixture(scope="module")
def answers(scorer):
    return scorer(MIXED)


def alone(row, model="parametric"):
    """The same row asked of predict."""
    last = (np.arange(1.0, len(row["values"]) + 1) if row["steps"] is None else np.array(row["steps"], dtype=float))[-1]
    count = max(row["at_count"], 1)
    at = [row["horizon"] - (row["horizon"] - last) * (1 - k / count) for k in range(1, count + 1)]
    bounds = tuple(None if math.isnan(x) else x for x in (row["lower"], row["upper"]))
    given = {"horizon": row["horizon"], "mode": row["mode"], "bounds": bounds, "at": at}
    return lcx.predict(row["values"], row["steps"], **given, model=model, device="cpu")


@pytest.mark.parametrize("model", ["parametric", "general"])
def test_every_number_is_that_of_predict(model):
    answers = BatchScorer(model=model, device="cpu")(MIXED)
    for i, row in MIXED.iterrows():
        answer, got = alone(row, model), answers.loc[i]
        close = {"rtol": 1e-5, "atol": 1e-5 * answer.std[-1]}  # float32: a batch of another size rounds otherwise
        assert got["error"] == ""
        for name, one in (("mean", answer.mean), ("median", answer.median), ("std", answer.std)):
            np.testing.assert_allclose(got[name], one[-1], **close, err_msg=f"{name} of {row['run']}")
        for level in (0.05, 0.25, 0.75, 0.95):
            np.testing.assert_allclose(got[str(level)], answer.quantile(level)[-1], **close)
            if row["at_count"]:
                np.testing.assert_allclose(got[f"at_{level}"], answer.quantile(level), rtol=1e-6, atol=1e-6 * answer.std.max())
        assert len(got["at"]) == row["at_count"]
        if row["at_count"]:
            np.testing.assert_allclose(got["at"], answer.at, rtol=1e-15)
        np.testing.assert_allclose(got["prob_better"], NAN if math.isnan(row["best"]) else answer.prob_better(row["best"])[-1], atol=1e-6)


def test_defaults_of_the_constructor_fill_columns_and_gaps():
    rows = [{"values": [0.3, 0.4], "horizon": 30.0}, {"values": [0.3, 0.4], "horizon": None}]
    given = BatchScorer(model="parametric", device="cpu", horizon=10, mode="max", bounds=(0, 1), best=0.5, at=2, quantiles=[0.5])
    got = given(pd.DataFrame(rows))
    for i, horizon in enumerate((30, 10)):
        answer = lcx.predict(
            [0.3, 0.4], horizon=horizon, mode="max", bounds=(0, 1), at=[2 + (horizon - 2) / 2, horizon], model="parametric"
        )
        np.testing.assert_allclose(got["at_0.5"][i], answer.median, rtol=1e-6)
        np.testing.assert_allclose(got["prob_better"][i], answer.prob_better(0.5)[-1], atol=1e-6)
    assert list(got.columns) == ["mean", "median", "std", "0.5", "prob_better", "at", "at_median", "at_0.5", "error"]


def batches():
    """The mixed batch as every kind there is, with a way back to lists of Python numbers."""
    plain = {name: list(MIXED[name]) for name in MIXED}
    yield "lists", plain, lambda out, name: list(out[name])
    arrays = {name: np.array(column) if name not in ("values", "steps") else MIXED[name].to_numpy() for name, column in plain.items()}
    yield "arrays", arrays, lambda out, name: list(out[name])
    yield "pandas", MIXED.set_index(pd.Index(range(100, 108))), lambda out, name: list(out[name])
    pa = pytest.importorskip("pyarrow")
    table = pa.table({name: pa.array(column, from_pandas=True) for name, column in plain.items()})
    yield "table", table, lambda out, name: out[name].to_pylist()
    yield "batch", table.to_batches()[0], lambda out, name: out[name].to_pylist()
    large = table.set_column(1, "values", table["values"].cast(pa.large_list(pa.float32())))
    yield "large lists", pa.concat_tables([large[:3], large[3:]]), lambda out, name: out[name].to_pylist()


def test_every_kind_of_batch_gives_its_own_kind_and_the_same_numbers(scorer, answers):
    for kind, batch, entries in batches():
        out = scorer(batch)
        assert type(out) is type(batch)
        assert list(entries(out, "run")) == list("abcdefgh")
        for name in answers.columns:
            for mine, his in zip(entries(out, name), answers[name], strict=True):
                if name in ("run", "error"):
                    assert mine == his
                else:
                    close = 1e-4 if kind == "large lists" else 1e-12  # given as float32
                    np.testing.assert_allclose(np.array(mine, dtype=float), his, rtol=close, atol=close, err_msg=f"{kind}, {name}")
    assert list(scorer(MIXED.set_index(pd.Index(range(100, 108)))).index) == list(range(100, 108))


def test_a_matrix_and_a_fixed_size_list_are_curves_of_one_length(scorer):
    matrix, rest = np.array([[0.3, 0.4, NAN], [0.1, 0.2, 0.25]]), {"horizon": [9, 9], "mode": ["max", "max"]}
    got = scorer({"values": matrix, **rest})["mean"]
    np.testing.assert_allclose(got, scorer({"values": [[0.3, 0.4], [0.1, 0.2, 0.25]], **rest})["mean"], rtol=1e-9)
    pa = pytest.importorskip("pyarrow")
    fixed = pa.FixedSizeListArray.from_arrays(pa.array(matrix.ravel()), 3)
    np.testing.assert_allclose(scorer(pa.table({"values": fixed, **rest}))["mean"], got, rtol=1e-9)


def test_missing_entries_of_pandas_types_are_missing(scorer):
    rows = {"values": [[0.3, 0.4], pd.NA], "horizon": pd.array([9, None], dtype="Int64"), "mode": pd.array(["max", None], dtype="string")}
    frame = pd.DataFrame(rows)
    got = BatchScorer(model="parametric", device="cpu", horizon=8, mode="min")(pd.concat([frame, frame.assign(values=[[0.3, 0.4]] * 2)]))
    for i, (horizon, mode) in ((0, (9, "max")), (3, (8, "min"))):
        one = lcx.predict([0.3, 0.4], horizon=horizon, mode=mode, at=[horizon], model="parametric", device="cpu")
        np.testing.assert_allclose(got["mean"].iloc[i], one.mean[0], rtol=1e-6)
    assert "at least one finite value" in got["error"].iloc[1]


def with_bad_rows(bad):
    good = {"run": "good", "values": [0.1, 0.2], "steps": [1, 2], "horizon": 9.0, "mode": "max", "lower": 0.0, "upper": 1.0, "at_count": 2}
    rows = [good | {"run": name} | change for name, (change, _) in bad.items()]
    return [good, *[row for pair in zip(rows, [good] * len(rows), strict=True) for row in pair]]


@pytest.mark.parametrize("kind", ["pandas", "pyarrow"])
def test_a_bad_row_gets_an_error_and_the_others_their_answers(scorer, kind):
    bad = BAD | (ODD if kind == "pandas" else {})
    rows = with_bad_rows(bad)
    if kind == "pandas":
        out = scorer(pd.DataFrame(rows))
    else:
        table = scorer(pytest.importorskip("pyarrow").Table.from_pylist(rows))
        for name in ("mean", "0.05"):
            assert table[name].null_count == len(bad)
        out = table.to_pandas()
    wrong = out[out["run"] != "good"]
    for (name, (_, expected)), (_, row) in zip(bad.items(), wrong.iterrows(), strict=True):
        assert expected in row["error"], name
        assert np.isnan([row["mean"], row["median"], row["std"], row["0.95"]]).all(), name
        assert len(row["at"]) == len(row["at_0.25"]) == 0, name
    good = out[out["run"] == "good"]
    assert (good["error"] == "").all()
    np.testing.assert_allclose(
        good["mean"], lcx.predict([0.1, 0.2], horizon=9, mode="max", bounds=(0, 1), at=[9], model="parametric").mean[0]
    )


def test_no_number_is_missing_without_an_error(scorer, monkeypatch):
    class Broken(lcx.Extrapolator):
        def __call__(self, values, **given):
            answer = super().__call__(values, **given)
            answer.predictive.loc[0] = NAN
            return answer

    whole = lcx.load("parametric", "cpu")
    monkeypatch.setattr("lcx.scoring.scorer.load", lambda *_: Broken(whole.model, whole.about))
    out = scorer({"values": [[0.1, 0.2], [0.1, 0.3]], "horizon": [9, 9], "mode": ["max"] * 2, "best": [0.3, 0.3]})
    assert out["error"][0].startswith("Expected a finite prediction")
    assert out["error"][1] == ""
    assert np.isnan([out[name][0] for name in ("mean", "median", "std", "0.05", "prob_better")]).all()
    assert np.isfinite([out[name][1] for name in ("mean", "median", "std", "0.05", "prob_better")]).all()


def test_many_rows_in_several_parts_are_those_of_small_batches(scorer, monkeypatch):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"values": [rng.random(rng.integers(1, 30)) for _ in range(60)], "horizon": 50, "mode": "max", "at_count": 2})
    frame.loc[17, "horizon"] = 1
    whole = scorer(frame)
    monkeypatch.setattr("lcx.scoring.scorer._ROWS", 7)
    parts = scorer(frame)
    np.testing.assert_allclose(whole["std"], parts["std"], rtol=1e-5)
    assert (whole["error"] != "").sum() == 1


def test_the_pickle_holds_arguments_only_and_weights_come_with_the_first_call(scorer, answers, monkeypatch):
    packed = pickle.dumps(scorer)
    assert len(packed) < 1000
    with monkeypatch.context() as patch:
        patch.setattr("lcx.scoring.scorer.load", lambda *_: pytest.fail("weights were loaded before the first call"))
        again = pickle.loads(pickle.dumps(BatchScorer(model="no such model")))
    with pytest.raises(ValueError, match="no such model"):
        again(MIXED)
    pd.testing.assert_frame_equal(pickle.loads(packed)(MIXED), answers)
    assert pickle.dumps(scorer) == packed, "a call left state behind"


def test_spark_calls_a_generator_and_its_schema_names_the_columns(scorer, answers):
    """What mapInPandas does, without a JVM: the pickled method gets an iterator of frames and gives one."""
    each = pickle.loads(pickle.dumps(scorer.each))
    out = each(iter([MIXED[:3], MIXED[3:]]))
    assert iter(out) is out
    got = pd.concat(list(out))
    np.testing.assert_allclose(got["mean"], answers["mean"], rtol=1e-5)
    kinds = dict(
        column.split("` ") for column in scorer.schema(best=True, at=True, run="string").replace(", `", "\n").lstrip("`").split("\n")
    )
    assert list(kinds) == list(got.columns)
    held = {"double": float, "string": str, "array<double>": np.ndarray}
    assert all(isinstance(got[name].iloc[0], held[kind]) for name, kind in kinds.items())
    assert "prob_better" not in scorer.schema()
    assert "at_median" in BatchScorer(at=3).schema()


def test_an_empty_frame_has_the_columns_and_types_of_a_full_one(scorer, answers):
    """Dask asks this for its meta."""
    meta = scorer(MIXED.iloc[:0])
    assert len(meta) == 0
    assert dict(meta.dtypes) == dict(answers.dtypes)


def test_a_long_table_becomes_a_row_per_curve(scorer):
    long = pd.DataFrame({"run": list("aabbb"), "metric": "acc", "step": [1, 2, 1, 2, 4.0], "value": [0.1, 0.2, 0.3, 0.4, 0.45]})
    rows = long.groupby(["run", "metric"], as_index=False).agg(values=("value", list), steps=("step", list))
    got = scorer(rows.assign(horizon=10, mode="max"))
    one = lcx.predict([0.3, 0.4, 0.45], [1, 2, 4], horizon=10, mode="max", at=[10], model="parametric")
    np.testing.assert_allclose(got["mean"][1], one.mean[0], rtol=1e-6)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"quantiles": (0.5, 1.0)}, "levels inside"),
        ({"quantiles": (0.5, 0.5)}, "different quantile levels"),
        ({"at": -1}, "at as a whole number"),
        ({"at": 10**9}, "at as a whole number"),
        ({"mode": "up"}, "mode 'max' or 'min'"),
        ({"bounds": (1, 0)}, "bounds as"),
        ({"horizon": NAN}, "horizon as a finite number"),
        ({"keep": ("run", "mean")}, "other than those written"),
    ],
)
def test_the_constructor_refuses(given, message):
    with pytest.raises(ValueError, match=message):
        BatchScorer(**given)


def test_a_batch_without_curves_horizon_or_mode_or_of_another_kind_is_refused(scorer):
    with pytest.raises(ValueError, match="column 'values'"):
        scorer({"value": [[1.0]]})
    with pytest.raises(ValueError, match=r"column 'horizon'.*give the argument"):
        scorer({"values": [[1.0]], "mode": ["max"]})
    with pytest.raises(ValueError, match="same length"):
        scorer({"values": [[1.0]], "mode": ["max", "max"], "horizon": [2]})
    with pytest.raises(TypeError, match="dict of arrays"):
        scorer([[1.0, 2.0]])


def test_names_that_come_twice(scorer):
    """A column read or handed on may come once; others do not matter, nor does a name told twice."""
    row = {"values": [[0.1, 0.2]], "horizon": 9, "mode": "max", "run": "a", "note": 1}
    frame = pd.DataFrame(row)
    for name in ("values", "run"):
        with pytest.raises(ValueError, match=f"expected one column '{name}', got 2"):
            scorer(pd.concat([frame, frame[[name]]], axis=1))
    assert list(scorer(pd.concat([frame, frame[["note"]]], axis=1))["error"]) == [""]
    twice = BatchScorer(model="parametric", device="cpu", keep=("run", "run", "0"))(frame.rename(columns={"note": 0}))
    assert list(twice.columns) == ["run", "mean", "median", "std", "0.05", "0.25", "0.75", "0.95", "error"]
    pa = pytest.importorskip("pyarrow")
    with pytest.raises(ValueError, match="expected one column 'run', got 2"):
        scorer(pa.Table.from_arrays([pa.array([[0.1]]), pa.array(["a"]), pa.array(["a"])], names=["values", "run", "run"]))


def test_a_batch_in_which_no_row_asks_for_steps_ahead(scorer):
    rows = {"values": [[0.1, 0.2], [0.3]], "horizon": [9, 9], "mode": ["max", "max"]}
    plain, got = scorer(rows), scorer(rows | {"at_count": [0, 0]})
    assert [len(row) for row in (*got["at"], *got["at_0.05"])] == [0] * 4
    np.testing.assert_allclose(got["0.05"], plain["0.05"])
    mixed = scorer(rows | {"at_count": [0, 3]})
    assert [len(row) for row in mixed["at"]] == [0, 3]
    np.testing.assert_allclose(mixed["mean"], plain["mean"])
