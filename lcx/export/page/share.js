// Runs and settings <-> the part of the address after "#", which browsers never send anywhere.

import { InputError } from "lcx/table";

const VERSION = "1";
const MOST_BYTES = 5e6; // of unpacked JSON
const RUNS = 100;

/** The hash for a state {metric, runs: [{run, steps, values}], mode, horizon, lower, upper, best, upto, others}. */
export async function encode(state) {
  if (state.runs.length > RUNS) throw new InputError(`Expected at most ${RUNS} runs for a link; got ${state.runs.length}. Send the log itself.`);
  const bytes = new TextEncoder().encode(JSON.stringify(state));
  if (bytes.length > MOST_BYTES) throw new InputError(`Expected at most ${MOST_BYTES / 1e6} MB of data for a link; got ${(bytes.length / 1e6).toFixed(1)} MB. Send the log itself.`);
  const packed = await through(bytes, new CompressionStream("deflate-raw"), Infinity);
  let text = "";
  for (let i = 0; i < packed.length; i += 8192) text += String.fromCharCode(...packed.subarray(i, i + 8192));
  return `#${VERSION}.${btoa(text).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "")}`;
}

/** The state in a hash, every field checked: it may come from anyone. */
export async function decode(hash) {
  const bad = (came) => new InputError(`Expected a link made by this page; got ${came}. Ask for the link again, or for the data.`);
  const [version, body] = hash.replace(/^#/, "").split(".", 2);
  if (version !== VERSION || !body) throw bad("another kind of address");
  let state;
  try {
    const packed = Uint8Array.from(atob(body.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
    state = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(await through(packed, new DecompressionStream("deflate-raw"), MOST_BYTES)));
  } catch {
    throw bad("a damaged one");
  }
  const number = (x) => typeof x === "number" && Number.isFinite(x);
  const curve = (r) => r && typeof r.run === "string" && [r.steps, r.values].every((a) => Array.isArray(a) && a.length && a.every(number))
    && r.steps.length === r.values.length && r.steps.every((s, i) => s > 0 && (i === 0 || s > r.steps[i - 1]));
  const optional = ["horizon", "lower", "upper", "best", "upto"].every((key) => state?.[key] === null || number(state?.[key]));
  const whole = optional && [undefined, true, false].includes(state.others) && ["max", "min", null].includes(state.mode) && typeof state.metric === "string";
  if (!whole || !Array.isArray(state.runs) || !state.runs.length || state.runs.length > RUNS || !state.runs.every(curve)) throw bad("one without whole curves");
  return state;
}

async function through(bytes, stream, most) {
  const reader = new Blob([bytes]).stream().pipeThrough(stream).getReader();
  const parts = [];
  let size = 0;
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    size += part.value.length;
    if (size > most) { await reader.cancel(); throw new RangeError("too large"); }
    parts.push(part.value);
  }
  const all = new Uint8Array(size);
  let at = 0;
  for (const part of parts) { all.set(part, at); at += part.length; }
  return all;
}
