// The page: what is asked, how often, and where it is shown.

import { Outdated, ask, hasKey, poll, useKey } from "./ask.js";
import * as draw from "./draw.js";
import { STEPS, showCosts, showPlot } from "./spend.js";

const { find } = draw;
/// So many limits are shown where nobody asks for more.
const FEW = 10;

let status = null;
const showAll = new Set();
let answered = 0;
/// Whether the dialog for keys has opened by itself for this key: it does so once.
let wasAsked = false;
/// What was found out.
let known = {};

/// Nothing of what was seen with one key is shown to the next.
function forget() {
  status = null;
  known = { targets: [], minutes: null, periods: null, agents: null };
  showAll.clear();
  for (const id of ["glance", "alarms", "limit-bars", "budget-bars", "pauses", "plot", "legend", "story-events"]) find(id).replaceChildren();
  for (const table of document.querySelectorAll("table")) table.tBodies[0].replaceChildren();
  for (const id of ["limit-more", "budget-more"]) find(id).hidden = true;
  find("targets-section").hidden = false;
  find("story").close();
}

function state(text, kind) {
  // A screen reader says what changes.
  if (find("state").textContent !== text) find("state").textContent = text;
  find("state").className = kind;
}

function failed(error) {
  if (error.status === 401 || error.status === 403) {
    forget();
    state(error.message, "bad");
    if (error.status === 401 && !wasAsked) askKey(error.message);
    return;
  }
  state(answered ? `no answer since ${new Date(answered).toLocaleTimeString()}` : "no answer", "bad");
}

function askKey(why) {
  wasAsked = true;
  if (why && hasKey()) find("key-why").textContent = why;
  find("token").value = "";
  // What was chosen before is not chosen by Escape.
  find("ask-key").returnValue = "";
  if (!find("ask-key").open) find("ask-key").showModal();
}

function tile(name, value, note, kind = "") {
  return draw.node("div", { className: kind }, draw.node("dt", {}, name),
    draw.node("dd", {}, value, note ? draw.node("small", {}, note) : null));
}

/// How many calls were refused in the last hour. What the plot shows may be of another time, or be told to other keys only.
function refusedLately() {
  if (known.agents === null) return "–";
  return String(known.agents.rows.flatMap((row) => row.refused.slice(-60)).reduce((all, n) => all + n, 0));
}

/// How many agents were at work lately, and how many more of the same would fit under what they all share and is tightest now:
/// windows of minutes, and slots. Budgets and days fill up whoever works, and say nothing of it.
function fit() {
  const lately = (known.agents?.rows ?? []).filter((row) => row.value && row.attempts.slice(-5).some((n) => n > 0));
  const isShared = (limit) => !limit.is_split && !limit.shadow
    && (limit.quantity === "concurrency" || (limit.quantity !== "cost" && limit.seconds <= 300));
  const shared = status.limits.filter((limit) => isShared(limit));
  const tightest = shared.reduce((most, limit) => (most && most.share >= limit.share ? most : limit), null);
  if (lately.length === 0 || !tightest || tightest.share <= 0) return null;
  const isAwaited = status.queues.some((queue) => queue.limit === tightest.limit);
  const more = isAwaited ? 0 : Math.floor(lately.length * Math.max(0, 1 / tightest.share - 1));
  return { agents: lately.length, more, by: draw.limitName(tightest) };
}

function showGlance() {
  const budgets = status.budgets.map((budget) => [draw.budgetShare(budget), budget]);
  const [budgetShare, budget] = budgets.reduce((most, one) => (one[0] > most[0] ? one : most), budgets[0] ?? [0, null]);
  const limits = [...status.limits].sort((one, other) => other.share - one.share);
  const fits = fit();
  const nobody = known.agents === null ? "who is at work is not known" : "nobody is at work";
  const tiles = [
    tile("in flight", String(status.sent), status.backing_off ? `${status.backing_off} wait to be repeated` : ""),
    tile("waiting", String(status.waiting), status.queues[0] ? `longest ${draw.span(Math.max(...status.queues.map((q) => q.longest)))}` : ""),
    tile("tightest limit", limits[0] ? `${Math.round(limits[0].share * 100)} %` : "none", limits[0] ? draw.limitName(limits[0]) : "", limits[0] ? draw.closeness(limits[0].share)[0] : ""),
    tile("tightest budget", budget ? `${Math.round(budgetShare * 100)} %` : "none", budget?.budget ?? "", budget ? draw.closeness(budgetShare, budget.stopped)[0] : ""),
    tile("refused", refusedLately(), "in the last hour"),
    tile("more agents fit", fits ? `about ${fits.more}` : "–", fits ? `${fits.agents} at work; first full: ${fits.by}` : nobody),
  ];
  draw.put(find("glance"), ...tiles);
}

