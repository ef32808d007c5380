// Penalties, refusals, routes, the policy and the store.

import { byId, element, keyCell, keyText, pairs, setText, sync } from "./dom.js";
import { count, dateAndTime, percent, seconds, span, timeOfDay } from "./format.js";

/** Callers whose penalty was lifted here; the service may tell of them once more. */
const lifted = new Map();

/** For how long such a caller is left out, in milliseconds. */
const LEFT_OUT = 3_000;

async function lift(penalty, row) {
  const who = keyText(penalty);
  const button = row.querySelector("button");
  button.disabled = true;
  let said;
  try {
    const path = `rate_limit/penalties/${encodeURIComponent(penalty.key_hash)}`;
    const answer = await fetch(path, { method: "DELETE", credentials: "same-origin" });
    if (answer.ok) said = `The penalty of ${who} was lifted.`;
    else if (answer.status === 404) said = `The penalty of ${who} had ended already.`;
    else said = `The penalty of ${who} was not lifted: the service answered ${answer.status}.`;
    if (answer.ok || answer.status === 404) {
      lifted.set(penalty.key_hash, Date.now());
      // Whoever uses the keyboard goes on with the next one.
      const next = row.nextElementSibling ?? row.previousElementSibling;
      const had = document.activeElement === button || document.activeElement === document.body;
      row.remove();
      if (had) (next?.querySelector("button") ?? byId("penalties-title")).focus();
    }
  } catch {
    said = `The penalty of ${who} was not lifted: the service does not answer.`;
  }
  button.disabled = false;
  setText("lifted", said);
}

function penaltyRow(penalty) {
  const button = element("button", { type: "button", text: "Lift" });
  button.setAttribute("aria-label", `Lift the penalty of ${keyText(penalty)}`);
  const row = element("tr", {}, element("td", {}, keyCell(penalty)), element("td", { class: "number" }), element("td", { class: "action" }, button));
  button.addEventListener("click", () => lift(penalty, row));
  return row;
}

export function showPenalties({ penalties }) {
  for (const [hash, time] of lifted) if (Date.now() - time > LEFT_OUT) lifted.delete(hash);
  const callers = penalties.callers.filter((caller) => !lifted.has(caller.key_hash));
  sync(byId("penalties"), callers, (caller) => caller.key_hash, penaltyRow, (row, caller) => {
    setText(row.children[1], span(Math.ceil(caller.rest_ms / 1000)));
  });
  byId("penalties-table").hidden = callers.length === 0;
  byId("penalties-none").hidden = callers.length > 0;
  const more = penalties.active - penalties.callers.length;
  const shown = more > 0 ? `the ${callers.length} longest of ${count(penalties.active)}; ` : "";
  setText("penalties-note", `${shown}${count(penalties.total)} since the start`);
}

function violationRow(violation) {
  const by = violation.limits.join(", ") || "penalty";
  // A table whose rows are cards on a phone keeps its roles only if they are written down.
  const cell = (properties, ...children) => element("td", { role: "cell", ...properties }, ...children);
  const cells = [cell({ class: "time", text: timeOfDay(violation.time_ms) }), cell({}, keyCell(violation))];
  cells.push(cell({}, element("span", { text: by }), element("span", { class: "quiet route", text: violation.route ? `route ${violation.route}` : "" })));
  const wait = violation.wait_ms === null ? "for good" : span(Math.ceil(violation.wait_ms / 1000));
  cells.push(cell({ class: "number", text: wait }));
  return element("tr", { role: "row", class: violation.penalty ? "penalty" : undefined }, ...cells);
}

export function showViolations(now) {
  const key = (violation, at) => `${violation.time_ms} ${violation.key_hash} ${now.violations.length - at}`;
  sync(byId("violations"), now.violations, key, violationRow, () => {});
  byId("violations-none").hidden = now.violations.length > 0;
  const dropped = now.violations_dropped;
  setText("violations-note", dropped > 0 ? `${count(dropped)} were too many at once to be noted` : "");
}

