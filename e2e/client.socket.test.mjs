// The connection under the channels: parameters, versions, tokens, heartbeats, refusals, forced disconnects, sizes.

import assert from "node:assert/strict";

import { answer, bytes, connect, join, listen, ok, tell } from "./client.mjs";
import { dial } from "./raw.mjs";
import { patienceMs, test, use, within } from "./support.mjs";

const fixture = await use("fixture");
const open = (t, options) => connect(t, `${fixture.ws}/socket`, options);

test("1.1: parameters of every shape reach the server as the strings and maps they become in a URL", async (t) => {
  const params = { a: 1, yes: true, none: null, "key with space": "ž&=+", deep: { e: "f g", h: { i: "j" } }, list: [1, 2] };
  const channel = await join(connect(t, `${fixture.ws}/info`, { params }), "info");
  assert.deepEqual(channel.joined.params, {
    a: "1",
    yes: "true",
    "key with space": "ž&=+",
    deep: { e: "f g", h: { i: "j" } },
    list: { 0: "1", 1: "2" },
    vsn: "2.0.0",
  });
});

test("1.6: parameters may be a function, asked again at each connection", async (t) => {
  let calls = 0;
  const socket = connect(t, `${fixture.ws}/info`, { params: () => ({ call: ++calls }), reconnectAfterMs: () => 20 });
  const channel = await join(socket, "info");
  assert.equal(channel.joined.params.call, "1");
  socket.conn.terminate();
  assert.equal((await channel.joins.next("the rejoin")).params.call, "2");
});

test("1.6: a refused connection errors, never opens, and the client keeps trying", async (t) => {
  const socket = open(t, { params: { reject: "true" }, reconnectAfterMs: () => 20 });
  for (let attempt = 1; attempt <= 3; attempt++) {
    const { message } = await socket.failed.next(`error of attempt ${attempt}`);
    assert.match(message, /403/);
  }
  assert.equal(socket.opened.waiting.length, 0);
});

test("1.6: a client that is let in at last joins what it wanted to join", async (t) => {
  let reject = true;
  const socket = open(t, { params: () => ({ reject }), reconnectAfterMs: () => 20 });
  const channel = socket.channel("room:patience");
  const joined = answer(channel.join());
  await socket.failed.take(2);
  reject = false;
  assert.equal((await joined).status, "ok");
});

test("1.5: the auth token arrives in the connect info", async (t) => {
  for (const authToken of ["1234", "??>>", "with spaces and a = sign", "x".repeat(1_000)]) {
    const channel = await join(connect(t, `${fixture.ws}/auth`, { authToken }), "info");
    assert.equal(channel.joined.connect_info.auth_token, authToken);
    assert.doesNotMatch(JSON.stringify(channel.joined.connect_info.sec_websocket_headers), /base64url/);
  }
});

test("1.5: without a token the connect info says null", async (t) => {
  const channel = await join(connect(t, `${fixture.ws}/auth`), "info");
  assert.equal(channel.joined.connect_info.auth_token, null);
});

test("1.9, 4.2: heartbeats are answered, and keep a connection that would be closed for its silence", async (t) => {
  const silent = await dial(t, `${fixture.ws}/idle/websocket?vsn=2.0.0`);
  const socket = connect(t, `${fixture.ws}/idle`, { heartbeatIntervalMs: 150, reconnectAfterMs: () => 20 });
  // Six answers in a row take 900 ms, and the mount allows 300 of silence. A machine that stalls may cost a
  // connection on the way; a server that does not count heartbeats costs every one of them.
  let inARow = 0;
  socket.onClose(() => (inARow = 0));
  const kept = new Promise((resolve) => {
    socket.onMessage(({ topic, event, payload }) => {
      if (topic === "phoenix" && event === "phx_reply" && payload.status === "ok" && ++inARow === 6) resolve();
    });
  });
  await within(kept, "six heartbeats on one connection", 4 * patienceMs);
  assert.notEqual((await within(silent.closed, "the close of the silent one")).code, 1000);
});

test("1.9, 4.1: a client without heartbeats loses an idle connection and comes back", async (t) => {
  const socket = connect(t, `${fixture.ws}/idle`, { reconnectAfterMs: () => 20 });
  const channel = await join(socket, "room:sleepy");
  const { code } = await socket.closed.next("the close for idleness");
  assert.notEqual(code, 1000);
  assert.deepEqual(await channel.errors.next(), { source: "transport", reason: "connection_closed" });
  await channel.joins.next("the rejoin");
});

