// Text of a training log -> curves. CSV (commas, semicolons, tabs), plain numbers, JSON, a trainer_state.json, or the lines that a training prints.
// Follows the Python readers (lcx/readers): the same step columns, zero-based counters raised by 1, the last of repeated steps kept.

import { fromLines, isLog } from "lcx/lines";

export const COUNTERS = ["step", "steps", "global_step", "_step", "iteration", "iterations", "iter", "epoch", "epochs", "tokens", "samples", "size"];
const TIMES = ["time", "wall_time", "wall time", "timestamp", "_timestamp", "elapsed", "_runtime"];
const NO_METRICS = new Set([...COUNTERS, ...TIMES, "trainer/global_step", "train/global_step", "train/epoch"]);
const SPEED = /(_runtime|_per_second|_compilation_time)$/;
const MOST_CHARACTERS = 2e7;
const TELLING = 1 << 16; // letters at the beginning and at the end that tell whether lines are a log
const MOST_CURVES = 2000;

/** A problem with the input, in three parts: what was expected, what came, what to do. */
export class InputError extends Error {}

/**
 * Reads one file.
 * @param {string} text its content
 * @param {string} name names the run, where the file does not
 * @returns {{curves: {run: string, metric: string, steps: number[], values: number[]}[], horizon: number|null}}
 *   curves with increasing steps > 0 and finite values; the horizon, where the log tells it
 */
