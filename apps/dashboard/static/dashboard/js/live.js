/**
 * The page's one WebSocket, and what the frame says of it. Words are honest: "Live" only while the connection stands,
 * the seconds until the next try while it does not, how many messages came late, and that some are lost where they are.
 *
 *     import { follow } from "/static/dashboard/js/live.js";
 *     follow("risk:alerts:PORTFOLIO_001", (data) => show(data), { onGap: () => location.reload() });
 */

import { NautilusClient } from "../../realtime/nautilus-client.js";

const SETTLING_MILLISECONDS = 1500; // what was missed comes within this after the connection is back
const TOLD_MILLISECONDS = 6000;

/** @type {NautilusClient | undefined} */
let client;
/** @type {{since: number, messages: number, lost: boolean} | null} */
let catchingUp = null;
let retryAt = 0;
/** @type {string} */
let standing = "connecting";
/** @type {ReturnType<typeof setInterval> | undefined} */
let ticking;

/**
 * @param {string} topic
 * @param {(data: any, message: any) => void} onData
 * @param {{onGap?: () => void, filters?: object, since?: number}} [options] `onGap`: messages are lost, read again.
 * @returns {() => void} Ends it.
 */
export function follow(topic, onData, { onGap, filters, since } = {}) {
  client ??= connected();
  return client.subscribe(topic, { batch: true, ...(filters && { filters }), ...(since !== undefined && { since }) }, {
    onMessage: (message) => {
      if (catchingUp && new Date(message.timestamp).getTime() < catchingUp.since) catchingUp.messages++;
      onData(message.data, message);
    },
    onGap: () => {
      if (catchingUp) catchingUp.lost = true;
      onGap?.();
    },
    onError: (problem) => tell("refused", `Not live: ${problem.detail}`),
  });
}

/** Connects, also where the page follows nothing: the frame then says whether Nautilus is there. */
export function connect() {
  client ??= connected();
}

function connected() {
  const made = new NautilusClient();
  made.onStatus((status, detail) => changed(status, detail));
  return made;
}

/** @param {string} status @param {{detail?: string, delaySeconds?: number}} detail */
function changed(status, detail) {
  clearInterval(ticking);
  const before = standing;
  if (status === "waiting") {
    retryAt = Date.now() + 1000 * (detail.delaySeconds ?? 0);
    standing = "waiting";
    countDown();
    ticking = setInterval(countDown, 250);
  } else if (status === "live") {
    standing = "live";
    if (before === "waiting") catchUp();
    else tell("live", "Live");
  } else if (status === "refused") {
    standing = "refused";
    tell("refused", `Not live: ${detail.detail ?? "refused"}`);
  } else if (standing !== "waiting") {
    tell("connecting", "Connecting");
  }
}

function countDown() {
  const seconds = Math.ceil((retryAt - Date.now()) / 1000);
  tell("waiting", seconds > 0 ? `Disconnected, trying again in ${seconds} s` : "Disconnected, trying again");
}

function catchUp() {
  catchingUp = { since: Date.now(), messages: 0, lost: false };
  tell("live", "Live again");
  setTimeout(() => {
    const { messages, lost } = catchingUp ?? { messages: 0, lost: false };
    catchingUp = null;
    if (standing !== "live") return;
    if (lost) tell("live", "Live again; figures were read anew");
    else if (messages) tell("live", `Caught up ${messages} message${messages === 1 ? "" : "s"}`);
    setTimeout(() => standing === "live" && !catchingUp && tell("live", "Live"), TOLD_MILLISECONDS);
  }, SETTLING_MILLISECONDS);
}

/** @param {string} state @param {string} words */
function tell(state, words) {
  const element = document.getElementById("connection");
  if (!element) return;
  if (element.dataset.state !== state) element.dataset.state = state;
  if (element.textContent !== words) element.textContent = words;
  document.dispatchEvent(new CustomEvent("nautilus:connection", { detail: { state, words } }));
}
