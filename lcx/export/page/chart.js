// The fan chart as SVG: observed points, the median, its bands, the value to beat; a cursor for pointer and arrow keys.

import { LEVELS, short } from "lcx/forecast";

const NS = "http://www.w3.org/2000/svg";
const COLOURS = ["#2f7fd3", "#d9730d", "#1d9a6c", "#b455c8", "#c93c54", "#7d8a12", "#0e9aa7", "#8a63d2", "#a8622c", "#6b7785"]; // 3:1 on both papers
const BANDS = [[0, 8], [2, 6], [3, 5]]; // 95, 80 and 50 %: columns of LEVELS
const WIDE_BAND = [[1, 7]]; // 90 %, for several runs
const MEDIAN = LEVELS.indexOf(0.5);

export const colour = (i) => COLOURS[i % COLOURS.length];

/**
 * Draws runs over one another.
 * @param {HTMLElement} place emptied and filled
 * @param {{name: string, seen: {steps: number[], values: number[]}, later: {steps: number[], values: number[]}, answer: object}[]} runs
 * @param {{metric: string, horizon: number, best: number|null, logSteps: boolean, logValues: boolean}} about logValues only of values > 0
 * @param {(text: string, run: number|null) => void} read is given the numbers under the cursor, and the run that they are of
 * @returns {(run: number|null) => void} lights up one run, or none
 */
export function draw(place, runs, about, read) {
  const { metric, horizon, best } = about;
  const width = Math.max(300, Math.min(900, place.clientWidth || 720)), height = Math.round(width * (width < 520 ? 0.8 : 0.5));
  const box = { left: 58, right: width - 12, top: 12, bottom: height - 42 };
  const values = about.logValues ? LOG : PLAIN, steps = about.logSteps ? LOG : PLAIN;
  const [low, high] = limits(runs, best, values.of);
  const first = about.logSteps ? steps.of(Math.min(...runs.map(({ seen, answer }) => seen.steps[0] ?? answer.at[0]))) : 0;
  const left = about.logSteps ? first - (0.02 * (steps.of(horizon) - first) || 1) : first; // so that the first point is whole
  const x = (s) => box.left + ((steps.of(s) - left) / (steps.of(horizon) - left)) * (box.right - box.left);
  const y = (v) => Math.min(box.bottom + 50, Math.max(box.top - 50, box.bottom - ((values.of(v) - low) / (high - low)) * (box.bottom - box.top)));
  const svg = node("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", tabindex: "0", "aria-label": label(runs, metric, horizon) });
  const clip = node("clipPath", { id: "inside" });
  clip.append(node("rect", { x: box.left, y: box.top, width: box.right - box.left, height: box.bottom - box.top }));
  const marks = { values: values.ticks(low, high, 5), steps: steps.ticks(left, steps.of(horizon), box.right < 520 ? 4 : 6) };
  svg.append(clip, axes(box, marks, { horizon, x, y, metric }));
  const inside = node("g", { "clip-path": "url(#inside)" }), several = runs.length > 1;
  const bands = runs.map(({ answer }, i) => runGroup((several ? WIDE_BAND : BANDS).map(([a, b]) => band(answer, a, b, colour(i), several, x, y))));
  const lines = runs.map((run, i) => runGroup(curve(run, several ? colour(i) : null, colour(i), x, y)));
  inside.append(...bands, ...lines);
  if (best !== null) inside.append(node("line", { class: "beat", x1: box.left, x2: box.right, y1: y(best), y2: y(best), "stroke-dasharray": "6 4", "stroke-width": 1.4 }));
  svg.append(inside);
  if (best !== null && values.of(best) >= low && values.of(best) <= high) {
    const above = y(best) > box.top + 22;
    svg.append(words(`to beat ${short(best)}`, { class: "beat", x: box.left + 6, y: y(best) + (above ? -5 : 14) }));
  }
  cursor(svg, runs, box, { x, y }, read);
  const focused = place.contains(document.activeElement); // an answer that comes late must not take it away
  place.replaceChildren(svg);
  if (focused) svg.focus({ preventScroll: true });
  return (run) => {
    svg.classList.toggle("one", run !== null);
    for (const groups of [bands, lines]) groups.forEach((group, i) => group.classList.toggle("lit", i === run));
  };
}

