// What the name of a metric and its values tell: direction, limits, and from the runs the last step. As lcx/readers/metric_names.py does,
// with the same list of words.

import names from "lcx/metric_names";

const kinds = new Map(Object.values(names.kinds).flatMap((kind) => kind.words.map((word) => [word, kind])));
const unclear = new Set(names.unclear), known = [...kinds.keys(), ...unclear], isKnown = new Set(known);
const negated = new RegExp(names.negated.name);

/** "max" if by its name larger is better, "min" if smaller is, null if the name does not tell. */
export const directionOf = (metric) => kindOf(metric)?.mode ?? null;

/** The limits [lower, upper] of a metric by its name: the first range of its kind that holds all values. */
export function boundsOf(metric, values) {
  const finite = values.filter(Number.isFinite);
  if (!finite.length) return [null, null];
  const least = finite.reduce((a, b) => Math.min(a, b)), most = finite.reduce((a, b) => Math.max(a, b));
  const holds = ([lower, upper]) => (lower === null || lower <= least) && (upper === null || most <= upper);
  return kindOf(metric)?.ranges.find(holds) ?? [null, null];
}

/** The last step of a full run, and why: where some runs, but not all, end together; else twice as far as the longest is. Null without runs. */
export function horizonOf(runs) {
  const last = runs.map((run) => run.steps.at(-1)), most = last.reduce((a, b) => Math.max(a, b), 0);
  const together = last.filter((end) => end === most).length;
  if (together > 1 && together < last.length) return { horizon: most, why: `is the end of ${together} runs` };
  return most ? { horizon: 2 * most, why: "is twice as far as now" } : null;
}

function kindOf(metric) {
  for (const part of metric.split("/").reverse()) {
    if (negated.test(part.toLowerCase())) return names.negated;
    const words = (part.match(/[A-Za-z0-9]+/g) ?? []).flatMap(wordsIn);
    if (words.some((word) => unclear.has(word))) return null;
    const telling = words.filter((word) => kinds.has(word));
    if (telling.length) return kinds.get(telling.find((word) => names.deciding.includes(word)) ?? telling.at(-1));
  }
  return null;
}

/** The words of the list that a word of a name holds. */
function wordsIn(word) {
  const low = word.toLowerCase(), whole = [low, low.replace(/[0-9]+$/, "")].find((spelling) => isKnown.has(spelling));
  if (whole) return [whole];
  const endings = known.filter((one) => one.length > 3 && low.endsWith(one));
  if (endings.length) return [endings.reduce((a, b) => (b.length > a.length ? b : a))];
  return (word.match(/[A-Z]+(?![a-z])|[A-Z]?[a-z]+[0-9]*/g) ?? []).map((piece) => piece.toLowerCase()).filter((piece) => isKnown.has(piece));
}
