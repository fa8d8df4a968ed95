/** Live figures and alerts. Figures come four times a second and portfolio: the newest of each is drawn, at most every 400 ms. */

import { post } from "../js/api.js";
import { change, money, percentChange, show } from "../js/format.js";
import { freshen } from "../js/freshness.js";
import { follow } from "../js/live.js";
import { say } from "../js/messages.js";
import { pageData } from "../js/page-data.js";
import { fill } from "../js/usage.js";

const DRAW_MILLISECONDS = 400; // 100 rows that all change take some 60 ms to draw: docs/dashboard.md
const SETTLE_MILLISECONDS = 300; // alerts come several at once

const WRITERS = { value: money, day_pnl: change, day_pnl_pct: percentChange, var_99: money, expected_shortfall_975: money };

/** @type {Map<string, any>} */
const waiting = new Map();
/** @type {ReturnType<typeof setTimeout> | undefined} */
let drawing;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let refreshing;

/** @param {any} figures */
function take(figures) {
  if (figures.event !== "analytics.updated") return; // a computed performance is told of there as well
  waiting.set(figures.portfolio_id, figures);
  drawing ??= setTimeout(draw, DRAW_MILLISECONDS);
}

function draw() {
  drawing = undefined;
  for (const [id, figures] of waiting) drawRow(document.querySelector(`tr[data-portfolio="${CSS.escape(id)}"]`), figures);
  waiting.clear();
  freshen(document.getElementById("figures-age"), new Date().toISOString());
}

/** @param {Element | null} row @param {any} figures */
function drawRow(row, figures) {
  if (!row) return;
  for (const [name, write] of Object.entries(WRITERS)) show(row.querySelector(`[data-figure="${name}"]`), figures[name], write);
  row.querySelectorAll("[data-bar]").forEach((bar) => fill(bar, figures[/** @type {HTMLElement} */ (bar).dataset.bar ?? ""]));
  if (figures.quoted_at) freshen(row.querySelector("[data-age]"), figures.quoted_at);
}

function refresh() {
  clearTimeout(refreshing);
  refreshing = setTimeout(() => {
    for (const id of ["portfolios", "alerts"]) document.getElementById(id)?.dispatchEvent(new Event("nautilus:refresh"));
  }, SETTLE_MILLISECONDS);
}

document.addEventListener("click", async (event) => {
  const button = /** @type {HTMLButtonElement | null} */ (/** @type {Element} */ (event.target).closest("[data-acknowledge]"));
  if (!button) return;
  button.disabled = true;
  try {
    await post(`/api/v1/sprint3/risk/alerts/events/${button.dataset.acknowledge}/acknowledge`);
    refresh();
  } catch (error) {
    button.disabled = false;
    say(/** @type {Error} */ (error).message, "bad");
  }
});

const topics = pageData("to-follow");
for (const topic of topics.figures) follow(topic, take, { onGap: refresh });
for (const topic of topics.alerts) follow(topic, refresh, { onGap: refresh });
