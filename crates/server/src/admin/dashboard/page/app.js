// The dashboard: what the service tells once a second, as numbers, charts and tables.

import { largeChart, sum } from "./chart.js";
import { byId, element, setText, sync } from "./dom.js";
import { listen } from "./feed.js";
import { count, dateAndTime, percent, rate, seconds, span } from "./format.js";
import { drawLimits, showLimits } from "./limits.js";
import { showDescriptors, showPenalties, showPolicy, showRoutes, showStore, showViolations } from "./tables.js";

/** The classes of requests in the large chart, the lowest first. */
const CLASSES = ["allowed", "refused", "errors"];

let history;
/** The version of the program that has sent this page. */
let version;

const drawChart = largeChart(byId("chart"), (pointed) => {
  if (!pointed || !history) return setText("reading", "");
  const ago = pointed.back * history.step_s;
  const numbers = CLASSES.map((name) => `${rate(history.requests[name][pointed.at] / history.step_s)} ${name}`);
  setText("reading", `${ago === 0 ? "now" : `${span(ago)} ago`}: ${numbers.join(", ")}`);
});

function showHistory(next) {
  history = next;
  const layers = CLASSES.map((name) => ({ name, values: history.requests[name].map((number) => number / history.step_s) }));
  const total = (name) => history.requests[name].reduce((all, number) => all + number, 0);
  drawChart({
    layers,
    most: history.most_steps,
    step: history.step_s,
    format: rate,
    label: `Requests of the last 10 minutes: ${CLASSES.map((name) => `${count(total(name))} ${name}`).join(", ")}`,
  });
  drawLimits(history);
}

/** The last minute of the history, by class. */
function lastMinute() {
  const steps = 60 / (history?.step_s ?? 60);
  const of = (name) => (history?.requests[name] ?? []).slice(-steps).reduce((all, number) => all + number, 0);
  const length = Math.min(steps, history?.requests.allowed.length ?? 0) * (history?.step_s ?? 0);
  return { allowed: of("allowed"), refused: of("refused"), errors: of("errors"), length };
}

function tile(name, value, note, tone = "") {
  setText(`tile-${name}`, value);
  setText(`note-${name}`, note);
  byId(`tile-${name}`).className = tone;
}

function showTiles(now) {
  const { allowed, refused, errors, length } = lastMinute();
  const all = allowed + refused + errors;
  const peak = history ? Math.max(0, ...sum(CLASSES.map((name) => history.requests[name]))) / history.step_s : 0;
  tile("requests", length ? `${rate(all / length)}/s` : "–", length ? `last minute, peak ${rate(peak)}/s` : "counted from now on");
  const share = all ? refused / all : 0;
  tile("refused", all ? percent(share) : "–", all ? `${count(refused)} of ${count(all)} in the last minute` : length ? "no requests in the last minute" : "counted from now on", share > 0.1 ? "warn" : "");
  const { active, total } = now.penalties;
  tile("penalties", count(active), `${count(total)} begun since the start`, active > 0 ? "warn" : "");
  tile("decision", seconds(now.decisions?.p99), now.decisions ? `half within ${seconds(now.decisions.p50)}, last minute` : length ? "no decisions in the last minute" : "counted from now on");
  const bounded = now.store ? [] : now.limits.filter((limit) => limit.key && limit.keys_max > 0);
  const fullest = bounded.sort((a, b) => b.keys / b.keys_max - a.keys / a.keys_max)[0];
  const used = fullest ? fullest.keys / fullest.keys_max : 0;
  tile("keys", fullest ? percent(used) : "–", fullest ? `${fullest.name}: ${count(fullest.keys)} of ${count(fullest.keys_max)}` : "not counted here", used > 0.9 ? "warn" : "");
}

function showNotices(now) {
  const { policy, store } = now;
  const notices = [];
  if (policy.last_error) {
    const when = policy.failed_ms ? ` (${dateAndTime(policy.failed_ms)})` : "";
    notices.push({ key: "reload", tone: "bad", title: `The last reload failed${when}. The policy before it is still in force.`, text: policy.last_error });
  }
  if (store?.is_out) notices.push({ key: "store", tone: "bad", title: "The store does not answer. Requests are decided as `on_outage` says.", text: "" });
  if (policy.mode === "shadow") notices.push({ key: "shadow", tone: "info", title: "The policy is in shadow mode: limits tell what they would refuse, and refuse nothing.", text: "" });
  if (policy.mode === "off") notices.push({ key: "off", tone: "info", title: "The policy is off: every request is let through.", text: "" });
  const create = () => element("div", {}, element("p", { class: "title" }), element("pre"));
  sync(byId("notices"), notices, (notice) => notice.key, create, (made, notice) => {
    made.className = `notice ${notice.tone}`;
    setText(made.firstElementChild, notice.title);
    setText(made.lastElementChild, notice.text);
    made.lastElementChild.hidden = !notice.text;
  });
}

function showNow(now) {
  version ??= now.version;
  // The program was replaced by another version: its page may be another one, too.
  if (version !== now.version) return location.reload();
  setText("facts", `policy ${now.policy.hash} · up ${span(now.uptime_s)}`);
  const isFirst = byId("limits").tBodies.length === 0;
  showLimits(now);
  if (isFirst && history) drawLimits(history);
  showTiles(now);
  showNotices(now);
  showPenalties(now);
  showViolations(now);
  showRoutes(now);
  showDescriptors(now);
  showPolicy(now);
  showStore(now);
  document.title = now.penalties.active > 0 ? `(${now.penalties.active}) tollgate` : "tollgate";
  document.body.dataset.moments = String(Number(document.body.dataset.moments ?? 0) + 1);
}

setText("host", location.host);
listen({ history: showHistory, now: showNow });