/** The outcomes, in the order of columns, and the words for people. */
const OUTCOMES = [["allowed", "Allowed"], ["refused", "Refused"], ["penalty", "Penalty"], ["blocked", "Blocked"],
  ["exempt", "Exempt"], ["ambiguous", "Ambiguous path"], ["error", "Error"]];

export function showRoutes(now) {
  const head = [["route", "Route"], ...OUTCOMES];
  sync(byId("routes-head"), head, ([name]) => name, ([name]) => element("th", { scope: "col", class: name === "route" ? "" : "number" }),
    (cell, [, title]) => setText(cell, title));
  const rows = [...now.routes, { name: "all", outcomes: now.outcomes, isAll: true }];
  const create = (route) => element("tr", { class: route.isAll ? "total" : "" }, element("th", { scope: "row" }), ...OUTCOMES.map(() => element("td", { class: "number" })));
  sync(byId("routes"), rows, (route) => (route.isAll ? "all" : `route ${route.name}`), create, (row, route) => {
    const name = route.isAll ? "All since the start" : route.name === "none" ? "no route" : route.name;
    setText(row.children[0], name);
    OUTCOMES.forEach(([outcome], at) => {
      const number = route.outcomes[outcome] ?? 0;
      setText(row.children[at + 1], count(number));
      row.children[at + 1].classList.toggle("zero", number === 0);
    });
  });
}

const RESULTS = [["allowed", "Allowed"], ["over_limit", "Over a limit"], ["as_request", "Decided as requests, and counted with them"],
  ["unlimited", "Of a rule without limits"], ["no_rule", "Without a rule"], ["unknown_domain", "Of an unknown domain"], ["error", "Not decided"]];

/** What Envoy has asked, if it has. */
export function showDescriptors({ descriptors }) {
  const asked = RESULTS.filter(([result]) => descriptors[result] > 0);
  byId("envoy").hidden = asked.length === 0;
  pairs("descriptors", asked.map(([result, title]) => [title, count(descriptors[result]), result === "error" ? "bad" : ""]));
}

const MODES = { enforce: "limits refuse", shadow: "shadow: limits only tell", off: "off: nothing is counted" };
const WATCHING = { events: "the system tells of changes", polling: "read every few seconds", nothing: "not watched" };

export function showPolicy(now) {
  const { policy } = now;
  pairs("policy", [
    ["Hash", policy.hash, "hash"],
    ["Mode", MODES[policy.mode]],
    ["Loaded", dateAndTime(policy.loaded_ms)],
    ["File", WATCHING[policy.watching]],
    ["Reloads", `${count(policy.reloads)} done, ${count(policy.failures)} failed`, policy.failures > 0 ? "bad" : ""],
    ["Warnings", count(policy.warnings)],
    ["Program", `tollgate ${now.version}`],
    ["Running for", span(now.uptime_s)],
  ]);
}

const SOURCES = { shared: "the store", leased: "a lease", cached: "known refusals", local_share: "this process's share",
  last_known: "last known levels", open: "let through", closed: "refused" };

export function showStore({ store }) {
  if (!store) {
    return pairs("store", [["Buckets", "in the memory of this process"]]);
  }
  const all = Object.values(store.decisions).reduce((sum, number) => sum + number, 0);
  const decided = Object.entries(store.decisions).filter(([, number]) => number > 0).sort((a, b) => b[1] - a[1]);
  const times = store.call_times;
  pairs("store", [
    ["State", store.is_out ? "does not answer" : "answers", store.is_out ? "bad" : "good"],
    ["Calls", count(store.calls)],
    ["Time of a call", times ? `half within ${seconds(times.p50)}, 99 % within ${seconds(times.p99)}` : "no calls in the last minute"],
    ["Outages since the start", count(store.outages), store.outages > 0 ? "bad" : ""],
    ...decided.map(([source, number]) => [`Decided by ${SOURCES[source] ?? source}`, `${count(number)} (${percent(number / all)})`]),
  ]);
}
