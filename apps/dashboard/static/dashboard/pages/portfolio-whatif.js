/** What a trade would do to the limits, as one types: each key asks 250 ms later, and gives up what was asked before. */

import { ask } from "../js/api.js";
import { fixed, money, moment, percent, price, quantity, show } from "../js/format.js";
import { ageAll } from "../js/freshness.js";
import { fill } from "../js/usage.js";

const PATH = "/api/v1/sprint3/risk/pre-trade-check";
const TYPING_MILLISECONDS = 250;
const AGAIN_MILLISECONDS = 5000; // after news of the book, at most so often
const STALE_SECONDS = 60;
const LONGEST_REASON = 300; // characters, as figures.py has it; one may name every symbol of a book

const WRITERS = { currency: money, fraction: percent, ratio: fixed, quantity, count: quantity };
const TONES = { ok: "good", warning: "warning", breach: "bad", unknown: "" };

/**
 * @typedef {{portfolio: string, currency: string, closesOf: string | null, kinds: Record<string, {title: string, unit: keyof typeof WRITERS}>}} Data
 * @typedef {{limit_id: number, kind: string, symbol: string | null, action: string, current: number | null, projected: number | null,
 *   threshold: number, warning_threshold: number, status: keyof typeof TONES, reason: string | null}} Check
 */

/** @param {string} id */
const find = (id) => /** @type {any} */ (document.getElementById(id));

/** @param {Data} data @returns {() => void} Asks again, as after a trade was booked. */
export function whatIf(data) {
  const form = find("whatif-form");
  if (!form) return () => {};
  let closesOf = data.closesOf;
  let answeredAt = 0;
  /** @type {AbortController | undefined} */
  let asking;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let waiting;

  /** @param {number} milliseconds */
  function askIn(milliseconds) {
    clearTimeout(waiting);
    asking?.abort();
    const trade = typedTrade();
    find("whatif-answer").setAttribute("aria-busy", String(trade !== null));
    if (trade) waiting = setTimeout(() => send(trade), milliseconds);
    else begin(data);
  }

  /** @param {object} trade */
  async function send(trade) {
    asking = new AbortController();
    const { signal } = asking;
    const answer = await answered(trade, signal).catch((/** @type {Error} */ error) => error);
    if (signal.aborted) return;
    if (answer instanceof Error) drawFailure(answer.message);
    else draw(data, answer);
    answeredAt = Date.now();
    find("whatif-answer").setAttribute("aria-busy", "false");
  }

  /** @param {object} trade @param {AbortSignal} signal */
  async function answered(trade, signal) {
    const said = await ask("POST", PATH, question(trade), { signal });
    const { as_of: asOf, refusals } = said;
    const isMoved = hasCode(refusals, "as_of_mismatch") && asOf && asOf !== closesOf;
    closesOf = asOf ?? closesOf;
    offerOldCloses(refusals, closesOf);
    return isMoved ? ask("POST", PATH, question(trade), { signal }) : said;
  }

  /** @param {object} trade */
  const question = (trade) => ({
    portfolio_id: data.portfolio,
    trade,
    reserve: false,
    ...(find("whatif-old-closes").checked && closesOf && { as_of: closesOf }),
  });

  form.addEventListener("input", () => askIn(TYPING_MILLISECONDS));
  form.addEventListener("submit", (/** @type {Event} */ event) => {
    event.preventDefault();
    askIn(0);
  });
  find("whatif-old-closes").addEventListener("change", () => askIn(0));
  return () => {
    if (typedTrade() && !document.hidden) askIn(Math.max(TYPING_MILLISECONDS, answeredAt + AGAIN_MILLISECONDS - Date.now()));
  };
}

/** Null while something is missing. */
function typedTrade() {
  const [symbol, size, bid] = ["symbol", "quantity", "price"].map((name) => find(`whatif-${name}`));
  const isWrong = size.validity.badInput || bid.validity.badInput;
  if (isWrong || !symbol.value.trim() || !size.value) return null;
  const trade = { symbol: spelled(symbol), quantity: size.valueAsNumber, side: find("whatif-side").value };
  return bid.value ? { ...trade, price: bid.valueAsNumber } : trade;
}

/** As the held instrument is spelled, where only capitals differ. @param {HTMLInputElement} input */
function spelled(input) {
  const typed = input.value.trim();
  const known = [...(input.list?.options ?? [])].map((option) => option.value);
  return known.find((symbol) => symbol === typed) ?? known.find((symbol) => symbol.toUpperCase() === typed.toUpperCase()) ?? typed;
}

/** @param {{code: string}[]} refusals @param {string} code */
const hasCode = (refusals, code) => refusals.some((refusal) => refusal.code === code);

/** @param {{code: string}[]} refusals @param {string | null} closesOf */
function offerOldCloses(refusals, closesOf) {
  if (closesOf) find("whatif-closes-of").textContent = closesOf;
  if (closesOf && hasCode(refusals, "price_stale")) find("whatif-old").hidden = false;
}

/** Nothing is asked yet, or not completely. @param {Data} data */
function begin({ portfolio }) {
  verdict([`Type a symbol and a quantity: the answer comes as you type. Nothing is reserved; each answer is kept among the decisions of ${portfolio}.`]);
  clear();
}

