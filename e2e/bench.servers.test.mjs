// The servers that `dormouse bench` is tested against: the real phoenix client understands them, keeps the rules that
// they check, and finds their faults to be as many as they say.

import assert from "node:assert/strict";
import WebSocket from "ws";

import { echoserver, phoenix } from "./bench.mjs";
import { answer, connect, join, listen, ok } from "./client.mjs";
import { dial } from "./raw.mjs";
import { Inbox, test, within } from "./support.mjs";

// tell pushes what is not answered, so that no timer is left.
const tell = (channel, event, payload) => channel.push(event, payload).cancelTimeout();

test("phoenix.js keeps the rules, and is served", async (t) => {
  const server = await phoenix(t);
  const sockets = [1, 2].map(() => connect(t, server.ws, { heartbeatIntervalMs: 1_000 }));
  const [one, two] = await Promise.all(sockets.map((socket) => join(socket, "rooms:lobby")));
  const inboxes = [one, two].map((channel) => listen(channel, "shout"));
  assert.deepEqual(await ok(one, "ping", { body: "are you there?" }), { body: "are you there?" });
  tell(one, "shout", { body: "hello" });
  for (const inbox of inboxes) assert.deepEqual(await inbox.next(), { body: "hello" });
  await within(new Promise((left) => two.leave().receive("ok", left)), "the answer to leave");
  await join(sockets[1], "rooms:lobby");
  await server.until(({ heartbeats }) => heartbeats >= 2, "heartbeats");
  tell(one, "no_such_event", {});
  await server.until(({ joins }) => joins === 4, "the rejoin after phx_error");
  const { upgrades, joins, leaves, pings, shouts, due, delivered, unknown, firstViolations } = await server.stop();
  assert.deepEqual([upgrades, joins, leaves, pings, shouts, due, delivered, unknown], [2, 4, 1, 1, 1, 2, 2, 1]);
  assert.deepEqual(firstViolations, []);
});

test("what phoenix.js would not send is noticed", async (t) => {
  const server = await phoenix(t);
  const raw = await dial(t, `${server.ws}/websocket?vsn=2.0.0`);
  for (const message of [
    ["1", "1", "a", "ping", {}], // not joined
    ["3", "2", "a", "phx_join", {}], // join_ref is not ref
    ["4", "4", "b", "phx_join", {}], // right
    ["3", "5", "b", "ping", {}], // another join's ref
    ["4", "5", "b", "ping", {}], // no new ref
    ["4", 6, "b", "ping", {}], // no string
  ]) {
    raw.send(message);
  }
  await raw.closesWith(1011);
  assert.equal((await server.stop()).violations, 5);
});

test("it refuses joins, and loses and doubles what it was told to", async (t) => {
  const server = await phoenix(t, "--lose", "5", "--duplicate", "3");
  const channel = await join(connect(t, server.ws), "rooms:lobby");
  const inbox = listen(channel, "shout");
  for (let n = 1; n <= 10; n++) tell(channel, "shout", { n });
  const heard = (await inbox.take(11)).map(({ n }) => n);
  assert.deepEqual(heard, [1, 2, 3, 3, 4, 6, 6, 7, 8, 9, 9]);
  const { due, delivered, lost, lostOf, duplicated } = await server.stop();
  assert.deepEqual([due, delivered, lost, lostOf, duplicated], [10, 11, 2, { "rooms:lobby": 2 }, 3]);

  const refusing = await phoenix(t, "--refuse-join", "members only");
  const refused = connect(t, refusing.ws).channel("rooms:lobby");
  assert.deepEqual(await answer(refused.join()), { status: "error", response: { reason: "members only" } });
});

test("the echo server echoes, over TLS as well", async (t) => {
  for (const flag of [[], ["-tls"]]) {
    const server = await echoserver(t, ...flag);
    const ws = new WebSocket(server.ws, { rejectUnauthorized: false });
    t.after(() => ws.terminate());
    const echoes = new Inbox("echoes");
    ws.on("message", (data, binary) => echoes.put([`${data}`, binary]));
    await within(new Promise((open) => ws.once("open", open)), "open");
    ws.send("text");
    ws.send(Buffer.from("binary"));
    assert.deepEqual(await echoes.take(2), [
      ["text", false],
      ["binary", true],
    ]);
    assert.deepEqual(await server.stop(), { upgrades: 1, messages: 2 });
  }
});
