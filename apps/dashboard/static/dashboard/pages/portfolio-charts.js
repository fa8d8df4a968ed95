/** The charts of a portfolio's page, each from the data that the server wrote into its card. */

import { colour, draw, faint } from "../js/charts.js";
import { compact, money, percent } from "../js/format.js";
import { pageData } from "../js/page-data.js";

const SERIES = ["series-1", "series-2", "series-3", "series-4", "series-5", "series-6"];
const DAY_MILLISECONDS = 86_400_000;
const LEAST_MARGIN_MILLISECONDS = 300_000;
const FEW_POINTS = 60;

/** @type {Record<string, (data: any) => any>} By card: the configuration from the card's data. */
const CHARTS = { value, stored, components, scenarios, backtest };

export const drawCards = () => Object.keys(CHARTS).forEach(drawCard);

/** Nothing where the card has no chart, as while there is no result. @param {string} card */
export function drawCard(card) {
  const canvas = /** @type {HTMLCanvasElement | null} */ (document.getElementById(`${card}-chart`));
  const data = canvas && pageData(`${card}-data`);
  if (canvas && data) draw(canvas, () => CHARTS[card](data));
}

/** @param {(item: any) => string} label @param {any} [more] */
const tooltip = (label, more = {}) => ({ tooltip: { callbacks: { label, ...more } } });
/** @param {any} item */
const nameAndMoney = (item) => `${item.dataset.label}: ${money(item.parsed.y)}`;

/** @param {{dates: string[], values: number[], drawdowns: (number | null)[]}} data */
function value({ dates, values, drawdowns }) {
  const radius = dates.length === 1 ? 3 : 0;
  return {
    type: "line",
    data: {
      labels: dates,
      datasets: [
        { label: "Value", data: values, yAxisID: "y", borderColor: colour("series-1"), backgroundColor: colour("series-1"), borderWidth: 1.5, pointRadius: radius },
        {
          label: "Drawdown",
          data: drawdowns,
          yAxisID: "yDrawdown",
          borderColor: colour("fill-bad"),
          backgroundColor: faint("fill-bad", 0.3),
          fill: "origin",
          borderWidth: 1,
          pointRadius: radius,
        },
      ],
    },
    options: {
      scales: {
        x: {},
        yDrawdown: { position: "left", stack: "both", stackWeight: 2, max: 0, suggestedMin: -0.01, ticks: { maxTicksLimit: 4, callback: wholePercent } },
        y: { position: "left", stack: "both", stackWeight: 3, offset: true },
      },
      plugins: tooltip((item) => (item.datasetIndex ? `Drawdown: ${percent(item.parsed.y)}` : nameAndMoney(item))),
    },
  };
}

/** @param {number} fraction */
const wholePercent = (fraction) => percent(fraction, Math.abs(fraction) < 0.1 && fraction ? 1 : 0);

/** @param {{title: string, points: [number, number, string][]}[]} lines */
function stored(lines) {
  const moments = lines.flatMap(({ points }) => points.map(([moment]) => moment));
  const [first, last] = [Math.min(...moments), Math.max(...moments)];
  const span = last - first;
  const margin = Math.max(0.02 * span, LEAST_MARGIN_MILLISECONDS);
  return {
    type: "line",
    data: {
      datasets: lines.map(({ title, points }, place) => ({
        label: title,
        data: points.map(([x, y, asOf]) => ({ x, y, asOf })),
        borderColor: colour(SERIES[place % SERIES.length]),
        backgroundColor: colour(SERIES[place % SERIES.length]),
        borderWidth: 1.5,
        pointRadius: points.length > FEW_POINTS ? 1 : 3,
      })),
    },
    options: {
      interaction: { mode: "nearest", axis: "x", intersect: false },
      scales: {
        x: { type: "linear", min: first - margin, max: last + margin, ticks: { maxTicksLimit: 6, callback: (/** @type {number} */ at) => shortMoment(at, span) } },
        y: { beginAtZero: true },
      },
      plugins: {
        legend: { display: true, labels: { boxWidth: 12 } },
        ...tooltip((item) => `${nameAndMoney(item)}, as of ${item.raw.asOf}`, { title: (/** @type {any[]} */ items) => items.slice(0, 1).map((item) => shortMoment(item.parsed.x, 0)) }),
      },
    },
  };
}

/** The day, and the minute where all is of few days. @param {number} at @param {number} span Milliseconds. */
function shortMoment(at, span) {
  const text = new Date(at).toISOString();
  return span > 5 * DAY_MILLISECONDS ? text.slice(0, 10) : text.slice(5, 16).replace("T", " ");
}

