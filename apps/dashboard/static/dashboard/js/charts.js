/**
 * Chart.js in the page's colours, which follow light and dark. Every chart has a name for screen readers; the figures
 * themselves stand in a table or a sentence beside it.
 */

import { compact } from "./format.js";

/** @type {Map<HTMLCanvasElement, {chart: any, make: () => any}>} */
const drawn = new Map();

/** A colour of theme.css, as it is now. @param {string} name */
export const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
/** The same, see-through. @param {string} name @param {number} share */
export const faint = (name, share = 0.15) => `color-mix(in oklab, ${colour(name)} ${100 * share}%, transparent)`;

/**
 * Draws, or draws anew where there was one. `make` is called again when light becomes dark: colours are read in it.
 * @param {HTMLCanvasElement} canvas @param {() => any} make Chart.js' configuration.
 */
export function draw(canvas, make) {
  forgetRemoved();
  drawn.get(canvas)?.chart.destroy();
  const chart = new /** @type {any} */ (globalThis).Chart(canvas, withDefaults(make()));
  drawn.set(canvas, { chart, make });
  return chart;
}

/** Those whose canvas was taken out of the page with its fragment. */
function forgetRemoved() {
  for (const [canvas, { chart }] of [...drawn]) {
    if (canvas.isConnected) continue;
    chart.destroy();
    drawn.delete(canvas);
  }
}

/** @param {any} configuration */
function withDefaults(configuration) {
  const options = (configuration.options ??= {});
  options.responsive = true;
  options.maintainAspectRatio = false;
  options.animation ??= false;
  options.color = colour("text");
  options.interaction ??= { mode: "index", intersect: false };
  options.plugins = { legend: { display: (configuration.data.datasets?.length ?? 0) > 1, labels: { boxWidth: 12 } }, ...options.plugins };
  for (const [name, axis] of Object.entries(options.scales ?? {})) withAxis(name, /** @type {any} */ (axis));
  return configuration;
}

/** @param {string} name @param {any} axis */
function withAxis(name, axis) {
  axis.grid = { color: colour("line"), ...axis.grid };
  axis.ticks = { color: colour("text-subtle"), maxRotation: 0, autoSkipPadding: 16, ...axis.ticks };
  if (axis.title) axis.title = { display: true, color: colour("text-subtle"), ...axis.title };
  if (name === "y" && !axis.ticks.callback) axis.ticks.callback = compact;
}

document.addEventListener("nautilus:theme", () => {
  for (const [canvas, { make }] of [...drawn]) {
    if (canvas.isConnected) draw(canvas, make);
    else drawn.delete(canvas);
  }
});

/** One line. @param {string} label @param {any[]} data @param {string} name A colour of theme.css. @param {object} [more] */
export const line = (label, data, name = "series-1", more = {}) => ({
  label,
  data,
  borderColor: colour(name),
  backgroundColor: faint(name),
  borderWidth: 1.5,
  pointRadius: 0,
  pointHitRadius: 8,
  ...more,
});
