"""The page's modules that need no browser, in Node.js: logs as programs write them, links, and runs that have ended."""

import json
import random
import runpy
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from lcx.export.onnx import feed
from lcx.readers import metric_names, read
from lcx.readers.metric_names import bounds_of, direction_of

LOGS = runpy.run_path(str(Path(__file__).parents[2] / "readers" / "test_text_log.py"))["LOGS"]
NODE = shutil.which("node")
NAMES = Path(metric_names.__file__).with_suffix(".json")
SOURCES = Path(__file__).parents[3] / "lcx" / "export" / "page"
RUNTIME = """
export const env = { wasm: {} };
export class Tensor { constructor(type, data, dims) { Object.assign(this, { data, dims }); } dispose() {} }
export const InferenceSession = { create: async () => ({ run: async ({ at, values }) => {
  const [curves, asked] = at.dims, tensor = (...dims) => new Tensor("float64", new Float64Array(dims.reduce((a, b) => a * b)), dims);
  const answer = { quantiles: tensor(curves, asked, 9), better: tensor(curves, asked) };
  answer.quantiles.data.fill(values.data[0]);
  return answer;
} }) };
"""
pytestmark = pytest.mark.skipif(NODE is None, reason="needs Node.js")


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    """Gives what JavaScript prints as JSON; beside the modules lies a runtime that always answers with the first value and no chance."""
    folder = tmp_path_factory.mktemp("modules")
    (folder / "onnxruntime.mjs").write_text(RUNTIME)
    (folder / "metric_names.mjs").write_text(f"export default {NAMES.read_text()}")
    for name in ("table", "lines", "share", "forecast", "infer"):
        text = (SOURCES / f"{name}.js").read_text()
        for other in ("table", "lines", "onnxruntime", "wasm", "metric_names"):
            text = text.replace(f'"lcx/{other}"', f'"./{other}.mjs"')
        (folder / f"{name}.mjs").write_text(text)

    def run(code, given):
        (folder / "main.mjs").write_text(code)
        done = subprocess.run([NODE, folder / "main.mjs"], input=json.dumps(given), capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


READ = """
import { readFileSync } from "node:fs";
import { parse } from "./table.mjs";
const read = (text) => { try { return parse(text, "run"); } catch (error) { return error.message; } };
console.log(JSON.stringify(JSON.parse(readFileSync(0, "utf8")).map(read)));
"""


def test_logs_are_read_as_programs_write_them(node):
    cases = {  # Python's json writes NaN; a crash cuts the last line short; a history is a list per metric
        '{"log_history": [{"step": 5, "loss": 2.0, "grad_norm": NaN}, {"step": 10, "loss": 1.5}], "max_steps": 50}': {
            "loss": ([5, 10], [2, 1.5])
        },
        "[0.5, NaN, -Infinity, 0.25]": {"value": ([1, 4], [0.5, 0.25])},
        '{"step": 1, "note": "NaN, \\"Infinity", "loss": 2}\n{"step": 2, "loss": NaN}\n{"step": 3, "loss": 1}\n{"step": 4, "lo': {
            "loss": ([1, 3], [2, 1])
        },
        '{"loss": [2, 1], "val_loss": [3, 2]}': {"loss": ([1, 2], [2, 1]), "val_loss": ([1, 2], [3, 2])},
        "epoch,loss\n0,2,\n1,1,\n": {"loss": ([1, 2], [2, 1])},
        "epoch;acc, test;loss\n1;0,31;1,5e-1\n2;0,42;NaN\n": {"acc, test": ([1, 2], [0.31, 0.42]), "loss": ([1], [0.15])},
        "step\tacc\n1\t31,5 %\n2\t42%\n": {"acc": ([1, 2], [31.5, 42])},
        "1;0,5\n2;0,25\n": {"value": ([1, 2], [0.5, 0.25])},
        'epoch,loss,acc\n1,"1,234.5",-\n2,"1,100",3 %\n': {"loss": ([1, 2], [1234.5, 1100]), "acc": ([2], [3])},
    }
    for text, log in zip(cases, node(READ, list(cases)), strict=True):
        assert {curve["metric"]: (curve["steps"], curve["values"]) for curve in log["curves"]} == cases[text], text


def test_printed_lines_are_read_as_python_reads_them(node, tmp_path):
    cases = {name: text for name, (text, *_) in LOGS.items()}
    cases["zero to total"] = "".join(f"step:{step}/20 val_loss:{4 - step / 10}\n" for step in (0, 10, 20))
    cases["below its source"] = "# step 2: loss=0.5\n" + "".join(f"x{i} = {i}\n" for i in range(9000)) + LOGS["modded-nanogpt"][0]
    cases["half a line"] = LOGS["nanogpt"][0] + "step 4: train lo"
    cases["a summary"] = "epoch 1 loss 2.5 max_epochs 8\nepoch 2 loss 2.25 max_epochs 8\nfinal score 0.5\n"
    for (name, text), log in zip(cases.items(), node(READ, list(cases.values())), strict=True):
        (tmp_path / "run.log").write_text(text, newline="")
        table = read(tmp_path / "run.log", "text")
        assert log["horizon"] == table.attrs.get("horizon", {}).get("run.log"), name
        points = {metric: (list(of["step"]), list(of["value"])) for metric, of in table[np.isfinite(table["value"])].groupby("metric")}
        got = {curve["metric"]: (curve["steps"], curve["values"]) for curve in log["curves"]}
        assert got.keys() == points.keys(), name
        for metric, told in points.items():
            np.testing.assert_allclose(got[metric], told, rtol=1e-12, err_msg=f"{name}: {metric}")


def test_tables_and_prose_are_no_printed_lines(node):
    texts = ["no log at all\n", "Step 1/9 : FROM x\nStep 2/9 : RUN y\n", "[1, 2"]
    first, *others = node(READ, ["step,loss,note\n1,3,step 1 acc 2\n2,2,step 2 acc 3\n", *texts])
    assert [curve["metric"] for curve in first["curves"]] == ["loss"]
    assert all(answer.startswith("Expected") for answer in others)


def test_broken_json_is_refused(node):
    for message in node(READ, ['{"values": ', '{"step": 1}\n{"step"\n{"step": 3}', "[1, 2,]", '{"a": "' + '\\"' * 10**6]):
        assert message.startswith("Expected JSON after “")


def test_a_link_that_the_page_would_refuse_is_not_made(node):
    code = """
    import { decode, encode } from "./share.mjs";
    const state = (n, runs = 1) => ({ metric: "loss", mode: "min", horizon: 1e7, upto: null, lower: 0, upper: null, best: null,
      others: false, runs: Array(runs).fill({ run: "a", steps: [...Array(n).keys()].map((i) => i + 1), values: Array(n).fill(0.12345) }) });
    const same = async (n) => JSON.stringify(await decode(await encode(state(n)))) === JSON.stringify(state(n));
    const refused = (of) => encode(of).then(String, (error) => error.message);
    console.log(JSON.stringify([await same(10), await refused(state(400000)), await refused(state(3, 101))]));
    """
    same, large, many = node(code, None)
    assert same
    assert large.startswith("Expected at most 5 MB of data for a link; got ")
    assert many == "Expected at most 100 runs for a link; got 101. Send the log itself."


def test_a_run_at_its_end_is_what_others_have_to_beat(node):
    code = """
    import { load, predict } from "./forecast.mjs";
    const run = (name, n, value) => ({ run: name, steps: Array.from({ length: n }, (_, i) => i + 1), values: Array(n).fill(value) });
    const asked = { mode: "max", horizon: 10, lower: null, upper: null, best: null };
    load(null, null);
    const refused = await predict([run("a", 11, 0.9)], asked).then(String, (error) => error.message);
    const alone = await predict([run("a", 10, 0.9)], asked);
    console.log(JSON.stringify([refused, ...alone, ...await predict([run("a", 3, 0.2), run("b", 10, 0.9), run("c", 4, 0.3)], asked)]));
    """
    refused, alone, first, ended, last = node(code, None)
    assert refused.startswith("Expected no steps beyond the last step of a full run, 10; got 11 in a")
    assert (alone["at"], alone["best"], alone["stop"]) == ([], None, None)
    assert (first["best"], ended["best"], last["best"]) == (0.9, 0.3, 0.9)
    assert (first["stop"], ended["stop"], last["stop"]) == (True, None, True)
    assert (ended["at"], ended["quantiles"], ended["better"]) == ([], [], None)
    assert [len(answer["quantiles"]) for answer in (first, last)] == [7, 6]


def test_what_names_and_values_say_is_what_python_says(node):
    draw, names = random.Random(3), json.loads(NAMES.read_text())
    words = [
        *(word for kind in names["kinds"].values() for word in kind["words"]),
        *names["unclear"],
        *["val", "x", "y2", "Ep"],
    ]
    shapes = ["{}", "val_{}", "{}/{}", "{}_{}", "{}{}", "{}@10", "{}50-95(B)", "avg{}", "{} {}.{}"]
    ways = (str.lower, str.upper, str.title)
    metrics = [draw.choice(shapes).format(*(draw.choice(ways)(draw.choice(words)) for _ in range(3))) for _ in range(3000)]
    metrics += [
        f"{of}neg_{name}" for of in ("", "val_", "a/", "x") for name in ("log_loss", "loss", "max_error", "Error", "größe_error", "mse")
    ]
    metrics += [*words, "valLoss", "AverageEpRet", "mAP50-95", "episode_len_mean", "", "/", "größe", "__proto__", "constructor"]
    values = [draw.choice(([0.1, 0.9], [0, 1], [3.0, 97.5], [2, 130], [-0.5, 0.5], [-3, 0.2], [None, 0.5], [None])) for _ in metrics]
    code = """
    import { readFileSync } from "node:fs";
    import { boundsOf, directionOf } from "./infer.mjs";
    const cases = JSON.parse(readFileSync(0, "utf8"));
    console.log(JSON.stringify(cases.map(([name, values]) => [directionOf(name), boundsOf(name, values.map((v) => v ?? NaN))])));
    """
    got = node(code, list(zip(metrics, values, strict=True)))
    for name, numbers, (mode, bounds) in zip(metrics, values, got, strict=True):
        finite = [np.nan if value is None else value for value in numbers]
        assert (mode, tuple(bounds)) == (direction_of(name), bounds_of(name, finite)), (name, numbers)


def test_the_last_step_is_where_runs_end_together_else_twice_as_far(node):
    code = """
    import { horizonOf } from "./infer.mjs";
    const ends = [[], [7], [7, 7], [7, 7, 3], [9, 7, 3]];
    console.log(JSON.stringify(ends.map((of) => horizonOf(of.map((end) => ({ steps: [1, end] })))?.horizon ?? null)));
    """
    assert node(code, None) == [None, 14, 14, 7, 18]


def test_long_other_runs_are_thinned_as_in_python(node):
    counts = [1, 2, 255, 256, 257, 258, 300, 511, 512, 513, 1000, 1023, 4097, 99_999]
    code = """
    import { readFileSync } from "node:fs";
    import { spread } from "./forecast.mjs";
    console.log(JSON.stringify(JSON.parse(readFileSync(0, "utf8")).map(spread)));
    """
    for count, index in zip(counts, node(code, counts), strict=True):
        given = feed([0.0, 1.0], horizon=9, mode="max", others=[(None, np.arange(count))])
        assert index == given["other_values"][0].tolist()


def test_long_runs_are_read_as_averages_as_in_python(node):
    draw = np.random.default_rng(0)
    runs = [(np.sort(draw.uniform(0.5, 9, n)), draw.normal(size=n) + np.arange(n) / n) for n in (3, 512, 513, 700, 4097, 99_999)]
    code = """
    import { readFileSync } from "node:fs";
    import { readable } from "./forecast.mjs";
    console.log(JSON.stringify(JSON.parse(readFileSync(0, "utf8")).map(([steps, values]) => readable({ steps, values }))));
    """
    asked = [[steps.tolist(), values.tolist()] for steps, values in runs]
    for (steps, values), reduced in zip(runs, node(code, asked), strict=True):
        given = feed(values, steps, horizon=10, mode="max")
        for name in ("values", "steps"):
            np.testing.assert_allclose(reduced[name], given[name][0], rtol=1e-9, atol=1e-9)
        assert reduced["noise"] == pytest.approx(given["noise"][0], rel=1e-5)
