"""The page's modules that need no browser, in Node.js: logs as programs write them, links, and runs that have ended."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

NODE = shutil.which("node")
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
    for name in ("table", "share", "forecast"):
        text = (SOURCES / f"{name}.js").read_text()
        for other in ("table", "onnxruntime"):
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
    }
    for text, log in zip(cases, node(READ, list(cases)), strict=True):
        assert {curve["metric"]: (curve["steps"], curve["values"]) for curve in log["curves"]} == cases[text], text


def test_broken_json_is_refused(node):
    for message in node(READ, ['{"values": ', '{"step": 1}\n{"step"\n{"step": 3}', "[1, 2,]", '{"a": "' + '\\"' * 10**6]):
        assert message.startswith("Expected JSON after “")


def test_a_link_that_the_page_would_refuse_is_not_made(node):
    code = """
    import { decode, encode } from "./share.mjs";
    const state = (n) => ({ metric: "loss", mode: "min", horizon: 1e7, upto: null, lower: 0, upper: null, best: null,
      runs: [{ run: "a", steps: Array.from({ length: n }, (_, i) => i + 1), values: Array(n).fill(0.1234567) }] });
    const same = async (n) => JSON.stringify(await decode(await encode(state(n)))) === JSON.stringify(state(n));
    console.log(JSON.stringify([await same(10), await encode(state(400000)).then(String, (error) => error.message)]));
    """
    same, message = node(code, None)
    assert same
    assert message.startswith("Expected at most 5 MB of data for a link; got ")


def test_a_run_at_its_end_is_what_others_have_to_beat(node):
    code = """
    import { load, predict } from "./forecast.mjs";
    const run = (name, n, value) => ({ run: name, steps: Array.from({ length: n }, (_, i) => i + 1), values: Array(n).fill(value) });
    const asked = { mode: "max", horizon: 10, lower: null, upper: null, best: null };
    load(null, null);
    const refused = await predict([run("a", 10, 0.9)], asked).then(String, (error) => error.message);
    console.log(JSON.stringify([refused, ...await predict([run("a", 3, 0.2), run("b", 10, 0.9), run("c", 4, 0.3)], asked)]));
    """
    refused, first, ended, last = node(code, None)
    assert refused.startswith("Expected no steps at or beyond the last step of a full run, 10; got 10 in a")
    assert (first["best"], ended["best"], last["best"]) == (0.9, 0.3, 0.9)
    assert (first["stop"], ended["stop"], last["stop"]) == (True, None, True)
    assert (ended["at"], ended["quantiles"], ended["better"]) == ([], [], None)
    assert [len(answer["quantiles"]) for answer in (first, last)] == [7, 6]
