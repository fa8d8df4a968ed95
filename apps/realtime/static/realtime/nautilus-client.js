/**
 * Follows topics of Nautilus over one WebSocket (contract, section 9). A plain ES module; nothing to install or build.
 *
 *     import { NautilusClient } from "/static/realtime/nautilus-client.js";
 *     const client = new NautilusClient();
 *     const stop = client.subscribe("risk:alerts:PORTFOLIO_001", {}, {
 *       onMessage: (message) => show(message.data),
 *       onGap: (gap) => reloadAll(),
 *     });
 *
 * A lost connection is made anew, and what was missed comes then. Of each topic every message comes once and in
 * order; what the server does not have any more is told by `onGap`, before the first message after it.
 *
 * @typedef {{type: "message", topic: string, seq: number, epoch: string, timestamp: string, data: any}} Message
 *
 * @typedef {object} Gap Messages that will not come.
 * @property {string} topic The topic, or the pattern where nobody knows which topics are concerned.
 * @property {number | null} after The last message that came before the gap; null: unknown.
 * @property {number | null} upTo The last message that is lost; null: unknown.
 * @property {string | null} epoch Whose `seq` `upTo` is; null for a pattern.
 * @property {boolean} isNewEpoch Whether the history began anew, so that `after` is of an earlier epoch.
 *
 * @typedef {{code: string | number, detail: string, topic: string}} Problem
 *
 * @typedef {object} Handlers
 * @property {(message: Message) => void} onMessage
 * @property {() => void} [onBegin] It stands for the first time, and began with what comes from now: what was published
 *   before, and after the page was drawn, is to be read otherwise.
 * @property {(gap: Gap) => void} [onGap] Without it a gap is a warning in the console.
 * @property {(problem: Problem) => void} [onError] The subscription was refused, or the whole connection was.
 *
 * @typedef {object} Options
 * @property {Record<string, any>} [filters] Only messages whose data match, e.g. `{severity: "critical"}`.
 * @property {boolean} [batch] Many messages in one frame, up to a second later; handlers see no difference.
 * @property {number} [since] The `seq` after which to begin; 0: all that is kept; left out: what comes from now.
 * @property {string} [epoch] Whose `seq` that is, as it stands in every message.
 *
 * @typedef {"connecting" | "live" | "waiting" | "refused" | "closed"} Status
 * @typedef {{code?: number, detail?: string, delaySeconds?: number}} StatusDetail
 * @typedef {(status: Status, detail: StatusDetail) => void} Watcher
 *
 * @typedef {import("./nautilus-connection.js").Question} Question
 * @typedef {import("./nautilus-subscriptions.js").Topic | import("./nautilus-subscriptions.js").Pattern} Subscription
 */

import { Connection } from "./nautilus-connection.js";
import { call, checkDistinct, newSubscription } from "./nautilus-subscriptions.js";

// The server closes with these when to come again would not help: no credentials, forbidden, no such path.
const REFUSALS = new Set([4401, 4403, 4404]);
const FOR_A_WHILE = new Set(["unavailable", "rate_limited"]);

/** Seconds. */
const TIMING = {
  heartbeat: 20, // browsers cannot send a protocol ping, so a frame is sent
  deadline: 10, // nothing came for so long while an answer was due: the connection is dead
  answer: 30, // other things came, and the answer did not; it may stand behind messages of other topics
  check: 3, // the same when the page has just come back, and the user looks at it
  firstRetry: 0.2,
  lastRetry: 10,
  settled: 10, // a connection that stood so long lets the delays begin anew
};

/**
 * A random delay in seconds, up to a limit that doubles: after an outage the clients do not all come at one moment.
 * @param {number} failures How many there were before.
 */
export function retryDelay(failures, random = Math.random, timing = TIMING) {
  return random() * Math.min(timing.lastRetry, timing.firstRetry * 2 ** failures);
}

export class NautilusClient {
  #url;
  #options;
  #timing;
  /** @type {Map<string, Subscription>} */
  #subscriptions = new Map();
  /** @type {Set<Watcher>} */
  #watchers = new Set();
  /** @type {Status} */
  #status = "connecting";
  /** @type {StatusDetail} */
  #detail = {};
  /** @type {Connection | null} */
  #connection = null;
  #turn = 0; // of connecting; what an earlier turn still brings is void
  #failures = 0;
  #liveSince = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  #forgetPage;

  /**
   * Connects at once.
   * @param {object} [options]
   * @param {string} [options.url] `/ws` of the page's host if left out.
   * @param {() => Promise<string>} [options.ticket] Asked before each connection; the session cookie if left out. An
   *   error it throws with `status` 401 or 403 is a refusal; after any other one it is asked again.
   * @param {typeof globalThis.WebSocket} [options.WebSocket] For environments without one, e.g. `ws` under Node 20.
   * @param {() => number} [options.random] In [0, 1), for the delays.
   * @param {Partial<typeof TIMING>} [options.timing] Seconds.
   */
  constructor({ url = "/ws", ticket, WebSocket = globalThis.WebSocket, random = Math.random, timing = {} } = {}) {
    if (!WebSocket) throw new Error("There is no WebSocket here; expected one in the options, e.g. that of 'ws'.");
    this.#url = new URL(url, globalThis.location?.href);
    this.#url.protocol = this.#url.protocol.replace("http", "ws");
    this.#options = { ticket, WebSocket, random };
    this.#timing = { ...TIMING, ...timing };
    this.#forgetPage = onReturnToPage(() => this.#lookAgain());
    this.#connect();
  }

