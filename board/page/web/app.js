// The page: what it shows and when.

import * as api from "./api.js";
import { confusion, curve, percent } from "./chart.js";
import { explain } from "./explain.js";
import { Queue, certainty, fingerprint } from "./queue.js";
import { sensesOf } from "./senses.js";
import { drawDrift, drawTrial, resting } from "./watch.js";

const $ = (id) => document.getElementById(id);
const el = (tag, props = {}, ...kids) => {
  const e = Object.assign(document.createElement(tag), props);
  e.append(...kids);
  return e;
};

const bytes = (n) => (n >= 1 << 30 ? `${(n / (1 << 30)).toFixed(1)} GiB` : n >= 1 << 20 ? `${(n / (1 << 20)).toFixed(1)} MiB` : `${Math.ceil(n / 1024)} KiB`);

let model = "";          // that is chosen
let info = null;         // about it
let closeSense = () => {};
let current = [];        // what was shown last and a name would be given to: {blob, thumb, print, certainty, guess}
let counts = {};         // examples by name
let queue = new Queue();
let watching = false;    // a training job
let trying = "";         // the version on trial

// complain shows an error until something works again.
function complain(e) {
  $("notice").textContent = e.message;
  $("notice").hidden = false;
}

const guard = (f) => async (...args) => {
  try {
    const v = await f(...args);
    $("notice").hidden = true;
    return v;
  } catch (e) {
    complain(e);
  }
};

api.onTokenNeeded(() => new Promise((done) => {
  $("login").showModal();
  $("login").onclose = () => done($("token").value.trim());
}));

// ---- Show

function openSense(sense) {
  closeSense();
  select([]);
  $("why").hidden = true;
  $("map").replaceChildren();
  $("answer").replaceChildren(el("p", { className: "hint", textContent: "Show it something; what the model takes it for appears here." }));
  $("stage").replaceChildren();
  for (const tab of $("senses").children) tab.setAttribute("aria-selected", tab.textContent === sense.name);
  closeSense = sense.open($("stage"), guard(shown));
}

// select says what a name would be given to.
function select(items) {
  current = items;
  $("keep").disabled = !items.length;
  $("keep").textContent = items.length > 1 ? `Keep ${items.length} examples` : "Keep as example";
}

let last = null; // the file shown last

async function shown(blob, thumb, { live = false, batch = 1 } = {}) {
  const asked = model;
  const { list, ms, version } = await api.guess(asked, blob, Math.min(info.labels.length || 10, 1000));
  if (asked !== model) return;
  last = blob;
  const print = await fingerprint(thumb);
  const item = { blob, thumb, print, certainty: certainty(list), guess: list[0]?.label ?? "", batch };
  const together = batch > 1 && current.length < batch && current.every((o) => o.batch === batch);
  select(together ? [...current, item] : [item]);
  const best = list.slice(0, 5).map(({ label, p }) => {
    const meter = el("meter", { value: Math.max(0, Math.min(1, p)) });
    meter.setAttribute("aria-hidden", "true");
    return el("li", {}, meter, el("span", { textContent: label }), el("span", { textContent: percent(p) }));
  });
  $("why").hidden = live || blob.type === "text/csv";
  $("map").replaceChildren();
  $("answer").replaceChildren(el("ol", {}, ...best), el("p", { className: "hint", textContent: `${ms.toFixed(0)} ms from here to the board and back${trying === version ? `; version ${version}, on trial` : ""}` }));
  if (!live || item.certainty < 0.3) {
    queue.add(item);
    drawQueue();
  }
}

// lookedAt shows which parts of what was shown last decided.
const lookedAt = guard(async () => {
  const asked = model, bar = el("progress", { max: 1, value: 0 });
  bar.setAttribute("aria-label", "Covering one part after the other");
  $("why").disabled = true;
  $("map").replaceChildren(bar);
  try {
    const map = await explain(last, (b) => api.guess(asked, b, Math.min(info.labels.length || 10, 1000)), (f) => { bar.value = f; });
    $("map").replaceChildren(...(map ? [map, el("figcaption", { textContent: "Bright: it mattered. Each part was covered once." })] : []));
  } catch (e) {
    $("map").replaceChildren();
    throw e;
  } finally {
    $("why").disabled = false;
  }
});

// ---- Tell

