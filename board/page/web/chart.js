// Pictures of numbers.

const NS = "http://www.w3.org/2000/svg";
const svg = (tag, attrs, ...kids) => {
  const e = document.createElementNS(NS, tag);
  for (const [k, v] of Object.entries(attrs)) e.setAttribute(k, v);
  e.append(...kids);
  return e;
};

export const percent = (x) => `${(100 * x).toFixed(1)} %`;

// curve draws a learning curve into a figure: the loss of the training examples,
// from 0 to its highest, and the share of the held-back examples that are right,
// from 0 to 1. points: {loss, validation_accuracy}, one an epoch; best is the one whose
// weights are kept, once that is known.
export function curve(figure, points, best) {
  const W = 320, H = 140, L = 4, B = 16;
  const top = Math.max(...points.map((p) => p.loss), 1e-9);
  const x = (i) => L + (i * (W - 2 * L)) / Math.max(1, points.length - 1);
  const y = (v) => L + (1 - v) * (H - B - L);
  const path = (value) => points.map((p, i) => `${i ? "L" : "M"}${x(i).toFixed(1)} ${y(value(p)).toFixed(1)}`).join("");
  const last = points.at(-1), shown = points[best] ?? last;
  const right = percent(shown.validation_accuracy ?? 0);
  const line = (color, value) => svg("path", { d: path(value), fill: "none", stroke: `var(--${color})`, "stroke-width": 2, "stroke-linejoin": "round" });
  const picture = svg("svg", { viewBox: `0 0 ${W} ${H}`, role: "img", "aria-label": `Learning curve: loss ${last.loss.toFixed(3)}, right ${right} after ${points.length} epochs` },
    svg("path", { d: `M${L} ${L}V${H - B}H${W - L}`, fill: "none", stroke: "var(--line)" }),
    line("second", (p) => p.loss / top),
    line("strong", (p) => p.validation_accuracy ?? 0),
    ...(points[best] ? [svg("circle", { cx: x(best), cy: y(shown.validation_accuracy ?? 0), r: 4, fill: "var(--strong)" })] : []),
    svg("text", { x: W - L, y: H - 3, "text-anchor": "end", "font-size": 10, fill: "var(--soft)" }, `epoch ${points.length}`));
  const caption = document.createElement("figcaption");
  for (const [cls, text] of [["loss", `loss ${last.loss.toFixed(3)}`], ["val", `right on held-back examples ${right}${points[best] ? `, kept from epoch ${best + 1}` : ""}`]]) {
    const s = document.createElement("span");
    s.className = `key ${cls}`;
    s.textContent = text;
    caption.append(s);
  }
  figure.replaceChildren(picture, caption);
  figure.hidden = false;
}

// confusion makes a table: row c, column p is how many of class c were taken for p.
export function confusion(box, names, counts) {
  const used = names.map((_, i) => i).filter((i) => counts[i].some(Boolean) || counts.some((r) => r[i]));
  if (!used.length) { box.replaceChildren(); return; }
  const caption = document.createElement("p");
  caption.className = "hint";
  caption.textContent = "Held-back examples: each row one name, each column what it was taken for";
  const table = document.createElement("table");
  const head = table.createTHead().insertRow();
  const cell = (row, tag, text, scope) => {
    const c = document.createElement(tag);
    c.textContent = text;
    if (scope) c.scope = scope;
    row.append(c);
    return c;
  };
  cell(head, "td", "");
  for (const p of used) cell(head, "th", names[p], "col");
  for (const c of used) {
    const row = (table.tBodies[0] ?? table.createTBody()).insertRow();
    cell(row, "th", names[c], "row");
    const all = counts[c].reduce((a, b) => a + b, 0) || 1;
    for (const p of used) {
      const n = counts[c][p];
      const color = c === p ? "var(--bar)" : "var(--bad)";
      cell(row, "td", n || "·").style.background = n ? `color-mix(in srgb, ${color} ${Math.round((70 * n) / all) + 5}%, transparent)` : "";
    }
  }
  box.replaceChildren(caption, table);
}