  /**
   * @param {string} topic A topic, or the beginning of topics and `*`.
   * @param {Options | undefined} options
   * @param {Handlers} handlers
   * @returns {() => void} Ends the subscription.
   */
  subscribe(topic, options, handlers) {
    this.#checkOpen();
    const subscription = this.#subscriptions.get(topic) ?? this.#begin(topic, options ?? {});
    subscription.checkShared(options ?? {});
    const listener = { ...handlers };
    subscription.listeners.add(listener);
    return () => this.#leave(subscription, listener);
  }

  /**
   * Calls with the status now, and with each that follows. "waiting" comes with `delaySeconds`, "waiting" and
   * "refused" with `code` and `detail` of what went wrong.
   * @param {Watcher} watcher
   * @returns {() => void} Ends it.
   */
  onStatus(watcher) {
    this.#watchers.add(watcher);
    call(watcher, this.#status, this.#detail);
    return () => this.#watchers.delete(watcher);
  }

  /** Connects now: also after a refusal, e.g. when the user has signed in again. */
  reconnect() {
    this.#checkOpen();
    this.#abandon();
    this.#connect();
  }

  close() {
    this.#abandon();
    this.#forgetPage();
    this.#subscriptions.clear();
    this.#setStatus("closed");
  }

  #checkOpen() {
    if (this.#status === "closed") throw new Error("The client was closed; make a new one.");
  }

  // --- Subscriptions ---------------------------------------------------------------------------------
  /** @param {string} topic @param {Options} options */
  #begin(topic, options) {
    for (const other of this.#subscriptions.values()) checkDistinct(other, topic, options);
    const subscription = newSubscription(topic, options);
    this.#subscriptions.set(topic, subscription);
    this.#ask(subscription);
    return subscription;
  }

  /** @param {Subscription} subscription @param {Handlers} listener */
  #leave(subscription, listener) {
    subscription.listeners.delete(listener);
    if (subscription.listeners.size > 0 || !this.#isCurrent(subscription)) return;
    this.#subscriptions.delete(subscription.name);
    this.#connection?.ask({ type: "unsubscribe", topic: subscription.name });
  }

  /** @param {Subscription} subscription */
  #ask(subscription) {
    subscription.isLive = false;
    this.#connection?.ask(subscription.request(), subscription);
  }

