// The page: what is asked, how often, and where it is shown.

import { ask, hasKey, poll, useKey } from "./ask.js";
import * as draw from "./draw.js";
import { plot } from "./plot.js";

const find = (id) => document.getElementById(id);
/// So many limits are shown where nobody asks for more.
const FEW = 10;

let status = null;
const showAll = new Set();
let answered = 0;
/// What was found out: spend by the minute, targets, refusals.
const known = { targets: [], refusals: [], minutes: null, periods: null, agents: null };

function state(text, kind) {
  find("state").textContent = text;
  find("state").className = kind;
}

function failed(error) {
  if (error.status === 401 || error.status === 403) {
    state(error.message, "bad");
    if (!find("ask-key").open && error.status === 401) askKey(error.message);
    return;
  }
  const since = answered ? `, last answer ${draw.span((Date.now() - answered) / 1000)} ago` : "";
  state(`no answer${since}`, "bad");
}

function askKey(why) {
  if (why && hasKey()) find("key-why").textContent = why;
  find("token").value = "";
  find("ask-key").showModal();
}

function tile(name, value, note, kind = "") {
  return draw.node("div", { className: kind }, draw.node("dt", {}, name),
    draw.node("dd", {}, value, note ? draw.node("small", {}, note) : null));
}

/// How many agents were at work lately, and how many more of the same would fit under what is tightest now.
function fit() {
  const lately = (known.agents?.rows ?? []).filter((row) => row.value && row.attempts.slice(-5).some((n) => n > 0));
  const isShared = (limit) => !(limit.of ?? []).some(([tag]) => tag === "agent" || tag === "run");
  const shared = status.limits.filter((limit) => isShared(limit) && !limit.shadow);
  const tightest = shared.reduce((most, limit) => (most && most.share >= limit.share ? most : limit), null);
  if (lately.length === 0 || !tightest || tightest.share <= 0) return null;
  const more = status.waiting > 0 ? 0 : Math.floor(lately.length * Math.max(0, 1 / tightest.share - 1));
  return { agents: lately.length, more, by: draw.limitName(tightest) };
}

function showGlance() {
  const budgets = status.budgets.map((budget) => [draw.budgetShare(budget), budget]);
  const [budgetShare, budget] = budgets.reduce((most, one) => (one[0] > most[0] ? one : most), [0, null]);
  const limits = [...status.limits].sort((one, other) => other.share - one.share);
  const refused = (known.minutes?.rows ?? []).flatMap((row) => row.refused.slice(-60)).reduce((all, n) => all + n, 0);
  const fits = fit();
  const tiles = [
    tile("in flight", String(status.sent), status.backing_off ? `${status.backing_off} wait to be repeated` : ""),
    tile("waiting", String(status.waiting), status.queues[0] ? `longest ${draw.span(Math.max(...status.queues.map((q) => q.longest)))}` : ""),
    tile("tightest limit", limits[0] ? `${Math.round(limits[0].share * 100)} %` : "none", limits[0] ? draw.limitName(limits[0]) : "", limits[0] ? draw.closeness(limits[0].share)[0] : ""),
    tile("tightest budget", budget ? `${Math.round(budgetShare * 100)} %` : "none", budget?.budget ?? "", budget ? draw.closeness(budgetShare, budget.stopped)[0] : ""),
    tile("refused", String(refused), "in the last hour"),
    tile("more agents fit", fits ? `about ${fits.more}` : "–", fits ? `${fits.agents} at work; first full: ${fits.by}` : "nobody is at work"),
  ];
  find("glance").replaceChildren(...tiles);
}

function showAlarms() {
  const alarms = [];
  for (const budget of status.budgets) if (budget.stopped) alarms.push(`${budget.budget} is stopped until it is reset.`);
  for (const target of known.targets) {
    if (target.parked) alarms.push(`${draw.target(target)} is out of money or quota, or its key is refused; parked for ${draw.span(target.parked)}.`);
    else if (target.is_open) alarms.push(`${draw.target(target)} fails, and is passed over.`);
  }
  find("alarms").replaceChildren(...alarms.map((text) => draw.node("li", {}, text)));
}

/// The fullest of a list, or all of it.
function bars(kind, found, draw_one, none) {
  const shown = showAll.has(kind) ? found : found.slice(0, FEW);
  find(`${kind}-bars`).replaceChildren(...shown.map(draw_one));
  if (found.length === 0) find(`${kind}-bars`).append(draw.node("li", { className: "empty" }, none));
  const more = find(`${kind}-more`);
  more.hidden = found.length <= FEW;
  more.textContent = showAll.has(kind) ? "Show the fullest" : `Show all ${found.length}`;
}