const fewNames = 12; // that are shown to choose from

function thumbOf(thumb, alt) {
  return thumb.startsWith("data:") || thumb.startsWith("blob:") ? el("img", { src: thumb, alt }) : el("span", { className: "thumb", textContent: thumb });
}

function drawQueue() {
  $("queue").replaceChildren(...queue.items.map((item) => {
    const pick = el("button", {
      title: "Name this one", onclick: () => {
        select([item]);
        drawQueue();
        $("label").focus();
      },
    }, thumbOf(item.thumb, "shown earlier"), `${item.guess}?${item.alike > 1 ? ` ×${item.alike}` : ""}`);
    const away = el("button", { className: "away", textContent: "drop", onclick: () => { queue.remove(item); drawQueue(); } });
    away.setAttribute("aria-label", `Drop ${item.guess} from the list`);
    return el("li", { className: current.includes(item) ? "chosen" : "" }, pick, away);
  }));
  $("queue-hint").hidden = queue.items.length > 0;
}

const keep = guard(async (label) => {
  if (!current.length) throw new Error("Show something first.");
  for (const item of current) {
    await api.keep(model, item.blob, label);
    queue.forget(item);
  }
  select([]);
  drawQueue();
  await drawExamples();
});

async function drawExamples() {
  const list = await api.samples(model, 0, 1);
  counts = list.labels ?? {};
  const names = Object.keys(counts).sort();
  $("count").textContent = list.count ? `${list.count}, ${bytes(list.bytes)}` : "";
  $("counts").hidden = !names.length;
  $("counts").tBodies[0].replaceChildren(...names.map((n) => el("tr", {}, el("td", { textContent: n }), el("td", { textContent: counts[n] }))));
  const known = [...new Set([...names, ...(info.labels.length <= fewNames ? info.labels : [])])];
  $("chips").replaceChildren(...known.slice(0, 2 * fewNames).map((n) => el("button", { type: "button", textContent: n, title: `Keep as ${n}`, onclick: () => keep(n) })));
  $("labels").replaceChildren(...[...new Set([...names, ...info.labels])].slice(0, 200).map((n) => el("option", { value: n })));
  if ($("browse").open) await drawSamples();
  await drawPlan();
}

async function drawSamples() {
  const { samples } = await api.samples(model);
  $("samples").replaceChildren(...samples.toReversed().map((s) => {
    const box = el("span", { className: "thumb", textContent: s.media?.split("/")[0] ?? "tensor" });
    if (s.media?.startsWith("image/")) {
      api.sampleFile(model, s.id).then((blob) => {
        const img = el("img", { src: URL.createObjectURL(blob), alt: s.label });
        img.onload = () => URL.revokeObjectURL(img.src);
        box.replaceWith(img);
      }, complain);
    }
    const away = el("button", { className: "away", textContent: "delete", onclick: guard(async () => { await api.discard(model, s.id); await drawExamples(); }) });
    away.setAttribute("aria-label", `Delete this example of ${s.label}`);
    return el("li", {}, box, el("span", { textContent: s.label }), away);
  }));
}

// ---- Teach

const onlyExamples = () => document.querySelector("input[name=scope]:checked").value === "only";

function options() {
  return onlyExamples() ? { promote: true, classes: Object.keys(counts).sort(), allow_forgetting: true } : { promote: true };
}

async function drawPlan() {
  const names = Object.keys(counts);
  const only = onlyExamples();
  const missing = info.labels.filter((n) => !counts[n]);
  let ok = false, text = "Keep a few examples first.";
  if (names.length === 1) {
    text = `Keep examples of something else, too: with ${names[0]} alone it could only learn to say ${names[0]}.`;
  } else if (names.length && !only && missing.length) {
    const some = missing.slice(0, 3).join(", ") + (missing.length > 3 ? " …" : "");
    text = `There are no examples of ${missing.length} of the names that it knows (${some}); it would forget them. Keep some of each, or let it know only the names of the examples.`;
  } else if (names.length) {
    try {
      const p = await api.plan(model, options());
      ok = true;
      text = `It would train ${p.parameters.toLocaleString("en")} numbers (${p.tail}) on ${p.samples} examples, for ${p.epochs} epochs at most, in ${bytes(p.peak_bytes)} of memory; it would then know ${p.classes.length} names.`;
    } catch (e) {
      text = e.message;
    }
  }
  $("plan").textContent = text;
  $("teach").disabled = !ok || watching;
}

