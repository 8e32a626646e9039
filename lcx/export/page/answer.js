// The answer on the page: the chart, a row for each run shown, and the numbers behind them.

import { colour, draw } from "lcx/chart";
import { LEVELS, cut, short } from "lcx/forecast";
import { csv, png, save } from "lcx/save";

const PARTS = ["figure", "together", "runs", "numbers"];
const at = (id) => document.getElementById(id);

let shown = null; // what `show` was given last
let light = () => {}; // lights up a run in the chart
let pinned = null; // the run that stays lit

/** Hides the answer. */
export function hide() {
  for (const id of PARTS) at(id).hidden = true;
  at("share").disabled = true;
  document.body.classList.remove("answered");
}

/**
 * Shows an answer.
 * @param {{used: object[], runs: object[], chosen: number[], answers: object[], asked: object, metric: string}} given whole runs, the same up
 *   to the step asked for, which of them were predicted, and what came
 */
export function show(given = shown) {
  if (given !== shown) pinned = null;
  shown = given;
  const { runs: all, chosen, answers } = shown, runs = chosen.map((i) => all[i]);
  for (const id of PARTS) at(id).hidden = false;
  at("share").disabled = false;
  document.body.classList.add("answered");
  at("together").hidden = all.length < 2;
  at("rest").textContent = all.length > 2 ? `${all.length - 1} other runs` : "other run";
  chart();
  at("runs").querySelector("tbody").replaceChildren(...runs.map((run, i) => summary(run, answers[i], i, runs.length > 1)));
  const [head, body] = at("numbers").querySelectorAll("thead, tbody");
  head.replaceChildren(row("th", ["run", "step", ...LEVELS.map((q) => `${(100 * q).toFixed(q * 1000 % 10 ? 1 : 0)} %`), "P(better)"]));
  body.replaceChildren(...runs.flatMap((run, r) => answers[r].at.map((s, i) =>
    row("td", [run.run, short(s), ...answers[r].quantiles[i].map((v) => short(v)), answers[r].better ? short(answers[r].better[i], 3) : "–"]))));
}

/** Draws the chart; anew when its width or its axes change. */
export function chart() {
  const { used, runs, chosen, answers, asked, metric } = shown;
  const later = (i) => cut(used[i], (s) => asked.upto !== null && s > asked.upto && s <= asked.horizon);
  const drawn = chosen.map((i, k) => ({ name: runs[i].run, seen: runs[i], answer: answers[k], later: later(i) }));
  const positive = drawn.every(({ seen, later: rest }) => [...seen.values, ...rest.values].every((v) => v > 0));
  at("log-values").disabled = !positive;
  const bests = new Set(answers.map((answer) => answer.best));
  const best = asked.best ?? (bests.size === 1 ? answers[0].best : null);
  const axes = { logSteps: at("log-steps").checked, logValues: positive && at("log-values").checked };
  const hint = `${drawn.length > 1 ? "Median and 90 % band" : "Median; bands of 50, 80 and 95 %"}${drawn.some((d) => d.later.steps.length) ? "; circles: points not used" : ""}.`;
  light = draw(at("chart"), drawn, { metric, horizon: asked.horizon, best, ...axes }, (text, run) => {
    at("reading").textContent = text || hint;
    light(run ?? pinned);
  });
  light(pinned);
  at("reading").textContent = hint;
}

function row(tag, texts) {
  const made = document.createElement("tr");
  made.append(...texts.map((text) => Object.assign(document.createElement(tag), { textContent: text })));
  return made;
}

/** The row of one run. */
function summary(run, answer, i, several) {
  const last = answer.quantiles.at(-1), quantile = (level) => short(last[LEVELS.indexOf(level)]);
  const verdict = !last ? "Finished" : answer.stop === null ? "–" : answer.stop ? "Stop" : "Go on", now = short(run.values.at(-1));
  const texts = [now, ...(last ? [quantile(0.5), `${quantile(0.05)} to ${quantile(0.95)}`] : [now, "–"]),
    answer.chance === null ? "–" : answer.chance < 0.0005 ? "< 0.001" : answer.chance.toFixed(3), verdict];
  const made = row("td", texts);
  const headings = [...at("runs").querySelectorAll("thead th")].map((cell) => cell.textContent);
  [...made.children].forEach((cell, k) => { cell.dataset.label = headings[k + 1]; });
  const name = Object.assign(document.createElement("th"), { scope: "row" });
  name.append(several ? legend(run.run, i) : run.run);
  made.prepend(name);
  if (several) {
    made.addEventListener("pointerenter", () => light(i));
    made.addEventListener("pointerleave", () => light(pinned));
  }
  const said = document.createElement("div");
  said.append(Object.assign(document.createElement("span"), { textContent: verdict, className: answer.stop ? "stop" : answer.stop === false ? "go" : "" }));
  said.append(Object.assign(document.createElement("span"), { textContent: answer.reason, className: "reason" }));
  made.lastChild.replaceChildren(said);
  return made;
}

/** The name of a run and its colour: pressed, it stays lit. */
function legend(name, i) {
  const made = Object.assign(document.createElement("button"), { type: "button", className: "name" });
  const swatch = Object.assign(document.createElement("span"), { className: "swatch" });
  swatch.style.background = colour(i);
  made.append(swatch, name);
  made.setAttribute("aria-pressed", pinned === i);
  made.addEventListener("click", () => {
    pinned = pinned === i ? null : i;
    light(pinned);
    for (const [k, button] of [...at("runs").querySelectorAll(".name")].entries()) button.setAttribute("aria-pressed", k === pinned);
  });
  made.addEventListener("focus", () => light(i));
  made.addEventListener("blur", () => light(pinned));
  return made;
}

for (const id of ["log-steps", "log-values"]) at(id).addEventListener("change", chart);
at("csv").addEventListener("click", () => save(`data:text/csv;charset=utf-8,${encodeURIComponent(csv(shown))}`, "lcx.csv"));
at("png").addEventListener("click", async () => {
  const names = shown.chosen.map((i) => shown.runs[i].run);
  save(await png(at("chart").querySelector("svg"), names), "lcx.png");
});
