/** Limits and alerts: fragments that are drawn anew when something happens, filters, dialogs, and what is clicked. */

import { whileBusy } from "../js/busy.js";
import { follow } from "../js/live.js";
import { say } from "../js/messages.js";
import { pageData } from "../js/page-data.js";
import { refresh, refreshEvery } from "../js/refreshing.js";
import { ACTIONS } from "./limits-actions.js";
import { answerChoice, sendForm } from "./limits-forms.js";

const SETTLE_MILLISECONDS = 300; // news come several at once
const LOOK_SECONDS = 15; // for what is not pushed: changes that wait, what became of messages
const STANDING_SECONDS = 5; // of the monitor, whose last run looks stale after three of its intervals
const FRAGMENTS = ["standing", "changes", "limits", "alerts", "channels"];
const POLLED = ["changes", "limits", "alerts"];
// What is told of a portfolio four times a second is not for this page.
const OF_LIMITS = { event: { in: ["risk.monitored", "limit.created", "limit.changed", "limit.deleted"] } };

/** @type {ReturnType<typeof setTimeout> | undefined} */
let refreshing;

/** At most once in a while: where news never end, something is drawn all the same. */
function refreshSoon() {
  refreshing ??= setTimeout(() => {
    refreshing = undefined;
    for (const id of FRAGMENTS) refresh(document.getElementById(id));
  }, SETTLE_MILLISECONDS);
}

// A fragment is drawn anew from the page's address. Where somebody has chosen otherwise meanwhile, it is of no use.
document.addEventListener("htmx:beforeSwap", (event) => {
  const { detail } = /** @type {CustomEvent} */ (event);
  const asked = new URL(detail.pathInfo.finalRequestPath, location.href);
  if (detail.requestConfig.elt !== detail.target || asked.search === location.search) return;
  detail.shouldSwap = false;
  refreshSoon();
});

// --- Filters and dialogs -------------------------------------------------------------------------------------
// Only what is chosen stands in the address.
document.addEventListener("htmx:configRequest", (event) => {
  const { elt, parameters } = /** @type {CustomEvent} */ (event).detail;
  if (!elt.matches("[data-filters]")) return;
  for (const name of Object.keys(parameters)) if (parameters[name] === "") delete parameters[name];
});

// A fragment that comes into a dialog opens it.
document.addEventListener("htmx:afterSwap", (event) => {
  const target = /** @type {Element} */ (/** @type {CustomEvent} */ (event).detail.target);
  const dialog = /** @type {HTMLDialogElement | null} */ (target.closest("dialog"));
  if (!dialog) return;
  target.querySelectorAll("[data-decides]").forEach((each) => answerChoice(/** @type {HTMLSelectElement} */ (each)));
  if (!dialog.open) dialog.showModal();
});

document.addEventListener("change", (event) => {
  const select = /** @type {Element} */ (event.target);
  if (select.matches("[data-decides]")) answerChoice(/** @type {HTMLSelectElement} */ (select));
});

document.addEventListener("submit", async (event) => {
  const form = /** @type {HTMLFormElement} */ (event.target);
  if (!form.dataset.form) return;
  event.preventDefault();
  if (await sendForm(form)) refreshSoon();
});

// --- What is clicked -----------------------------------------------------------------------------------------
document.addEventListener("click", async (event) => {
  const button = /** @type {HTMLElement | null} */ (/** @type {Element} */ (event.target).closest("button[data-action]"));
  const act = button && ACTIONS[button.dataset.action ?? ""];
  if (!act) return;
  try {
    if (await whileBusy(button, async () => act(button))) refreshSoon();
  } catch (error) {
    say(/** @type {Error} */ (error).message, "bad");
    refreshSoon(); // it may be done already, by somebody else
  }
});

// --- Live ----------------------------------------------------------------------------------------------------
/** @param {any} alert */
function heard(alert) {
  const news = document.getElementById("news");
  if (news && alert.event === "alert.raised") news.textContent = `New alert, ${alert.severity}: ${alert.message}`;
  refreshSoon();
}

const topics = pageData("to-follow");
for (const topic of topics.updates) follow(topic, refreshSoon, { onGap: refreshSoon, filters: OF_LIMITS });
for (const topic of topics.alerts) follow(topic, heard, { onGap: refreshSoon });
for (const id of POLLED) refreshEvery(() => document.getElementById(id), LOOK_SECONDS);
refreshEvery(() => document.getElementById("standing"), STANDING_SECONDS);
