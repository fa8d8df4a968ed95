/** What the JavaScript client tells of its topics, whatever the server and the connection do. */

import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";
import { message, Notes, ScriptedServer, statusOf } from "./scripted-server.js";

let server;
beforeEach(async () => (server = await ScriptedServer.start()));
afterEach(() => server.stop());

const equal = assert.deepEqual;

/** The client has read all that the peer said. */
async function isUpToDate(client, peer) {
  const refused = new Notes();
  client.subscribe("none", {}, refused);
  peer.say({ type: "error", code: "not_found", detail: "", id: (await peer.asked("subscribe")).id });
  await refused.next();
}

// --- Once and in order ---------------------------------------------------------------------------------
test("messages come in order, and one that comes twice is told once", async () => {
  const { notes, peer } = await server.following();
  peer.messages("news", 1, 1, 2, 1, 2, 3);
  equal(await notes.next(3), [["news", 1], ["news", 2], ["news", 3]]);
});

test("messages of a batch come one by one", async () => {
  const { notes, peer, asked } = await server.following("news", { batch: true });
  assert.equal(asked.batch, true);
  peer.say({ type: "batch", messages: [message("news", 1), message("news", 2)] });
  equal(await notes.next(2), [["news", 1], ["news", 2]]);
});

for (const topic of ["news", "news*"]) {
  test(`${topic}: that it stands is told once, and not to those who begin with an earlier message`, async () => {
    const client = server.client();
    const [notes, since] = [new Notes(), new Notes()];
    let begun = 0;
    client.subscribe(topic, {}, Object.assign(notes, { onBegin: () => begun++ }));
    client.subscribe("older", { since: 3 }, Object.assign(since, { onBegin: () => begun++ }));
    const answer = topic.endsWith("*") ? { seq: null, epoch: null } : {};
    const peer = await server.connection();
    await peer.subscribed(answer);
    await peer.subscribed({ seq: 3 });
    peer.messages("news", 1);
    await notes.next();
    assert.equal(begun, 1);
    peer.socket.close(1012);
    const again = await server.connection();
    await again.subscribed(answer);
    await again.subscribed({ seq: 3 });
    again.messages("news", 2);
    await notes.next();
    assert.equal(begun, 1);
  });
}

for (const code of [1000, 1001, 1008, 1011, 1012, 1013, 4008]) {
  test(`a connection closed with ${code} is made anew, and goes on where it stood`, async () => {
    const { notes, peer } = await server.following();
    peer.messages("news", 1, 2);
    await notes.next(2);
    peer.socket.close(code);
    const again = await server.connection();
    equal(await again.subscribed({ seq: 4 }), { type: "subscribe", topic: "news", since: 2, epoch: "e1" });
    again.messages("news", 3, 4, 5);
    equal(await notes.next(3), [["news", 3], ["news", 4], ["news", 5]]);
  });
}

test("a connection that breaks without a word is made anew, with code 1006", async () => {
  const { client, peer } = await server.following();
  const status = statusOf(client);
  peer.socket.terminate();
  assert.equal((await status.is("waiting")).code, 1006);
  equal(await (await server.connection()).subscribed(), { type: "subscribe", topic: "news", since: 0, epoch: "e1" });
});

test("a message that skips one is not told before the missing one has come", async () => {
  const { client, notes, peer } = await server.following();
  peer.messages("news", 1, 3, 4);
  assert.equal((await peer.asked("unsubscribe")).topic, "news");
  assert.equal((await peer.subscribed({ seq: 4 })).since, 1);
  peer.messages("news", 2, 3, 4);
  equal(await notes.next(4), [["news", 1], ["news", 2], ["news", 3], ["news", 4]]);
  client.subscribe("last", {}, {});
  assert.equal((await peer.subscribed()).topic, "last"); // asked anew once, not for each message
});

test("messages that come before the answer to a new subscription are of an earlier one, and not told", async () => {
  const { client, notes, peer, stop } = await server.following();
  stop();
  const later = new Notes();
  client.subscribe("news", {}, later);
  peer.messages("news", 1);
  await peer.subscribed({ seq: 1 });
  peer.messages("news", 2);
  equal(await later.next(), [["news", 2]]);
  equal(notes.all, []);
});

test("every message comes once and in order, however often the connection breaks", async () => {
  const notes = new Notes();
  server.client().subscribe("news", { since: 0 }, notes);
  const published = 300;
  for (let sent = 0; sent < published; ) {
    const peer = await server.connection();
    const { since } = await peer.subscribed({ seq: sent });
    const replayed = Array.from({ length: sent - since }, (_, n) => since + n + 1);
    const fresh = Array.from({ length: Math.min(7, published - sent) }, (_, n) => sent + n + 1);
    peer.messages("news", ...replayed, ...replayed.slice(-2), ...fresh);
    sent += fresh.length;
    if (sent < published) peer.socket[sent % 2 ? "close" : "terminate"]();
  }
  await notes.next(published);
  equal(notes.all, Array.from({ length: published }, (_, n) => ["news", n + 1]));
});

