// Draws the charts of a report: uPlot does the drawing, this says what and how.

"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const times = Array.from({ length: data.slots }, (_, i) => (i + 1) * data.step);
const plots = [];

// --- What numbers look like

const grouped = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 0 });
const fewDigits = new Intl.NumberFormat("en-GB", { maximumSignificantDigits: 3 });
const number = (v) => (Math.abs(v) >= 100 ? grouped : fewDigits).format(v);

function scaled(v, base, units) {
  let i = 0;
  while (i < units.length - 1 && Math.abs(v) >= base) {
    v /= base;
    i++;
  }
  return `${number(v)} ${units[i]}`;
}

function seconds(v) {
  if (v >= 60) return clock(v);
  if (v >= 1) return `${number(v)} s`;
  return scaled(v * 1e9, 1000, ["ns", "µs", "ms"]);
}

// clock writes a time since the start as 2:05 or 1:02:05.
function clock(v) {
  const pad = (n) => String(Math.floor(n)).padStart(2, "0");
  const [hours, minutes] = [Math.floor(v / 3600), (v / 60) % 60];
  return hours ? `${hours}:${pad(minutes)}:${pad(v % 60)}` : `${Math.floor(minutes)}:${pad(v % 60)}`;
}

const formats = {
  "": number,
  "/s": (v) => `${number(v)}/s`,
  "%": (v) => `${number(v)} %`,
  s: (v) => (v === 0 ? "0" : seconds(v)),
  B: (v) => scaled(v, 1024, ["B", "KiB", "MiB", "GiB", "TiB"]),
  "B/s": (v) => `${formats.B(v)}/s`,
  cpu: number,
};

// percentile writes 1/(1-q) as q: 1000 is 99.9 %.
function percentile(tail) {
  const digits = Math.max(2, Math.ceil(Math.log10(tail)) + 1);
  return `${+(100 * (1 - 1 / tail)).toPrecision(digits)} %`;
}

const powersOf = (base, from, to) => Array.from({ length: to - from }, (_, i) => base ** (from + i));
const byteSteps = powersOf(2, 0, 45);
const timeSteps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400];

// --- Colours, which follow the scheme of the reader

const colours = {};

function readColours() {
  const style = getComputedStyle(document.documentElement);
  for (const name of ["grid", "quiet", "shade", "c0", "c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8"]) {
    colours[name] = style.getPropertyValue(`--${name}`).trim();
  }
  colours.font = getComputedStyle(document.body).fontFamily;
}

// --- Stages on the time charts

const markAt = (name, run) => data.marks.find((mark) => mark.name === name && mark.run === run)?.second;

// drawTraffic shades the time in which messages were sent.
function drawTraffic(plot) {
  const from = markAt("arrived", 0);
  const to = markAt("sent", 0) ?? data.slots * data.step;
  if (from === undefined || data.marks.some((mark) => mark.run > 0)) return;
  const { ctx, bbox } = plot;
  const inside = (x) => Math.min(Math.max(x, bbox.left), bbox.left + bbox.width);
  const [left, right] = [from, to].map((second) => inside(plot.valToPos(second, "x", true)));
  ctx.save();
  ctx.fillStyle = colours.shade;
  ctx.fillRect(left, bbox.top, right - left, bbox.height);
  ctx.restore();
}

// drawMarks draws a line for each stage, and its name where there is room beside the one before.
function drawMarks(plot) {
  const { ctx, bbox } = plot;
  const ratio = devicePixelRatio;
  const right = bbox.left + bbox.width;
  const two = data.marks.some((mark) => mark.run > 0);
  ctx.save();
  ctx.font = `${11 * ratio}px ${colours.font}`;
  ctx.textAlign = "left";
  ctx.fillStyle = colours.quiet;
  ctx.strokeStyle = colours.quiet;
  ctx.lineWidth = ratio;
  ctx.textBaseline = "bottom";
  let free = 0;
  const shared = (mark) => data.marks.some((m) => m.run !== mark.run && m.name === mark.name && m.second === mark.second);
  for (const mark of data.marks.toSorted((a, b) => a.second - b.second)) {
    const x = Math.round(plot.valToPos(mark.second, "x", true));
    if (x < bbox.left || x > right) continue;
    ctx.setLineDash(mark.run ? [2 * ratio, 4 * ratio] : [5 * ratio, 3 * ratio]);
    ctx.globalAlpha = 0.6;
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    ctx.globalAlpha = 1;
    const name = two && !shared(mark) ? `${mark.name} ${"ab"[mark.run]}` : mark.name;
    const width = ctx.measureText(name).width;
    const at = Math.min(x - 2 * ratio, right - width);
    if (at < free) continue;
    ctx.fillText(name, at, bbox.top - 2 * ratio);
    free = at + width + 8 * ratio;
  }
  ctx.restore();
}

