// Makes elements of what the gateway says. Text is set as text: tags and messages are what callers wrote.

const CLOSE = 0.9;
const NEAR = 0.7;

export const find = (id) => document.getElementById(id);

export function node(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key in made) made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

export function count(number) {
  const value = Number(number);
  if (value >= 1e9) return `${(value / 1e9).toFixed(1)}G`;
  if (value >= 1e6) return `${(value / 1e6).toFixed(1)}M`;
  if (value >= 1e4) return `${(value / 1e3).toFixed(1)}k`;
  return Number.isInteger(value) ? String(value) : value.toFixed(1);
}

export function dollars(amount) {
  const value = Number(amount);
  if (value === 0) return "$0";
  if (Math.abs(value) < 0.01) return `$${value.toPrecision(2)}`;
  return `$${value.toFixed(value < 1000 ? 2 : 0)}`;
}

export function span(seconds) {
  if (seconds === null || seconds === undefined) return "";
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172_800) return `${Math.round(seconds / 3_600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}

export function time(text) {
  const at = new Date(text);
  if (Number.isNaN(at.getTime())) return text;
  const isToday = at.toDateString() === new Date().toDateString();
  return isToday ? at.toLocaleTimeString() : at.toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
}

export function who(tags) {
  return Object.entries(tags).map(([tag, value]) => `${tag}=${value}`).join(" ");
}

/// How close something is, as a class and as a word.
export function closeness(share, isStopped = false) {
  if (isStopped) return ["full", "stopped"];
  if (share >= 1) return ["full", "full"];
  if (share >= CLOSE) return ["close", "close"];
  if (share >= NEAR) return ["near", "near"];
  return ["fine", ""];
}

/// A bar with its numbers: what is used, and what is held for calls in flight.
function bar({ name, share, held, figures, note, isStopped, isShadow }) {
  const [kind, word] = closeness(share, isStopped);
  const percent = (part) => Math.min(100, Math.max(0, part * 100));
  const used = node("span", { className: "used" });
  const reserved = node("span", { className: "held" });
  used.style.width = `${percent(share - held)}%`;
  reserved.style.width = `${percent(Math.min(held, 1 - Math.max(0, share - held)))}%`;
  const meter = node("span", {
    className: "meter", role: "meter", "aria-label": name, "aria-valuemin": 0, "aria-valuemax": 100,
    "aria-valuenow": Math.round(percent(share)), "aria-valuetext": `${figures}, ${Math.round(share * 100)} % ${word}`,
  }, used, reserved);
  return node("li", { className: `bar ${kind}${isShadow ? " shadow" : ""}` },
    node("span", { className: "name" }, name, isShadow ? node("em", {}, " only watches") : null),
    node("span", { className: "figures" }, figures, " ", node("b", {}, `${Math.round(share * 100)} %`), word ? ` ${word}` : ""),
    meter,
    note ? node("span", { className: "note" }, note) : null);
}

export function limitName(limit) {
  const own = (limit.of ?? []).map(([tag, value]) => `${tag}=${value || "(none)"}`).join(" ");
  return own ? `${limit.limit} · ${own}` : limit.limit;
}

export function limitBar(limit) {
  const [inUse, reserved, amount] = [limit.in_use, limit.reserved, limit.amount].map(Number);
  const say = limit.quantity === "cost" ? dollars : count;
  return bar({
    name: limitName(limit), share: limit.share, held: amount > 0 ? reserved / amount : 0,
    figures: `${say(inUse)} of ${say(amount)}`, isShadow: limit.shadow,
  });
}

function forecast(budget) {
  if (budget.stopped) return "stopped until it is reset";
  const pace = budget.pace_per_hour === undefined ? "" : `${dollars(budget.pace_per_hour)}/h, `;
  if (budget.ends?.at) return `${pace}at this pace it ends ${time(budget.ends.at)}`;
  if (budget.ends?.turns) return `${pace}lasts until it begins anew ${time(budget.ends.turns)}`;
  if (budget.ends === "never") return `${pace}lasts at this pace`;
  return "";
}

export function budgetShare(budget) {
  const amount = Number(budget.amount);
  return amount > 0 ? (Number(budget.settled) + Number(budget.reserved)) / amount : 1;
}

export function budgetBar(budget) {
  const amount = Number(budget.amount);
  const back = /^\d{4}-/.test(budget.comes_back) ? `all back ${time(budget.comes_back)}` : `comes back: ${budget.comes_back}`;
  return bar({
    name: budget.budget, share: budgetShare(budget), held: amount > 0 ? Number(budget.reserved) / amount : 0,
    figures: `${dollars(budget.settled)} spent, ${dollars(budget.reserved)} held of ${dollars(amount)}`,
    note: [forecast(budget), back].filter(Boolean).join("; "), isStopped: budget.stopped, isShadow: budget.shadow,
  });
}

/// Puts these in place of what is there, unless that is the same: whoever reads or has the focus there is not disturbed.
export function put(into, ...children) {
  const isSame = (child, place) => child.isEqualNode(into.childNodes[place]);
  if (into.childNodes.length === children.length && children.every(isSame)) return;
  const focused = into.contains(document.activeElement) ? document.activeElement.dataset.call : undefined;
  into.replaceChildren(...children);
  if (focused) into.querySelector(`[data-call="${CSS.escape(focused)}"]`)?.focus();
}

/// Rows of a table: each a list of cells. Where there are none, a row that says so.
export function rows(table, lines, none) {
  const body = table.tBodies[0];
  const columns = table.tHead.rows[0].cells.length;
  if (lines.length === 0) {
    put(body, node("tr", {}, node("td", { colSpan: columns, className: "empty" }, none)));
    return;
  }
  put(body, ...lines.map((line) => node("tr", {}, ...line.map((cell, place) =>
    node(place === 0 ? "th" : "td", place === 0 ? { scope: "row" } : {}, cell ?? "")))));
}

export function callLink(id) {
  return node("button", { type: "button", className: "link", "data-call": id }, String(id));
}

const TOLD = {
  came: () => "came",
  waits: (event) => `waits for ${event.limit}`,
  waited: (event) => `${event.has_room ? "has room" : "waits no longer"} after ${span(event.seconds)}`,
  began: (event) => `its answer begins, ${span(event.seconds)} after it left`,
  repeats: (event) => `is repeated in ${span(event.seconds)}: ${event.cause}`,
  moves_on: (event) => `goes on from ${target(event.from)}: ${event.cause}`,
  cools: (event) => `${target(event.target)} is to be left alone for ${span(event.seconds)}`,
  refused: (event) => `refused: ${event.message}`,
  over: (event) => `over: ${event.outcome}${event.status ? ` ${event.status}` : ""} after ${event.attempts} attempts, ${span(event.waited)} waited`,
};

export function target(of) {
  return [of.provider, of.model, of.api_key].filter(Boolean).join(" / ") || "any target";
}

export function told(event) {
  const tell = TOLD[event.what];
  if (tell) return tell(event);
  const rest = Object.entries(event).filter(([key]) => key !== "what" && key !== "after");
  const word = (value) => (typeof value === "object" && value !== null ? JSON.stringify(value) : String(value));
  return `${event.what} ${rest.map(([key, value]) => `${key} ${word(value)}`).join(", ")}`;
}
