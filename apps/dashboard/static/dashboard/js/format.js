/** Figures as the server writes them too (templatetags/figures.py); null is a dash. */

import { now } from "./clock.js";

const LOCALE = "en-US";
const DASH = "–";
const MINUS = "−";

const of = (/** @type {Intl.NumberFormatOptions} */ options) => new Intl.NumberFormat(LOCALE, { roundingMode: "halfEven", ...options });
const whole = of({ maximumFractionDigits: 0 });
const cents = of({ minimumFractionDigits: 2, maximumFractionDigits: 2 });
const short = of({ notation: "compact", maximumFractionDigits: 1 });
const many = of({ maximumFractionDigits: 8 });
const dear = of({ minimumFractionDigits: 2, maximumFractionDigits: 4 });
const cheap = of({ minimumFractionDigits: 2, maximumFractionDigits: 6 });
const tiny = of({ minimumFractionDigits: 2, maximumFractionDigits: 8 });

/** @param {(size: number) => string} write @param {number | null | undefined} value @param {string} plus */
const signed = (write, value, plus = "") => {
  if (value === null || value === undefined || !Number.isFinite(value)) return DASH;
  const text = write(Math.abs(value));
  if (!/[1-9]/.test(text)) return text;
  return (value < 0 ? MINUS : plus) + text;
};

/** An amount: in whole units from 1,000 on. @param {number | null | undefined} value */
export const money = (value) => signed((size) => (size >= 1000 ? whole : cents).format(size), value);
/** With its sign. @param {number | null | undefined} value */
export const change = (value) => signed((size) => (size >= 1000 ? whole : cents).format(size), value, "+");
/** A fraction as percent. @param {number | null | undefined} value */
export const percent = (value, digits = 2) => signed((size) => `${(100 * size).toFixed(digits)} %`, value);
/** With its sign. @param {number | null | undefined} value */
export const percentChange = (value, digits = 2) => signed((size) => `${(100 * size).toFixed(digits)} %`, value, "+");
/** 1.2M: for axes. @param {number | null | undefined} value */
export const compact = (value) => signed((size) => short.format(size), value);
/** A quantity: as many digits as it has, eight at most. @param {number | null | undefined} value */
export const quantity = (value) => signed((size) => many.format(size), value);
/** Two digits and more where it has more, as far as they matter. @param {number | null | undefined} value */
export const price = (value) => signed((size) => (size >= 10 ? dear : size >= 1 ? cheap : tiny).format(size), value);
/** @param {number | null | undefined} value */
export const fixed = (value, digits = 2) => signed((size) => size.toFixed(digits), value);

const STEPS = /** @type {[number, string][]} */ ([
  [86400, "d"],
  [3600, "h"],
  [60, "min"],
  [1, "s"],
]);

/** "12 s", "3 min": the largest unit alone. @param {number} seconds */
export function span(seconds) {
  const [size, unit] = STEPS.find(([step]) => seconds >= step) ?? [1, "s"];
  return `${Math.floor(Math.max(seconds, 0) / size)} ${unit}`;
}

/** @param {string | number | Date} moment */
export const secondsSince = (moment) => (now() - new Date(moment).getTime()) / 1000;

/** 2026-11-28 14:03:05 UTC @param {string} moment */
export const moment = (moment) => `${new Date(moment).toISOString().slice(0, 19).replace("T", " ")} UTC`;

/**
 * Sets an element's text and its colour by sign.
 * @param {Element | null} element @param {number | null | undefined} value @param {(value: number | null | undefined) => string} write
 */
export function show(element, value, write) {
  if (!element) return;
  const text = write(value);
  if (element.textContent !== text) element.textContent = text;
  if (element.hasAttribute("data-signed")) {
    element.classList.toggle("negative", (value ?? 0) < 0);
    element.classList.toggle("positive", (value ?? 0) > 0);
  }
}

/** Why a figure is a dash; takes the words away where there are none. @param {Element | null} element @param {string | undefined} reason */
export function explain(element, reason) {
  if (!reason) element?.removeAttribute("title");
  else if (element?.getAttribute("title") !== reason) element?.setAttribute("title", reason);
}
