// The page: form -> curves and settings -> prediction -> chart and tables.

import { colour, draw } from "lcx/chart";
import { LEVELS, check, load, predict, short } from "lcx/forecast";
import { decode, encode } from "lcx/share";
import { InputError, parse } from "lcx/table";

const MOST_RUNS = 10;
const MOST_LINK = 30000; // characters; longer ones are cut by some programs
const FIELDS = ["horizon", "upto", "lower", "upper", "best"];
// examples/digits_accuracy.csv, a small perceptron on scikit-learn's digits, measured by this project
const EXAMPLE = 
  "0.164 0.2 0.236 0.264 0.32 0.396 0.488 0.524 0.56 0.572 0.608 0.672 0.652 0.692 0.7 0.744 0.776 0.768 0.792 0.792 0.828 " +
  "0.82 0.836 0.844 0.84 0.864 0.852 0.868 0.864 0.892 0.876 0.884 0.9 0.9 0.896 0.9 0.884 0.908 0.892 0.904 0.912 0.916 " +
  "0.912 0.924 0.924 0.924 0.924 0.92 0.924 0.92 0.932 0.936 0.932 0.912 0.924 0.932 0.936 0.932 0.936 0.936 0.932 0.916 " +
  "0.944 0.936 0.944 0.932 0.944 0.936 0.928 0.94 0.948 0.944 0.924 0.932 0.928 0.932 0.932 0.928 0.92 0.924 0.924 0.936 " +
  "0.94 0.948 0.94 0.936 0.932 0.936 0.936 0.936 0.952 0.936 0.936 0.94 0.952 0.952 0.948 0.94 0.928 0.952";
const at = (id) => document.getElementById(id);

let opened = []; // curves of files and links
let pasted = { text: "", curves: [] }; // what the text field held when it was read last
let latest = 0; // number of the newest refresh: answers to older ones are dropped
let shown = null; // {runs, answers, settings, metric} on the screen

/** Says something; an error, or a hint. */
function say(text, error = false) {
  at("message").textContent = text;
  at("message").classList.toggle("error", error);
}

/** Runs a task of the user interface; what is wrong with the input is said, anything else too, in place of what `hides` names. */
async function guarded(task, hides = ["figure", "runs", "numbers"]) {
  try {
    await task();
  } catch (error) {
    for (const id of hides) at(id).hidden = true;
    at("share").disabled = true;
    say(error instanceof InputError ? error.message : `Expected this page to work in your browser; got ${error?.message ?? error}. Use a current browser and reload.`, true);
    if (!(error instanceof InputError)) console.error(error);
  }
}

/** All curves, runs of the same name told apart. */
function curves() {
  const text = at("paste").value;
  if (text !== pasted.text) pasted = { text, curves: text.trim() ? tagged(parse(text, "pasted")) : [] };
  const found = [...opened, ...pasted.curves];
  const names = new Map();
  return found.map((curve) => {
    const sources = names.get(curve.run) ?? names.set(curve.run, []).get(curve.run);
    if (!sources.includes(curve.source)) sources.push(curve.source);
    const copy = sources.indexOf(curve.source);
    return { ...curve, run: copy ? `${curve.run} (${copy + 1})` : curve.run };
  });
}

/** Curves of one log, marked as such; the horizon that it tells is filled in where none was. */
function tagged(log) {
  const source = Symbol("log");
  if (log.horizon && !at("horizon").value) at("horizon").value = log.horizon;
  return log.curves.map((curve) => ({ ...curve, source }));
}

