/** What the client follows, and where it stands in it: never a message twice, never past a gap without a word. */

const MAX_KNOWN_TOPICS = 10_000; // of a pattern; `tasks:*` meets a new topic with each task

/**
 * @typedef {import("./nautilus-client.js").Message} Message
 * @typedef {import("./nautilus-client.js").Options} Options
 * @typedef {import("./nautilus-client.js").Handlers} Handlers
 * @typedef {{seq: number, epoch?: string}} Position
 * @typedef {{topic: string, seq: number, epoch: string, recovered: boolean}} Subscribed
 */

/** @param {string} name @param {Options} options */
export function newSubscription(name, options) {
  return name.endsWith("*") ? new Pattern(name, options) : new Topic(name, options);
}

class Subscription {
  /** @type {Set<Handlers>} */
  listeners = new Set();
  isLive = false; // the server has answered, on this connection

  /** @param {string} name @param {Options} options */
  constructor(name, { filters, batch = false }) {
    if (typeof name !== "string" || !name) throw new Error(`'${name}' is no topic; expected e.g. 'system:health'.`);
    this.name = name;
    this.filters = filters && Object.keys(filters).length > 0 ? filters : undefined;
    this.batch = batch;
  }

  /** @returns {Record<string, any>} */
  request() {
    const { name: topic, filters, batch } = this;
    return { type: "subscribe", topic, ...(filters && { filters }), ...(batch && { batch }) };
  }

  /** @param {keyof Handlers} handler @param {any} [value] */
  tell(handler, value) {
    if (handler === "onGap" && ![...this.listeners].some((listener) => listener.onGap)) {
      console.warn(`Nautilus: messages of '${value.topic}' are lost`, value);
    }
    // A copy: a handler may subscribe or stop.
    for (const listener of [...this.listeners]) if (this.listeners.has(listener)) call(listener[handler], value);
  }

  /** @param {Options} options */
  checkShared({ filters, batch = false, since }) {
    const isSame = JSON.stringify(filters) === JSON.stringify(this.filters) && batch === this.batch;
    if (this.listeners.size === 0 || (isSame && since === undefined)) return;
    throw new Error(`'${this.name}' is subscribed to already; expected the same filters and batch, and no since.`);
  }
}

/** Stands at a message of its topic, and takes the next one. */
export class Topic extends Subscription {
  /** @type {Position | undefined} Undefined before the first answer. */
  #position;
  /** @type {Position | undefined} */
  #askedAnewAt;

  /** @param {string} name @param {Options} options */
  constructor(name, options) {
    super(name, options);
    this.#position = options.since === undefined ? undefined : { seq: options.since, epoch: options.epoch };
  }

  request() {
    const { seq: since, epoch } = this.#position ?? {};
    return { ...super.request(), ...(since !== undefined && { since }), ...(epoch !== undefined && { epoch }) };
  }

  /** @param {string} topic */
  covers(topic) {
    return topic === this.name;
  }

  /**
   * By the server's answer, or by its word that messages were lost.
   * @param {Subscribed} frame
   */
  start({ seq, epoch, recovered }) {
    const before = this.#position;
    this.#position = { seq: recovered && before ? before.seq : seq, epoch };
    this.isLive = true;
    if (!before) this.tell("onBegin");
    if (recovered) return;
    const isNewEpoch = before?.epoch !== undefined && before.epoch !== epoch;
    this.tell("onGap", { topic: this.name, after: before?.seq ?? null, upTo: seq, epoch, isNewEpoch });
  }

  /**
   * False when a message before this one is missing, and the server is to be asked for it.
   * @param {Message} message
   */
  take(message) {
    if (!this.isLive || !this.#position) return true;
    const { seq, epoch } = this.#position;
    const isOfEpoch = message.epoch === epoch;
    if (isOfEpoch && message.seq <= seq) return true;
    const isNext = isOfEpoch && (this.filters || message.seq === seq + 1);
    if (!isNext && this.#mayAskAnew({ seq, epoch })) return false;
    this.#position = { seq: message.seq, epoch: message.epoch };
    if (!isNext) this.#tellOfGap(seq, message, !isOfEpoch);
    this.tell("onMessage", message);
    return true;
  }

  /**
   * Once from each place: a server that leaves out the same messages again does not have them.
   * @param {Position} here
   */
  #mayAskAnew(here) {
    const before = this.#askedAnewAt;
    this.#askedAnewAt = here;
    return before?.seq !== here.seq || before.epoch !== here.epoch;
  }

  /** @param {number} after @param {Message} next @param {boolean} isNewEpoch */
  #tellOfGap(after, { topic, seq, epoch }, isNewEpoch) {
    this.tell("onGap", { topic, after, upTo: seq - 1, epoch, isNewEpoch });
  }

