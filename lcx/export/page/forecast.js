// Curves -> predictions, by the model in ONNX Runtime Web. Numbers as in Python's lcx.predict, lcx.stopping.outlook and lcx.stopping.
// What the graph takes and gives stands at the top of lcx/export/onnx.py.

import * as ort from "lcx/onnxruntime";
import { InputError } from "lcx/table";

export const LEVELS = [0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975];
export const DELTA = 0.05; // limit of the stopping rule
const LOOKED_AT = 64; // steps predicted at most: predictives change slowly along the horizon
const GENERAL_TOKENS = 512, AVERAGED = 128; // points the model reads at most, and averages in place of more
const OF_OTHERS = 256, LARGEST = 1e200; // points of another run that are read at most, and sizes
const AT_ONCE = 16; // runs predicted in one pass

let session = null;

/**
 * Starts the model.
 * @param {ArrayBuffer} wasm ort-wasm-simd-threaded.wasm
 * @param {ArrayBuffer} model the exported graph
 */
export function load(wasm, model) {
  const url = URL.createObjectURL(new Blob([wasm], { type: "application/wasm" })); // what stands beside a data: module it would not find
  ort.env.wasm.wasmPaths = { mjs: import.meta.resolve("lcx/wasm"), wasm: url };
  ort.env.wasm.numThreads = 1; // threads need headers that a file has not
  session ??= ort.InferenceSession.create(model, { graphOptimizationLevel: "disabled" });
  return session;
}

/**
 * Predicts the rest of runs. A run at the last step has ended: it is a value to beat, without a forecast.
 * @param {{run: string, steps: number[], values: number[]}[]} runs
 * @param {{mode: "max"|"min", horizon: number, lower: number|null, upper: number|null, best: number|null, others: boolean}} settings
 *   others: whether each forecast also reads the other runs
 * @param {number[]} shown indices of the runs to predict; the rest are only read, and to beat
 * @returns per run shown {at, quantiles, better, best, chance, stop, reason}: `at` the steps (none of an ended run), `quantiles[i]` those of
 *   LEVELS at step i, `better` P(better than best) by step (null without a best)
 */
export async function predict(runs, settings, shown = runs.map((_, i) => i)) {
  check(runs, settings);
  const bests = incumbents(runs, settings), answers = [];
  const going = shown.filter((i) => !ended(runs[i], settings));
  for (let i = 0; i < going.length; i += AT_ONCE) answers.push(...await ask(runs, going.slice(i, i + AT_ONCE), bests, settings));
  const over = (best) => ({ at: [], quantiles: [], better: null, best, chance: null, stop: null, reason: "This run is at its last step." });
  return shown.map((i) => (going.includes(i) ? answers[going.indexOf(i)] : over(bests[i])));
}

const ended = (run, { horizon }) => run.steps.at(-1) >= horizon;

async function ask(all, which, bests, settings) {
  const runs = which.map((i) => all[i]);
  const ahead = runs.map((run) => stepsAhead(run.steps.at(-1), settings.horizon));
  const read = runs.map(readable);
  const others = settings.others && all.length > 1 ? all.map((run) => only(run, spread(run.values.length))) : [];
  const known = others.length ? others : [{ steps: [NaN], values: [NaN] }];
  const each = (x) => runs.map(() => x);
  const inputs = {
    values: padded(read.map((r) => r.values)),
    steps: padded(read.map((r) => r.steps)),
    at: padded(ahead),
    horizon: vector(each(settings.horizon)),
    noise: vector(read.map((r) => r.noise)),
    lower: vector(each(settings.lower ?? -Infinity)),
    upper: vector(each(settings.upper ?? Infinity)),
    best: vector(which.map((i) => bests[i] ?? NaN)),
    sign: vector(each(settings.mode === "max" ? 1 : -1)),
    other_values: padded(known.map((r) => r.values.map((v) => Math.max(-LARGEST, Math.min(LARGEST, v))))),
    other_steps: padded(known.map((r) => r.steps)),
    own: vector(others.length ? which : each(-1)),
  };
  const output = await (await session).run(inputs, ["quantiles", "better"]);
  const quantiles = output.quantiles.data, better = output.better.data;
  const longest = output.better.dims[1], levels = LEVELS.length;
  const answers = runs.map((run, row) => {
    const of = (i) => [...quantiles.subarray((row * longest + i) * levels, (row * longest + i + 1) * levels)];
    const best = bests[which[row]], chances = best === null ? null : [...better.subarray(row * longest, row * longest + ahead[row].length)];
    const answer = { at: ahead[row], quantiles: ahead[row].map((_, i) => of(i)), better: chances, best };
    return { ...answer, ...verdict(run, answer, settings.mode) };
  });
  Object.values(inputs).forEach((tensor) => tensor.dispose());
  return answers;
}

