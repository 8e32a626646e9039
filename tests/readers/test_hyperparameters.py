"""Hyperparameters beside the curves: as each tool writes them; nothing of summaries; and no curve lost where they cannot be read."""

import json
import math
from copy import deepcopy

import pytest

from lcx.readers import Kept, read
from lcx.readers.hyperparameters import Hyperparameters, hyperparameters
from lcx.readers.plain_yaml import entries

CURVE = "epoch,loss\n1,2\n2,1\n"
# hparams.yaml as Lightning writes it, by yaml.dump
HPARAMS = """\
activation: !!python/name:torch.nn.modules.activation.ReLU ''
betas: !!python/tuple
- 0.9
- 0.999
callbacks:
- class: EarlyStopping
  patience: 3
- class: Checkpoint
  patience: 4
layers:
- 64
- 64
lr: 1.0e-03
model:
  norm: null
  size:
    width: 32
note: 'a text that goes on in the next line, since it is longer than the eighty
  columns: that a line has'
optimizer: adam
resume: "false"
code: |
  x: 1
  def f(): return 2
seed: 7 # as always
"""
LIGHTNING = {
    "activation": "!!python/name:torch.nn.modules.activation.ReLU ''",
    "betas": "[0.9, 0.999]",
    "layers": "[64, 64]",
    "lr": 0.001,
    "model.size.width": 32,
    "optimizer": "adam",
    "resume": False,
    "seed": 7,
}
# params.json as Ray Tune writes it
RAY = {"lr": 0.01, "model": {"sizes": [8, 8], "act": "tanh"}, "env": None, "callbacks": "<class 'x'>", "seeds": list(range(99))}
TUNE = {"lr": 0.01, "model.sizes": "[8, 8]", "model.act": "tanh", "callbacks": "<class 'x'>"}


def told(table):
    return table.attrs.get("hyperparameters")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["0.1", "1e-3", "-2", ".5", "3.", "007", 5, 0.25], [0.1, 0.001, -2, 0.5, 3.0, 7, 5, 0.25]),
        (["True", "false", True, False], [True, False, True, False]),
        (["adam", "1_000", "1.2.3", "[1, 2]", [1, "a"], (0.9, 0.99)], ["adam", "1_000", "1.2.3", "[1, 2]", "[1, 'a']", "(0.9, 0.99)"]),
        (["inf", "-Infinity", math.inf], [math.inf, -math.inf, math.inf]),
        (["", " ", "None", "null", None, math.nan, "nan", "x" * 101, "two\nlines"], [None] * 9),
    ],
)
def test_values_are_numbers_truth_values_and_short_texts(given, expected):
    for one, value in zip(given, expected, strict=True):
        found = hyperparameters({"x": one})
        assert found == ({} if value is None else {"x": value})
        assert [type(x) for x in found.values()] == [type(value)] * (value is not None)


def test_nested_names_are_joined_and_depth_is_no_fault():
    assert hyperparameters({"a": {"b": {"c": 1}, "d/e": 2}, 3: {}, "_wandb": {"x": 1}}) == {"a.b.c": 1, "a.d.e": 2}
    deep = {"x": 1}
    for _ in range(3000):
        deep = {"a": deep}
    assert list(hyperparameters(deep).values()) == [1]


def test_copies_share_them():
    own = hyperparameters({"lr": 1})
    assert deepcopy({"run": own})["run"] is own


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a:\n  - 1\n  - b\nc: 2\n", {"a": "[1, b]", "c": "2"}),
        ("a:\n- [1, 2]\n- x: 1\n  y: 2\nb: {c: 1}\n", {"b": "{c: 1}"}),
        ("- a: 1\n  b: 2\n", {}),
        ("a: &top 1\nb: &all\n  c: *top\n  d: [1,\n    2]\ne: 'it # is'\n", {"a": "&top 1", "b/c": "*top"}),
        ("{}\n", {}),
        ("a" + " " * 100_000 + "\nb: 1\n", {"b": "1"}),
        ('"a b": \'2\'\nc-d: "x"\n\n# no: 1\n---\ne: 3\r\n', {"a b": "2", "c-d": "x", "e": "3"}),
    ],
)
def test_the_plain_part_of_yaml(text, expected):
    assert entries(text) == expected


