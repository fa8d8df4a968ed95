/** Live figures and alerts. Figures come four times a second and portfolio: the newest of each is drawn, at most every 400 ms. */

import { post } from "../js/api.js";
import { whileBusy } from "../js/busy.js";
import { change, explain, money, percentChange, show } from "../js/format.js";
import { freshen, freshenFigures } from "../js/freshness.js";
import { follow } from "../js/live.js";
import { say } from "../js/messages.js";
import { pageData } from "../js/page-data.js";
import { refresh, refreshEvery } from "../js/refreshing.js";
import { fill } from "../js/usage.js";

const DRAW_MILLISECONDS = 400; // 100 rows that all change take some 60 ms to draw: docs/dashboard.md
const SETTLE_MILLISECONDS = 300; // alerts come several at once
const FRAGMENTS = ["portfolios", "alerts"];

const WRITERS = { value: money, day_pnl: change, day_pnl_pct: percentChange, var_99: money, expected_shortfall_975: money };

/** @type {Map<string, any>} */
const waiting = new Map();
/** @type {ReturnType<typeof setTimeout> | undefined} */
let drawing;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let refreshing;
let toldAt = ""; // when the newest figures were published
let quotedAt = ""; // the newest price in any of them

/** @param {any} figures @param {{timestamp: string}} message */
function take(figures, { timestamp }) {
  if (figures.event !== "analytics.updated") return; // a computed performance is told of there as well
  if (timestamp > toldAt) toldAt = timestamp;
  if (figures.quoted_at > quotedAt) quotedAt = figures.quoted_at;
  waiting.set(figures.portfolio_id, figures);
  drawing ??= setTimeout(draw, DRAW_MILLISECONDS);
}

function draw() {
  drawing = undefined;
  for (const [id, figures] of waiting) drawRow(document.querySelector(`tr[data-portfolio="${CSS.escape(id)}"]`), figures);
  waiting.clear();
  freshenTo(document.getElementById("figures-age"), toldAt);
  freshenTo(document.getElementById("prices-age"), quotedAt);
}

/** The server may have said later ones meanwhile. @param {Element | null} element @param {string} moment */
function freshenTo(element, moment) {
  if (moment && Date.parse(moment) > Date.parse(element?.getAttribute("datetime") ?? "1970-01-01")) freshen(element, moment);
}

/** @param {Element | null} row @param {any} figures */
function drawRow(row, figures) {
  if (!row) return;
  const reasons = figures.reasons ?? {};
  for (const [name, write] of Object.entries(WRITERS)) {
    const element = row.querySelector(`[data-figure="${name}"]`);
    show(element, figures[name], write);
    explain(element, figures[name] === null ? reasons[name] : "");
  }
  row.querySelectorAll("[data-bar]").forEach((bar) => fill(bar, figures[/** @type {HTMLElement} */ (bar).dataset.bar ?? ""]));
  const age = /** @type {HTMLElement | null} */ (row.querySelector("[data-age]"));
  if (age) freshenFigures(age, figures);
  explain(age, figures.quoted_at ? "" : reasons.quoted_at);
}

/** At most once in a while: where news never end, something is drawn all the same. */
function refreshSoon() {
  refreshing ??= setTimeout(() => {
    refreshing = undefined;
    for (const id of FRAGMENTS) refresh(document.getElementById(id));
  }, SETTLE_MILLISECONDS);
}

/** @param {any} alert */
function heard(alert) {
  const news = document.getElementById("news");
  if (news && alert.event === "alert.raised") news.textContent = `New alert, ${alert.severity}: ${alert.message}`;
  refreshSoon();
}

document.addEventListener("click", async (event) => {
  const button = /** @type {HTMLElement | null} */ (/** @type {Element} */ (event.target).closest("[data-acknowledge]"));
  if (!button) return;
  try {
    await whileBusy(button, () => post(`/api/v1/sprint3/risk/alerts/events/${button.dataset.acknowledge}/acknowledge`));
    refreshSoon();
  } catch (error) {
    say(/** @type {Error} */ (error).message, "bad");
  }
});

const page = pageData("overview-data");
for (const topic of page.figures) follow(topic, take, { onGap: refreshSoon, onBegin: null });
for (const topic of page.alerts) follow(topic, heard, { onGap: refreshSoon });
for (const id of FRAGMENTS) refreshEvery(() => document.getElementById(id), page.refresh_seconds);
refreshEvery(() => document.getElementById("freshness"), page.freshness_seconds);
