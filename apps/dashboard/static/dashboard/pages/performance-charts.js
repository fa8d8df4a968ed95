/** The charts of the performance page, from what the server wrote beside them. */

import { colour, draw, faint, line } from "../js/charts.js";
import { dayAxis, dayName, points } from "../js/days.js";
import { fixed, percent, percentChange } from "../js/format.js";
import { pageData } from "../js/page-data.js";

/** Fractions on an axis, with a decimal where its marks are closer than a per cent. @type {(value: number, place: number, marks: {value: number}[]) => string} */
const inPercent = (value, _place, marks) => percent(value, marks.length > 1 && marks[1].value - marks[0].value < 0.00999 ? 1 : 0);

// Chart.js leaves out every other mark where there are many, and with them 0: rather fewer from the first.
const FEW = { autoSkip: false, maxTicksLimit: 8 };

/** Cumulative return and drawdown; nothing where the page has none. */
export function drawCurves() {
  const curves = pageData("curves");
  if (!curves) return;
  const growth = canvas("growth");
  if (growth) draw(growth, () => lines(growth, curves, ["return", "benchmark_return"], percentChange, inPercent));
  const drawdown = canvas("drawdown");
  if (!growth || !drawdown) return;
  draw(drawdown, () => {
    const made = lines(growth, curves, ["drawdown", "benchmark_drawdown"], percent, inPercent);
    Object.assign(made.data.datasets[0], { borderColor: colour("fill-bad"), backgroundColor: faint("fill-bad", 0.2), fill: "origin" });
    return made;
  });
}

export function drawRolling() {
  const rolling = pageData("rolling-data");
  const place = canvas("rolling-chart");
  if (!rolling || !place) return;
  const [write, mark] = rolling.in_percent ? [percent, inPercent] : [fixed, undefined];
  draw(place, () => lines(place, rolling, ["value", "benchmark_value"], write, mark));
}

/** @param {string} id */
const canvas = (id) => /** @type {HTMLCanvasElement | null} */ (document.getElementById(id));

/**
 * The portfolio's line, and the benchmark's dashed where there is one.
 * @param {HTMLCanvasElement} named Has the benchmark's name in its data. @param {any} series @param {[string, string]} columns
 * @param {(value: number) => string} write @param {typeof inPercent} [mark]
 */
function lines({ dataset }, series, [own, other], write, mark) {
  const datasets = [line("Portfolio", points(series.dates, series[own]))];
  if (series[other]) {
    datasets.push(line(dataset.benchmark ?? "", points(series.dates, series[other]), "series-2", { borderDash: [5, 3] }));
  }
  return {
    type: "line",
    data: { datasets },
    options: {
      parsing: false,
      scales: { x: dayAxis(series.dates), y: { ticks: { ...FEW, ...(mark && { callback: mark }) } } },
      plugins: { tooltip: { callbacks: { title: dayOf, label: labelled(write) } } },
    },
  };
}

/** @param {{parsed: {x: number}}[]} items */
const dayOf = ([item]) => (item ? dayName(item.parsed.x) : "");
/** @param {(value: number) => string} write @returns {(item: any) => string} */
const labelled = (write) => (item) => `${item.dataset.label}: ${write(item.parsed.y)}`;