  /**
   * A message is missing, which a server does not let happen: the subscription is made anew, from where it stands.
   * @param {Subscription} subscription
   */
  #askAnew(subscription) {
    this.#connection?.ask({ type: "unsubscribe", topic: subscription.name });
    this.#ask(subscription);
  }

  // --- What the server says --------------------------------------------------------------------------
  /** @param {any} frame @param {Question} [question] */
  #receive(frame, question) {
    if (this.#status !== "live") this.#becomeLive();
    if (frame.type === "message") this.#deliver(frame);
    else if (frame.type === "batch") frame.messages.forEach((/** @type {Message} */ message) => this.#deliver(message));
    else if (frame.type === "pong") this.#note(frame.positions ?? {});
    else if (frame.type === "subscribed") this.#subscribed(frame, question);
    else if (frame.type === "unsubscribed" && !question) this.#lostRights(frame.topic);
    else if (frame.type === "error") this.#failed(frame, question);
  }

  /** @param {Message} message */
  #deliver(message) {
    for (const subscription of this.#subscriptions.values()) {
      if (subscription.covers(message.topic) && !subscription.take(message)) this.#askAnew(subscription);
    }
  }

  /** @param {Record<string, number>} positions */
  #note(positions) {
    for (const [topic, seq] of Object.entries(positions)) this.#subscriptions.get(topic)?.moveTo(seq);
  }

  /** @param {any} frame @param {Question} [question] */
  #subscribed(frame, question) {
    const subscription = this.#subscriptions.get(frame.topic);
    // Neither an answer to who has left meanwhile, nor news for a subscription that is being made anew.
    if (!subscription || (question ? question.subscription !== subscription : !subscription.isLive)) return;
    subscription.start(frame);
    // Nothing is sent again for one that began with what is published from now on.
    if (frame.seq === null || question?.fields.since === undefined) return;
    for (const other of this.#subscriptions.values()) {
      if (other !== subscription && other.covers(frame.topic)) other.know(frame);
    }
  }

  /** @param {{code: string, detail: string}} problem @param {Question} [question] */
  #failed({ code, detail }, question) {
    if (!question) console.warn(`Nautilus: ${code}: ${detail}`);
    else if (FOR_A_WHILE.has(code)) this.#askLater(question);
    else if (code === "already_subscribed") question.connection.drop(`${code}: ${detail}`);
    else if (this.#isCurrent(question.subscription)) this.#giveUp(question.subscription, { code, detail });
  }

  /**
   * What nobody asked for: the server has looked again at who may read the topic.
   * @param {string} topic
   */
  #lostRights(topic) {
    const subscription = this.#subscriptions.get(topic);
    const detail = `There is no topic '${topic}' that you may read any more.`;
    if (subscription?.isLive) this.#giveUp(subscription, { code: "not_found", detail });
  }

  /** @param {Subscription | null} subscription @returns {subscription is Subscription} */
  #isCurrent(subscription) {
    return subscription !== null && this.#subscriptions.get(subscription.name) === subscription;
  }

  /** @param {Subscription} subscription @param {{code: string, detail: string}} problem */
  #giveUp(subscription, problem) {
    this.#subscriptions.delete(subscription.name);
    subscription.tell("onError", { ...problem, topic: subscription.name });
  }

  /** @param {Question} question */
  #askLater({ fields, subscription, connection, failures }) {
    if (fields.type === "ping") return; // the next one comes by itself
    const isWanted = () => subscription === null || this.#isCurrent(subscription);
    const askAgain = () => isWanted() && connection.ask(fields, subscription, failures + 1);
    setTimeout(askAgain, 1000 * retryDelay(failures, this.#options.random, this.#timing));
  }

  // --- The connection --------------------------------------------------------------------------------
  async #connect() {
    const turn = ++this.#turn;
    this.#setStatus("connecting");
    try {
      const address = await within(this.#timing.deadline, this.#address());
      if (turn === this.#turn) this.#open(address);
    } catch (error) {
      if (turn === this.#turn) this.#notConnected(/** @type {Error} */ (error));
    }
  }

  /** @param {Error & {status?: number}} error */
  #notConnected({ status, message }) {
    if (status === 401 || status === 403) this.#refuse(status, message);
    else this.#wait({ detail: `no connection: ${message}` });
  }

  async #address() {
    const address = new URL(this.#url);
    if (this.#options.ticket) address.searchParams.set("ticket", await this.#options.ticket());
    return address.href;
  }

  /** @param {string} address */
  #open(address) {
    this.#connection = new Connection(new this.#options.WebSocket(address), this.#timing, {
      opened: () => this.#subscriptions.forEach((subscription) => this.#ask(subscription)),
      received: (frame, question) => this.#receive(frame, question),
      ended: (code, detail) => this.#ended(code, detail),
    });
  }

  #becomeLive() {
    this.#liveSince = performance.now();
    this.#setStatus("live");
  }

  /** @param {number} code @param {string} detail */
  #ended(code, detail) {
    this.#connection = null;
    if (this.#hasStood()) this.#failures = 0;
    if (REFUSALS.has(code)) this.#refuse(code, detail);
    else this.#wait({ code, detail });
  }

  #hasStood() {
    return this.#status === "live" && performance.now() - this.#liveSince >= this.#timing.settled * 1000;
  }

  /** @param {StatusDetail} why */
  #wait(why) {
    const delaySeconds = retryDelay(this.#failures++, this.#options.random, this.#timing);
    this.#timer = setTimeout(() => this.#connect(), delaySeconds * 1000);
    this.#setStatus("waiting", { ...why, delaySeconds });
  }

  /** @param {number} code @param {string} detail */
  #refuse(code, detail) {
    this.#setStatus("refused", { code, detail });
    this.#subscriptions.forEach((each) => each.tell("onError", { code, detail, topic: each.name }));
  }

  #abandon() {
    this.#turn++;
    clearTimeout(this.#timer);
    this.#connection?.close();
    this.#connection = null;
  }

  /** The page is seen, or the network is there, after it was not: no waiting, no trust in the connection. */
  #lookAgain() {
    if (this.#status === "waiting") this.reconnect();
    else this.#connection?.ping(this.#timing.check);
  }

  /** @param {Status} status @param {StatusDetail} detail */
  #setStatus(status, detail = {}) {
    this.#status = status;
    this.#detail = detail;
    this.#watchers.forEach((watcher) => call(watcher, status, detail));
  }
}

/**
 * Calls `work` when the user comes back to the page or the network to the machine; gives what ends that.
 * @param {() => void} work
 */
function onReturnToPage(work) {
  const { window, document } = globalThis;
  const ifVisible = () => document.visibilityState === "visible" && work();
  window?.addEventListener("online", work);
  document?.addEventListener("visibilitychange", ifVisible);
  return () => {
    window?.removeEventListener("online", work);
    document?.removeEventListener("visibilitychange", ifVisible);
  };
}

/** @template T @param {number} seconds @param {Promise<T>} promise @returns {Promise<T>} */
function within(seconds, promise) {
  /** @type {ReturnType<typeof setTimeout>} */
  let timer;
  /** @type {Promise<never>} */
  const tooLate = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no ticket within ${seconds} s`)), seconds * 1000);
  });
  return Promise.race([promise, tooLate]).finally(() => clearTimeout(timer));
}