const learn = guard(async (opt) => {
  $("verdict").textContent = "";
  $("confusion").replaceChildren();
  $("curve").hidden = true;
  await api.teach(model, opt);
  await watch();
});

// watch follows a training job to its end.
async function watch() {
  if (watching) return;
  watching = true;
  $("teach").disabled = true;
  $("stop").hidden = $("progress").hidden = false;
  const asked = model;
  try {
    for (;;) {
      const job = await api.training(asked);
      if (asked !== model) return;
      drawJob(job);
      if (job.state !== "running") break;
      await new Promise((f) => setTimeout(f, 300));
    }
  } finally {
    watching = false;
    $("stop").hidden = $("progress").hidden = true;
  }
  await refresh();
  await drawWatch();
}

const phases = { extract: "looking at the examples", train: "learning", judge: "judging" };

function drawJob(job) {
  const p = job.progress;
  if (p.steps) $("progress").value = p.step / p.steps;
  const r = job.report;
  const all = r?.curve ?? job.curve ?? [];
  const points = all.filter((c) => c.loss > 0); // the first point of a report is the start
  if (points.length > 1) curve($("curve"), points, r ? points.indexOf(all[r.best_epoch]) : -1);
  const verdict = $("verdict");
  verdict.className = { passed: "good", rejected: "bad", failed: "bad" }[job.state] ?? "";
  const change = r?.before && r?.after ? `Right on ${r.validation_samples} held-back examples: ${percent(r.before.accuracy)} before, ${percent(r.after.accuracy)} now` : "";
  switch (job.state) {
    case "running": verdict.textContent = phases[p.phase] ? `It is ${phases[p.phase]} …` : "It begins …"; break;
    case "passed": verdict.textContent = `Learned${job.promoted ? `; version ${job.version} answers from now on` : job.version ? ` as version ${job.version}` : ""}. ${change}`; break;
    case "rejected": verdict.textContent = `Not taken over: ${job.reason}. The model answers as before. ${change}`; break;
    case "cancelled": verdict.textContent = "Stopped. The model answers as before."; break;
    default: verdict.textContent = `${job.state}: ${job.reason ?? ""}`;
  }
  if (r?.after?.confusion) confusion($("confusion"), r.classes, r.after.confusion);
}

async function drawVersions() {
  const { current: now, versions } = await api.versions(model);
  const came = versions[0].version; // the model file itself
  const nameOf = (version) => (version === came ? "as it came" : `version ${version}`);
  $("version").textContent = nameOf(now);
  $("versions").replaceChildren(...versions.toReversed().map((v) => {
    const name = nameOf(v.version);
    const how = v.report?.after ? `, ${percent(v.report.after.accuracy)} right` : "";
    const li = el("li", { className: v.version === now ? "current" : "" }, el("span", { textContent: name + how }));
    if (v.version === now) li.append(el("span", { className: "muted", textContent: "answers now" }));
    else {
      const use = el("button", { className: "quiet", textContent: "Use", onclick: guard(async () => { await api.promote(model, v.version); await refresh(); }) });
      use.setAttribute("aria-label", `Use ${name}`);
      const attempt = el("button", { className: "quiet", textContent: "Try", disabled: trying !== "", onclick: guard(async () => { await api.tryOut(model, v.version); await drawWatch(); await drawVersions(); }) });
      attempt.setAttribute("aria-label", `Try ${name} on a tenth of the requests`);
      li.append(el("span", { className: "row" }, attempt, use));
    }
    return li;
  }));
  $("back").disabled = now === came;
}

// ---- Watch

// drawWatch shows drift and the version on trial. It asks for a trial only when there
// was one: the daemon answers 404 otherwise, which browsers report as a fault.
const drawWatch = async () => {
  const asked = model;
  const now = await api.about(asked);
  const [drift, trial] = await Promise.all([api.drift(asked), now.canary ? api.trial(asked) : null]);
  if (asked !== model) return;
  const was = trying;
  trying = trial?.state === "running" ? trial.version : "";
  drawDrift($("drift"), drift, {
    teach: (p) => learn({ ...options(), promote: false, ...p.body }),
    usual: guard(async () => { await api.forgetUsual(model); await drawWatch(); }),
  });
  drawTrial($("trial"), trial, { end: guard(async () => { await api.endTrial(model); await drawWatch(); }) });
  if (was !== trying || now.version !== info.version) await refresh();
};

