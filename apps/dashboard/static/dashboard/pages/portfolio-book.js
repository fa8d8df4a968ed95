/** The portfolio's limits, positions and trades are drawn by the server; this has them drawn anew when there is news. */

import { percentChange, price, show } from "../js/format.js";
import { ageAll, freshen } from "../js/freshness.js";
import { follow } from "../js/live.js";
import { asked, paced } from "../js/pace.js";
import { pageData } from "../js/page-data.js";
import { refreshEvery } from "../js/refreshing.js";
import { monitorNews } from "./portfolio-monitored.js";
import { whatIf } from "./portfolio-whatif.js";

const QUOTES_MILLISECONDS = 1000;
const OF_THE_BOOK = new Set(["trade.booked", "trades.imported"]);
// What a portfolio's topic says besides, several times a second, changes no row of it.
const OF_THE_FIGURES = new Set(["portfolio.valued"]);

/** @param {string} id */
const find = (id) => document.getElementById(id);

const limits = paced(() => asked(find("limits-shown")));
const positions = redrawing("positions-table");
const trades = redrawing("trades-table");
// Nobody looks at a page in the background; with the next quote after that they are asked for again.
const quotes = paced(() => (document.hidden ? undefined : asked(find("quotes"))), QUOTES_MILLISECONDS);

/**
 * Not while somebody's own request for the table is under way, as for another order: of two the newer one stays alone.
 * @param {string} id
 */
function redrawing(id) {
  const redraw = paced(() => (find(id)?.parentElement?.querySelector(".htmx-request") ? redraw() : asked(find(id))));
  return redraw;
}

/** @param {{portfolio: string, monitorSeconds: number}} data */
function start(data) {
  const askAgain = whatIf(/** @type {any} */ (data));
  const isOtherBook = monitorNews();
  /** @param {{event?: string}} news */
  function take(news) {
    const { event = "" } = news;
    if (OF_THE_FIGURES.has(event)) return;
    limits();
    if (OF_THE_BOOK.has(event)) trades();
    if (OF_THE_BOOK.has(event) || event === "cash_flow.booked" || isOtherBook(news)) positions();
    if (event !== "risk.monitored") askAgain();
  }
  const book = () => [limits, positions, trades].forEach((draw) => draw());
  const all = () => [book, quotes].forEach((draw) => draw());

  follow(`portfolio:updates:${data.portfolio}`, take, { onGap: all, onBegin: book });
  follow(`risk:alerts:${data.portfolio}`, limits, { onGap: limits, onBegin: null });
  follow(`analytics:updates:${data.portfolio}`, quotes, { onGap: quotes, onBegin: null });
  refreshEvery(() => find("limits-shown"), data.monitorSeconds);
}

document.addEventListener("htmx:afterSwap", (event) => {
  const { target } = /** @type {CustomEvent} */ (event).detail;
  if (target?.id === "quotes") target.querySelectorAll("[data-quote]").forEach(drawQuote);
  target?.querySelectorAll?.("[data-says]").forEach(sayAloud);
});

/** @param {HTMLElement} quote */
function drawQuote(quote) {
  const { quote: symbol = "", at = "" } = quote.dataset;
  const row = /** @type {HTMLElement | null} */ (document.querySelector(`tr[data-symbol="${CSS.escape(symbol)}"]`));
  const live = row?.querySelector("[data-live]");
  if (!row || !live) return;
  const [now, close] = [Number(quote.getAttribute("value")), Number(row.dataset.close)];
  live.removeAttribute("title");
  show(live, now, price);
  if (close) show(row.querySelector("[data-live-change]"), now / close - 1, percentChange);
  const age = /** @type {HTMLElement} */ (row.querySelector("[data-live-age]"));
  age.hidden = false;
  freshen(age, at);
}

/** What of a table is shown, for those who do not see it change. @param {HTMLElement} words */
function sayAloud(words) {
  const place = find(words.dataset.says ?? "");
  const text = words.textContent?.trim() ?? "";
  if (place && place.textContent !== text) place.textContent = text;
}

const data = pageData("book-data");
if (data) start(data);
ageAll();
