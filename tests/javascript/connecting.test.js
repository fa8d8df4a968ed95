/** How the JavaScript client comes to a connection, keeps it, and comes back. */

import assert from "node:assert/strict";
import { getEventListeners } from "node:events";
import { afterEach, beforeEach, test } from "node:test";
import { retryDelay } from "../../apps/realtime/static/realtime/nautilus-client.js";
import { Notes, ScriptedServer, statusOf } from "./scripted-server.js";

let server;
beforeEach(async () => (server = await ScriptedServer.start()));
afterEach(() => server.stop());

const equal = assert.deepEqual;

// --- Connecting --------------------------------------------------------------------------------------------
for (const code of [4401, 4403, 4404]) {
  test(`a connection refused with ${code} is told, and not tried again before somebody asks for it`, async () => {
    const client = server.client();
    const notes = new Notes();
    const status = statusOf(client);
    client.subscribe("news", {}, notes);
    (await server.connection()).socket.close(code, "the reason");
    equal(await status.is("refused"), { status: "refused", code, detail: "the reason" });
    equal(await notes.next(), [["error", "news", code]]);
    await server.servesSomebodyElse();
    assert.equal(server.count, 2);
    client.reconnect();
    assert.equal((await (await server.connection()).subscribed()).topic, "news");
  });
}

test("a socket that is open but not let in is not called live", async () => {
  server.answersPings = false;
  const client = server.client();
  const seen = [];
  client.onStatus((status) => seen.push(status));
  const peer = await server.connection();
  await peer.asked("ping");
  peer.socket.close(4401);
  await statusOf(client).is("refused");
  equal(seen, ["connecting", "refused"]);
});

test("the delays double from 0.2 s to 10 s, each drawn between nothing and its limit", () => {
  const limits = Array.from({ length: 9 }, (_, failures) => retryDelay(failures, () => 1));
  equal(limits, [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 10, 10, 10]);
  equal([retryDelay(0, () => 0), retryDelay(2000, () => 0.5)], [0, 5]);
});

test("the delays grow while the server is away, and begin anew after a connection that stood", async () => {
  const { client } = await server.following("news", {}, { random: () => 1, timing: { settled: 0 } });
  const status = statusOf(client);
  await status.is("live");
  const delays = [];
  client.onStatus((_, { delaySeconds }) => delaySeconds && delays.push(delaySeconds));
  await server.goAway();
  for (let failures = 0; failures < 5; failures++) await status.is("waiting");
  await server.comeBack();
  await status.is("live");
  (await server.connection()).socket.close(1012);
  await status.is("waiting");
  equal([...delays.slice(0, 5), delays.at(-1)], [0.001, 0.002, 0.004, 0.008, 0.01, 0.001]);
});

test("a connection on which no answer comes is given up", async () => {
  server.answersPings = false;
  const status = statusOf(server.client({ timing: { deadline: 0.02 } }));
  assert.match((await status.is("waiting")).detail, /no answer for 0.02 s/);
});

test("a connection on which some answers come and one does not is given up", async () => {
  const client = server.client({ timing: { deadline: 0.3 } });
  client.subscribe("news", {}, {});
  const status = statusOf(client);
  await status.is("live");
  assert.match((await status.is("waiting")).detail, /no answer for 0.3 s/);
});

test("a connection on which a ping stays unanswered is given up, though messages come", async (context) => {
  const { client, peer } = await server.following("news", {}, { timing: { heartbeat: 0.01, answer: 0.2 } });
  const status = statusOf(client);
  await status.is("live");
  peer.answersPings = false;
  let seq = 0;
  const talking = setInterval(() => peer.messages("news", ++seq), 5);
  context.after(() => clearInterval(talking));
  assert.match((await status.is("waiting")).detail, /no answer for 0.2 s/);
});

test("a connection on which a subscription stays unanswered is given up, though messages come", async (context) => {
  const { client, peer } = await server.following("news", {}, { timing: { heartbeat: 0.01, answer: 0.2 } });
  const status = statusOf(client);
  await status.is("live");
  client.subscribe("other", {}, {});
  let seq = 0;
  const talking = setInterval(() => peer.messages("news", ++seq), 5);
  context.after(() => clearInterval(talking));
  assert.match((await status.is("waiting")).detail, /no answer for 0.2 s/);
});

