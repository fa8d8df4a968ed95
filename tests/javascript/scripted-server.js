/** A server that says what the test tells it to, and shows what it was asked. */

import { once } from "node:events";
import { WebSocket, WebSocketServer } from "ws";
import { NautilusClient } from "../../apps/realtime/static/realtime/nautilus-client.js";

const QUICK = { firstRetry: 0.001, lastRetry: 0.01 };

/** What comes, in order, for whoever waits for it. */
class Queue {
  #items = [];
  #waiting = [];

  put(item) {
    this.#items.push(item);
    this.#waiting.splice(0).forEach((look) => look());
  }

  async take(isWanted = () => true) {
    for (;;) {
      const place = this.#items.findIndex(isWanted);
      if (place >= 0) return this.#items.splice(place, 1)[0];
      await new Promise((look) => this.#waiting.push(look));
    }
  }
}

/** One client's connection, seen from the server. */
export class Peer {
  frames = new Queue();
  answersPings = true;

  constructor(socket, path) {
    this.socket = socket;
    this.path = path;
    socket.on("message", (text) => this.#hear(JSON.parse(text)));
    socket.on("close", () => this.frames.put({ type: "closed" }));
  }

  #hear(frame) {
    if (frame.type === "ping" && this.answersPings) this.say({ type: "pong", id: frame.id });
    else this.frames.put(frame);
  }

  say(frame) {
    this.socket.send(JSON.stringify(frame));
  }

  asked(type) {
    return this.frames.take((frame) => frame.type === type);
  }

  /** Waits for a subscription and answers it. */
  async subscribed(answer = {}) {
    const { id, ...asked } = await this.asked("subscribe");
    this.say({ type: "subscribed", topic: asked.topic, seq: 0, epoch: "e1", recovered: true, id, ...answer });
    return asked;
  }

  messages(topic, ...seqs) {
    seqs.forEach((seq) => this.say(message(topic, seq)));
  }
}

export function message(topic, seq, epoch = "e1") {
  return { type: "message", topic, seq, epoch, timestamp: "2026-01-01T00:00:00Z", data: { number: seq } };
}

export class ScriptedServer {
  #peers = new Queue();
  #clients = [];
  count = 0;
  port = 0;
  answersPings = true;

  static async start() {
    const server = new ScriptedServer();
    await server.comeBack();
    return server;
  }

  async comeBack() {
    this.listener = new WebSocketServer({ host: "127.0.0.1", port: this.port });
    this.listener.on("connection", (socket, request) => this.#welcome(socket, request.url));
    await once(this.listener, "listening");
    this.port = this.listener.address().port;
  }

  async goAway() {
    this.listener.clients.forEach((socket) => socket.terminate());
    await new Promise((done) => this.listener.close(done));
  }

  #welcome(socket, path) {
    this.count += 1;
    const peer = new Peer(socket, path);
    peer.answersPings = this.answersPings;
    this.#peers.put(peer);
  }

  /** The next connection that was not looked at yet. */
  connection() {
    return this.#peers.take();
  }

  client(options = {}) {
    const { timing, ...others } = options;
    const url = `ws://127.0.0.1:${this.port}/ws`;
    const client = new NautilusClient({ url, WebSocket, timing: { ...QUICK, ...timing }, ...others });
    this.#clients.push(client);
    return client;
  }

  /** A client that follows `topic`, and its connection seen from here. */
  async following(topic = "news", options = {}, clientOptions = {}) {
    const client = this.client(clientOptions);
    const notes = new Notes();
    const stop = client.subscribe(topic, options, notes);
    const peer = await this.connection();
    const asked = await peer.subscribed(topic.endsWith("*") ? { seq: null, epoch: null } : {});
    return { client, notes, stop, peer, asked };
  }

  /** Another client has come and was served: time enough for the first one to have done what it must not do. */
  async servesSomebodyElse() {
    await statusOf(this.client()).is("live");
    await this.connection();
  }

  async stop() {
    this.#clients.forEach((client) => client.close());
    await this.goAway();
  }
}

/** Handlers that note what they are told. */
export class Notes {
  #told = new Queue();
  all = [];
  onMessage = ({ topic, seq }) => this.#note([topic, seq]);
  onGap = ({ topic, after, upTo, isNewEpoch }) => this.#note(["gap", topic, after, upTo, isNewEpoch]);
  onError = ({ code, topic }) => this.#note(["error", topic, code]);

  #note(what) {
    this.all.push(what);
    this.#told.put(what);
  }

  /** The next of what was told, so many. */
  async next(count = 1) {
    const told = [];
    while (told.length < count) told.push(await this.#told.take());
    return told;
  }
}

export function statusOf(client) {
  const statuses = new Queue();
  client.onStatus((status, detail) => statuses.put({ status, ...detail }));
  return { is: (wanted) => statuses.take(({ status }) => status === wanted) };
}
