// Which runs are shown, where there are more than fit into one picture.

const MOST = 10; // as many colours can be told apart
const LISTED = 200;
const at = (id) => document.getElementById(id);

let picked = null; // names of the runs to show; null for the best so far
let listed = { names: [], chosen: [] }; // what the list was made of

/**
 * The runs to show.
 * @param {{run: string, values: number[]}[]} runs
 * @param {"max"|"min"} mode
 * @returns {number[]} their indices, rising
 */
export function choose(runs, mode) {
  const names = runs.map(({ run }) => run), pick = mode === "max" ? Math.max : Math.min, sign = mode === "max" ? 1 : -1;
  const kept = picked?.filter((name) => names.includes(name)) ?? [];
  const best = runs.map(({ values }) => values.reduce((a, b) => pick(a, b), -sign * Infinity));
  const ranked = names.map((_, i) => i).sort((a, b) => sign * (best[b] - best[a]) || a - b);
  if (!kept.length) picked = null;
  const chosen = (kept.length ? kept.map((name) => names.indexOf(name)) : ranked.slice(0, MOST)).sort((a, b) => a - b);
  listed = { names, chosen };
  at("chooser").hidden = runs.length <= MOST;
  at("chosen").textContent = `${picked ? chosen.length : `The ${MOST} best so far`} of ${runs.length} runs are shown: choose others`;
  list();
  return chosen;
}

/** Lists the runs whose names hold what is searched for. */
function list() {
  const { names, chosen } = listed, words = at("search").value.trim().toLowerCase();
  const found = names.map((_, i) => i).filter((i) => names[i].toLowerCase().includes(words));
  const boxes = found.slice(0, LISTED).map((i) => {
    const label = document.createElement("label"), box = Object.assign(document.createElement("input"), { type: "checkbox", checked: chosen.includes(i) });
    box.value = names[i];
    box.disabled = !box.checked && chosen.length >= MOST;
    label.append(box, names[i]);
    return label;
  });
  const focused = document.activeElement?.closest?.("#names") ? document.activeElement.value : null;
  at("names").replaceChildren(...boxes);
  if (focused !== null) boxes.find((label) => label.control.value === focused)?.control.focus();
  const full = chosen.length >= MOST ? `${MOST} at most: take one out to add another. ` : "";
  at("found").textContent = `${full}${found.length > LISTED ? `The first ${LISTED} of ${found.length} are listed: search.` : found.length ? "" : "No run has this in its name."}`;
}

/** Calls back when another choice was made. */
export function listen(changed) {
  at("search").addEventListener("input", list);
  at("names").addEventListener("change", ({ target }) => {
    const names = listed.chosen.map((i) => listed.names[i]);
    picked = target.checked ? [...names, target.value] : names.filter((name) => name !== target.value);
    changed();
  });
  at("best-runs").addEventListener("click", () => { picked = null; changed(); });
}