test("a server that has the subscription already is asked anew over another connection", async () => {
  const { client, peer } = await server.following();
  client.subscribe("other", {}, {});
  peer.say({ type: "error", code: "already_subscribed", detail: "", id: (await peer.asked("subscribe")).id });
  const again = await server.connection();
  equal([(await again.subscribed()).topic, (await again.subscribed()).topic], ["news", "other"]);
});

test("the heartbeat finds a connection that has died since", async () => {
  const { client, peer } = await server.following("news", {}, { timing: { heartbeat: 0.01, deadline: 0.3 } });
  const status = statusOf(client);
  await status.is("live");
  peer.answersPings = false;
  assert.equal((await status.is("waiting")).code, 1006);
  assert.equal((await (await server.connection()).subscribed()).topic, "news");
});

test("a ticket is asked for before each connection, and used once", async () => {
  let issued = 0;
  const { peer } = await server.following("news", {}, { ticket: async () => `ticket/${++issued}` });
  assert.equal(peer.path, "/ws?ticket=ticket%2F1");
  peer.socket.terminate();
  assert.equal((await server.connection()).path, "/ws?ticket=ticket%2F2");
});

test("a ticket that cannot be had now is asked for again", async () => {
  let asked = 0;
  const ticket = async () => {
    if (++asked < 3) throw new Error("503");
    return "third";
  };
  server.client({ ticket });
  assert.equal((await server.connection()).path, "/ws?ticket=third");
});

test("a ticket that is refused is a refusal", async () => {
  const ticket = async () => Promise.reject(Object.assign(new Error("sign in again"), { status: 401 }));
  equal(await statusOf(server.client({ ticket })).is("refused"), {
    status: "refused", code: 401, detail: "sign in again",
  });
});

test("a ticket that comes after the client was closed opens no connection", async () => {
  let give;
  const client = server.client({ ticket: () => new Promise((resolve) => (give = resolve)) });
  client.close();
  give("late");
  await server.servesSomebodyElse();
  assert.equal(server.count, 1);
});

test("a closed client does not come back", async () => {
  const { client, peer } = await server.following();
  client.close();
  await peer.asked("closed");
  await server.servesSomebodyElse();
  assert.equal(server.count, 2);
  assert.throws(() => client.subscribe("news", {}, {}), /closed/);
});

// --- The page ----------------------------------------------------------------------------------------------
/** A browser's window and document, as much as the client sees of them. */
function withPage(context) {
  globalThis.window = new EventTarget();
  globalThis.document = Object.assign(new EventTarget(), { visibilityState: "visible" });
  context.after(() => {
    delete globalThis.window;
    delete globalThis.document;
  });
  return globalThis;
}

for (const [name, come] of [
  ["the network is back", ({ window }) => window.dispatchEvent(new Event("online"))],
  ["the page is seen again", ({ document }) => document.dispatchEvent(new Event("visibilitychange"))],
]) {
  test(`when ${name} a client that waits connects at once`, async (context) => {
    const page = withPage(context);
    const waitsForEver = { random: () => 1, timing: { firstRetry: 1e5, lastRetry: 1e5 } };
    const { client, peer } = await server.following("news", {}, waitsForEver);
    const status = statusOf(client);
    peer.socket.terminate();
    await status.is("waiting");
    come(page);
    assert.equal((await (await server.connection()).subscribed()).topic, "news");
  });

  test(`when ${name} a connection that seemed to live is looked at`, async (context) => {
    const page = withPage(context);
    const { client, peer } = await server.following("news", {}, { timing: { check: 0.02 } });
    const status = statusOf(client);
    await status.is("live");
    peer.answersPings = false;
    come(page);
    assert.match((await status.is("waiting")).detail, /no answer for 0.02 s/);
  });
}

test("a closed client listens to the page no longer", (context) => {
  const page = withPage(context);
  const counts = () => [getEventListeners(page.window, "online"), getEventListeners(page.document, "visibilitychange")];
  const client = server.client();
  equal(counts().map(({ length }) => length), [1, 1]);
  client.close();
  equal(counts().map(({ length }) => length), [0, 0]);
});
