// Lines that a training prints -> records, by the rules of lcx/readers/text_lines.py and text_log.py: names and numbers in whatever order.

const COUNTERS = ["step", "steps", "global_step", "_step", "iteration", "iterations", "iter", "training_iteration", "current_steps",
  "total_timesteps", "time/total_timesteps", "timesteps", "totalenvinteracts", "misc/total_timesteps", "num_updates",
  "epoch", "epochs", "episode", "episodes", "round", "trainer/global_step", "train/global_step", "train/epoch", "tokens", "samples", "size"];
const TIMES = ["time", "wall_time", "wall time", "timestamp", "_timestamp", "elapsed", "_runtime", "time/time_elapsed", "time_total_s"];
const ROWS = ["tokens", "samples", "size"]; // counters only if they rise
const counts = new Set([...COUNTERS.filter((name) => !ROWS.includes(name)), "update", "updates", "it", "itr"]);
const HIDDEN = new RegExp(`_(${[
  "lr|lrs|momentum|seed|config|hparams|hyperparameters|clip_range|batch_size|weight_decay|learning_rate|loss_scale|pid",
  "time|times|timers|runtime|timestamp|elapsed|eta|seconds|sec|secs|duration|per_second|per_sec|fps|wps|wpb|ups|ips|mfu|tok_s",
  "step|steps|epoch|epochs|iter|iters|iteration|iterations|timesteps|episodes|num|counters",
  "batch_id|batch_idx|updates|nupdates|n_updates|consumed_samples|samples|tokens|size|total_flos",
  "perf|ram|cpu|gpu|memory|mem|gb|mb|reader_cost|batch_cost"].join("|")})_`);
const MEASURED = /_(loss|losses|acc|accuracy|error|reward|return|score|ret|rew)_/;

const W = "[\\p{L}\\p{N}_]", WORD = `[A-Za-z_](?:${W}|[.@/#%-])*(?:'s(?= )|\\([A-Za-z_ ]+\\))?`;
const NUMBER = "[-+]?(?:\\d+\\.?\\d*|\\.\\d+)(?:[eE][-+]?\\d+)?|[-+]?(?:nan|inf(?:inity)?)(?:(?=ms)|(?![A-Za-z_]))";
const PAIR = new RegExp(
  `(?<!${W}|\\.)(?<name>${WORD}(?: +${WORD})*)["']?(?<sign>\\s*[:=]\\s*|\\s+|(?=\\[))["']?\\[?\\s*(?<value>${NUMBER})` +
  `(?:\\s*/\\s*(?<total>\\d+))?(?:[a-z]+(?:/[a-z]+)?)?(?=[\\s,;:|)\\]}"'(%]|\\.?(?:\\s|$))(?!:\\d\\d)`, "dgiu");
