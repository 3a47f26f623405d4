// Who spends: as a plot, and as a table.

import * as draw from "./draw.js";
import { plot } from "./plot.js";

const { find } = draw;

function name(value) {
  if (value === null || value === undefined) return "others";
  return value === "" ? "(none)" : value;
}

const HOUR = 3_600_000;
export const STEPS = { hour: HOUR, day: 24 * HOUR };

/// Every period up to the last: those in which nothing happened are not told.
function wholeAxis(periods, unit, count) {
  const last = new Date(periods.at(-1).start).getTime();
  const starts = Array.from({ length: count }, (_, place) => last - (count - 1 - place) * STEPS[unit]);
  const places = new Map(starts.map((start, place) => [start, place]));
  return { starts, place: (period) => places.get(new Date(period.start).getTime()) };
}

/// Draws what is known, if it is what is asked for.
export function showPlot(known) {
  const [by, length, figure] = ["by", "span", "figure"].map((id) => find(id).value);
  const say = figure === "cost" ? draw.dollars : draw.count;
  if (!(length in STEPS)) {
    if (known.minutes?.by !== by) return;
    const few = (list) => list.slice(-Number(length));
    const times = few(known.minutes.minutes).map((at) => new Date(at * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }));
    plot(find("plot"), find("legend"), times, known.minutes.rows.map((row) =>
      ({ name: name(row.value), values: few(row[figure]).map(Number) })), say);
    return;
  }
  if (known.periods?.by !== by || known.periods.unit !== length) return;
  const { starts, place } = wholeAxis(known.periods.periods, length, length === "day" ? 30 : 48);
  const format = length === "hour" ? { weekday: "short", hour: "2-digit", minute: "2-digit" } : { month: "short", day: "numeric", timeZone: "UTC" };
  const times = starts.map((start) => new Date(start).toLocaleString([], format));
  const of = { cost: (row) => Number(row.cost), tokens: (row) => row.input + row.output, attempts: (row) => row.requests,
    refused: (row) => Object.values(row.refused).reduce((all, n) => all + n, 0) }[figure];
  // By the value itself: somebody may be called "others".
  const rows = new Map();
  const add = (key, shown, at, figures) => {
    if (!rows.has(key)) rows.set(key, { name: shown, values: starts.map(() => 0) });
    rows.get(key).values[at] += of(figures);
  };
  for (const period of known.periods.periods) {
    const at = place(period);
    if (at === undefined) continue;
    for (const row of period.rows) add(`= ${row.tags[by]}`, name(row.tags[by]), at, row);
    add("others", "others", at, period.others);
  }
  plot(find("plot"), find("legend"), times, [...rows.values()], say);
}

export async function showCosts(ask, isWanted) {
  const by = find("by").value;
  const [days, months] = await Promise.all([
    ask(`/quota/costs?unit=day&last=2&by=${by}`), ask(`/quota/costs?unit=month&last=1&by=${by}`)]);
  if (!isWanted()) return;
  const today = days.periods.at(-1);
  const before = days.periods.at(-2);
  const yesterday = before && new Date(before.end).getTime() === new Date(today.start).getTime() ? before : undefined;
  const month = months.periods.at(-1);
  const cost = (period, key) => {
    const row = period?.rows.find((row) => (row.tags[by] ?? "") === key);
    return row ? draw.dollars(row.cost) : "$0";
  };
  find("costs-by").textContent = by;
  const lines = month.rows.slice(0, 20).map((row) => {
    const key = row.tags[by] ?? "";
    const now = today.rows.find((row) => (row.tags[by] ?? "") === key);
    return [name(key), cost(today, key), cost(yesterday, key), draw.dollars(row.cost),
      draw.count(now?.requests ?? 0), draw.count((now?.input ?? 0) + (now?.output ?? 0))];
  });
  lines.push(["all", draw.dollars(today.total.cost), draw.dollars(yesterday?.total.cost ?? 0), draw.dollars(month.total.cost),
    draw.count(today.total.requests), draw.count(today.total.input + today.total.output)]);
  draw.rows(find("costs"), lines, "Nothing was spent.");
  const whole = month.is_whole ? "" : " There are too many values: some of yours are counted with those of others, and are missing.";
  find("costs-since").textContent = `Days and months in UTC. What was before this gateway began, ${draw.time(days.since * 1000)}, says tower-quota report.${whole}`;
}