// --- Gaps ------------------------------------------------------------------------------------------------
test("what the server has no more is told as a gap, before what comes after it", async () => {
  const { notes, peer } = await server.following();
  peer.messages("news", 1);
  peer.socket.terminate();
  const again = await server.connection();
  await again.subscribed({ seq: 9, recovered: false });
  again.messages("news", 10);
  equal(await notes.next(3), [["news", 1], ["gap", "news", 1, 9, false], ["news", 10]]);
});

test("a loss that the server tells by itself is a gap too", async () => {
  const { notes, peer } = await server.following();
  peer.messages("news", 1);
  peer.say({ type: "subscribed", topic: "news", seq: 4, epoch: "e1", recovered: false });
  peer.messages("news", 5);
  equal(await notes.next(3), [["news", 1], ["gap", "news", 1, 4, false], ["news", 5]]);
});

test("a history that began anew is a gap of its own kind", async () => {
  const { notes, peer } = await server.following();
  peer.messages("news", 1, 2);
  peer.say({ type: "subscribed", topic: "news", seq: 0, epoch: "e2", recovered: false });
  peer.say(message("news", 1, "e2"));
  equal((await notes.next(4)).slice(2), [["gap", "news", 2, 0, true], ["news", 1]]);
});

test("a message of an epoch that was not announced is not told as if it followed", async () => {
  const { notes, peer } = await server.following();
  peer.messages("news", 1);
  peer.say(message("news", 2, "e2"));
  await peer.asked("unsubscribe");
  equal(await peer.subscribed({ seq: 2, epoch: "e2", recovered: false }), {
    type: "subscribe", topic: "news", since: 1, epoch: "e1",
  });
  equal(await notes.next(2), [["news", 1], ["gap", "news", 1, 2, true]]);
});

for (const [epoch, gap] of [["e1", ["gap", "news", 1, 3, false]], ["e2", ["gap", "news", 1, 3, true]]]) {
  test(`what the server leaves out again when asked for it (${epoch}) is a gap, and the topic goes on`, async () => {
    const { client, notes, peer } = await server.following();
    peer.messages("news", 1);
    peer.say(message("news", 4, epoch));
    assert.equal((await peer.subscribed()).since, 1);
    peer.say(message("news", 4, epoch));
    peer.say(message("news", 5, epoch));
    equal(await notes.next(4), [["news", 1], gap, ["news", 4], ["news", 5]]);
    client.subscribe("last", {}, {});
    assert.equal((await peer.subscribed()).topic, "last"); // not asked a third time
  });
}

// --- Filters and patterns ----------------------------------------------------------------------------------
test("with a filter a message that skips others is no gap", async () => {
  const { notes, peer, asked } = await server.following("news", { filters: { number: { gt: 2 } } });
  equal(asked.filters, { number: { gt: 2 } });
  peer.messages("news", 3, 7, 3);
  peer.messages("news", 9);
  equal(await notes.next(3), [["news", 3], ["news", 7], ["news", 9]]);
});

test("a pong says where a filtered topic stands, and the client comes back from there", async () => {
  const { client, notes, peer } = await server.following("news", { filters: { number: 1 } });
  peer.messages("news", 2);
  peer.say({ type: "pong", positions: { news: 50, others: 3 } });
  peer.messages("news", 40); // known by then
  await isUpToDate(client, peer);
  peer.socket.terminate();
  assert.equal((await (await server.connection()).subscribed()).since, 50);
  equal(notes.all, [["news", 2]]);
});

test("a pong does not move a client back", async () => {
  const { client, peer } = await server.following("news", { filters: { number: 1 } });
  peer.messages("news", 51);
  peer.say({ type: "pong", positions: { news: 50 } });
  await isUpToDate(client, peer);
  peer.socket.terminate();
  assert.equal((await (await server.connection()).subscribed()).since, 51);
});

test("a pong does not move a client past messages that it has not seen, where there is no filter", async () => {
  const { notes, peer } = await server.following();
  peer.say({ type: "pong", positions: { news: 2 } });
  peer.messages("news", 1, 2);
  equal(await notes.next(2), [["news", 1], ["news", 2]]);
});

test("a subscription to all topics of a beginning gets them, and only them", async () => {
  const { notes, peer } = await server.following("tasks:*");
  peer.messages("tasks:1", 4);
  peer.messages("news", 1);
  peer.messages("tasks:2", 8);
  equal(await notes.next(2), [["tasks:1", 4], ["tasks:2", 8]]);
});

