// Bars over time, one on the other, as SVG.

const SVG = "http://www.w3.org/2000/svg";
const [HEIGHT, LEFT, BOTTOM] = [200, 64, 20];
/// A time below the plot takes so much.
const WORD = 90;
/// So many rows have a colour of their own.
const COLOURS = 6;

function element(name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

/// The next round number: 1, 2, 2.5 or 5 with zeros.
function roundUp(most) {
  if (most <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(most));
  return [1, 2, 2.5, 5, 10].map((step) => step * power).find((step) => step >= most * 0.999999);
}

/// Those that come to most, and all others in one.
function gathered(rows) {
  const sum = (row) => row.values.reduce((all, value) => all + value, 0);
  const sorted = rows.filter((row) => sum(row) > 0).sort((one, other) => sum(other) - sum(one));
  const [own, rest] = [sorted.slice(0, COLOURS), sorted.slice(COLOURS)];
  if (rest.length > 0) {
    const values = rest[0].values.map((_, place) => rest.reduce((all, row) => all + row.values[place], 0));
    own.push({ name: `${rest.length} others`, values });
  }
  return own;
}

/// Draws `rows` ({name, values}) over `times` (words). `word` says a figure.
export function plot(into, legend, times, rows, word) {
  const shown = gathered(rows);
  const sums = times.map((_, place) => shown.reduce((all, row) => all + row.values[place], 0));
  const top = roundUp(Math.max(0, ...sums));
  // As wide as it is shown, so that words are as large as all others.
  const width = Math.max(260, into.clientWidth);
  const svg = element("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, role: "img" });
  const total = sums.reduce((all, sum) => all + sum, 0);
  svg.append(element("title", {}, shown.length === 0
    ? "Nothing in this time"
    : `${word(total)} in all: ${shown.map((row) => row.name).join(", ")}`));
  const height = HEIGHT - BOTTOM - 10;
  const y = (value) => 10 + height - (value / top) * height;
  for (const share of [0, 0.5, 1]) {
    const at = y(top * share);
    svg.append(element("line", { class: "grid", x1: LEFT, x2: width, y1: at, y2: at }));
    svg.append(element("text", { class: "tick", x: LEFT - 6, y: at + 4, "text-anchor": "end" }, word(top * share)));
  }
  const step = (width - LEFT) / times.length;
  times.forEach((time, place) => {
    let under = 0;
    const column = element("g", {});
    shown.forEach((row, number) => {
      const value = row.values[place];
      if (value <= 0) return;
      const [from, to] = [y(under), y(under + value)];
      under += value;
      column.append(element("rect", {
        class: `series s${number}`, x: LEFT + place * step + step * 0.08, width: step * 0.84, y: to, height: Math.max(from - to, 0.5),
      }));
    });
    const said = shown.filter((row) => row.values[place] > 0).map((row) => `${row.name}: ${word(row.values[place])}`);
    column.append(element("title", {}, [time, ...said].join("\n")));
    svg.append(column);
  });
  const every = Math.max(1, Math.ceil(WORD / step));
  for (let place = 0; place < times.length; place += every) {
    svg.append(element("text", { class: "tick", x: LEFT + place * step, y: HEIGHT - 5 }, times[place]));
  }
  into.replaceChildren(svg);
  legend.replaceChildren(...shown.map((row, number) => {
    const entry = document.createElement("span");
    const colour = document.createElement("i");
    colour.className = `swatch s${number}`;
    const all = row.values.reduce((sum, value) => sum + value, 0);
    entry.append(colour, ` ${row.name} ${word(all)}`);
    return entry;
  }));
  if (shown.length === 0) legend.textContent = "Nothing in this time.";
}