/** Refuses what Python's lcx.predict refuses, but for runs at the last step, which have ended. */
export function check(runs, settings) {
  runs.forEach((run) => checkOne(run, settings));
}

function checkOne(run, { mode, horizon, lower, upper }) {
  if (mode !== "max" && mode !== "min") throw new InputError("Expected a direction; got none. Choose whether larger or smaller values are better.");
  if (!(horizon > 0 && horizon < Infinity)) throw new InputError("Expected the last step of a full run; got none. Enter a number > 0.");
  if (lower !== null && upper !== null && lower >= upper) throw new InputError(`Expected a lower bound below the upper; got ${lower} and ${upper}. Correct one of them.`);
  if (!run.values.length) throw new InputError(`Expected at least one value; got none in ${run.run}. Raise the step up to which points are used.`);
  const last = run.steps.at(-1);
  if (last > horizon) throw new InputError(`Expected no steps beyond the last step of a full run, ${horizon}; got ${last} in ${run.run}. Raise it, or use fewer points.`);
  const outside = run.values.findIndex((v) => (lower !== null && v < lower) || (upper !== null && v > upper));
  if (outside >= 0) {
    const bounds = `${lower ?? "−∞"} and ${upper ?? "∞"}`;
    throw new InputError(`Expected values between the bounds ${bounds}; got ${run.values[outside]} at step ${run.steps[outside]} in ${run.run}. Correct the bounds.`);
  }
  const range = run.values.reduce((a, b) => Math.max(a, b)) - run.values.reduce((a, b) => Math.min(a, b));
  if (!Number.isFinite(range) || run.values.some((y) => Math.abs(y) > 1e300)) throw new InputError(`Expected values with a finite range; got ${range} in ${run.run}. Rescale the values.`);
}

/** The best of some values; null without any. */
function incumbent(values, mode) {
  const pick = mode === "max" ? Math.max : Math.min;
  return values.reduce((a, b) => (a === null ? b : pick(a, b)), null);
}

/** What each run has to beat: the value asked for, or the best of the others. */
function incumbents(runs, { best, mode }) {
  const own = runs.map((run) => incumbent(run.values, mode));
  return runs.map((_, i) => best ?? incumbent(own.filter((_, j) => j !== i), mode));
}

/** The default rule of lcx.EarlyStopper: stop when P(better than best) <= DELTA at every later step, unless the run holds the best itself. */
function verdict(run, { at, better, best }, mode) {
  if (better === null) return { stop: null, chance: null, reason: "There is no value to beat: enter one, or add other runs." };
  const top = better.reduce((a, x, i) => (x > better[a] ? i : a), 0);
  const chance = better[top], own = incumbent(run.values, mode);
  const reason = `P(better than ${short(best)}) is ${chance < 0.001 ? "below 0.001" : `at most ${short(chance, 3)}`}, at step ${short(at[top])}; the limit is ${DELTA}.`;
  const holds = mode === "max" ? own >= best : own <= best;
  if (chance <= DELTA && holds) return { stop: false, chance, reason: `This run holds the best value, ${short(own)}; but for that: ${reason}` };
  return { stop: chance <= DELTA, chance, reason };
}

