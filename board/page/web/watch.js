// What goes on while nobody teaches: drift, a version on trial, a board that rests.

import { percent } from "./chart.js";

const el = (tag, props = {}, ...kids) => {
  const e = Object.assign(document.createElement(tag), props);
  e.append(...kids);
  return e;
};

const hint = (text) => el("p", { className: "hint", textContent: text });

function table(head, rows) {
  const t = el("table", {}, el("thead", {}, el("tr", {}, ...head.map((h) => el("th", { scope: "col", textContent: h })))));
  t.append(el("tbody", {}, ...rows.map(([first, ...rest]) => el("tr", {}, el("th", { scope: "row", textContent: first }), ...rest.map((c) => el("td", { textContent: c }))))));
  return t;
}

const ago = (seconds) => (seconds < 90 ? "just now" : seconds < 5400 ? `${Math.round(seconds / 60)} minutes ago` : seconds < 129600 ? `${Math.round(seconds / 3600)} hours ago` : `${Math.round(seconds / 86400)} days ago`);

// The daemon's names of features, in words.
const words = { confidence: "how sure it is", margin: "lead over its second choice", class: "which names it gives" };
const feature = (name) => words[name] ?? name.replace(/^.* mean (\d+)$/, (_, c) => `brightness, channel ${Number(c) + 1}`).replace(/^.* contrast$/, "contrast");

const leastShift = 0.2; // that the daemon tells of, if it is improbable

function moved(shift) {
  return shift.psi > shift.limit || (shift.psi > leastShift && shift.rank_z > shift.limit_z);
}

// drawDrift shows how far what the model is shown and says has moved from what it
// was. act.teach(proposal) starts the proposed job, act.usual() makes what comes
// from now on the usual.
export function drawDrift(box, d, act) {
  if (d.state === "unwatched" || d.state === "learning") {
    box.replaceChildren(hint(`It learns what it is usually shown: ${d.state === "learning" ? d.samples : 0} of ${d.reference_samples} so far.`));
    return;
  }
  const drifted = d.state === "drifted";
  const kids = [el("p", {
    className: drifted ? "bad" : "",
    textContent: drifted ? `It is shown other things than it was, since ${new Date(d.since).toLocaleString()} (${ago((Date.now() - new Date(d.since)) / 1000)}).` :
      d.last ? "It is shown what it usually is." : `It compares the next ${d.window_samples} with what it was shown before.`,
  })];
  if (d.last) {
    const e = d.last.embedding;
    const rows = (d.last.features ?? []).map((f) => [feature(f.name), f.psi.toFixed(2), f.limit.toFixed(2), moved(f) ? "moved" : ""]);
    if (e.limit_z > 0) rows.push(["all its scores", e.worst_z.toFixed(1), e.limit_z.toFixed(1), e.worst_z > e.limit_z && e.distance > leastShift ? "moved" : ""]);
    const figures = table(["", "shift", "tells from", ""], rows);
    figures.setAttribute("aria-label", "How far it has moved");
    kids.push(drifted ? figures : el("details", {}, el("summary", { textContent: "Figures" }), figures));
  }
  if (d.proposal) {
    const n = d.proposal.labelled_samples;
    kids.push(
      hint(n ? `Proposed: teach it with the ${n} examples that there are and try the result on ${percent(d.proposal.body.canary)} of the requests.` :
        "Proposed: name some of what it is shown now, above; then teach."),
      el("div", { className: "row" },
        el("button", { id: "drift-teach", textContent: "Teach and try", disabled: !n, onclick: () => act.teach(d.proposal) }),
        el("button", { id: "drift-usual", className: "quiet", textContent: "This is the usual now", onclick: act.usual })));
  }
  replace(box, kids);
}

// replace keeps the focus and what is folded open where they were: what is drawn anew
// is the same to the person.
function replace(box, kids) {
  const focus = box.contains(document.activeElement) ? document.activeElement.id : "";
  const open = box.querySelector("details")?.open;
  box.replaceChildren(...kids);
  if (focus) document.getElementById(focus)?.focus();
  const details = box.querySelector("details");
  if (open && details) details.open = true;
}

const ended = { returned: "was taken back", promoted: "passed its trial and answers from now on", passed: "passed its trial", superseded: "is no longer on trial: another version was chosen" };
const tests = [["errors", "fails more often"], ["latency", "is slower"], ["accuracy", "is wrong more often"]];

// drawTrial shows a version on trial beside the one that serves, or how the last
// trial ended. act.end() ends it.
export function drawTrial(box, c, act) {
  if (!c) { box.replaceChildren(hint("No version is on trial. “Try” beside a version lets it answer a tenth of the requests.")); return; }
  const running = c.state === "running";
  const kids = [el("p", {
    className: c.state === "returned" ? "bad" : c.state === "promoted" || c.state === "passed" ? "good" : "",
    textContent: running ? `Version ${c.version} answers ${percent(c.share)} of the requests, ${c.answered} of ${c.requests} so far${c.promote ? "; then it answers all" : ""}.` :
      `Version ${c.version} ${ended[c.state] ?? c.state}${c.reason ? `: ${c.reason}` : ""}.`,
  })];
  if (running) {
    const bar = el("progress", { max: c.requests, value: c.answered });
    bar.setAttribute("aria-label", "Trial");
    kids.push(bar);
  }
  const time = (r) => (r.answered ? `${(r.mean_run_ns / 1e6).toFixed(2)} ms` : "–");
  const sides = [c.stable_requests, c.canary_requests];
  const beside = table(["", `version ${c.stable}`, `version ${c.version}`], [
    ["answered", ...sides.map((r) => r.answered)], ["failed", ...sides.map((r) => r.failed)], ["mean time", ...sides.map(time)]]);
  beside.setAttribute("aria-label", "The version that serves, and the one on trial");
  kids.push(beside);
  if (running) {
    const strongest = Math.max(1, ...tests.map(([k]) => c[k].evidence));
    const limit = c.errors.limit;
    const meter = el("meter", { min: 0, max: 1, high: 0.66, optimum: 0, value: Math.log(strongest) / Math.log(limit) });
    meter.setAttribute("aria-label", "Evidence against the version on trial");
    kids.push(table(["It is taken back if it", "worse in", "evidence"], tests.map(([k, what]) => [what, `${c[k].worse} of ${c[k].pairs}`, `${c[k].evidence.toFixed(1)} of ${limit}`])),
      meter, el("button", { id: "trial-end", className: "quiet", textContent: "End the trial", onclick: act.end }));
  }
  replace(box, kids);
}

const reasons = { heat: "the board is hot", power: "its power supply is weak", load: "there are many requests" };

// resting says what the board holds back to stay cool and quick, or "".
export function resting(g) {
  const why = reasons[g?.reason] ?? g?.reason;
  return [g?.training === "paused" && `Training rests: ${why}; it goes on by itself.`,
    g?.rate < 1 && `Requests are computed ${percent(g.rate)} of the time: ${why}.`].filter(Boolean).join(" ");
}