test("3.9: a disconnect by socket id closes with 1001, only that user's sockets, and they come back", async (t) => {
  const admin = await join(open(t), "room:admin");
  const target = open(t, { params: { user_id: "42" } });
  const other = open(t, { params: { user_id: "43" } });
  const channel = await join(target, "room:user");
  const bystander = await join(other, "room:user");
  await ok(admin, "to_id", { user_id: "42" });
  assert.deepEqual(await ok(channel, "echo", { still: "here" }), { still: "here" }, "other events to the id are ignored");
  await ok(admin, "disconnect", { user_id: "42" });
  assert.equal((await target.closed.next()).code, 1001);
  await channel.joins.next("the rejoin");
  assert.deepEqual(await ok(channel, "echo", { back: 1 }), { back: 1 });
  assert.deepEqual(await ok(bystander, "echo", { calm: 1 }), { calm: 1 });
  assert.equal(other.closed.waiting.length, 0);
});

test("7: a drained channel takes its whole socket along with 1012, and everything joins again", async (t) => {
  const socket = open(t);
  const [one, two] = [await join(socket, "room:one"), await join(socket, "room:two")];
  tell(one, "drain");
  assert.equal((await socket.closed.next()).code, 1012);
  await one.joins.next("the rejoin of one");
  await two.joins.next("the rejoin of two");
});

test("2.1, 2.2: a payload of one MiB comes back as it went, in text and in binary", async (t) => {
  const channel = await join(open(t), "room:large");
  const text = "Ž🐭\n\"\\".repeat(1 << 17).slice(0, 1 << 20);
  assert.equal((await ok(channel, "echo", { text })).text === text, true);
  const data = Uint8Array.from({ length: 1 << 20 }, (_, i) => (i * 31) >> 3);
  assert.equal(Buffer.compare(Buffer.from(await ok(channel, "echo", data.buffer)), Buffer.from(data)), 0);
});

test("2.1: any JSON comes back as it went", async (t) => {
  const channel = await join(open(t), "room:json");
  const payload = {
    "": null,
    "ключ 🐭": "\u0000\u001f\u2028 \ud83d\udc2d </script>",
    __proto__x: [[], {}, [[1.5e-300, -0.1, 9007199254740991]]],
    nested: { deep: { deeper: { deepest: [true, false, null] } } },
  };
  assert.deepEqual(await ok(channel, "echo", payload), payload);
});

test("1.3, 2.3: version 1 works with the encoder and decoder that the client lets its user choose", async (t) => {
  const v1 = {
    vsn: "1.0.0",
    encode: ({ topic, event, payload, ref }, send) => send(JSON.stringify({ topic, event, payload, ref })),
    decode: (text, receive) => receive(JSON.parse(text)),
  };
  const ann = await join(open(t, v1), "room:versions", { user: "ann" });
  const bob = await join(open(t), "room:versions");
  const [annHears, bobHears] = [listen(ann, "bcast"), listen(bob, "bcast")];
  assert.deepEqual(await ok(ann, "echo", { v: 1 }), { v: 1 });
  await ok(ann, "bcast", { from: "v1" });
  await ok(bob, "bcast", { from: "v2" });
  assert.deepEqual(await annHears.take(2), [{ from: "v1" }, { from: "v2" }]);
  assert.deepEqual(await bobHears.take(2), [{ from: "v1" }, { from: "v2" }]);
  tell(ann, "boom");
  await ann.errors.next("phx_error in version 1");
  ann.leave();
});

test("1.8: compression is agreed on where the mount offers it, and content survives it both ways", async (t) => {
  const plain = open(t);
  await join(plain, "room:plain");
  assert.equal(plain.conn.extensions, "");
  const socket = connect(t, `${fixture.ws}/deflate`);
  const channel = await join(socket, "room:deflate");
  assert.match(socket.conn.extensions, /permessage-deflate/);
  const text = "the quick brown dormouse sleeps over the lazy dog ".repeat(2_000);
  for (let n = 0; n < 3; n++) assert.equal((await ok(channel, "echo", { text: text + n })).text, text + n);
  const noise = Uint8Array.from({ length: 50_000 }, (_, i) => (i * 2654435761) >>> 13);
  assert.deepEqual(bytes(await ok(channel, "echo", noise.buffer)), [...noise]);
});