/** The observed points and the 80 % bands decide the range: outer bands of a run that has just begun may dwarf everything. */
function limits(runs, best, of) {
  const here = (values) => values.map(of).filter(Number.isFinite);
  const all = here(runs.flatMap(({ seen, later, answer }) => [...seen.values, ...later.values, ...answer.quantiles.flatMap((q) => [q[2], q[6]])]));
  if (best !== null) all.push(...here([best]));
  const low = all.reduce((a, b) => Math.min(a, b)), high = all.reduce((a, b) => Math.max(a, b));
  const room = 0.08 * (high - low) || 0.05 * Math.max(Math.abs(high), 1e-6);
  const ends = here(runs.flatMap(({ answer }) => answer.quantiles.flatMap((q) => [q[0], q[8]])));
  const widest = [ends.reduce((a, b) => Math.min(a, b), low), ends.reduce((a, b) => Math.max(a, b), high)];
  const most = 0.35 * (high - low);
  return [Math.max(Math.min(low - room, widest[0]), low - most) - room / 4, Math.min(Math.max(high + room, widest[1]), high + most) + room / 4];
}

function axes(box, marks, { horizon, x, y, metric }) {
  const group = node("g", {});
  for (const v of marks.values) {
    group.append(node("line", { class: "grid", x1: box.left, x2: box.right, y1: y(v), y2: y(v) }));
    group.append(words(short(v), { x: box.left - 8, y: y(v) + 4, "text-anchor": "end" }));
  }
  for (const s of marks.steps) {
    group.append(node("line", { class: "grid", x1: x(s), x2: x(s), y1: box.top, y2: box.bottom }));
    group.append(words(short(s), { x: x(s), y: box.bottom + 18, "text-anchor": s > 0.97 * horizon ? "end" : "middle" }));
  }
  group.append(node("line", { class: "axis", x1: box.left, x2: box.right, y1: box.bottom, y2: box.bottom }));
  group.append(words("step", { x: (box.left + box.right) / 2, y: box.bottom + 36, "text-anchor": "middle" }));
  group.append(words(metric, { transform: `translate(13 ${(box.top + box.bottom) / 2}) rotate(-90)`, "text-anchor": "middle" }));
  return group;
}

function runGroup(parts) {
  const group = node("g", { class: "run" });
  group.append(...parts);
  return group;
}

function band(answer, a, b, fill, several, x, y) {
  const edge = (k) => answer.at.map((s, i) => `${fixed(x(s))},${fixed(y(answer.quantiles[i][k]))}`);
  return node("polygon", { points: [...edge(b), ...edge(a).reverse()].join(" "), fill, class: several ? "band several" : "band", stroke: answer.at.length === 1 ? fill : "none" });
}

function curve({ seen, later, answer }, own, line, x, y) {
  const path = answer.at.map((s, i) => `${fixed(x(s))},${fixed(y(answer.quantiles[i][MEDIAN]))}`);
  const radius = seen.values.length > 200 ? 1.3 : 2.3;
  const drawn = [node("polyline", { points: path.join(" "), fill: "none", stroke: line, "stroke-width": 2.2, "stroke-linejoin": "round" })];
  const point = (points, attributes) => points.steps.map((s, i) => node("circle", { cx: fixed(x(s)), cy: fixed(y(points.values[i])), r: radius, ...attributes }));
  if (answer.at.length === 1) drawn.push(node("circle", { cx: x(answer.at[0]) - 3, cy: y(answer.quantiles[0][MEDIAN]), r: 4, fill: line }));
  return [...drawn, ...point(later, { class: "later", ...(own ? { stroke: own } : {}) }), ...point(seen, own ? { fill: own } : { class: "seen" })];
}

