/**
 * The page's one WebSocket, and what the frame says of it. Words are honest: "Live" only while the connection stands and
 * something comes over it, the seconds until the next try while it does not stand, how many messages came late, and
 * that some are lost where they are.
 *
 *     import { follow } from "/static/dashboard/js/live.js";
 *     follow("risk:alerts:PORTFOLIO_001", (data) => show(data), { onGap: () => location.reload() });
 */

import { NautilusClient } from "../../realtime/nautilus-client.js";
import { heardOf, now } from "./clock.js";

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
/** What the server said of topics that it refuses, by topic. @type {Map<string, string>} */
const refused = new Map();

/**
 * @param {string} topic
 * @param {(data: any, message: any) => void} onData
 * @param {{onGap?: () => void, onBegin?: (() => void) | null, filters?: object}} [options]
 *   `onGap`: messages are lost, read again. `onBegin`: the same for what was told after the page was drawn and before it
 *   was followed; null where all of it comes again by itself.
 * @returns {() => void} Ends it.
 */
export function follow(topic, onData, { onGap, onBegin = onGap, filters } = {}) {
  client ??= connected();
  const stop = client.subscribe(topic, { batch: true, ...(filters && { filters }) }, {
    onBegin: () => onBegin?.(),
    onMessage: (message) => {
      if (catchingUp?.isLate(new Date(message.timestamp).getTime())) catchingUp.messages++;
      heard(message);
      onData(message.data, message);
    },
    onGap: () => {
      if (catchingUp) catchingUp.lost = true;
      heard();
      onGap?.();
    },
    onError: ({ detail }) => {
      if (standing === "refused") return; // all of the connection, which is told of by itself
      refused.set(topic, detail);
      if (standing === "live") tellLive();
    },
  });
  return () => {
    stop();
    if (refused.delete(topic) && standing === "live") tellLive();
  };
}

/** Connects, also where the page follows nothing: the frame then says whether Nautilus is there. */
export function connect() {
  client ??= connected();
}

function connected() {
  const made = new NautilusClient();
  made.onStatus((status, detail) => changed(status, detail));
  // Who may not hear it is told nothing of silence.
  made.subscribe(BEAT, { batch: true }, { onMessage: heard, onGap: () => heard(), onError: () => clearInterval(listening) });
  let looked = Date.now();
  const listening = setInterval(() => {
    const slept = Date.now() - looked > 3 * LOOK_MILLISECONDS; // as in a window that nobody sees
    looked = Date.now();
    if (slept) heardAt = looked;
    else if (standing === "live" && looked - heardAt > SILENT_MILLISECONDS) fallSilent();
  }, LOOK_MILLISECONDS);
  return made;
}

/** @param {{timestamp: string}} [message] */
function heard(message) {
  heardAt = Date.now();
  if (message) heardOf(message.timestamp);
  if (standing !== "silent") return;
  standing = "live";
  settle();
}

function fallSilent() {
  standing = "silent";
  catchingUp = { isLate: (moment) => now() - moment > LATE_MILLISECONDS, messages: 0, lost: false };
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
    else tellLive();
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
  const since = now();
  catchingUp = { isLate: (moment) => moment < since, messages: 0, lost: false };
  settle();
}

function settle() {
  tellLive("Live again");
  setTimeout(() => {
    const { messages, lost } = catchingUp ?? { messages: 0, lost: false };
    catchingUp = null;
    if (standing !== "live") return;
    if (lost) tellLive("Live again; figures were read anew");
    else if (messages) tellLive(`Caught up ${messages} message${messages === 1 ? "" : "s"}`);
    setTimeout(() => standing === "live" && !catchingUp && tellLive(), TOLD_MILLISECONDS);
  }, SETTLING_MILLISECONDS);
}

/** Where a topic is refused, that comes first: most of the page is live, and not all of it. */
function tellLive(words = "Live") {
  const [why] = refused.values();
  const more = refused.size > 1 ? ` And ${refused.size - 1} more.` : "";
  if (why === undefined) tell("live", words);
  else tell("partly", `Live in part: ${why}${more}`);
}

/** @param {string} state @param {string} words */
function tell(state, words) {
  const element = document.getElementById("connection");
  if (!element) return;
  if (element.dataset.state !== state) element.dataset.state = state;
  if (element.textContent !== words) element.textContent = words;
  document.dispatchEvent(new CustomEvent("nautilus:connection", { detail: { state, words } }));
}
