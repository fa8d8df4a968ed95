/**
 * Nothing stale looks fresh: every `<time data-fresh datetime="…" data-stale-seconds="15">` says its age, and looks
 * stale from so many seconds on. One that has no `datetime` says why it has none, in `data-none`, and is stale unless it is
 * `data-ageless`.
 */

import { secondsSince, span } from "./format.js";

const EVERY_MILLISECONDS = 1000;

/** @param {HTMLElement} element */
function age(element) {
  const moment = element.getAttribute("datetime");
  const seconds = moment ? secondsSince(moment) : Infinity;
  const words = moment ? `${span(seconds)} ago` : (element.dataset.none ?? "never");
  if (element.textContent !== words) element.textContent = words;
  const { staleSeconds, ageless } = element.dataset;
  element.classList.toggle("is-stale", staleSeconds !== undefined && ageless === undefined && seconds > Number(staleSeconds));
}

export const ageAll = () => document.querySelectorAll("time[data-fresh]").forEach((each) => age(/** @type {HTMLElement} */ (each)));

/** @param {Element | null} element @param {string | null} moment ISO 8601 */
export function freshen(element, moment) {
  if (!element) return;
  if (moment) element.setAttribute("datetime", moment);
  else element.removeAttribute("datetime");
  age(/** @type {HTMLElement} */ (element));
}

/**
 * Of figures that just came, as the server says it (portfolio_head.py): no price has a say in what is cash only.
 * @param {HTMLElement} element @param {any} figures
 */
export function freshenFigures(element, { gross_exposure: gross, as_of: day, quoted_at: quoted }) {
  element.dataset.none = gross === 0 ? "cash only" : day ? `closes of ${day}` : "no price";
  element.toggleAttribute("data-ageless", gross === 0 && !quoted);
  freshen(element, quoted);
}

setInterval(ageAll, EVERY_MILLISECONDS);
document.addEventListener("htmx:afterSwap", ageAll);
ageAll();