const DATE = /\d{4}[-/]\d\d[-/]\d\d[ T_]|\d{1,2}:\d\d:\d\d(?:[.,]\d+)?/g;
const LIST = /\[([^[\]]*\d\s*,[^[\]]*\d[^[\]]*)\]/g;
const INNER = /[\]:,|\s-]*\[?\s*(?:(?:batch|step|iter(?:ation)?)\s*[:=]?\s*\[?\s*)?(\d+)\s*\/\s*(\d+)(?=[\]\s,:(]|$)/iy;
const BAR = /(\d+)\/(\d+) \[\d+:\d\d/g; // of tqdm
const ROUND = /^\s*(?:\[(\d+)\]|(\d+):)\s+(?=[A-Za-z_])/; // of XGBoost, LightGBM and CatBoost
const CELLS = /^\|( *[\p{L}\p{N}_/]+) *\| *([^|\s]*) *\|\s*$/u; // a name and a number
const SECTION = /(?:^|\||\(|[-:] )\s*(train_inner|train|valid|val|test|eval|cur)(?:ing|idation|uation)?(?= on '|\s*[|:)]| set| epoch| metric)/i;
const ASSIGNED = /^\s*[\p{L}\p{N}_.]+(?:\s*:\s*[\p{L}\p{N}_]+)?\s+=\s/u; // source code or a list of settings
const SUMMARY = /train_runtime|best metric|@\[/i;
const SECTIONS = ["train", "training", "val", "valid", "validation", "test", "testing", "eval", "evaluation"];
const NO_NAMES = "to from at in of than after is was for with by and over v took across cuda rank port".split(" ");
const ALIKE = ["iter", "iters", "iteration", "it", "itr", "step", "steps", "global_step"];

/** A number as Python prints it; undefined for other text. */
function numberOf(text) {
  if (/^[-+]?nan$/i.test(text)) return NaN;
  if (/^[-+]?inf(inity)?$/i.test(text)) return text[0] === "-" ? -Infinity : Infinity;
  return /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(text) ? Number(text) : undefined;
}

/** The lines that hold names with numbers: {line, kind, counters: {name: "3/40"}, inner: [3, 40], metrics: [[section, name, number]]}. */
function rowsOf(text) {
  const rows = [];
  let group = "", cells = new Map();
  text.replace(/\x1b\[[0-9;]*[A-Za-z]/g, "").replace(/\x08+/g, "\r").split("\n").forEach((line, at) => {
    const pair = CELLS.exec(line);
    if (pair) {
      const value = numberOf(pair[2]);
      if (!pair[2]) group = pair[1];
      else if (value !== undefined) cells.set(pair[1].startsWith(" ") ? group + pair[1] : pair[1], [value, pair[2]]);
      return;
    }
    if (cells.size) rows.push(tableRow(at, cells));
    if (cells.size) [group, cells] = ["", new Map()];
    for (const part of line.split("\r")) {
      const row = /\d/.test(part) && !SUMMARY.test(part) && rowOf(at + 1, part);
      if (row) rows.push(row);
    }
  });
  return rows;
}

/** The row of a table of two columns, as Stable-Baselines3 and SpinningUp print it. */
function tableRow(line, cells) {
  const told = [...cells].map(([name, cell]) => [name.replaceAll(" ", ""), ...cell]);
  const counters = Object.fromEntries(told.filter(([name]) => counts.has(name.toLowerCase())).map(([name, , text]) => [name.toLowerCase(), text]));
  return { line, kind: "table", counters, inner: null, metrics: told.filter(([name]) => !(name.toLowerCase() in counters)).map(([name, value]) => ["", name, value]) };
}

function rowOf(line, raw) {
  let text = raw.replace(DATE, " ").replaceAll("\t", "  ").replace(/np\.float\d+\(([^)]*)\)/g, "$1");
  text = text.replace(LIST, (found, inside) => {
    const parts = inside.split(",").map((part) => numberOf(part.trim()));
    return parts.includes(undefined) ? found : String(Number((parts.reduce((a, b) => a + b) / parts.length).toPrecision(10)));
  });
  const counters = {}, metrics = new Map();
  let inner = null, kind = "";
  const told = SECTION.exec(text);
  let section = told ? told[1].toLowerCase().replace("cur", "eval") : text.trimStart().startsWith("* ") ? "val" : "";
  const begins = ROUND.exec(text);
  if (begins) { kind = "round"; counters.iteration = begins[1] ?? begins[2]; }
  const pairs = [...text.matchAll(PAIR)];
  if (pairs.length === 1 && ASSIGNED.test(text)) return null;
  for (const pair of pairs) {
    const { sign, value, total } = pair.groups, blank = !sign.trim(), end = pair.index + pair[0].length;
    let { name, last, note, part, prose } = nameOf(pair.groups.name, blank);
    if (name.toLowerCase() === "train" && matchAt(INNER, text, end)) last = "epoch"; // of timm: "Train: 3 [50/100 (50%)]"
    if (counts.has(last) || (last === "s" && pair.index === 0 && !blank)) {
      if (/^(val|tes)/.test(note) && !last.includes("epoch")) continue; // counts the batches of a validation
      const over = last.includes("epoch") && (matchAt(INNER, text, end) ?? matchFrom(BAR, text, end));
      if (over) inner = [Number(over[1]), Number(over[2])];
      kind ||= text.slice(0, pair.indices.groups.value[0]).replace(/[\d\s]+/g, " ");
      counters[last === "s" ? "step" : last] = value + (total ? `/${total}` : "");
    } else if ((last === "batch" || last === "minibatch") && total) inner = [Math.trunc(Number(value)), Number(total)];
    else if (!prose) {
      section = part || section; // "Test Loss: 0.2 Acc: 0.9"
      metrics.set(JSON.stringify([section, name]), [section, name, numberOf(value) / (Number(total ?? 1) || 1)]);
    }
  }
  return Object.keys(counters).length || metrics.size ? { line, kind, counters, inner, metrics: [...metrics.values()] } : null;
}

const matchAt = (pattern, text, at) => { pattern.lastIndex = at; return pattern.exec(text); }, matchFrom = matchAt;

/** What the words before a number say: the name, its last word, what is in brackets after it, the section, whether they are prose. */
function nameOf(words, blank) {
  let parts = words.split(/\s+/);
  if (/^(is|was)$/i.test(parts.at(-1)) && parts.length > 1) [parts, blank] = [parts.slice(0, -1), false]; // "val loss is 0.5"
  const bare = parts.at(-1).toLowerCase().replace(/^(train|valid|eval)_/, ""), at = bare.indexOf("(");
  const last = at < 0 ? bare : bare.slice(0, at), low = parts.map((part) => part.toLowerCase());
  const prose = NO_NAMES.includes(low.at(-1)) || parts.length > (blank ? 2 : 4) || low.slice(0, 2).includes("best");
  return { name: counts.has(last) ? parts.at(-1) : parts.join(" "), last, note: at < 0 ? "" : bare.slice(at + 1), part: SECTIONS.includes(low[0]) ? low[0] : "", prose };
}

const countOf = (counter) => Number(counter.split("/")[0]);
const raised = (counter, to) => [String(Number(to.toPrecision(10))), ...counter.split("/").slice(1)].join("/");

/** A record per step, in the order of the log: the counters as text, the metrics as numbers. */
function recordsOf(rows) {
  rows = ofEpochs(oneName(begun(rows)));
  const sections = new Map(), records = [];
  for (const row of rows) for (const [section, name] of row.metrics) sections.set(name, (sections.get(name) ?? new Set()).add(section));
  const least = (numbers) => numbers.reduce((a, b) => Math.min(a, b), Infinity);
  const epochs = rows.filter((row) => "epoch" in row.counters).map((row) => countOf(row.counters.epoch)), from0 = least(epochs) === 0;
  const parts0 = least(rows.filter((row) => row.inner).map((row) => row.inner[0])) === 0;
  let carried = {};
  for (const row of rows) {
    const has = Object.keys(row.counters).length > 0;
    let counters = has || row.inner ? row.counters : carried;
    if (has) carried = { ...carried, ...row.counters };
    if ("epoch" in carried && row.inner) {
      const part = Math.min((row.inner[0] + parts0) / Math.max(row.inner[1], 1), 1);
      counters = { ...counters, epoch: raised(carried.epoch, Math.floor(countOf(carried.epoch)) - !from0 + part) };
    } else if ("epoch" in counters && from0) counters = { ...counters, epoch: raised(counters.epoch, countOf(counters.epoch) + 1) };
    if (!Object.keys(counters).length || !row.metrics.length) continue;
    const called = (section, name) => section && sections.get(name).size > 1 && !name.toLowerCase().startsWith(section) ? `${section}/${name}` : name;
    const named = Object.fromEntries(row.metrics.map(([section, name, value]) => [called(section, name), value])), before = records.at(-1);
    if (before && Object.entries(counters).every(([name, count]) => before[name] === count)) Object.assign(before, named);
    else records.push({ ...counters, ...named });
  }
  const count = new Map();
  for (const record of records) for (const name in record) count.set(name, (count.get(name) ?? 0) + 1);
  const enough = Math.min(2, [...count.values()].reduce((a, b) => Math.max(a, b), 0)); // a metric of one step among several is none
  return records.map((record) => Object.fromEntries(Object.entries(record).filter(([name]) => count.get(name) >= enough)));
}

/** The rows from where the commonest kind of line that counts begins, and three above: before stand source code, settings and the like. */
function begun(rows) {
  const kinds = new Map();
  for (const { kind, counters } of rows) if (kind) kinds.set(kind, (kinds.get(kind) ?? new Set()).add(JSON.stringify(Object.values(counters))));
  const most = [...kinds].reduce((a, b) => (b[1].size > a[1].size ? b : a), ["", new Set()])[0];
  const first = rows.find((row) => row.kind === most)?.line ?? 0;
  return rows.filter((row) => row.line >= first - 3);
}

/** The rows where "Epoch 2, step 50/100" either counts within the epoch, or goes on over all of them: then it is no part of one. */
function ofEpochs(rows) {
  const parts = rows.filter((row) => row.inner && "epoch" in row.counters).map((row) => [countOf(row.counters.epoch), row.inner[0]]);
  const onward = parts.slice(1).every(([then, b], i) => parts[i][1] < b || (parts[i][1] === b && parts[i][0] === then));
  if (onward && new Set(parts.map(([epoch]) => epoch)).size > 1) return rows.map((row) => ({ ...row, inner: null }));
  const same = (row) => ([name, count]) => name.includes("epoch") || count !== row.inner.join("/");
  return rows.map((row) => (row.inner ? { ...row, counters: Object.fromEntries(Object.entries(row.counters).filter(same(row))) } : row));
}

/** The rows with one name for counters that never stand in one line, such as "iter" and "step": they count the same. */
function oneName(rows) {
  const lines = new Map(), known = [], same = new Map();
  rows.forEach(({ counters }, at) => {
    for (const name in counters) if (ALIKE.includes(name)) lines.set(name, (lines.get(name) ?? new Set()).add(at));
  });
  for (const [name, of] of [...lines].sort((a, b) => b[1].size - a[1].size)) {
    known.push(name);
    same.set(name, known.find((other) => ![...lines.get(other)].some((at) => of.has(at))) ?? name);
  }
  return rows.map((row) => ({ ...row, counters: Object.fromEntries(Object.entries(row.counters).map(([name, count]) => [same.get(name) ?? name, count])) }));
}

/** Whether a metric is a setting, a time, a counter or a figure of the machine. */
function isHidden(metric) {
  const words = `_${metric.toLowerCase().replace(/[^a-z0-9]+/g, "_")}_`;
  return HIDDEN.test(words) && !MEASURED.test(words.replace("_loss_scale_", "_"));
}

/** Whether a text that begins or ends so is a log: two steps at least, with a metric that is no time and no setting. */
export function isLog(text) {
  const seen = new Map();
  for (const record of recordsOf(rowsOf(text))) {
    const at = JSON.stringify(Object.values(record).filter((value) => typeof value === "string"));
    for (const [name, value] of Object.entries(record)) if (typeof value === "number" && !isHidden(name)) seen.set(name, (seen.get(name) ?? new Set()).add(at));
  }
  return [...seen.values()].some((steps) => steps.size > 1);
}

/** The counter that most records have and that does not start again in every epoch; null without one. */
function counterOf(columns, length) {
  const rises = (name) => columns.get(name).every(([, count], i, all) => (i ? all[i - 1][1] <= count : all.length < 2 || count !== all.at(-1)[1]));
  const all = [...columns.keys()].filter((name) => COUNTERS.includes(name.toLowerCase()) && (!ROWS.includes(name.toLowerCase()) || rises(name)));
  const settings = all.filter((name) => ["steps", "epochs", "iterations", "episodes"].includes(name.toLowerCase()) && !rises(name));
  const found = all.filter((name) => !settings.includes(name)), order = (name) => COUNTERS.indexOf(name.toLowerCase());
  const names = (found.length ? found : all).sort((a, b) => columns.get(b).length - columns.get(a).length || order(a) - order(b));
  const values = names.map((name) => new Map(columns.get(name))), most = names.map(() => NaN), again = new Set();
  for (let at = 0; at < length; at++) {
    const now = values.map((column) => column.get(at) ?? NaN);
    const begins = names.some((name, i) => /^epochs?$/i.test(name) && now[i] > most[i]);
    names.forEach((name, i) => {
      if (begins && now[i] < most[i]) again.add(name);
      if (!(now[i] <= most[i]) && !Number.isNaN(now[i])) most[i] = now[i];
    });
  }
  return names.find((name) => !again.has(name)) ?? names[0] ?? null;
}

/** The curves of a text log, with steps as it counts them, and its horizon. */
export function fromLines(text, name) {
  const records = recordsOf(rowsOf(text)), columns = new Map();
  records.forEach((record, at) => {
    for (const [key, value] of Object.entries(record)) {
      if (!columns.has(key)) columns.set(key, []);
      columns.get(key).push([at, typeof value === "string" ? countOf(value) : value]);
    }
  });
  const counter = counterOf(columns, records.length), clock = TIMES.map((time) => [...columns.keys()].find((key) => key.toLowerCase() === time)).find(Boolean);
  const steps = records.map((record, at) => (counter === null ? at + 1 : counter in record ? countOf(String(record[counter])) : NaN));
  const metrics = [...columns].filter(([key]) => key !== clock && !COUNTERS.includes(key.toLowerCase()));
  metrics.sort(([a], [b]) => isHidden(a) - isHidden(b));
  const curves = metrics.map(([metric, points]) => ({ run: name, metric, steps: points.map(([at]) => steps[at]), values: points.map(([, value]) => value) }));
  const ends = counter?.toLowerCase().includes("epoch") ? ["total_epochs", "num_epochs", "max_epochs"] : ["total_steps", "max_steps", "total_timesteps_planned"];
  let totals = counter === null ? [] : records.flatMap((record) => String(record[counter] ?? "").split("/").slice(1).map(Number));
  if (!totals.length && counter !== null) totals = [...columns].filter(([key]) => ends.includes(key.toLowerCase())).slice(0, 1).flatMap(([, points]) => points.map(([, value]) => value));
  const total = totals.reduce((a, b) => Math.max(a, b), 0), used = curves.flatMap((curve) => curve.steps.filter(Number.isFinite));
  const whole = used.includes(0) && used.reduce((a, b) => Math.max(a, b), 0) === total && !used.some((step) => step < 0); // from 0 up to the total: one more
  return { curves, zeroBased: true, horizon: total ? total + whole : null };
}