test("a word's pattern does not reach into topics with a prefix", async () => {
  const { notes, peer } = await server.following("news*");
  peer.messages("news:secret", 1);
  peer.messages("newsroom", 1);
  equal(await notes.next(), [["newsroom", 1]]);
});

test("to come back to a pattern is a gap, as nothing is sent again", async () => {
  const { notes, peer } = await server.following("tasks:*");
  peer.messages("tasks:1", 1);
  peer.socket.terminate();
  const again = await server.connection();
  equal(await again.subscribed({ seq: null, epoch: null }), { type: "subscribe", topic: "tasks:*" });
  again.messages("tasks:1", 5);
  equal(await notes.next(3), [["tasks:1", 1], ["gap", "tasks:*", null, null, false], ["tasks:1", 5]]);
});

test("a message that a pattern misses is told with its topic", async () => {
  const { notes, peer } = await server.following("tasks:*");
  peer.messages("tasks:1", 1, 3);
  equal(await notes.next(3), [["tasks:1", 1], ["gap", "tasks:1", 1, 2, false], ["tasks:1", 3]]);
});

test("what two patterns cover comes twice over the socket, and once to each of them", async () => {
  const { client, notes, peer } = await server.following("risk:*");
  const others = new Notes();
  client.subscribe("risk:alerts:*", {}, others);
  await peer.subscribed({ seq: null, epoch: null });
  peer.messages("risk:alerts:B", 1, 1, 2, 2);
  equal([await notes.next(2), await others.next(2)], Array(2).fill([["risk:alerts:B", 1], ["risk:alerts:B", 2]]));
  equal([notes.all.length, others.all.length], [2, 2]);
});

test("what comes for a topic comes to the pattern that covers it, but not its history", async () => {
  const { client, notes, peer } = await server.following("risk:*");
  const named = new Notes();
  client.subscribe("risk:alerts:B", { since: 0 }, named);
  await peer.subscribed({ seq: 2 });
  peer.messages("risk:alerts:B", 1, 2, 3);
  equal((await named.next(3)).map(([, seq]) => seq), [1, 2, 3]);
  equal(await notes.next(), [["risk:alerts:B", 3]]);
});

test("what was on its way to a pattern when a topic of it was subscribed to comes to the pattern", async () => {
  const { client, notes, peer } = await server.following("risk:*");
  const named = new Notes();
  client.subscribe("risk:alerts:B", {}, named);
  await peer.subscribed({ seq: 7 });
  peer.messages("risk:alerts:B", 6, 7, 8);
  equal(await named.next(), [["risk:alerts:B", 8]]);
  equal((await notes.next(3)).map(([, seq]) => seq), [6, 7, 8]);
});

test("a pattern that stands before the topic it covers gets what is sent again for that one", async () => {
  const { client, notes, peer } = await server.following("risk:*");
  peer.messages("risk:alerts:B", 1);
  client.subscribe("risk:alerts:B", { since: 0 }, {});
  await peer.subscribed({ seq: 3 });
  peer.messages("risk:alerts:B", 1, 2, 3);
  equal((await notes.next(3)).map(([, seq]) => seq), [1, 2, 3]);
});

test("a loss that the server tells of a pattern is a gap", async () => {
  const { notes, peer } = await server.following("tasks:*");
  peer.say({ type: "subscribed", topic: "tasks:*", seq: null, epoch: null, recovered: false });
  equal(await notes.next(), [["gap", "tasks:*", null, null, false]]);
});

test("a pattern forgets the topics that were quiet longest", async () => {
  const { notes, peer } = await server.following("tasks:*");
  const messages = Array.from({ length: 10_001 }, (_, number) => message(`tasks:${number}`, 1));
  peer.say({ type: "batch", messages });
  peer.messages("tasks:0", 5); // forgotten, so nothing says that some are missing
  peer.messages("tasks:9", 5);
  equal((await notes.next(10_004)).slice(-3), [["tasks:0", 5], ["gap", "tasks:9", 1, 4, false], ["tasks:9", 5]]);
});

test("filters that filter nothing are none", async () => {
  const { notes, peer, asked } = await server.following("news", { filters: {} });
  equal(asked, { type: "subscribe", topic: "news" });
  peer.messages("news", 2);
  await peer.asked("unsubscribe");
  equal(notes.all, []);
});

test("a filter on what another subscription covers is refused at once", async () => {
  const { client } = await server.following("risk:*");
  const filters = { severity: "high" };
  assert.throws(() => client.subscribe("risk:alerts:B", { filters }, {}), /expected a client for each/);
  assert.throws(() => client.subscribe("risk:alerts:*", { filters }, {}), /expected a client for each/);
});

test("a filter stands beside a word's pattern that does not reach so far", async () => {
  const { client, peer } = await server.following("r*");
  const filters = { severity: "high" };
  client.subscribe("risk:*", { filters }, {});
  equal((await peer.subscribed({ seq: null, epoch: null })).filters, filters);
});

