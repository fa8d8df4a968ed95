/**
 * The page's one WebSocket, and what the frame says of it. Words are honest: "Live" only while the connection stands and
 * something comes over it, the seconds until the next try while it does not stand, how many messages came late, and
 * that some are lost where they are.
 *
 *     import { follow } from "/static/dashboard/js/live.js";
 *     follow("risk:alerts:PORTFOLIO_001", (data) => show(data), { onGap: () => location.reload() });
 */

import { NautilusClient } from "../../realtime/nautilus-client.js";

const SETTLING_MILLISECONDS = 1500; // what was missed comes within this after the connection is back
const TOLD_MILLISECONDS = 6000;
// A connection stands also while Redis is away, and nothing comes. The platform's word on its own health comes by the
// same way as everything else, every 7 to 11 s: without it "Live" would be a lie.
const BEAT = "system:health";
const SILENT_MILLISECONDS = 15000;
const LOOK_MILLISECONDS = 2000;
const LATE_MILLISECONDS = 3000; // under way for longer than a batch and a slow machine take

/** @type {NautilusClient | undefined} */
let client;
/** @type {{isLate: (moment: number) => boolean, messages: number, lost: boolean} | null} */
let catchingUp = null;
let heardAt = 0;
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
      if (catchingUp?.isLate(new Date(message.timestamp).getTime())) catchingUp.messages++;
      heard();
      onData(message.data, message);
    },
    onGap: () => {
      if (catchingUp) catchingUp.lost = true;
      heard();
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
  // Who may not hear it is told nothing of silence.
  made.subscribe(BEAT, { batch: true }, { onMessage: heard, onGap: heard, onError: () => clearInterval(listening) });
  let looked = Date.now();
  const listening = setInterval(() => {
    const slept = Date.now() - looked > 3 * LOOK_MILLISECONDS; // as in a window that nobody sees
    looked = Date.now();
    if (slept) heardAt = looked;
    else if (standing === "live" && looked - heardAt > SILENT_MILLISECONDS) fallSilent();
  }, LOOK_MILLISECONDS);
  return made;
}

function heard() {
  heardAt = Date.now();
  if (standing !== "silent") return;
  standing = "live";
  settle();
}

function fallSilent() {
  standing = "silent";
  catchingUp = { isLate: (moment) => Date.now() - moment > LATE_MILLISECONDS, messages: 0, lost: false };
  tell("waiting", "Disconnected: no news from Nautilus");
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
    heardAt = Date.now();
    if (before === "waiting" || before === "silent") catchUp();
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
  const since = Date.now();
  catchingUp = { isLate: (moment) => moment < since, messages: 0, lost: false };
  settle();
}

function settle() {
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