@pytest.mark.parametrize(
    ("log", "file", "text", "expected"),
    [
        ("metrics.csv", "hparams.yaml", HPARAMS, LIGHTNING),
        ("progress.csv", "params.json", json.dumps(RAY), TUNE),
        ("results.csv", "args.yaml", "task: detect\nlr0: 0.01\npatience: 50\n", {"task": "detect", "lr0": 0.01, "patience": 50}),
        ("train.log", ".hydra/config.yaml", "model:\n  width: 8\n  act: ${act}\n", {"model.width": 8, "model.act": "${act}"}),
    ],
)
def test_files_beside_a_log_are_those_of_its_runs(write, tmp_path, log, file, text, expected):
    for run in "ab":
        write(f"{run}/{log}", CURVE if log.endswith("csv") else "step 1: loss 2.0\nstep 2: loss 1.0\n")
    write(f"a/{file}", text)
    write("a/results.json", '{"best_loss": 1}')
    write("a/summary.yaml", "loss: 1\n")
    table = read(tmp_path)
    (name,) = told(table)
    assert name.startswith("a")
    assert told(table)[name] == expected
    assert list(told(read(tmp_path / "a" / log)).values()) == [expected]


def test_of_several_files_the_first_that_has_a_name_counts(write, tmp_path):
    write("log.csv", CURVE)
    write("hparams.yaml", "lr: 1\n")
    write("config.yaml", "lr: 2\nseed: 3\n")
    assert told(read(tmp_path)) == {"log.csv": {"lr": 1, "seed": 3}}


@pytest.mark.parametrize(
    ("file", "data"),
    [("params.json", b'{"lr": 0.'), ("params.json", b"\xff\xfe{"), ("hparams.yaml", b"lr: \0\n"), ("hparams.yaml", b"lr: \xe9\n")],
)
def test_a_file_that_cannot_be_read_costs_no_curve(write, tmp_path, file, data):
    write("a/progress.csv", CURVE)
    write("b/progress.csv", CURVE)
    write(f"a/{file}", data)
    write("b/params.json", '{"lr": 0.5}')
    with pytest.warns(UserWarning, match=rf"{file}: hyperparameters are left out: ") as said:
        table = read(tmp_path)
    assert len(said) == 1
    assert (len(table), told(table)) == (4, {"b": {"lr": 0.5}})


def test_files_that_hold_none_are_passed_over(write, tmp_path):
    file = write("log.csv", CURVE)
    write("params.json", "[1, 2]")
    write("hparams.yaml", "{}\n")
    write("config.json", json.dumps({"x": "y" * (1 << 20), "lr": 1}))  # data
    (tmp_path / "opt.yaml").mkdir()
    table = read(file)
    assert (len(table), told(table)) == (2, None)


def test_columns_that_hold_the_configuration(log):
    text = "training_iteration,loss,config/lr,config/opt,config/model/width,config/entropy\n1,2,0.1,adam,8,0.5\n2,1,0.1,adam,8,0.4\n"
    table = log("result.csv", text)
    assert set(table["metric"]) == {"loss"}
    assert told(table) == {"result.csv": {"lr": 0.1, "opt": "adam", "model.width": 8}}  # not what changed on the way


def test_objects_that_hold_the_configuration(log):
    rows = [
        {"run": run, "step": step, "loss": 1 / step, "config": {"lr": lr, "layers": [8], "amp": run == "a", "warm": step, "name": None}}
        for run, lr in (("a", 0.1), ("b", 0.2))
        for step in (1, 2)
    ]
    table = log("log.jsonl", "\n".join(map(json.dumps, rows)))
    assert told(table) == {"a": {"lr": 0.1, "layers": "[8]", "amp": True}, "b": {"lr": 0.2, "layers": "[8]", "amp": False}}
    assert set(table["metric"]) == {"loss"}
    table = log("top.jsonl", '{"config": {"lr": 3}}\n{"step": 1, "loss": 2}\n{"step": 2, "loss": 1}\n')
    assert told(table) == {"top.jsonl": {"lr": 3}}


def test_a_file_beside_is_not_asked_where_the_rows_tell(write, tmp_path):
    """The params.json of Ray is that of the end where a schedule changed them, and so holds an outcome."""
    write("a/progress.csv", "training_iteration,loss,config/lr\n1,2,0.1\n2,1,0.2\n")
    write("a/params.json", '{"lr": 0.2}')
    assert told(read(tmp_path)) is None


def test_a_second_training_in_a_file_has_them_too(write, tmp_path):
    file = write("log.csv", "epoch,loss,config/lr\n1,2,0.1\n2,1,0.1\n1,3,0.1\n2,2,0.1\n")
    with pytest.warns(UserWarning, match="start again"):
        assert told(read(file)) == {"log.csv": {"lr": 0.1}, "log.csv (2)": {"lr": 0.1}}


