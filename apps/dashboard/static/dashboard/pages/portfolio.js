/** One portfolio: live figures, cards that are drawn anew when something is computed or booked, and the jobs. */

import * as format from "../js/format.js";
import { freshen, freshenFigures } from "../js/freshness.js";
import { follow } from "../js/live.js";
import { pageData } from "../js/page-data.js";
import { refresh, settled } from "../js/refreshing.js";
import { drawCard, drawCards } from "./portfolio-charts.js";
import { followRunning, listenToJobs } from "./portfolio-jobs.js";
import { monitorNews } from "./portfolio-monitored.js";

const DRAW_MILLISECONDS = 200; // four messages a second come
const RESULTS = ["components", "scenarios", "stress", "backtest"];

/** What a card keeps of what was chosen in it when it is asked for anew. */
const KEPT = /** @type {Record<string, string>} */ ({
  value: "range",
  stored: "confidence",
  components: "snapshot",
  scenarios: "snapshot",
  stress: "snapshot",
  backtest: "snapshot",
});

/** The cards that an event concerns. Results of an older book say that they are out of date. */
const CONCERNED = /** @type {Record<string, string[]>} */ ({
  "risk.analyzed": ["stored", "components", "scenarios"],
  "risk.analyzed_with_all": ["stored"],
  "risk.stressed": ["stress"],
  "risk.backtested": ["backtest"],
  "trade.booked": ["value", ...RESULTS],
  "trades.imported": ["value", ...RESULTS],
  "cash_flow.booked": ["value", ...RESULTS],
  "portfolio.changed": ["standing"],
  "portfolio.closed": ["standing"],
});

const page = pageData("portfolio-data");
/** @type {Map<string, string>} By card. */
const chosen = new Map();
/** @type {Map<string, () => void>} By card: several news of a moment ask for it once. */
const renewals = new Map();
/** @type {any} */
let newest;
let toldAt = ""; // when those were published
/** @type {ReturnType<typeof setTimeout> | undefined} */
let drawing;
const isOtherBook = monitorNews();

/** @param {string} card */
function renew(card) {
  if (!renewals.has(card)) renewals.set(card, settled(() => refresh(document.getElementById(card))));
  renewals.get(card)?.();
}

const renewCards = () => ["standing", ...Object.keys(KEPT)].forEach(renew);
function renewAll() {
  renew("figures");
  renewCards();
}

/** @param {any} data @param {{timestamp: string}} message */
function takeFigures(data, { timestamp }) {
  if (data.event !== "analytics.updated") return;
  newest = data;
  toldAt = timestamp;
  drawing ??= setTimeout(drawFigures, DRAW_MILLISECONDS);
}

function drawFigures() {
  drawing = undefined;
  const reasons = newest.reasons ?? {};
  document.querySelectorAll("#figures [data-figure]").forEach((element) => {
    const { figure = "", write = "money" } = /** @type {HTMLElement} */ (element).dataset;
    format.show(element, newest[figure], /** @type {any} */ (format)[write]);
    format.explain(element, newest[figure] === null ? reasons[figure] : "");
  });
  freshen(document.getElementById("figures-age"), toldAt);
  const quotedAge = document.getElementById("quoted-age");
  if (quotedAge) freshenFigures(quotedAge, newest);
  say("not-live", reasons.status ?? "");
  say("stale-symbols", newest.quoted_at && newest.stale_count ? staleText(newest) : "");
}

/** As the server writes it (portfolio_head.py). @param {any} figures */
function staleText({ stale_symbols: symbols, stale_count: count }) {
  const left = count - symbols.length;
  return symbols.join(", ") + (left > 0 ? ` and ${left} more` : "");
}

/** @param {string} id @param {string} text */
function say(id, text) {
  const line = document.getElementById(id);
  const words = line?.querySelector("span");
  if (!line || !words) return;
  line.hidden = !text;
  if (words.textContent !== text) words.textContent = text;
}

/** @param {any} data */
function takeEvent(data) {
  if (isOtherBook(data)) ["value", "stored", ...RESULTS].forEach(renew);
  const cards = CONCERNED[data.event] ?? [];
  if (jobs.isOwn(data.task_id)) return; // its end is drawn by who started it
  if (data.event?.startsWith("risk.")) cards.forEach((card) => KEPT[card] === "snapshot" && chosen.delete(card));
  cards.forEach(renew);
}

document.addEventListener("htmx:configRequest", (event) => {
  const { target, parameters } = /** @type {CustomEvent} */ (event).detail;
  const name = KEPT[target?.id];
  if (!name) return;
  if (parameters[name] !== undefined) chosen.set(target.id, parameters[name]);
  else if (chosen.has(target.id)) parameters[name] = chosen.get(target.id);
});

document.addEventListener("htmx:afterSwap", (event) => drawCard(/** @type {CustomEvent} */ (event).detail.target.id));

document.getElementById("portfolio-choice")?.addEventListener("change", (event) => {
  const address = /** @type {HTMLSelectElement} */ (event.target).selectedOptions[0]?.dataset.address;
  if (address) location.assign(address);
});

const jobs = listenToJobs(page, (cards, snapshot) => {
  for (const card of cards) {
    if (snapshot && KEPT[card] === "snapshot") chosen.set(card, snapshot);
    renew(card);
  }
});

drawCards();
followRunning(page, jobs);
follow(`analytics:updates:${page.portfolio}`, takeFigures, { onGap: renewAll, onBegin: null });
follow(`portfolio:updates:${page.portfolio}`, takeEvent, { onGap: renewAll, onBegin: renewCards });
follow("trading", () => renew("standing"), { onGap: () => renew("standing") });