function showLimits() {
  const wanted = find("filter").value.trim().toLowerCase();
  const named = status.limits.filter((limit) => limit.quantity !== "cost")
    .map((limit) => [draw.limitName(limit).toLowerCase(), limit]);
  const found = named.filter(([name]) => name.includes(wanted)).map(([, limit]) => limit)
    .sort((one, other) => other.share - one.share);
  bars("limit", found, draw.limitBar, wanted ? "None is called so." : "There are no limits.");
}

function showBudgets() {
  const wanted = find("filter").value.trim().toLowerCase();
  const found = status.budgets.filter((budget) => budget.budget.toLowerCase().includes(wanted))
    .sort((one, other) => draw.budgetShare(other) - draw.budgetShare(one));
  bars("budget", found, draw.budgetBar, wanted ? "None is called so." : "There are no budgets.");
}

function showStatus(said) {
  status = said;
  answered = Date.now();
  state(status.is_all ? "live" : "live, of what is yours", "good");
  showGlance();
  showAlarms();
  showLimits();
  showBudgets();
  draw.rows(find("queues"), status.queues.map((queue) =>
    [queue.limit, String(queue.waiting), draw.span(queue.longest), draw.span(queue.next_in) || "when a call ends"]), "Nobody waits.");
  find("open-count").textContent = `(${status.received + status.waiting + status.sent + status.backing_off})`;
  find("pauses").replaceChildren(...status.pauses.map((text) => draw.node("li", {}, text)));
  if (status.pauses.length === 0) find("pauses").append(draw.node("li", { className: "empty" }, "Nobody is paused."));
}

function showCalls({ calls }) {
  draw.rows(find("calls"), calls.slice(0, 100).map((call) =>
    [draw.callLink(call.id), call.tags, call.state, draw.span(call.age), draw.span(call.expected_in), call.what]), "None.");
}

function showTargets({ targets }) {
  known.targets = targets;
  const states = targets.flatMap((target) => [
    target.parked && [draw.target(target), "parked: out of money or quota, or its key is refused", draw.span(target.parked)],
    target.is_open && [draw.target(target), "breaker open: it fails, and is passed over", target.tried_in ? draw.span(target.tried_in) : "one call tries"],
    target.cooling && [draw.target(target), "cooling down: it told us to wait", draw.span(target.cooling)],
  ].filter(Boolean));
  draw.rows(find("targets"), states, "All of them take calls.");
}

function showRefusals({ refusals }) {
  known.refusals = refusals;
  const newest = [...refusals].sort((one, other) => (one.at < other.at ? 1 : -1)).slice(0, 30);
  draw.rows(find("refusals"), newest.map((refusal) =>
    [draw.time(refusal.at), draw.callLink(refusal.call), draw.who(refusal.tags), `${refusal.kind}: ${refusal.message}`,
      refusal.retry_at ? draw.time(refusal.retry_at) : ""]), "Nothing was refused lately.");
}

function showMinutes(said) {
  known.minutes = said;
  if (find("by").value === "agent") known.agents = said;
  showPlot();
}

function showPeriods(said) {
  known.periods = said.periods;
  showPlot();
}

function name(value) {
  if (value === null || value === undefined) return "others";
  return value === "" ? "(none)" : value;
}

function showPlot() {
  const [by, length, figure] = ["by", "span", "figure"].map((id) => find(id).value);
  const say = figure === "cost" ? draw.dollars : draw.count;
  const isMinutes = /^\d+$/.test(length);
  if (isMinutes && known.minutes) {
    const few = (list) => list.slice(-Number(length));
    const times = few(known.minutes.minutes).map((at) => new Date(at * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }));
    plot(find("plot"), find("legend"), times, known.minutes.rows.map((row) =>
      ({ name: name(row.value), values: few(row[figure]).map(Number) })), say);
  } else if (!isMinutes && known.periods) {
    const format = length === "hour" ? { weekday: "short", hour: "2-digit", minute: "2-digit" } : { month: "short", day: "numeric", timeZone: "UTC" };
    const times = known.periods.map((period) => new Date(period.start).toLocaleString([], format));
    const of = { cost: (row) => Number(row.cost), tokens: (row) => row.input + row.output, attempts: (row) => row.requests,
      refused: (row) => Object.values(row.refused).reduce((all, n) => all + n, 0) }[figure];
    const values = new Map();
    known.periods.forEach((period, place) => period.rows.forEach((row) => {
      const key = name(row.tags[by]);
      if (!values.has(key)) values.set(key, known.periods.map(() => 0));
      values.get(key)[place] += of(row);
    }));
    plot(find("plot"), find("legend"), times, [...values].map(([key, row]) => ({ name: key, values: row })), say);
  }
}