def test_a_log_that_grows_and_a_file_that_changes_are_read_again(write, tmp_path):
    kept, file = Kept(), write("a/progress.csv", CURVE)
    assert told(read(tmp_path, kept=kept)) is None
    params = write("a/params.json", '{"lr": 1}')
    assert told(read(tmp_path, kept=kept)) == {"a": {"lr": 1}}
    write("a/progress.csv", CURVE + "3,0.5\n")
    table = read(tmp_path, kept=kept)
    assert (len(table), told(table)) == (3, {"a": {"lr": 1}})
    params.write_text('{"lr": 0.25}')
    assert told(read(file, kept=kept)) == {"a": {"lr": 0.25}}
    params.write_text('{"lr": 0.2')
    for _ in range(2):
        with pytest.warns(UserWarning, match="left out"):
            assert len(read(file, kept=kept)) == 3


def test_mlflow_parameters_are_numbers_again_and_tags_are_none(write, tmp_path):
    run = "mlruns/0/r1"
    write("mlruns/0/meta.yaml", "experiment_id: '0'\nname: Default\n")
    write(f"{run}/meta.yaml", "run_id: r1\nrun_name: fox\n")
    write(f"{run}/metrics/loss", "1 3 1\n2 2 2\n")
    write(f"{run}/tags/best_loss", "2")
    for name, text in {"lr": "0.1", "opt/name": "adam", "amp": "True", "size": "[8, 8]", "resume": "None"}.items():
        write(f"{run}/params/{name}", text)
    assert told(read(tmp_path / "mlruns")) == {"fox": {"lr": 0.1, "opt.name": "adam", "amp": True, "size": "[8, 8]"}}
    write(f"{run}/params/broken", b"\xff\xfe\xff")
    with pytest.warns(UserWarning, match="broken: hyperparameters are left out"):
        table = read(tmp_path / "mlruns")
    assert (len(table), told(table)["fox"]["lr"]) == (2, 0.1)


def test_sacred_and_dvclive_and_a_search_of_hugging_face(write, tmp_path):
    for run, config in {"1": '{"seed": 5, "net": {"width": 8}}', "2": '{"seed": '}.items():
        write(f"sacred/{run}/metrics.json", '{"loss": {"steps": [1, 2], "values": [2, 1], "timestamps": []}}')
        write(f"sacred/{run}/run.json", '{"status": "COMPLETED", "result": 0.5}')
        write(f"sacred/{run}/config.json", config)
    write("live/dvclive/plots/metrics/loss.tsv", "step\tloss\n1\t2\n2\t1\n")
    write("live/dvclive/params.yaml", "lr: 0.1\nsizes:\n- 8\n- 8\n")
    write("live/dvclive/metrics.json", '{"loss": 1}')
    state = {"max_steps": 2, "best_metric": 1.0, "trial_params": {"learning_rate": 3e-5}, "log_history": [{"step": 1, "loss": 2}]}
    write("trainer/trainer_state.json", json.dumps(state))
    write("trainer/all_results.json", '{"loss": 1}')
    with pytest.warns(UserWarning, match=r"2.config\.json: hyperparameters are left out: "):
        table = read(tmp_path)
    assert set(table["run"]) == {"sacred/1", "sacred/2", "live", "trainer"}
    assert told(table) == {
        "sacred/1": {"seed": 5, "net.width": 8},
        "live": {"lr": 0.1, "sizes": "[8, 8]"},
        "trainer": {"learning_rate": 3e-5},
    }


@pytest.mark.slow  # 8 s: the package loads slowly
def test_the_page_of_hyperparameters_of_tensorboard(tmp_path):
    tensorboard = pytest.importorskip("torch.utils.tensorboard")
    from torch.utils.tensorboard.summary import hparams

    given = {"lr": 0.1, "batch": 8, "opt": "adam"}
    for run in ("inside", "below", "none"):
        with tensorboard.SummaryWriter(str(tmp_path / run)) as writer:
            for step in (1, 2):
                writer.add_scalar("loss", 1 / step, step)
            if run == "below":
                writer.add_hparams(given, {"hparam/loss": 0.5})
            if run == "inside":  # as Lightning's logger writes it
                for one in hparams(given, {"hp_metric": -1}):
                    writer.file_writer.add_summary(one)
    (tmp_path / "none" / "hparams.yaml").write_text("lr: 0.2\n")
    found = told(read(tmp_path))
    assert (found["inside"], found["below"], found["none"]) == (given, given, {"lr": 0.2})


def test_steps_of_pandas_do_not_copy_them(log):
    rows = [{"run": run, "step": step, "loss": 1.0, "config": {"lr": 1}} for run in "ab" for step in (1, 2)]
    table = log("log.jsonl", "\n".join(map(json.dumps, rows)))
    half = table[table["step"] == 1].copy()
    assert all(half.attrs["hyperparameters"][run] is one for run, one in told(table).items())
    assert isinstance(told(table)["a"], Hyperparameters)