// ---- Board

const drawBoard = async () => {
  try {
    const b = await api.board();
    const hot = Math.max(0, ...(b.zones ?? []).map((z) => z.celsius));
    const rows = [
      ["Board", b.kind || b.model], ["Cores", `${b.cores} × ${b.cpu}`],
      ["Heat", hot ? `${hot.toFixed(0)} °C` : ""], ["Load", b.load ? b.load.toFixed(2) : ""],
      ["Memory", b.mem_total_bytes ? `${bytes(b.mem_available_bytes)} free of ${bytes(b.mem_total_bytes)}` : ""],
      ["This program", b.rss_bytes ? bytes(b.rss_bytes) : ""], ["Clock", b.clock_hz ? `${(b.clock_hz / 1e9).toFixed(1)} GHz` : ""],
      ["Power", b.power], ["Model", info ? `${bytes(info.memory_bytes)} in memory` : ""], ["whet", b.version],
    ];
    $("board").replaceChildren(...rows.filter(([, v]) => v).flatMap(([k, v]) => [el("dt", { textContent: k }), el("dd", { textContent: v })]));
    $("rests").textContent = resting(b.governor);
    $("warnings").replaceChildren(...(b.warnings ?? []).map((w) => el("li", { textContent: w })));
    $("board-chip").textContent = [hot && `${hot.toFixed(0)} °C`, b.load && `load ${b.load.toFixed(2)}`, b.training && (b.governor?.training === "paused" ? "training rests" : "training")].filter(Boolean).join(" · ");
  } catch {
    $("board-chip").textContent = "the board does not answer";
  }
};

// ---- The model

// refresh shows anew what a change of version changes.
async function refresh() {
  info = await api.about(model);
  await drawVersions();
  await drawExamples();
}

const choose = guard(async (name) => {
  model = name;
  queue = new Queue();
  select([]);
  drawQueue();
  $("verdict").textContent = "";
  $("curve").hidden = true;
  $("confusion").replaceChildren();
  trying = "";
  await refresh();
  await drawWatch();
  // Nobody has examples of a thousand names.
  document.querySelector(`input[name=scope][value=${info.labels.length > fewNames ? "only" : "add"}]`).checked = true;
  await drawPlan();
  const senses = sensesOf(info.sense);
  $("senses").replaceChildren(...senses.map((s) => {
    const tab = el("button", { type: "button", textContent: s.name, onclick: () => openSense(s) });
    tab.setAttribute("role", "tab");
    return tab;
  }));
  openSense(senses[0]);
  if (info.job === "running") await watch();
  else if (info.job) drawJob(await api.training(model));
});

const start = guard(async () => {
  const list = await api.models();
  const ready = list.filter((m) => m.state === "READY");
  $("model").replaceChildren(...ready.map((m) => el("option", { textContent: m.name, value: m.name })));
  const broken = list.filter((m) => m.state !== "READY");
  if (!ready.length) throw new Error(broken.length ? broken.map((m) => `${m.name}: ${m.reason}`).join("; ") : "There is no model yet: put a NAME.whet into the folder of models and load it.");
  await choose(ready[0].name);
});

$("model").onchange = () => choose($("model").value);
$("tell").onsubmit = async (e) => {
  e.preventDefault();
  const name = $("label").value.trim();
  if (name) await keep(name);
};
$("browse").ontoggle = guard(async () => { if ($("browse").open) await drawSamples(); });
for (const r of document.querySelectorAll("input[name=scope]")) r.onchange = guard(drawPlan);
$("why").onclick = lookedAt;
$("teach").onclick = () => learn(options());
$("stop").onclick = guard(() => api.stopTraining(model));
$("back").onclick = guard(async () => { await api.rollback(model); await refresh(); });

await start();
await drawBoard();
const often = 5000; // ms
for (;;) {
  await new Promise((f) => setTimeout(f, often));
  if (document.hidden) continue;
  await drawBoard();
  if (model) await drawWatch().catch(() => {}); // the board's line says when it does not answer
}