// --- Subscriptions -----------------------------------------------------------------------------------------
test("two who follow a topic share one subscription, which ends with the second of them", async () => {
  const { client, notes, peer, stop } = await server.following();
  const others = new Notes();
  const stopOthers = client.subscribe("news", {}, others);
  peer.messages("news", 1);
  equal([await notes.next(), await others.next()], [[["news", 1]], [["news", 1]]]);
  stop();
  peer.messages("news", 2);
  equal(await others.next(), [["news", 2]]);
  stopOthers();
  assert.equal((await peer.asked("unsubscribe")).topic, "news");
  equal([notes.all.length, others.all.length], [1, 2]);
});

test("a topic cannot be shared with other filters", async () => {
  const { client } = await server.following();
  assert.throws(() => client.subscribe("news", { batch: true }, {}), /expected the same filters and batch/);
  assert.throws(() => client.subscribe("news", { since: 0 }, {}), /no since/);
});

test("all subscriptions go over one socket", async () => {
  const { client, peer } = await server.following();
  for (const topic of ["a", "b", "c"]) client.subscribe(topic, {}, {});
  for (const topic of ["a", "b", "c"]) assert.equal((await peer.subscribed()).topic, topic);
  assert.equal(server.count, 1);
});

test("a refused subscription is told and not tried again, and the others go on", async () => {
  const { client, notes, peer } = await server.following();
  const refused = new Notes();
  client.subscribe("risk:alerts:OTHER", {}, refused);
  const { id } = await peer.asked("subscribe");
  peer.say({ type: "error", code: "not_found", detail: "no", id });
  equal(await refused.next(), [["error", "risk:alerts:OTHER", "not_found"]]);
  peer.messages("news", 1);
  equal(await notes.next(), [["news", 1]]);
  peer.socket.terminate();
  const again = await server.connection();
  assert.equal((await again.subscribed()).topic, "news");
  client.subscribe("last", {}, {});
  assert.equal((await again.subscribed()).topic, "last");
});

test("a subscription that the server ends because rights were lost is told, and the others go on", async () => {
  const { client, notes, peer } = await server.following();
  const others = new Notes();
  client.subscribe("other", {}, others);
  await peer.subscribed();
  peer.say({ type: "error", code: "not_found", detail: "no more" });
  peer.say({ type: "unsubscribed", topic: "news" });
  equal(await notes.next(), [["error", "news", "not_found"]]);
  peer.messages("news", 1);
  peer.messages("other", 1);
  equal(await others.next(), [["other", 1]]);
  equal(notes.all.length, 1);
  peer.socket.terminate();
  assert.equal((await (await server.connection()).subscribed()).topic, "other");
});

test("a subscription that is unavailable for a while is asked for again on the same socket", async () => {
  const client = server.client();
  const notes = new Notes();
  client.subscribe("news", { since: 3, epoch: "e1" }, notes);
  const peer = await server.connection();
  for (const code of ["unavailable", "rate_limited"]) {
    const { id } = await peer.asked("subscribe");
    peer.say({ type: "error", code, detail: "later", id });
  }
  assert.equal((await peer.subscribed({ seq: 3 })).since, 3);
  peer.messages("news", 4);
  equal(await notes.next(), [["news", 4]]);
  assert.equal(server.count, 1);
});

test("a subscription that was given up meanwhile is not asked for again", async () => {
  const client = server.client({ random: () => 0 });
  const stop = client.subscribe("news", {}, {});
  const peer = await server.connection();
  const { id } = await peer.asked("subscribe");
  stop();
  await peer.asked("unsubscribe");
  peer.say({ type: "error", code: "unavailable", detail: "later", id });
  await server.servesSomebodyElse();
  client.subscribe("last", {}, {});
  assert.equal((await peer.subscribed()).topic, "last");
});

test("a frame that was one too many is sent again, though its error names no id", async () => {
  const { client, peer } = await server.following();
  client.subscribe("a", {}, {});
  client.subscribe("b", {}, {});
  await peer.asked("subscribe");
  peer.say({ type: "error", code: "rate_limited", detail: "too many" });
  await peer.subscribed();
  assert.equal((await peer.subscribed()).topic, "a");
});

test("a handler that fails stops nobody else", async (context) => {
  const reported = context.mock.method(console, "error", () => {});
  const { client, notes, peer } = await server.following();
  client.subscribe("news", {}, { onMessage: () => { throw new Error("a mistake in the page"); } });
  const last = new Notes();
  client.subscribe("news", {}, last);
  peer.messages("news", 1, 2);
  equal([await notes.next(2), await last.next(2)], Array(2).fill([["news", 1], ["news", 2]]));
  assert.equal(reported.mock.callCount(), 2);
});
