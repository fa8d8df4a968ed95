/** Operations: every section is asked for again by itself; health also when its topic tells of a change. And what an operator does. */

import { post } from "../js/api.js";
import { whileBusy } from "../js/busy.js";
import { confirmed } from "../js/confirm.js";
import { follow } from "../js/live.js";
import { say } from "../js/messages.js";
import { refresh, refreshEvery, settled } from "../js/refreshing.js";
import { START_MONITORING, STOP_MONITORING } from "./monitoring.js";
import "./operations-copy.js";

const CACHE = "/api/v1/cache";
const SPRINT3 = "/api/v1/sprint3";

/** @param {string} id */
const section = (id) => document.getElementById(id);

// --- Fresh ----------------------------------------------------------------------------------------
document.querySelectorAll("[data-section]").forEach((element) => {
  refreshEvery(() => element, Number(/** @type {HTMLElement} */ (element).dataset.section));
});

/** @type {string | undefined} */
let told; // the components' states, as they were told last
const lookAgain = settled(() => refresh(section("health")));
follow(
  "system:health",
  (body) => {
    const now = JSON.stringify(Object.entries(body.components).map(([name, each]) => [name, /** @type {any} */ (each).status]));
    if (now !== told) lookAgain();
    told = now;
  },
  { onGap: lookAgain, onBegin: null },
);

/** @type {string | undefined} */
let announced;
document.addEventListener("htmx:afterSwap", (event) => {
  const id = /** @type {CustomEvent} */ (event).detail.target.id;
  if (id === "health") announce(document.getElementById("health-words")?.textContent ?? "");
  if (id === "cache") offerToEnd(document.querySelector("[data-mode]")?.getAttribute("data-mode") === "aggressive");
});

/** Read aloud when it changes, and not every few seconds. @param {string} words */
function announce(words) {
  const place = document.getElementById("announced");
  if (place && announced !== undefined && words !== announced) place.textContent = words;
  announced = words;
}

/** @param {boolean} isAggressive */
function offerToEnd(isAggressive) {
  const button = /** @type {HTMLElement | null} */ (document.querySelector('[data-act="end-aggressive-mode"]'));
  if (button) button.hidden = !isAggressive;
}

// --- Acting ---------------------------------------------------------------------------------------
/** @type {Record<string, {question?: {title: string, text: string, action: string, danger?: boolean}, path: string, section: string, words: (answer: any) => string}>} */
const ACTS = {
  "restart-sockets": {
    question: {
      title: "Restart the sockets?",
      text: "Every live connection of everybody is closed. Clients come back by themselves within seconds, and get what they missed.",
      action: "Restart the sockets",
    },
    path: `${SPRINT3}/websocket/restart`,
    section: "sockets",
    words: (answer) => `${answer.connections_closed} connections of ${answer.processes} processes were closed; clients come back by themselves.`,
  },
  "restart-streaming": {
    question: {
      title: "Restart the streaming engines?",
      text: "All engines read their books anew. Live figures pause for a second or two.",
      action: "Restart the engines",
      danger: false,
    },
    path: `${SPRINT3}/analytics/streaming/restart`,
    section: "market-data",
    words: () => "The engines read their books anew, within a second.",
  },
  "start-monitoring": { ...START_MONITORING, section: "monitoring" },
  "stop-monitoring": { ...STOP_MONITORING, section: "monitoring" },
  "end-aggressive-mode": {
    path: `${CACHE}/disable-aggressive-mode`,
    section: "cache",
    words: () => "The aggressive mode has ended.",
  },
};

document.addEventListener("click", async (event) => {
  const button = /** @type {HTMLButtonElement | null} */ (/** @type {Element} */ (event.target).closest?.("[data-act]"));
  const act = button && ACTS[button.dataset.act ?? ""];
  if (!act || (act.question && !(await confirmed(act.question)))) return;
  await carryOut(button, async () => act.words(await post(act.path)), act.section);
});

/** @param {HTMLButtonElement} button @param {() => Promise<string>} work Answers with what was done. @param {string} changed */
async function carryOut(button, work, changed) {
  try {
    const words = await whileBusy(button, work);
    if (words) say(words, "good");
  } catch (error) {
    say(/** @type {Error} */ (error).message, "bad");
  } finally {
    refresh(section(changed));
  }
}

document.addEventListener("submit", async (event) => {
  const form = /** @type {HTMLFormElement} */ (event.target);
  const button = /** @type {HTMLButtonElement} */ (form.querySelector("[type=submit]"));
  if (form.id === "cache-mode") {
    event.preventDefault();
    await carryOut(button, () => enable(Number(new FormData(form).get("minutes"))), "cache");
  } else if (form.id === "cache-clear") {
    event.preventDefault();
    const prefix = String(new FormData(form).get("prefix") ?? "");
    if (await confirmed(questionBeforeClearing(prefix))) await carryOut(button, () => clear(prefix), "cache");
  }
});

/** @param {number} minutes */
async function enable(minutes) {
  await post(`${CACHE}/enable-aggressive-mode`, { seconds: Math.round(60 * minutes) });
  return `The aggressive mode is on, for ${minutes} minutes.`;
}

/** @param {string} prefix */
async function clear(prefix) {
  const { cleared } = await post(`${CACHE}/clear`, prefix ? { prefix } : {});
  return `${cleared} answers are gone; they are computed anew when they are asked for.`;
}

/** @param {string} prefix */
const questionBeforeClearing = (prefix) => ({
  title: prefix ? `Clear the answers of ${prefix}?` : "Clear all answers?",
  text: "They are computed anew when they are asked for, which takes the workers' time. Nothing stored is lost.",
  action: "Clear the cache",
});