/** @param {{symbols: string[], parts: number[]}} data */
function components({ symbols, parts }) {
  const colours = parts.map((part) => colour(part < 0 ? "fill-good" : "series-1"));
  return {
    type: "bar",
    data: { labels: symbols, datasets: [{ label: "Component VaR", data: parts, backgroundColor: colours, hoverBackgroundColor: colours }] },
    options: {
      indexAxis: "y",
      scales: {
        x: { ticks: { callback: compact } },
        y: { grid: { display: false }, ticks: { autoSkip: false, callback: (/** @type {number} */ place) => shortName(symbols[place]) } },
      },
      plugins: tooltip((item) => `Component VaR: ${money(item.parsed.x)}`),
    },
  };
}

/** @param {string} name */
const shortName = (name) => (name.length > 14 ? `${name.slice(0, 13)}…` : name);

/** @param {{edges: number[], within: number[], beyond: number[], var: number, shortfall: number, confidence: string}} data */
function scenarios({ edges, within, beyond, var: valueAtRisk, shortfall, confidence }) {
  const all = within.map((count, bin) => count + beyond[bin]);
  const highest = Math.max(...all, 1);
  const middle = (/** @type {number} */ bin) => (edges[bin] + edges[bin + 1]) / 2;
  const [lowest, largest] = [Math.min(edges[0], -shortfall, -valueAtRisk), edges[edges.length - 1]];
  const margin = 0.01 * (largest - lowest);
  /** @param {string} label @param {number[]} counts @param {string} fill */
  const bars = (label, counts, fill) => ({
    label,
    data: counts.map((count, bin) => ({ x: middle(bin), y: count })),
    backgroundColor: colour(fill),
    hoverBackgroundColor: colour(fill),
    grouped: false,
    barPercentage: 0.95,
    categoryPercentage: 1,
  });
  /** @param {string} label @param {number} loss @param {string} stroke @param {number[]} dash */
  const line = (label, loss, stroke, dash) => ({
    type: "line",
    label: `${label} ${money(loss)}`,
    data: [
      { x: -loss, y: 0 },
      { x: -loss, y: highest },
    ],
    borderColor: colour(stroke),
    backgroundColor: colour(stroke),
    borderWidth: 2,
    borderDash: dash,
    pointRadius: 0,
    pointHitRadius: 0,
  });
  return {
    type: "bar",
    data: {
      datasets: [
        line(`VaR ${confidence}`, valueAtRisk, "fill-warning", []),
        line("Expected shortfall", shortfall, "text-strong", [6, 4]),
        bars("Beyond the VaR", beyond, "fill-bad"),
        bars("Scenarios", all, "series-6"),
      ],
    },
    options: {
      interaction: { mode: "nearest", axis: "x", intersect: false },
      scales: {
        x: { type: "linear", offset: false, min: lowest - margin, max: largest + margin, title: { text: "P&L" }, ticks: { callback: compact } },
        y: { beginAtZero: true, title: { text: "Scenarios" }, ticks: { precision: 0 } },
      },
      plugins: tooltip((item) => (item.dataset.type === "line" ? item.dataset.label : `${item.dataset.label}: ${item.parsed.y}`), {
        title: (/** @type {any[]} */ items) => items.slice(0, 1).map((item) => binTitle(edges, item)),
      }),
    },
  };
}

/** @param {number[]} edges @param {any} item */
function binTitle(edges, item) {
  if (item.dataset.type === "line") return "";
  return `${money(edges[item.dataIndex])} to ${money(edges[item.dataIndex + 1])}`;
}

/** @param {{dates: string[], realized: number[], methods: {title: string, var: number[]}[], hits: Record<string, string[]>}} data */
function backtest({ dates, realized, methods, hits }) {
  const lines = methods.map(({ title, var: losses }, place) => ({
    type: "line",
    label: `−VaR, ${title}`,
    data: losses.map((loss) => -loss),
    borderColor: colour(SERIES[place % SERIES.length]),
    backgroundColor: colour(SERIES[place % SERIES.length]),
    borderWidth: 1.5,
    pointRadius: dates.length === 1 ? 3 : 0,
    stepped: "middle",
  }));
  return {
    type: "bar",
    data: {
      labels: dates,
      datasets: [
        {
          type: "line",
          label: "Exception",
          data: dates.map((day, place) => (day in hits ? realized[place] : null)),
          showLine: false,
          pointRadius: 4,
          pointHoverRadius: 6,
          borderColor: colour("fill-bad"),
          backgroundColor: colour("fill-bad"),
          pointStyle: "circle",
        },
        ...lines,
        { label: "P&L", data: realized, backgroundColor: faint("text-subtle", 0.55), hoverBackgroundColor: colour("text-subtle"), barPercentage: 1, categoryPercentage: 0.9 },
      ],
    },
    options: {
      scales: { x: { grid: { display: false } }, y: {} },
      plugins: tooltip((item) => (item.datasetIndex === 0 ? `Beyond the VaR of ${hits[dates[item.dataIndex]].join(", ")}` : nameAndMoney(item))),
    },
  };
}
