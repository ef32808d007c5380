// The table of limits: their last ten minutes, what they answer now, and whom they refuse most.

import { sparkline } from "./chart.js";
import { byId, element, keyCell, setText, sync } from "./dom.js";
import { count, rate } from "./format.js";

/** The sparklines by name of the limit. */
const charts = new Map();
/** The numbers of earlier moments, of which the rates are made. */
const earlier = [];
/** Over how many moments, about a second each, rates are taken. */
const MOMENTS = 10;

/** A table whose rows are cards on a phone keeps its roles only if they are written down. */
const cell = (label, properties = {}, ...children) =>
  element("td", { role: "cell", "data-label": label, ...properties }, ...children);

function row(limit) {
  const chart = sparkline(limit.name);
  charts.set(limit.name, chart);
  const details = `most-limited-${limit.name}`;
  const button = element("button", { type: "button", class: "plain", "aria-expanded": "false", "aria-controls": details, text: "Most limited" });
  button.setAttribute("aria-label", `Most limited by ${limit.name}`);
  const body = element("tbody", { role: "rowgroup" });
  const first = element("tr", { role: "row" },
    element("th", { scope: "row", role: "rowheader" },
      element("span", { class: "name", text: limit.name }),
      element("span", { class: "badge", text: "shadow", hidden: true }),
      element("span", { class: "quota quiet" })),
    cell("Last 10 minutes", { class: "chart-cell" }, chart.svg),
    cell("Allowed/s", { class: "number" }),
    cell("Refused/s", { class: "number" }),
    cell("Would refuse/s", { class: "number" }),
    cell("Keys", { class: "keys" }, element("span"), bar(limit.name)),
    cell("", { class: "action" }, button));
  const list = element("ol", { class: "most" });
  const second = element("tr", { id: details, role: "row", class: "more", hidden: true },
    element("td", { colspan: "7", role: "cell" }, element("p", { class: "quiet" }), list));
  button.addEventListener("click", () => {
    second.hidden = !second.hidden;
    button.setAttribute("aria-expanded", String(!second.hidden));
  });
  body.append(first, second);
  return body;
}

const bar = (name) => element("meter", { min: "0", max: "1", high: "0.9", "aria-label": `Keys of ${name}, share of the bound` });

function fill(body, limit, rates) {
  const [first, second] = body.children;
  const [head, , allowed, refused, would, keys] = first.children;
  const [, badge, quota] = head.children;
  badge.hidden = !limit.shadow;
  setText(quota, `${limit.quota} · ${limit.key ? `by ${limit.key}` : "one for all"}`);
  setText(allowed, rate(rates.allowed));
  setText(refused, rate(rates.refused));
  refused.classList.toggle("bad", rates.refused > 0);
  setText(would, limit.shadow || limit.would_refuse > 0 ? rate(rates.would_refuse) : "");
  would.classList.toggle("shadow-text", rates.would_refuse > 0);
  const [number, meter] = keys.children;
  // The keys of limits in a store are counted by nobody.
  const isCounted = limit.key && limit.keys_max > 0 && !isStored;
  const full = limit.full > 0 ? `, ${count(limit.full)} without room` : "";
  setText(number, isCounted ? `${count(limit.keys)} of ${count(limit.keys_max)}${full}` : limit.key ? "in the store" : "1 bucket");
  meter.hidden = !isCounted;
  meter.value = isCounted ? limit.keys / limit.keys_max : 0;
  const [note, list] = second.firstElementChild.children;
  setText(note, mostNote(limit));
  sync(list, limit.most_limited, (key) => key.key_hash, (key) => element("li", {}, keyCell(key), element("span", { class: "number" })),
    (item, key) => setText(item.lastElementChild, `${count(key.refused)} refused`));
}

/** Whether the buckets are in a store. */
let isStored = false;
let uptime = 0;

function mostNote(limit) {
  const returned = limit.returned > 0 ? ` ${count(limit.returned)} charges were given back.` : "";
  if (isStored) return `Keys in the store are not ranked: see the last refusals.${returned}`;
  if (limit.most_limited.length === 0) return `No key that is in use was refused by this limit.${returned}`;
  return `The keys in use that were refused the most permits.${returned}`;
}

/** Shows the limits of a moment. */
export function showLimits(now) {
  isStored = now.store !== null;
  // The service has started again, and counts from zero.
  if (now.uptime_s < uptime) earlier.length = 0;
  uptime = now.uptime_s;
  const totals = new Map(now.limits.map((limit) => [limit.name, limit]));
  earlier.push({ time: now.time_ms, totals });
  if (earlier.length > MOMENTS + 1) earlier.shift();
  const [{ time, totals: before }] = earlier;
  const seconds = Math.max(1, (now.time_ms - time) / 1000);
  const rates = (limit) => {
    const was = before.get(limit.name) ?? limit;
    const of = (what) => Math.max(0, limit[what] - was[what]) / seconds;
    return { allowed: of("allowed"), refused: of("refused"), would_refuse: of("would_refuse") };
  };
  const table = byId("limits");
  sync(table, now.limits, (limit) => limit.name, row, (body, limit) => fill(body, limit, rates(limit)));
  const leftOut = byId("left-out");
  leftOut.hidden = now.left_out === 0;
  setText(leftOut, `${count(now.left_out)} more limits and routes are not shown here: see /metrics.`);
}

/** Draws the last ten minutes of each limit. */
export function drawLimits(history) {
  for (const limit of history.limits) {
    const total = (list) => list.reduce((all, number) => all + number, 0);
    const text = `${count(total(limit.allowed))} allowed, ${count(total(limit.refused))} refused, ` +
      `${count(total(limit.would_refuse))} would be refused in the last 10 minutes`;
    charts.get(limit.name)?.draw([
      { name: "allowed", values: limit.allowed },
      { name: "shadow", values: limit.would_refuse },
      { name: "refused", values: limit.refused },
    ], history.most_steps, text);
  }
}