export function parse(text, name) {
  if (text.length > MOST_CHARACTERS) {
    throw new InputError(`Expected at most 20 MB of text; got ${Math.round(text.length / 1e6)} MB in ${name}. Keep the columns and rows you need.`);
  }
  const clean = text.replace(/^\uFEFF/, "").trim();
  if (clean.includes("\0")) throw new InputError(`Expected text; got binary data in ${name}. Export the log as CSV.`);
  if (!/[^\s",;]/.test(clean)) throw new InputError(`Expected CSV, JSON or plain numbers; got nothing in ${name}. Paste or drop a log.`);
  const log = fromText(clean, name);
  return { curves: tidy(log.curves, name, log.zeroBased), horizon: log.horizon ?? null };
}

/** A table if a column counts the steps, and JSON if it is such; else printed lines if they are a log; else a table, or what is wrong with it. */
function fromText(text, name) {
  const printed = () => isLog(text.slice(0, TELLING)) || isLog(text.slice(-TELLING));
  if (/^[[{]/.test(text)) {
    try {
      return fromJson(text, name);
    } catch (error) {
      if (error instanceof InputError && printed()) return fromLines(text, name);
      throw error;
    }
  }
  const header = text.split(/[\r\n]/, 1)[0].split(/[,;\t|]/).map((cell) => cell.trim().replace(/^"(.*)"$/, "$1").toLowerCase());
  return !header.some((cell) => COUNTERS.includes(cell)) && printed() ? fromLines(text, name) : fromTable(text, name);
}

/** Rows of cells, quotes removed; `""` inside quotes is one quote. */
export function cells(text, separator) {
  const rows = [];
  let row = [], cell = "", quoted = false;
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (quoted) {
      if (c !== '"') cell += c;
      else if (text[i + 1] === '"') cell += text[++i];
      else quoted = false;
    } else if (c === '"' && !cell.trim()) { quoted = true; cell = ""; }
    else if (c === separator) { row.push(cell.trim()); cell = ""; }
    else if (c === "\n" || c === "\r") { row.push(cell.trim()); rows.push(row); row = []; cell = ""; }
    else cell += c;
  }
  rows.push([...row, cell.trim()]);
  return rows.filter((r) => r.some((c) => c !== ""));
}

/** A cell with a decimal point: beside other separators a comma is that, in a file of commas a quoted one parts thousands. */
function pointed(cell, separator) {
  if (separator === ",") return /^[+-]?\d{1,3}(,\d{3})+(\.\d+)?$/.test(cell) ? cell.replaceAll(",", "") : cell;
  return cell.replace(/^([+-]?\d*),(\d+(e[+-]?\d+)?( ?%)?)$/i, "$1.$2");
}

/** The number in a cell, of per cent too; null where nothing was logged, NaN where NaN was. */
function number(cell) {
  if (typeof cell === "number") return cell;
  if (typeof cell !== "string" || /^(|na|n\/a|<na>|none|null|-|--|\?)$/i.test(cell)) return null;
  if (/^[+-]?nan$/i.test(cell)) return NaN;
  if (/^[+-]?inf(inity)?$/i.test(cell)) return cell[0] === "-" ? -Infinity : Infinity;
  return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?( ?%)?$/i.test(cell) ? Number(cell.replace(/ ?%$/, "")) : undefined;
}

const isName = (cell) => cell !== "" && number(cell) === undefined;

function fromTable(text, name) {
  const first = text.split(/[\r\n]/, 1)[0];
  const counts = [";", "\t", ","].map((s) => [first.split(s).length, s]); // where as many commas are, these are of decimals
  const [most, found] = counts.reduce((a, b) => (b[0] > a[0] ? b : a));
  const rows = most > 1 ? cells(text, found).map((row) => row.map((cell) => pointed(cell, found))) : text.split(/[\r\n]+/).map((line) => line.trim().replace(/^"(.*)"$/, "$1")).filter(Boolean).map((line) => [line]);
  if (rows[0].some(isName) && !(most === 1 && /^[-+.\d]/.test(first) && /\s/.test(first))) return fromRows(rows[0], rows.slice(1), name);
  return fromNumbers(most > 1 ? rows : text.split(/[\r\n]+/).map((line) => line.trim().split(/\s+/)), name);
}

/** Numbers without a header: one row or column of values, or two columns, step and value. */
function fromNumbers(rows, name) {
  const flat = rows.flat();
  const odd = flat.findIndex((cell) => number(cell) === undefined);
  if (odd >= 0) throw new InputError(`Expected a header, or numbers only; got “${shorten(flat[odd])}” among numbers in ${name}. Name the columns in the first row.`);
  const widths = new Set(rows.map((row) => row.length));
  if (rows.length === 1 || (widths.size === 1 && widths.has(1))) {
    return { curves: [{ run: name, metric: "value", steps: flat.map((_, i) => i + 1), values: flat.map(number) }] };
  }
  if (widths.size === 1 && widths.has(2)) {
    return { curves: [{ run: name, metric: "value", steps: rows.map((r) => number(r[0])), values: rows.map((r) => number(r[1])) }], zeroBased: true };
  }
  throw new InputError(`Expected one column of values, or two of step and value; got rows of ${[...widths].slice(0, 4).join(", ")} numbers in ${name}. Name the columns in the first row.`);
}

/** A header and its rows. A column named run names the runs, metric and value together the metrics; else every numeric column is one. */
function fromRows(header, rows, name) {
  const lower = header.map((h) => h.toLowerCase());
  const wide = rows.findIndex((row) => row.slice(header.length).some((cell) => cell !== ""));
  if (wide >= 0) throw new InputError(`Expected ${header.length} cells in each row, as in the header; got ${rows[wide].length} in row ${wide + 2} of ${name}. Correct that row.`);
  const at = (names) => names.map((n) => lower.indexOf(n)).find((i) => i >= 0) ?? -1;
  const step = at(COUNTERS), run = at(["run"]), metric = at(["metric"]), value = at(["value"]);
  const curves = new Map();
  const add = (key, metricName, s, v) => {
    const id = JSON.stringify([key, metricName]);
    if (!curves.has(id)) {
      if (curves.size >= MOST_CURVES) throw new InputError(`Expected at most ${MOST_CURVES} curves; got more in ${name}. Keep the runs and metrics you need.`);
      curves.set(id, { run: key, metric: metricName, steps: [], values: [] });
    }
    const curve = curves.get(id);
    curve.steps.push(s);
    curve.values.push(v);
  };
  const seen = new Map();
  const long = metric >= 0 && value >= 0;
  const columns = header.map((_, i) => i).filter((i) => i !== step && i !== run && header[i] !== "" && !NO_METRICS.has(lower[i]));
  const numeric = columns.filter((i) => rows.some((row) => typeof number(row[i] ?? "") === "number"));
  if (!(long || numeric.length)) {
    throw new InputError(`Expected a column of numbers beside the steps; got the columns ${shorten(header.join(", "))} in ${name}. Check the separator, and write decimals with a point.`);
  }
  for (const row of rows) {
    const key = run >= 0 ? row[run] || name : name;
    seen.set(key, (seen.get(key) ?? 0) + 1);
    const s = step >= 0 ? number(row[step] ?? "") : seen.get(key);
    if (long) add(key, row[metric] || "value", s, number(row[value] ?? ""));
    else for (const i of numeric) add(key, header[i], s, number(row[i] ?? ""));
  }
  return { curves: [...curves.values()], zeroBased: step >= 0 };
}

/** JSON as Python writes it, with NaN and Infinity; or one record per line, of which the last may be cut short by a crash. */
function readJson(text, name) {
  const bare = /"(?:[^"\\]+|\\[^])*"?|-?\b(?:NaN|Infinity)\b/g; // strings, to be passed over, or what JSON lacks
  const read = (json) => {
    try {
      return JSON.parse(json);
    } catch {
      return JSON.parse(json.replace(bare, (found) => (found[0] === '"' ? found : `"${found}"`)));
    }
  };
  try {
    return read(text);
  } catch (error) {
    const lines = text.split(/[\r\n]+/).filter((line) => line.trim()), records = [];
    lines.forEach((line, i) => {
      try {
        records.push(read(line));
      } catch {
        if (i === 0 || i < lines.length - 1) throw new InputError(`Expected JSON after “${text[0]}”; got ${error.message} in ${name}. Copy the file again.`);
      }
    });
    return records;
  }
}

/** A trainer_state.json, a list of numbers, {"values": [...], "steps": [...]}, records, or a list per column. */
function fromJson(text, name) {
  let data = readJson(text, name);
  if (Array.isArray(data?.log_history)) return fromTrainer(data, name);
  if (Array.isArray(data) && data.length && data.every((x) => x === null || typeof number(x) === "number")) data = { values: data };
  if (Array.isArray(data?.values)) {
    const steps = Array.isArray(data.steps) ? data.steps : data.values.map((_, i) => i + 1);
    if (steps.length !== data.values.length) throw new InputError(`Expected as many steps as values; got ${steps.length} and ${data.values.length} in ${name}. Give each value a step.`);
    return { curves: [{ run: name, metric: "value", steps: steps.map(number), values: data.values.map(number) }], zeroBased: Array.isArray(data.steps) };
  }
  const columns = Array.isArray(data) ? [] : Object.entries(data);
  if (columns.length && columns.every(([, x]) => Array.isArray(x) && x.length === columns[0][1].length)) {
    data = columns[0][1].map((_, i) => Object.fromEntries(columns.map(([column, x]) => [column, x[i]])));
  }
  const records = Array.isArray(data) ? data.filter((row) => row && typeof row === "object" && !Array.isArray(row)) : [];
  if (!records.length) throw new InputError(`Expected a list of numbers, records, or a trainer_state.json; got other JSON in ${name}. Export the log as CSV.`);
  const header = [...new Set(records.flatMap(Object.keys))];
  const plain = (x) => (typeof x === "number" || typeof x === "string" ? String(x) : "");
  return fromRows(header, records.map((row) => header.map((h) => plain(row[h]))), name);
}

/** Hugging Face: metrics without timings and without the summary of the last row; steps count finished updates. */
function fromTrainer(state, name) {
  const curves = new Map();
  for (const row of state.log_history) {
    if (!row || typeof row !== "object" || !("step" in row) || "train_runtime" in row) continue;
    for (const [metric, logged] of Object.entries(row)) {
      const value = typeof logged === "number" || typeof logged === "string" ? number(logged) : null;
      if (NO_METRICS.has(metric.toLowerCase()) || SPEED.test(metric) || metric === "total_flos" || typeof value !== "number") continue;
      if (!curves.has(metric)) curves.set(metric, { run: name, metric, steps: [], values: [] });
      curves.get(metric).steps.push(number(row.step));
      curves.get(metric).values.push(value);
    }
  }
  return { curves: [...curves.values()], horizon: state.max_steps > 0 ? state.max_steps : null };
}

/** Sorted finite points at steps > 0, the last of each step; counters that start at 0 raised by 1 in the whole log. */
function tidy(curves, name, zeroBased = false) {
  const several = (curve) => new Set(curve.steps).size > 1;
  const tells = curves.some(several) ? several : () => true;
  const shift = zeroBased && curves.some((curve) => tells(curve) && curve.steps.includes(0)) ? 1 : 0;
  const kept = curves.map(({ run, metric, steps, values }) => {
    const last = new Map();
    steps.forEach((s, i) => {
      if (Number.isFinite(s) && s + shift > 0 && typeof values[i] === "number") last.set(s + shift, values[i]);
    });
    const points = [...last].filter(([, v]) => Number.isFinite(v)).sort((a, b) => a[0] - b[0]);
    return { run, metric, steps: points.map((p) => p[0]), values: points.map((p) => p[1]) };
  }).filter((curve) => curve.values.length);
  if (!kept.length) throw new InputError(`Expected finite values at steps > 0; got none in ${name}. Log at least one value per run.`);
  return kept;
}

const shorten = (text) => (text.length > 60 ? text.slice(0, 57) + "…" : text);