// --- One chart

function lineOf(series, format, two) {
  const highest = series.values.reduce((a, b) => (b === null || b <= a ? a : b), -Infinity);
  return {
    label: two ? `${series.name} ${"ab"[series.run]}` : series.name,
    class: `c${series.colour}${series.run ? "-b" : ""}`,
    stroke: () => colours[`c${series.colour}`],
    width: 1.75,
    dash: series.run ? [6, 4] : undefined,
    value: (_, v, __, i) => (v != null ? format(v) : i == null && highest > -Infinity ? `up to ${format(highest)}` : "–"),
    points: { show: true, size: 4, filter: lonely, fill: () => colours[`c${series.colour}`] },
  };
}

// lonely has the points that no line leads to.
function lonely(plot, series, show) {
  if (!show) return null;
  const values = plot.data[series];
  const there = (i) => values[i] != null;
  return [...values.keys()].filter((i) => there(i) && !there(i - 1) && !there(i + 1));
}

const axis = (options) => ({
  font: `12px ${colours.font}`,
  stroke: () => colours.quiet,
  grid: { stroke: () => colours.grid, width: 1 },
  ticks: { stroke: () => colours.grid, width: 1, size: 5 },
  ...options,
});

function timeAxis() {
  return axis({ incrs: timeSteps, values: (_, splits) => splits.map(clock), space: 56, size: 34 });
}

// percentileAxis has a line for 50 %, 90 %, 99 % and so on, and names for as many as there is room for.
function percentileAxis() {
  const splits = (plot) => [2, ...powersOf(10, 1, 10)].filter((v) => v <= plot.scales.x.max);
  const values = (plot, all) => {
    const decade = plot.bbox.width / devicePixelRatio / Math.log10(plot.scales.x.max);
    const every = Math.ceil(78 / decade);
    return all.map((v, i) => ((all.length - 1 - i) % every === 0 ? percentile(v) : ""));
  };
  return axis({ splits, filter: (_, all) => all, values, size: 34 });
}

function valueAxis(chart, format) {
  return axis({
    values: (_, splits) => splits.map((v) => (v == null ? "" : format(v))),
    incrs: chart.unit.startsWith("B") ? byteSteps : undefined,
    size: (_, labels) => 14 + 6.8 * Math.max(4, ...(labels ?? []).map((label) => label.length)),
    space: 34,
    ...(chart.log ? { splits: logSteps, filter: (_, all) => all } : {}),
  });
}

// steps are the numbers 1, 2 and 5 times each power of ten from min to max, or the powers alone where these are many.
function steps(min, max) {
  const [low, high] = [min, max].map((v) => Math.floor(Math.log10(v)));
  const all = powersOf(10, low - 1, high + 3).flatMap((power) => (high - low > 2 ? [power] : [power, 2 * power, 5 * power]));
  return all.map((v) => +v.toPrecision(1));
}

const logSteps = (_, __, min, max) => steps(min, max).filter((v) => v >= min && v <= max);

// A log scale begins and ends at a step, a linear one at 0 and a little above the highest.
function logRange(_, min, max) {
  if (!(min > 0)) return [1e-4, 1];
  const around = steps(min, max);
  return [around.findLast((v) => v <= min * 0.95), around.find((v) => v >= max * 1.05)];
}

const timeRange = (_, min, max) => [min <= data.step ? 0 : min, max];

const zeroRange = (_, __, max) => [0, max > 0 ? max * 1.06 : 1];

