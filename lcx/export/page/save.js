// What is seen, as files: the numbers as CSV, the chart as PNG.

import { colour } from "lcx/chart";
import { LEVELS } from "lcx/forecast";

const SHARPER = 2; // pixels of the PNG per pixel of the page
const STYLES = ["fill", "fill-opacity", "stroke", "stroke-dasharray", "stroke-width", "font", "opacity"];

/** Observed points and predictions of the runs shown, a row each. */
export function csv({ runs, chosen, answers, metric }) {
  const cell = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  const rows = [["run", "step", metric, ...LEVELS.map((q) => `q${q}`), "p_better"].map(cell)];
  chosen.forEach((i, k) => {
    const { run, steps, values } = runs[i], { at, quantiles, better } = answers[k];
    rows.push(...steps.map((step, j) => [cell(run), step, values[j], ...LEVELS.map(() => ""), ""]));
    rows.push(...at.map((step, j) => [cell(run), step, "", ...quantiles[j], better ? better[j] : ""]));
  });
  return rows.map((row) => row.join(",")).join("\n") + "\n";
}

/** The chart as it is seen, with the names of its runs below. */
export async function png(svg, names) {
  const [, , width, height] = svg.getAttribute("viewBox").split(" ").map(Number), legend = names.length > 1 ? 20 * names.length + 8 : 0;
  const copy = svg.cloneNode(true), shown = [...svg.querySelectorAll("*")];
  [...copy.querySelectorAll("*")].forEach((part, i) => {
    const style = getComputedStyle(shown[i]);
    part.setAttribute("style", STYLES.map((name) => `${name}: ${style.getPropertyValue(name)}`).join("; "));
  });
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  copy.setAttribute("width", width * SHARPER);
  copy.setAttribute("height", height * SHARPER);
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(new XMLSerializer().serializeToString(copy))}`;
  await image.decode();
  const canvas = Object.assign(document.createElement("canvas"), { width: width * SHARPER, height: (height + legend) * SHARPER });
  const pen = canvas.getContext("2d"), page = getComputedStyle(document.body);
  pen.fillStyle = getComputedStyle(svg.closest("figure")).backgroundColor;
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.drawImage(image, 0, 0);
  pen.scale(SHARPER, SHARPER);
  pen.font = "13px system-ui, sans-serif";
  if (legend) names.forEach((name, i) => {
    pen.fillStyle = colour(i);
    pen.fillRect(58, height + 20 * i + 2, 11, 11);
    pen.fillStyle = page.color;
    pen.fillText(name, 76, height + 20 * i + 12);
  });
  return canvas.toDataURL("image/png");
}

/** Hands a file to the user. */
export function save(address, name) {
  const link = Object.assign(document.createElement("a"), { href: address, download: name });
  link.click();
}