async function showCosts() {
  const by = find("by").value;
  const [days, months] = await Promise.all([
    ask(`/quota/costs?unit=day&last=2&by=${by}`), ask(`/quota/costs?unit=month&last=1&by=${by}`)]);
  const today = days.periods.at(-1);
  const before = days.periods.at(-2);
  const follows = before && new Date(before.end).getTime() === new Date(today.start).getTime();
  const month = months.periods.at(-1);
  const cost = (period, key) => {
    const row = period?.rows.find((row) => (row.tags[by] ?? "") === key);
    return row ? draw.dollars(row.cost) : "$0";
  };
  find("costs-by").textContent = by;
  const lines = month.rows.slice(0, 20).map((row) => {
    const key = row.tags[by] ?? "";
    const now = today.rows.find((row) => (row.tags[by] ?? "") === key);
    return [name(key), cost(today, key), follows ? cost(before, key) : "$0", draw.dollars(row.cost),
      draw.count(now?.requests ?? 0), draw.count((now?.input ?? 0) + (now?.output ?? 0))];
  });
  lines.push(["all", draw.dollars(today.total.cost), draw.dollars(follows ? before.total.cost : 0), draw.dollars(month.total.cost),
    draw.count(today.total.requests), draw.count(today.total.input + today.total.output)]);
  draw.rows(find("costs"), lines, "Nothing was spent.");
}

async function showStory(id) {
  const dialog = find("story");
  find("story-title").textContent = `Call ${id}`;
  find("story-events").replaceChildren();
  find("story-who").textContent = "";
  try {
    const story = await ask(`/quota/calls/${encodeURIComponent(id)}`);
    find("story-who").textContent = `${draw.who(story.tags)}, ${story.dialect}${story.streams ? ", streamed" : ""}, came ${draw.time(story.came)}${story.is_over ? "" : ", is open"}`;
    find("story-events").replaceChildren(...story.events.map((event) =>
      draw.node("li", {}, draw.node("span", { className: "after" }, `+${event.after.toFixed(3)} s`), " ", draw.told(event))));
  } catch (error) {
    find("story-who").textContent = error.message;
  }
  if (!dialog.open) dialog.showModal();
}

const isScoped = () => status !== null && !status.is_all;
const quiet = (error) => {
  // What a key may not see is left out of the page; that there is no answer at all, the status says.
  if (error.status === 403) find("targets-section").hidden = isScoped();
};
const polls = [
  poll("/quota/status", 1_000, showStatus, failed),
  poll("/quota/calls", 2_000, showCalls, quiet),
  poll("/quota/targets", 2_000, showTargets, quiet),
  poll("/quota/refusals", 2_000, showRefusals, quiet),
  poll(() => `/quota/minutes?by=${find("by").value}`, 3_000, showMinutes, quiet),
  poll("/quota/minutes?by=agent", 5_000, (said) => { known.agents = said; }, quiet),
  poll(() => {
    const unit = find("span").value === "day" ? "day" : "hour";
    return `/quota/costs?unit=${unit}&last=${unit === "day" ? 30 : 48}&by=${find("by").value}`;
  }, 10_000, showPeriods, quiet),
];
const wake = () => polls.forEach((each) => each.wake());
let costs;
async function again() {
  clearTimeout(costs);
  if (!document.hidden && !document.body.classList.contains("held")) await showCosts().catch(quiet);
  costs = setTimeout(again, 5_000);
}
again();

for (const id of ["by", "span", "figure"]) find(id).addEventListener("change", () => { wake(); again(); showPlot(); });
function showBars() {
  if (status === null) return;
  showLimits();
  showBudgets();
}
find("filter").addEventListener("input", showBars);
for (const kind of ["limit", "budget"]) {
  find(`${kind}-more`).addEventListener("click", () => {
    if (!showAll.delete(kind)) showAll.add(kind);
    showBars();
  });
}
find("find").addEventListener("submit", (event) => {
  event.preventDefault();
  const id = find("call").value.trim();
  if (id) showStory(id);
});
document.addEventListener("click", (event) => {
  const id = event.target.dataset?.call;
  if (id) showStory(id);
});
find("hold").addEventListener("click", () => {
  const isHeld = document.body.classList.toggle("held");
  find("hold").setAttribute("aria-pressed", String(isHeld));
  if (isHeld) state("held", "");
  else wake();
});
find("key").addEventListener("click", () => askKey());
find("ask-key").addEventListener("close", () => {
  const { returnValue } = find("ask-key");
  if (returnValue === "take" && find("token").value) useKey(find("token").value.trim());
  if (returnValue === "forget") useKey(null);
  find("token").value = "";
  find("targets-section").hidden = false;
  wake();
  again();
});
addEventListener("resize", showPlot);
document.addEventListener("keydown", (event) => {
  const isTyping = event.target.closest("input, select, textarea, dialog");
  if (isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "/") {
    event.preventDefault();
    find("filter").focus();
  } else if (event.key === "p") {
    find("hold").click();
  }
});