function showAlarms() {
  const alarms = [];
  for (const budget of status.budgets) if (budget.stopped) alarms.push(`${budget.budget} is stopped until it is reset.`);
  for (const target of known.targets) {
    if (target.parked) alarms.push(`${draw.target(target)} is out of money or quota, or its key is refused; parked for ${draw.span(target.parked)}.`);
    else if (target.is_open) alarms.push(`${draw.target(target)} fails, and is passed over.`);
  }
  draw.put(find("alarms"), ...alarms.map((text) => draw.node("li", {}, text)));
}

/// The fullest of a list, or all of it.
function bars(kind, found, draw_one, none) {
  const shown = showAll.has(kind) ? found : found.slice(0, FEW);
  const lines = shown.map(draw_one);
  draw.put(find(`${kind}-bars`), ...(lines.length > 0 ? lines : [draw.node("li", { className: "empty" }, none)]));
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
  find("budgets-left").textContent = status.budgets_left_out > 0 ? `${status.budgets_left_out} more are less full, and not shown.` : "";
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
  const pauses = status.pauses.map((text) => draw.node("li", {}, text));
  draw.put(find("pauses"), ...(pauses.length > 0 ? pauses : [draw.node("li", { className: "empty" }, "Nobody is paused.")]));
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
  const newest = [...refusals].sort((one, other) => (one.at < other.at ? 1 : -1)).slice(0, 30);
  draw.rows(find("refusals"), newest.map((refusal) =>
    [draw.time(refusal.at), draw.callLink(refusal.call), draw.who(refusal.tags), `${refusal.kind}: ${refusal.message}`,
      refusal.retry_at ? draw.time(refusal.retry_at) : ""]), "Nothing was refused lately.");
}

let asked = 0;
async function showStory(id) {
  const mine = ++asked;
  const dialog = find("story");
  find("story-title").textContent = `Call ${id}`;
  find("story-events").replaceChildren();
  find("story-who").textContent = "";
  if (!dialog.open) dialog.showModal();
  try {
    const story = await ask(`/quota/calls/${encodeURIComponent(id)}`);
    if (mine !== asked) return;
    find("story-who").textContent = `${draw.who(story.tags)}, ${story.dialect}${story.streams ? ", streamed" : ""}, came ${draw.time(story.came)}${story.is_over ? "" : ", is open"}`;
    find("story-events").replaceChildren(...story.events.map((event) =>
      draw.node("li", {}, draw.node("span", { className: "after" }, `+${event.after.toFixed(3)} s`), " ", draw.told(event))));
  } catch (error) {
    if (mine === asked && !(error instanceof Outdated)) find("story-who").textContent = error.message;
  }
}

/// What a key may not see is left out of the page; that there is no answer at all, the status says.
const quiet = () => {};
function notYours(error) {
  if (error.status === 403) find("targets-section").hidden = true;
}
/// What there are no sums of for this key.
function noSums(error) {
  if (error.status !== 400) return;
  find("plot").replaceChildren();
  find("legend").textContent = error.message;
}

const show = (path, showing) => async (ask, isWanted) => {
  const said = await ask(path);
  if (isWanted()) showing(said);
};
forget();
const polls = [
  poll(1_000, show("/quota/status", showStatus), failed),
  poll(2_000, show("/quota/calls", showCalls), quiet),
  poll(2_000, show("/quota/targets", showTargets), notYours),
  poll(2_000, show("/quota/refusals", showRefusals), quiet),
  poll(5_000, show("/quota/minutes?by=agent", (said) => { known.agents = said; }), () => { known.agents = null; }),
  poll(5_000, showCosts, quiet),
  poll(3_000, async (ask, isWanted) => {
    const [by, length] = [find("by").value, find("span").value];
    const isLong = length in STEPS;
    const said = await ask(isLong
      ? `/quota/costs?unit=${length}&last=${length === "day" ? 30 : 48}&by=${by}`
      : `/quota/minutes?by=${by}`);
    if (!isWanted()) return;
    if (isLong) known.periods = { ...said, by, unit: length };
    else known.minutes = { ...said, by };
    showPlot(known);
  }, noSums),
];
const wake = () => polls.forEach((each) => each.wake());

for (const id of ["by", "span", "figure"]) find(id).addEventListener("change", () => { showPlot(known); wake(); });
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
find("token").addEventListener("input", () => {
  const isKey = /^[\x21-\x7e]*$/.test(find("token").value.trim());
  find("token").setCustomValidity(isKey ? "" : "A key has letters, digits and signs of ASCII alone.");
});
find("ask-key").addEventListener("close", () => {
  const { returnValue } = find("ask-key");
  const token = find("token").value.trim();
  find("token").value = "";
  if (returnValue === "take" && token) useKey(token);
  else if (returnValue === "forget") useKey(null);
  else return;
  wasAsked = returnValue === "forget";
  forget();
  wake();
});
addEventListener("resize", () => showPlot(known));
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
