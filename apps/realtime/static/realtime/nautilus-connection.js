/** One socket of the client, from its opening to its end. */

const OPEN = 1;
const NO_CLOSE_FRAME = 1006;

/**
 * Answers are awaited here: a connection on which one is due and nothing comes is dead, whatever the browser says. So
 * is one on which others come and this one does not, only that takes longer to tell.
 *
 * @typedef {import("./nautilus-subscriptions.js").Topic | import("./nautilus-subscriptions.js").Pattern} Subscription
 *
 * @typedef {object} Question What was asked.
 * @property {Record<string, any>} fields
 * @property {Subscription | null} subscription Whose request it is; null for a ping or an end.
 * @property {number} failures How often it was refused for a while before.
 * @property {ReturnType<typeof setTimeout>} timer Ends the connection where the answer does not come.
 * @property {Connection} connection
 *
 * @typedef {object} Owner
 * @property {() => void} opened
 * @property {(frame: any, question?: Question) => void} received With what it answers, if anything.
 * @property {(code: number, detail: string) => void} ended Called once.
 */
export class Connection {
  /** @type {WebSocket | null} */
  #socket;
  #timing;
  /** @type {Owner | null} */
  #owner;
  /** @type {Map<number, Question>} By id, those without an answer yet, the oldest first. */
  #questions = new Map();
  #nextId = 1;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #heartbeat;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #deadline;
  #due = Infinity;

  /**
   * @param {WebSocket} socket
   * @param {{heartbeat: number, deadline: number, answer: number}} timing Seconds.
   * @param {Owner} owner
   */
  constructor(socket, timing, owner) {
    this.#socket = socket;
    this.#timing = timing;
    this.#owner = owner;
    this.#expect(timing.deadline);
    socket.onopen = () => this.#opened();
    socket.onmessage = ({ data }) => this.#received(JSON.parse(data));
    socket.onclose = ({ code, reason }) => this.#end(code, reason);
    socket.onerror = () => {}; // a close follows
  }

  /**
   * Before the socket is open, and after its end, nothing is sent: the owner asks when one is open.
   * @param {Record<string, any>} fields
   * @param {Subscription | null} subscription
   */
  ask(fields, subscription = null, failures = 0) {
    if (this.#socket?.readyState !== OPEN) return;
    const id = this.#nextId++;
    const timer = this.#dropAfter(this.#timing.answer);
    this.#questions.set(id, { fields, subscription, failures, timer, connection: this });
    this.#socket.send(JSON.stringify({ ...fields, id }));
    this.#expect(this.#timing.deadline);
  }

  ping(patience = this.#timing.deadline) {
    this.ask({ type: "ping" });
    this.#expect(patience);
  }

  /**
   * Ends it now: the socket's own end comes a minute later where the network is gone.
   * @param {string} detail
   */
  drop(detail) {
    const socket = this.#socket;
    this.#end(NO_CLOSE_FRAME, detail);
    socket?.close();
  }

  /** Ends it, and the owner hears no more. */
  close() {
    this.#owner = null;
    this.drop("");
  }

  #opened() {
    this.#forgetDeadline();
    // Its answer says that we are let in: a refusal comes as a close after the opening.
    this.ping();
    this.#heartbeat = setInterval(() => this.ping(), this.#timing.heartbeat * 1000);
    this.#owner?.opened();
  }

  /** @param {any} frame */
  #received(frame) {
    const question = this.#answered(frame);
    this.#forgetDeadline();
    if (this.#questions.size > 0) this.#expect(this.#timing.deadline);
    this.#owner?.received(frame, question);
  }

  /**
   * What a frame answers. One that was too many is not read, so its answer has no id; answers come in order.
   * @param {{id?: number, code?: string}} frame
   */
  #answered({ id, code }) {
    const [oldest] = this.#questions.keys();
    const asked = id ?? (code === "rate_limited" ? oldest : NaN);
    const question = this.#questions.get(asked);
    clearTimeout(question?.timer);
    this.#questions.delete(asked);
    return question;
  }

  /**
   * An earlier deadline stays.
   * @param {number} patience Seconds.
   */
  #expect(patience) {
    const due = performance.now() + patience * 1000;
    if (due >= this.#due) return;
    this.#forgetDeadline();
    this.#due = due;
    this.#deadline = this.#dropAfter(patience);
  }

  /** @param {number} seconds */
  #dropAfter(seconds) {
    return setTimeout(() => this.drop(`no answer for ${seconds} s`), seconds * 1000);
  }

  #forgetDeadline() {
    clearTimeout(this.#deadline);
    this.#due = Infinity;
  }

  /** @param {number} code @param {string} detail */
  #end(code, detail) {
    if (!this.#socket) return;
    this.#socket.onopen = this.#socket.onmessage = this.#socket.onclose = null;
    this.#socket = null;
    this.#forgetDeadline();
    clearInterval(this.#heartbeat);
    this.#questions.forEach(({ timer }) => clearTimeout(timer));
    this.#owner?.ended(code, detail);
  }
}