/** Settings; null where nothing was entered. */
function settings() {
  const chosen = document.querySelector("input[name=mode]:checked");
  const asked = { mode: chosen?.value ?? null };
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

/** Offers the metrics there are, keeping the choice where possible. */
function offerMetrics(found) {
  const metrics = [...new Set(found.map((curve) => curve.metric))], select = at("metric"), before = select.value;
  select.replaceChildren(...(metrics.length ? metrics : ["–"]).map((name) => new Option(name)));
  if (metrics.includes(before)) select.value = before;
  select.disabled = metrics.length < 2;
  return metrics.length ? select.value : null;
}

const cut = ({ steps, values }, keep) => {
  const index = steps.map((_, i) => i).filter((i) => keep(steps[i]));
  return { steps: index.map((i) => steps[i]), values: index.map((i) => values[i]) };
};

/** Reads the form and shows the answer, or what is still missing. */
async function refresh() {
  const turn = ++latest;
  const found = curves(), metric = offerMetrics(found), asked = settings();
  const all = found.filter((curve) => curve.metric === metric), used = all.slice(0, MOST_RUNS);
  const missing = !all.length ? "Paste a curve, drop a log, or try the example."
    : asked.mode === null ? "Choose whether larger or smaller values are better."
    : asked.horizon === null ? "Enter the last step of a full run." : null;
  if (missing) {
    for (const id of ["figure", "runs", "numbers"]) at(id).hidden = true;
    at("share").disabled = true;
    return say(missing);
  }
  const { upto } = asked;
  const runs = used.map((curve) => ({ ...curve, ...cut(curve, (s) => upto === null || s <= upto) }));
  check(runs, asked);
  if (!at("runs").hidden || !at("message").textContent) say("");
  const answers = await predict(runs, asked);
  if (turn !== latest) return;
  say(all.length > MOST_RUNS ? `The first ${MOST_RUNS} of ${all.length} runs are shown, and compared with each other only.` : "");
  shown = { used, runs, answers, asked, metric };
  show();
}

function show() {
  const { used, runs, answers, asked, metric } = shown;
  for (const id of ["figure", "runs", "numbers"]) at(id).hidden = false;
  at("share").disabled = false;
  const drawn = runs.map((run, i) => ({ name: run.run, seen: run, answer: answers[i], later: cut(used[i], (s) => asked.upto !== null && s > asked.upto && s <= asked.horizon) }));
  const bests = new Set(answers.map((answer) => answer.best));
  const best = asked.best ?? (bests.size === 1 ? answers[0].best : null);
  draw(at("chart"), drawn, { metric, horizon: asked.horizon, best }, (text) => { at("reading").textContent = text || hint(runs, drawn); });
  at("reading").textContent = hint(runs, drawn);
  at("runs").querySelector("tbody").replaceChildren(...runs.map((run, i) => summary(run, answers[i], i, runs.length > 1)));
  const [head, body] = at("numbers").querySelectorAll("thead, tbody");
  head.replaceChildren(row("th", ["run", "step", ...LEVELS.map((q) => `${(100 * q).toFixed(q * 1000 % 10 ? 1 : 0)} %`), "P(better)"]));
  body.replaceChildren(...runs.flatMap((run, r) => answers[r].at.map((s, i) =>
    row("td", [run.run, short(s), ...answers[r].quantiles[i].map((v) => short(v)), answers[r].better ? short(answers[r].better[i], 3) : "–"]))));
}

const hint = (runs, drawn) => `${runs.length > 1 ? "Median and 90 % band" : "Median; bands of 50, 80 and 95 %"}${drawn.some((d) => d.later.steps.length) ? "; circles: points not used" : ""}.`;

function row(tag, texts) {
  const made = document.createElement("tr");
  made.append(...texts.map((text) => Object.assign(document.createElement(tag), { textContent: text })));
  return made;
}

/** The row of one run. */
function summary(run, answer, i, several) {
  const last = answer.quantiles.at(-1), quantile = (level) => short(last[LEVELS.indexOf(level)]);
  const verdict = answer.stop === null ? "–" : answer.stop ? "Stop" : "Go on";
  const texts = [short(run.values.at(-1)), ...(last ? [quantile(0.5), `${quantile(0.05)} to ${quantile(0.95)}`] : ["–", "–"]),
    answer.chance === null ? "–" : answer.chance < 0.0005 ? "< 0.001" : answer.chance.toFixed(3), verdict];
  const made = row("td", texts);
  const headings = [...at("runs").querySelectorAll("thead th")].map((cell) => cell.textContent);
  [...made.children].forEach((cell, k) => { cell.dataset.label = headings[k + 1]; });
  const name = Object.assign(document.createElement("th"), { scope: "row" });
  if (several) {
    const swatch = Object.assign(document.createElement("span"), { className: "swatch" });
    swatch.style.background = colour(i);
    name.append(swatch);
  }
  name.append(run.run);
  made.prepend(name);
  const said = document.createElement("div");
  said.append(Object.assign(document.createElement("span"), { textContent: verdict, className: answer.stop ? "stop" : answer.stop === false ? "go" : "" }));
  said.append(Object.assign(document.createElement("span"), { textContent: answer.reason, className: "reason" }));
  made.lastChild.replaceChildren(said);
  return made;
}

/** Writes data and settings into the address, and copies it. */
async function share() {
  const { used, asked, metric } = shown;
  const hash = await encode({ metric, runs: used.map(({ run, steps, values }) => ({ run, steps, values })), ...asked });
  history.replaceState(null, "", hash);
  const copied = await (navigator.clipboard?.writeText(location.href) ?? Promise.reject()).then(() => true, () => false);
  const size = hash.length > MOST_LINK ? ` It is ${hash.length} characters long, which some programs cut off.` : "";
  say(`${copied ? "The link is copied and stands in the address bar" : "The link stands in the address bar: copy it from there"}; it holds the data.${size}`);
}

/** Shows what a link holds. */
async function open(hash) {
  const state = await decode(hash);
  opened = tagged({ curves: state.runs.map((run) => ({ ...run, metric: state.metric })) });
  at("paste").value = "";
  for (const id of FIELDS) at(id).value = state[id] ?? "";
  for (const radio of document.querySelectorAll("input[name=mode]")) radio.checked = radio.value === state.mode;
  await refresh();
}

async function addFiles(files) {
  const logs = await Promise.all([...files].map(async (file) => parse(file.size > 2e7 ? " ".repeat(2e7 + 1) : await file.text(), file.name.replace(/\.[^.]+$/, ""))));
  opened.push(...logs.flatMap(tagged));
  await refresh();
}

function fill(text, asked) {
  opened = [];
  at("paste").value = text;
  for (const id of FIELDS) at(id).value = asked[id] ?? "";
  for (const radio of document.querySelectorAll("input[name=mode]")) radio.checked = radio.value === asked.mode;
  if (location.hash) history.replaceState(null, "", " ");
}

function listen() {
  let waiting;
  const soon = () => { clearTimeout(waiting); waiting = setTimeout(() => guarded(refresh), 120); };
  at("form").addEventListener("input", (event) => { if (event.target.id !== "files") soon(); });
  at("form").addEventListener("submit", (event) => event.preventDefault());
  at("files").addEventListener("change", (event) => guarded(() => addFiles(event.target.files)).then(() => { event.target.value = ""; }));
  at("clear").addEventListener("click", () => { fill("", {}); guarded(refresh); });
  at("example").addEventListener("click", () => {
    fill(["epoch,accuracy", ...EXAMPLE.split(" ").map((v, i) => `${i + 1},${v}`)].join("\n"), { mode: "max", horizon: 100, upto: 30, lower: 0, upper: 1, best: 0.93 });
    guarded(refresh).then(() => at("figure").scrollIntoView({ block: "nearest" }));
  });
  at("share").addEventListener("click", () => guarded(share, []));
  addEventListener("hashchange", () => { if (location.hash) guarded(() => open(location.hash)); });
  addEventListener("dragover", (event) => { event.preventDefault(); at("drop").hidden = false; });
  addEventListener("dragleave", (event) => { if (!event.relatedTarget) at("drop").hidden = true; });
  addEventListener("drop", (event) => {
    event.preventDefault();
    at("drop").hidden = true;
    const text = event.dataTransfer.getData("text");
    if (event.dataTransfer.files.length) guarded(() => addFiles(event.dataTransfer.files));
    else if (text) { at("paste").value = text; guarded(refresh); }
  });
  let width = innerWidth;
  addEventListener("resize", () => { if (shown && !at("figure").hidden && innerWidth !== width) { width = innerWidth; show(); } });
}

/** What scripts/page.py packed: base64 of gzip. */
async function unpack(id) {
  const packed = at(id)?.textContent;
  if (!packed) throw new InputError("Expected the page as one file, with the model in it; got its bare parts. Run: make page.");
  const text = atob(packed), bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer();
}

listen();
await guarded(async () => {
  await load(await unpack("wasm"), await unpack("model"));
  await (location.hash ? open(location.hash) : refresh());
});
document.documentElement.dataset.ready = "true";