/** @param {string} words The server's own. */
function drawFailure(words) {
  verdict([words], "failed");
  clear();
}

function clear() {
  for (const id of ["whatif-reasons", "whatif-checks", "whatif-when"]) find(id).hidden = true;
}

/** @param {(string | Node)[]} parts @param {string} kind */
function verdict(parts, kind = "") {
  const place = find("whatif-verdict");
  place.className = kind;
  place.replaceChildren(...parts);
}

/** @param {Data} data @param {any} said */
function draw(data, said) {
  verdict([badge(said.approved ? "Approved" : "Refused", said.approved ? "good" : "bad"), ` ${tradeWords(said.trade, data.currency)}`]);
  drawReasons(said.reasons, said.warnings);
  drawChecks(data, said.checks);
  drawWhen(said);
}

/** @param {{symbol: string, quantity: number, price: number | null, notional: number | null}} trade @param {string} currency */
function tradeWords({ symbol, quantity: size, price: at, notional }, currency) {
  const order = `${size < 0 ? "Sell" : "Buy"} ${quantity(Math.abs(size))} ${symbol}`;
  return at === null ? `${order}, which has no price` : `${order} at ${price(at)}: ${money(notional)} ${currency}`;
}

/** @param {string[]} reasons @param {string[]} warnings */
function drawReasons(reasons, warnings) {
  const list = find("whatif-reasons");
  const lines = [...reasons.map((text) => line(text, "bad", "against")), ...warnings.map((text) => line(text, "warning", "note"))];
  list.replaceChildren(...lines);
  list.hidden = lines.length === 0;
}

/** @param {string} text @param {string} tone @param {string} word */
function line(text, tone, word) {
  const item = document.createElement("li");
  item.append(badge(word, tone), ` ${bothEnds(text)}`);
  return item;
}

/** @param {string} text */
const bothEnds = (text) =>
  text.length <= LONGEST_REASON ? text : `${text.slice(0, LONGEST_REASON / 2)} … ${text.slice(-LONGEST_REASON / 2)}`;

/** @param {string} word @param {string} tone */
function badge(word, tone) {
  const made = document.createElement("span");
  made.className = `badge ${tone}`;
  made.textContent = word;
  return made;
}

/** @param {Data} data @param {Check[]} checks */
function drawChecks(data, checks) {
  const place = find("whatif-checks");
  place.querySelector("tbody").replaceChildren(...checks.map((check) => checkRow(data, check)));
  place.hidden = checks.length === 0;
}

/** @param {Data} data @param {Check} check */
function checkRow({ kinds }, check) {
  const row = find("whatif-check").content.firstElementChild.cloneNode(true);
  const { title, unit } = kinds[check.kind] ?? { title: check.kind, unit: "quantity" };
  const write = WRITERS[unit];
  row.querySelector("th").textContent = check.symbol ? `${title}, ${check.symbol}` : title;
  show(row.querySelector("[data-now]"), check.current, write);
  show(row.querySelector("[data-then]"), check.projected, write);
  show(row.querySelector("[data-of]"), check.threshold, write);
  if (check.reason) row.querySelector("[data-then]").title = bothEnds(check.reason);
  drawUsed(row.querySelector("[data-used]"), check, title);
  drawStatus(row.querySelector("[data-status]"), check);
  return row;
}

/** @param {HTMLElement} holder @param {Check} check @param {string} title */
function drawUsed(holder, check, title) {
  const at = `${((100 * check.warning_threshold) / check.threshold).toFixed(1)}%`;
  const mark = holder.querySelector("line");
  for (const end of ["x1", "x2"]) mark?.setAttribute(end, at);
  holder.querySelector("svg")?.setAttribute("aria-label", `${title}:`);
  holder.dataset.threshold = String(check.threshold);
  holder.dataset.warning = String(check.warning_threshold);
  fill(holder, check.projected);
}

/** @param {HTMLElement} place @param {Check} check */
function drawStatus(place, { status, action, reason }) {
  place.className = `badge ${TONES[status] ?? ""}`;
  place.textContent = action === "warn" ? `${status}, warns only` : status;
  if (reason) place.title = bothEnds(reason);
}

/** @param {number} microseconds */
function timing(microseconds) {
  if (microseconds < 1000) return `${microseconds} µs`;
  return microseconds < 1e6 ? `${fixed(microseconds / 1e3, 1)} ms` : `${fixed(microseconds / 1e6)} s`;
}

/** @param {any} said */
function drawWhen({ as_of: asOf, evaluated_at: evaluatedAt, elapsed_us: elapsed, trading_state: state }) {
  const place = find("whatif-when");
  const age = document.createElement("time");
  age.dateTime = evaluatedAt;
  age.title = moment(evaluatedAt);
  age.dataset.fresh = "";
  age.dataset.staleSeconds = String(STALE_SECONDS);
  const closes = asOf ? `, at the closes of ${asOf}` : "";
  place.replaceChildren(`Decided in ${timing(elapsed)}${closes}, trading ${state}; nothing is reserved. Answered `, age);
  place.hidden = false;
  ageAll();
}
