// The question in the form: what was entered, and what is suggested where nothing was.

import { boundsOf, directionOf, horizonOf } from "lcx/infer";
import { InputError } from "lcx/table";

export const FIELDS = ["horizon", "upto", "lower", "upper", "best"];
const OF_METRIC = ["mode", "lower", "upper"]; // what another metric makes void
const at = (id) => document.getElementById(id);
const radios = () => [...document.querySelectorAll("input[name=mode]")];

const entered = new Set(); // entered or cleared by the user: no suggestion takes its place
let metric = null; // the suggestions are for

/** Fills in a whole question, as if entered; an empty one leaves everything to suggestions. */
export function fill(asked) {
  metric = null;
  entered.clear();
  for (const id of [...FIELDS, "mode"]) {
    put(id, asked?.[id] ?? null);
    if (asked) entered.add(id);
  }
  say([]);
}

/** To be called when a field of the form has changed by hand. */
export function enter({ id, name }) {
  const what = name === "mode" ? name : id;
  if (!FIELDS.includes(what) && what !== "mode") return;
  entered.add(what);
  mark(what, false);
}

/**
 * Fills in what the runs and the name of the metric suggest, where nothing was entered.
 * @param {string|null} chosen the metric
 * @param {{steps: number[], values: number[], horizon: number|undefined}[]} runs those that have it
 */
export function suggest(chosen, runs) {
  if (metric !== null && chosen !== null && chosen !== metric) OF_METRIC.forEach((what) => entered.delete(what));
  metric = chosen;
  const [lower, upper] = chosen === null ? [null, null] : boundsOf(chosen, runs.flatMap((run) => run.values));
  const told = runs.find((run) => run.horizon)?.horizon;
  const end = told ? { horizon: told, why: "is the log’s" } : horizonOf(runs);
  const found = { mode: chosen === null ? null : directionOf(chosen), lower, upper, horizon: end?.horizon ?? null };
  const open = Object.keys(found).filter((what) => !entered.has(what));
  for (const what of open) put(what, found[what]);
  const given = open.filter((what) => found[what] !== null);
  for (const what of given) mark(what, true);
  const byName = given.some((what) => OF_METRIC.includes(what)) ? [`direction and bounds by the name “${chosen.slice(0, 40)}”`] : [];
  say([...byName, ...(given.includes("horizon") ? [`the last step ${end.why}`] : [])]);
}

function put(what, value) {
  if (what === "mode") for (const radio of radios()) radio.checked = radio.value === value;
  else at(what).value = value ?? "";
  mark(what, false);
}

const mark = (what, suggested) => at(what).classList.toggle("suggested", suggested);

function say(parts) {
  at("suggested").textContent = parts.length ? `Suggested, for you to change or clear: ${parts.join("; ")}.` : "";
}

/** The question; null where nothing stands. */
export function question() {
  const asked = { mode: radios().find((radio) => radio.checked)?.value ?? null };
  for (const id of FIELDS) {
    const text = at(id).value.trim(), value = text === "" ? null : Number(text);
    const bad = value !== null && !Number.isFinite(value);
    at(id).setAttribute("aria-invalid", bad);
    if (bad) {
      const name = document.querySelector(`label[for=${id}]`).firstChild.textContent.trim();
      throw new InputError(`Expected a number for “${name}”; got “${text.slice(0, 40)}”. Write decimals with a point.`);
    }
    asked[id] = value;
  }
  return asked;
}