/** A vertical line that follows the pointer, or the arrow keys, and says what is under it: of several runs, the one next to the pointer. */
function cursor(svg, runs, box, { x, y }, read) {
  const line = node("line", { class: "cursor", y1: box.top, y2: box.bottom, visibility: "hidden" });
  svg.append(line);
  const stops = [...new Set(runs.flatMap(({ seen, answer }) => [...seen.steps, ...answer.at]))].sort((a, b) => a - b);
  let at = -1;
  const show = (step, run) => {
    at = stops.indexOf(step);
    line.setAttribute("x1", x(step));
    line.setAttribute("x2", x(step));
    line.setAttribute("visibility", "visible");
    read(reading(run === null ? runs : [runs[run]], step, runs.length > 1), run);
  };
  const hide = () => { line.setAttribute("visibility", "hidden"); read("", null); };
  svg.addEventListener("pointermove", (event) => {
    const frame = svg.getBoundingClientRect(), scale = svg.viewBox.baseVal.width / frame.width;
    const px = (event.clientX - frame.left) * scale, py = (event.clientY - frame.top) * scale;
    const of = runs.flatMap(({ seen, answer }, run) => [
      ...seen.steps.map((step, i) => ({ run, step, value: seen.values[i] })),
      ...answer.at.map((step, i) => ({ run, step, value: answer.quantiles[i][MEDIAN] })),
    ]);
    // Across, what lies next to the pointer in each run; of these runs the one that lies next to it in height.
    const next = runs.flatMap((_, run) => of.filter((p) => p.run === run).reduce((a, p) => (!a.length || Math.abs(x(p.step) - px) < Math.abs(x(a[0].step) - px) ? [p] : a), []));
    const far = (p) => Math.hypot(x(p.step) - px, y(p.value) - py);
    if (!next.length) return;
    const found = next.reduce((a, p) => (far(p) < far(a) ? p : a));
    show(found.step, runs.length > 1 ? found.run : null);
  });
  svg.addEventListener("pointerleave", hide);
  svg.addEventListener("blur", hide);
  svg.addEventListener("keydown", (event) => {
    const move = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: stops.length - 1, PageUp: at + 10, PageDown: at - 10 }[event.key];
    if (move === undefined) return;
    event.preventDefault();
    const to = at < 0 && event.key === "ArrowLeft" ? stops.length - 1 : move;
    show(stops[Math.min(stops.length - 1, Math.max(0, to))], null);
  });
}

function reading(runs, step, several) {
  const parts = runs.flatMap(({ name, seen, answer }) => {
    const i = seen.steps.indexOf(step), j = answer.at.indexOf(step);
    const q = answer.quantiles[j];
    const text = i >= 0 ? `observed ${short(seen.values[i])}` : j >= 0 ? `median ${short(q[MEDIAN])}, 90 % from ${short(q[1])} to ${short(q[7])}` : null;
    return text ? [several ? `${name}: ${text}` : text] : [];
  });
  return `Step ${short(step)} – ${parts.join("; ")}`;
}

function label(runs, metric, horizon) {
  const ends = runs.map(({ name, answer }) => { const q = answer.quantiles.at(-1); return !q ? `${name} has ended` : `${name} ends at ${short(q[MEDIAN])}, 90 % from ${short(q[1])} to ${short(q[7])}`; });
  return `Fan chart of ${metric} up to step ${short(horizon)}. ${ends.join(". ")}. Arrow keys read the values.`;
}

/** Round numbers within [low, high], about `count` of them. */
export function ticks(low, high, count) {
  const rough = (high - low) / count, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((m) => m * power).find((s) => s >= rough * 0.999) ?? rough;
  const first = Math.ceil(low / step - 1e-9);
  return Array.from({ length: Math.max(0, Math.min(20, Math.floor(high / step + 1e-9) - first + 1)) }, (_, i) => Number(((first + i) * step).toPrecision(12)));
}

/** Round numbers on a logarithmic axis between two decades: powers of ten, or between few of these also twice and five times. */
export function decades(low, high) {
  const all = (factors) => Array.from({ length: Math.ceil(high) - Math.floor(low) + 1 }, (_, i) => Math.floor(low) + i)
    .flatMap((power) => factors.map((factor) => Number(`${factor}e${power}`))).filter((v) => Math.log10(v) >= low && Math.log10(v) <= high);
  const tens = all([1]), most = Math.ceil(tens.length / 8);
  return tens.length >= 3 ? tens.filter((_, i) => i % most === 0) : all([1, 2, 5]).length > 1 ? all([1, 2, 5]) : ticks(10 ** low, 10 ** high, 4);
}

const PLAIN = { of: (v) => v, ticks }, LOG = { of: Math.log10, ticks: decades };
const fixed = (v) => Math.round(v * 100) / 100;

function node(name, attributes) {
  const made = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function words(text, attributes) {
  const made = node("text", attributes);
  made.textContent = text;
  return made;
}