  /**
   * Where the server says that a filtered topic stands: what the filter held back need not be looked through again.
   * @param {number} seq
   */
  moveTo(seq) {
    if (this.isLive && this.filters && this.#position) this.#position.seq = Math.max(this.#position.seq, seq);
  }

  /** @param {Subscribed} _frame */
  know(_frame) {}
}

/** All topics that begin alike, each with its own seq. */
export class Pattern extends Subscription {
  /** @type {Map<string, Position>} Of each topic's last message, the topic that was quiet longest first. */
  #known = new Map();
  #hasBegun = false;

  /** @param {string} name @param {Options} options */
  constructor(name, options) {
    if (options.since !== undefined) throw new Error(`since: '${name}' stands for many topics; expected one topic.`);
    super(name, options);
  }

  /** @param {string} topic */
  covers(topic) {
    return covers(this.name, topic);
  }

  /** What a pattern missed the server does not send again: whatever makes it start a second time is a gap. */
  start() {
    const isFirst = !this.#hasBegun;
    this.#hasBegun = this.isLive = true;
    if (isFirst) return this.tell("onBegin");
    this.#known.clear();
    this.tell("onGap", { topic: this.name, after: null, upTo: null, epoch: null, isNewEpoch: false });
  }

  /** @param {Message} message */
  take(message) {
    if (!this.isLive) return true;
    const { topic, seq, epoch } = message;
    const before = this.#known.get(topic);
    const isNewEpoch = before !== undefined && before.epoch !== epoch;
    // The same message comes once for each pattern of this socket that covers it.
    if (before && !isNewEpoch && seq <= before.seq) return true;
    this.#remember(topic, { seq, epoch });
    const isNext = !before || (!isNewEpoch && (this.filters || seq === before.seq + 1));
    if (!isNext) this.tell("onGap", { topic, after: before.seq, upTo: seq - 1, epoch, isNewEpoch });
    this.tell("onMessage", message);
    return true;
  }

  /** @param {number} _seq */
  moveTo(_seq) {}

  /**
   * A topic of ours is subscribed to by name as well: what is sent again for that one is no news here.
   * @param {Subscribed} frame
   */
  know({ topic, seq, epoch }) {
    if (!this.#known.has(topic)) this.#remember(topic, { seq, epoch });
  }

  /** @param {string} topic @param {Position} position */
  #remember(topic, position) {
    this.#known.delete(topic);
    this.#known.set(topic, position);
    const [quietest] = this.#known.keys();
    if (this.#known.size > MAX_KNOWN_TOPICS) this.#known.delete(quietest);
  }
}

/**
 * A message does not say for which subscription it came, so one with filters shares no topic with another.
 * @param {Topic | Pattern} other
 * @param {string} topic
 * @param {Options} options
 */
export function checkDistinct(other, topic, { filters }) {
  const overlap = covers(other.name, topic) || covers(topic, other.name);
  if (!overlap || !(filters || other.filters)) return;
  throw new Error(`'${topic}' and '${other.name}' overlap and one has filters; expected a client for each.`);
}

/**
 * Whether a pattern takes in a topic, or all topics of another pattern.
 * @param {string} pattern
 * @param {string} name
 */
function covers(pattern, name) {
  const isOpenWord = pattern.includes(":") || !name.includes(":"); // `news*` does not reach into `news:…`
  return pattern.endsWith("*") && isOpenWord && name.startsWith(pattern.slice(0, -1));
}

/**
 * A handler's mistake is reported, and stops nobody else.
 * @param {((...values: any[]) => void) | undefined} handler
 * @param {any[]} values
 */
export function call(handler, ...values) {
  try {
    handler?.(...values);
  } catch (error) {
    (globalThis.reportError ?? console.error)(error);
  }
}