function draw(chart) {
  const figure = document.getElementById(`chart-${chart.id}`);
  const place = figure.querySelector(".plot");
  const format = formats[chart.unit] ?? number;
  const overTime = !chart.tails;
  const two = chart.series.some((series) => series.run > 0);
  const x = overTime ? times : chart.tails;
  const where = overTime ? clock : percentile;
  const at = figure.querySelector(".at");
  const plot = new uPlot(
    {
      ...sizeOf(place),
      padding: [overTime ? 18 : 8, overTime ? 24 : 36, 0, 0],
      scales: {
        x: overTime ? { time: false, range: timeRange } : { time: false, distr: 3, range: (_, __, max) => [1, max] },
        y: chart.log ? { distr: 3, range: logRange } : { range: zeroRange },
      },
      axes: [overTime ? timeAxis() : percentileAxis(), valueAxis(chart, format)],
      series: [{}, ...chart.series.map((series) => lineOf(series, format, two))],
      legend: { mount: (_, legend) => figure.append(legend) },
      cursor: {
        y: false,
        drag: { x: true, y: false, setScale: true },
        sync: overTime ? { key: "time", setSeries: false } : undefined,
        points: { size: 7 },
      },
      hooks: {
        setCursor: [({ cursor }) => (at.textContent = cursor.idx == null ? "" : where(x[cursor.idx]))],
        ...(overTime ? { drawClear: [drawTraffic], draw: [drawMarks], setScale: [showReset] } : {}),
      },
    },
    [x, ...chart.series.map((series) => series.values)],
    place,
  );
  nameLegend(plot, figure);
  steer(plot, place, where);
  plots.push({ plot, place, overTime });
}

function sizeOf(place) {
  return { width: Math.max(240, Math.floor(place.clientWidth)), height: 220 };
}

// --- Keyboard and screen readers

// nameLegend lets the legend switch lines on and off by keyboard too.
function nameLegend(plot, figure) {
  figure.querySelectorAll(".u-legend .u-series th").forEach((head, i) => {
    if (i === 0) return;
    head.tabIndex = 0;
    head.setAttribute("role", "button");
    head.setAttribute("aria-pressed", "true");
    const tell = () => head.setAttribute("aria-pressed", plot.series[i].show);
    head.addEventListener("click", tell);
    head.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      plot.setSeries(i, { show: !plot.series[i].show });
      tell();
    });
  });
}

// steer moves the cursor by arrow keys, and says what is there.
function steer(plot, place, where) {
  place.addEventListener("keydown", (event) => {
    const last = plot.data[0].length - 1;
    const now = plot.cursor.idx ?? -1;
    const keys = { ArrowLeft: now - 1, ArrowRight: now + 1, PageUp: now - 10, PageDown: now + 10, Home: 0, End: last };
    const to = keys[event.key];
    if (event.key === "Escape") plot.setCursor({ left: -10, top: -10 });
    if (to === undefined) return;
    event.preventDefault();
    const i = Math.min(Math.max(to, 0), last);
    plot.setCursor({ left: plot.valToPos(plot.data[0][i], "x"), top: plot.over.clientHeight / 2 }, true, true);
    const lines = plot.series.slice(1).map((line, k) => `${line.label} ${line.value(plot, plot.data[k + 1][i], k + 1, i)}`);
    document.getElementById("said").textContent = `${where(plot.data[0][i])}: ${lines.join(", ")}`;
  });
}

// --- Looking closer

const reset = document.getElementById("reset");

function showReset(plot, scale) {
  if (scale !== "x") return;
  const { min, max } = plot.scales.x;
  reset.hidden = min <= times[0] && max >= times.at(-1);
}

reset.addEventListener("click", () => {
  for (const { plot, overTime } of plots) {
    if (overTime) plot.setScale("x", { min: times[0], max: times.at(-1) });
  }
});

// --- Follow the window, the scheme and the printer

function redraw() {
  readColours();
  for (const { plot } of plots) plot.redraw(false, true);
}

function resize() {
  for (const { plot, place } of plots) {
    const size = sizeOf(place);
    if (size.width !== plot.width) plot.setSize(size);
  }
}

const root = document.documentElement;
addEventListener("beforeprint", () => {
  root.classList.add("paper");
  redraw();
});
addEventListener("afterprint", () => {
  root.classList.remove("paper");
  redraw();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);

readColours();
data.charts.forEach(draw);
new ResizeObserver(resize).observe(document.body);