/** At most LOOKED_AT steps evenly from the last one seen to the horizon; each whole step if that is fewer. */
export function stepsAhead(last, horizon) {
  const left = horizon - last;
  const n = Number.isInteger(left) && Number.isInteger(last) && left < LOOKED_AT ? left : LOOKED_AT;
  const steps = Array.from({ length: n - 1 }, (_, i) => last + (left * (i + 1)) / n);
  return [...new Set([...steps, horizon])].filter((s) => s > last && s <= horizon);
}

/** What the model reads of a run, as lcx.pfn.tokens.GeneralTokens: its points, or of more than it can read averages, and the noise around them. */
export function readable({ steps, values }) {
  const count = values.length;
  if (count <= GENERAL_TOKENS) return { steps, values, noise: 0 };
  const ends = edges(count), range = values.reduce((a, b) => Math.max(a, b)) - values.reduce((a, b) => Math.min(a, b)) || 1;
  const read = { steps: [], values: [], noise: 0 };
  let square = 0, number = 0;
  for (let i = 0; i < AVERAGED; i++) {
    const t = steps.slice(ends[i], ends[i + 1]), y = values.slice(ends[i], ends[i + 1]), n = y.length;
    const mean = (x) => x.reduce((a, b) => a + b / n, 0), middle = mean(t), level = mean(y);
    read.steps.push(middle);
    read.values.push(level);
    if (n < 3 || i < AVERAGED - AVERAGED / 4) continue;
    let yy = 0, tt = 0, ty = 0; // of the rest around a straight line
    for (let k = 0; k < n; k++) {
      const dt = (t[k] - middle) / (t[n - 1] - t[0]), dy = (y[k] - level) / range;
      yy += dy * dy;
      tt += dt * dt;
      ty += dt * dy;
    }
    square += Math.max(0, yy - (ty * ty) / tt);
    number += n - 2;
  }
  read.noise = range * Math.sqrt(square / Math.max(1, number));
  return read;
}

/** Where the blocks of a long curve begin and the last one ends, as there. */
function edges(count) {
  const early = [...new Set(Array.from({ length: 16 }, (_, i) => even((count / AVERAGED) ** (i / 15))))];
  const left = AVERAGED - early.length, first = early.at(-1);
  return [0, ...early, ...Array.from({ length: left }, (_, i) => even(first + ((count - first) * (i + 1)) / left))];
}

/** Indices of the points read of another run, as lcx.pfn.others chooses them: evenly spread, in float32 as there. */
export function spread(count) {
  const gap = Math.fround((count - 1) / (OF_OTHERS - 1));
  return Array.from({ length: Math.min(count, OF_OTHERS) }, (_, k) => (count <= OF_OTHERS ? k : even(Math.fround(k * gap))));
}

/** The whole number next to x; of two, the even one. */
function even(x) {
  const low = Math.floor(x), rest = x - low;
  return rest < 0.5 || (rest === 0.5 && low % 2 === 0) ? low : low + 1;
}

/** The points of a run at some steps. */
export const cut = (run, keep) => only(run, run.steps.flatMap((s, i) => (keep(s) ? [i] : [])));

const only = ({ steps, values }, index) => ({ steps: index.map((i) => steps[i]), values: index.map((i) => values[i]) });

/** Four digits, or as many as asked, without trailing zeros. */
export function short(x, digits = 4) {
  if (!Number.isFinite(x)) return String(x);
  const size = Math.abs(x);
  const text = size !== 0 && (size >= 1e6 || size < 1e-4) ? x.toExponential(digits - 1) : x.toPrecision(size >= 1 ? Math.max(digits, Math.floor(Math.log10(size)) + 1) : digits);
  return text.replace(/(\.\d*?)0+(e|$)/, "$1$2").replace(/\.(e|$)/, "$1");
}

const vector = (numbers) => new ort.Tensor("float64", Float64Array.from(numbers), [numbers.length]);

function padded(rows) {
  const width = Math.max(...rows.map((row) => row.length));
  const data = new Float64Array(rows.length * width).fill(NaN);
  rows.forEach((row, i) => data.set(row, i * width));
  return new ort.Tensor("float64", data, [rows.length, width]);
}
