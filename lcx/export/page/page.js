// The page: form -> curves and settings -> prediction -> chart and tables.

import { chart, hide, show } from "lcx/answer";
import { choose, listen as chooserListen } from "lcx/chooser";
import { check, cut, load, predict } from "lcx/forecast";
import { enter, fill, question, suggest } from "lcx/question";
import { decode, encode } from "lcx/share";
import { InputError, parse } from "lcx/table";

const MOST_LINK = 30000; // characters; longer ones are cut by some programs
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
let shown = null; // on the screen: see answer.js
let faults = []; // what was wrong with the files dropped last

/** Says something; an error, or a hint. */
function say(text, error = false) {
  at("message").textContent = text;
  at("message").classList.toggle("error", error);
}

/** Runs a task of the user interface; what is wrong with the input is said, anything else too, in place of the answer or above it. */
async function guarded(task, keep = false) {
  try {
    await task();
  } catch (error) {
    if (!keep) hide();
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

/** Curves of one log, marked as such, with the horizon that it tells. */
function tagged(log) {
  const source = Symbol("log");
  return log.curves.map((curve) => ({ ...curve, source, horizon: log.horizon }));
}

/** Offers the metrics there are, keeping the choice where possible. */
function offerMetrics(found) {
  const metrics = [...new Set(found.map((curve) => curve.metric))], select = at("metric"), before = select.value;
  select.replaceChildren(...(metrics.length ? metrics : ["–"]).map((name) => new Option(name)));
  if (metrics.includes(before)) select.value = before;
  select.disabled = metrics.length < 2;
  return metrics.length ? select.value : null;
}

/** Reads the form and shows the answer, or what is still missing. */
async function refresh() {
  const turn = ++latest;
  at("faults").replaceChildren(...faults.map((text) => Object.assign(document.createElement("p"), { textContent: text })));
  const found = curves(), metric = offerMetrics(found);
  const used = found.filter((curve) => curve.metric === metric);
  suggest(metric, used);
  const asked = { ...question(), others: at("others").checked };
  const missing = !used.length ? "Paste a curve, drop a log, or try the example."
    : asked.mode === null ? "Choose whether larger or smaller values are better."
    : asked.horizon === null ? "Enter the last step of a full run." : null;
  if (missing) {
    hide();
    return say(missing);
  }
  const { upto } = asked;
  const runs = used.map((curve) => ({ ...curve, ...cut(curve, (s) => upto === null || s <= upto) }));
  check(runs, asked);
  if (!at("runs").hidden || !at("message").textContent) say("");
  const chosen = choose(runs, asked.mode);
  const answers = await predict(runs, asked, chosen);
  if (turn !== latest) return;
  say("");
  shown = { used, runs, chosen, answers, asked, metric };
  show(shown);
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
  at("others").checked = state.others ?? true;
  fill(state);
  await refresh();
}

/** Adds the runs of files; one that cannot be read is named and skipped. */
async function addFiles(files) {
  faults = [];
  const read = async (file) => {
    try {
      return parse(file.size > 2e7 ? " ".repeat(2e7 + 1) : await file.text(), file.name.replace(/\.[^.]+$/, ""));
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      faults.push(`${file.name} is left out. ${error.message}`);
      return { curves: [] };
    }
  };
  opened.push(...(await Promise.all([...files].map(read))).flatMap(tagged));
  await refresh();
}

/** Begins anew, with a text and a question, or without. */
function start(text = "", asked = null) {
  [opened, faults] = [[], []];
  at("paste").value = text;
  fill(asked);
  if (location.hash) history.replaceState(null, "", " ");
  return guarded(refresh);
}

function listen() {
  let waiting;
  const soon = () => { clearTimeout(waiting); waiting = setTimeout(() => guarded(refresh), 120); };
  at("form").addEventListener("input", (event) => { enter(event.target); if (event.target.id !== "files") soon(); });
  chooserListen(() => guarded(refresh));
  at("others").addEventListener("change", () => guarded(refresh));
  at("form").addEventListener("submit", (event) => event.preventDefault());
  at("files").addEventListener("change", (event) => guarded(() => addFiles(event.target.files)).then(() => { event.target.value = ""; }));
  at("clear").addEventListener("click", () => start());
  at("example").addEventListener("click", () => {
    start(["epoch,accuracy", ...EXAMPLE.split(" ").map((v, i) => `${i + 1},${v}`)].join("\n"), { mode: "max", horizon: 100, upto: 30, lower: 0, upper: 1, best: 0.93 })
      .then(() => at("figure").scrollIntoView({ block: "nearest" }));
  });
  at("share").addEventListener("click", () => guarded(share, true));
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
  addEventListener("resize", () => { if (!at("figure").hidden && innerWidth !== width) { width = innerWidth; chart(); } });
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
