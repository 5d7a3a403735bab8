// One channel in the life of the phoenix client: join, push, reply, leave, crash.

import assert from "node:assert/strict";

import { answer, connect, join, listen, ok, tell } from "./client.mjs";
import { test, use, within } from "./support.mjs";

const fixture = await use("fixture");
const open = (t, options) => connect(t, `${fixture.ws}/socket`, options);

test("3.3: a join is answered with the payload of the channel", async (t) => {
  const socket = open(t);
  assert.deepEqual((await join(socket, "room:plain")).joined, {});
  assert.deepEqual((await join(socket, "room:reply")).joined, { hello: "world" });
});

test("3.3: a join hands its parameters over, and the channel pushes after it", async (t) => {
  const socket = open(t, { params: { user_id: "7" } });
  const channel = socket.channel("room:lobby1", () => ({ user: "jo" }));
  const entered = listen(channel, "user_entered");
  const joined = listen(channel, "joined");
  assert.equal((await answer(channel.join())).status, "ok");
  assert.deepEqual(await entered.next(), { user: "jo" });
  assert.deepEqual(await joined.next(), { status: "connected", user_id: "7" });
});

test("3.1: routes are tried in the order of their declaration", async (t) => {
  const socket = open(t);
  assert.deepEqual((await join(socket, "exact")).joined, {});
  assert.deepEqual((await join(socket, "food:1")).joined, { channel: "food" });
  assert.deepEqual((await join(socket, "foobar")).joined, { channel: "foo" });
});

for (const [topic, reason] of [
  ["room:deny", "unauthorized"],
  ["room:crash", "join crashed"],
  ["exactly", "unmatched topic"],
  ["no:such", "unmatched topic"],
]) {
  test(`3.2, 3.3: a join of ${topic} is refused: ${reason}`, async (t) => {
    const channel = open(t).channel(topic);
    assert.deepEqual(await answer(channel.join()), { status: "error", response: { reason } });
    assert.equal(channel.state, "errored");
  });
}

test("3.3: a refused channel does not disturb the others of its socket", async (t) => {
  const socket = open(t);
  const room = await join(socket, "room:calm");
  await answer(socket.channel("room:crash").join());
  assert.deepEqual(await ok(room, "echo", { still: "here" }), { still: "here" });
});

test("3.6: a push is answered with ok, error or a status of the channel's own", async (t) => {
  const channel = await join(open(t), "room:replies");
  assert.deepEqual(await answer(channel.push("echo", { a: [1, null, "x"] })), { status: "ok", response: { a: [1, null, "x"] } });
  assert.deepEqual(await answer(channel.push("fail", { why: "so" })), { status: "error", response: { why: "so" } });
  assert.deepEqual(await answer(channel.push("ack")), { status: "ok", response: {} });
  assert.deepEqual(await answer(channel.push("nack")), { status: "error", response: {} });
  const later = channel.push("status", { status: "later", response: ["any", "value"] });
  assert.deepEqual(await answer(later, "later"), { status: "later", response: ["any", "value"] });
});

test("3.6: a reply may come later, from another task", async (t) => {
  const channel = await join(open(t), "room:async");
  const slow = answer(channel.push("async", { n: 1 }));
  assert.deepEqual(await ok(channel, "echo", { n: 2 }), { n: 2 });
  assert.deepEqual(await slow, { status: "ok", response: { n: 1 } });
});

test("3.6, 4.3: a push that nobody answers times out, and the channel goes on", async (t) => {
  const channel = await join(open(t), "room:silent");
  assert.equal((await answer(channel.push("silent", {}, 100))).status, "timeout");
  assert.deepEqual(await ok(channel, "echo", { on: true }), { on: true });
});

test("4.3: a join that takes longer than its timeout is left and tried again", async (t) => {
  const socket = open(t, { rejoinAfterMs: () => 20 });
  const busy = await join(socket, "room:busy");
  tell(busy, "sleep", { ms: 2_000 }); // one message of a connection at a time
  const channel = socket.channel("room:slow1");
  const patient = channel.timeout;
  const push = channel.join(1);
  assert.equal((await answer(push)).status, "timeout");
  channel.timeout = patient;
  await within(new Promise((resolve) => push.receive("ok", resolve)), "the join after the one that timed out");
  assert.deepEqual(await ok(channel, "echo", { at: "last" }), { at: "last" });
});

test("3.3, 4.3: pushes made before the join are sent after it, in order", async (t) => {
  const channel = open(t).channel("room:slow2");
  channel.join();
  const order = [];
  const pushes = Array.from({ length: 20 }, (_, n) => channel.push("echo", { n }).receive("ok", ({ n }) => order.push(n)));
  for (const push of pushes) assert.equal((await answer(push)).status, "ok");
  assert.deepEqual(order, [...Array(20).keys()]);
});

test("3.8: pushes of the channel arrive in order and before the reply that follows them", async (t) => {
  const channel = await join(open(t), "room:pushes");
  const order = [];
  channel.on("pushed", ({ n }) => order.push(n));
  await ok(channel, "push_reply");
  assert.deepEqual(order, [1, 2]);
  const flood = listen(channel, "f");
  await ok(channel, "flood", { n: 1_000 });
  assert.deepEqual(flood.waiting.map(({ i }) => i), [...Array(1_000).keys()].map((i) => i + 1));
});

test("3.10: the channel keeps its state between events", async (t) => {
  const channel = await join(open(t), "room:state");
  assert.deepEqual(await ok(channel, "assign", { v: "first" }), { was: null });
  assert.deepEqual(await ok(channel, "assign", { v: "second" }), { was: "first" });
});

test("3.4, 4.3: leave is answered, closes the channel and frees the topic", async (t) => {
  const socket = open(t);
  const channel = await join(socket, "room:leave");
  assert.equal((await answer(channel.leave())).status, "ok");
  assert.equal(channel.state, "closed");
  assert.equal(channel.closes.waiting.length, 1);
  assert.deepEqual((await join(socket, "room:leave")).joined, {});
});

for (const event of ["stop", "stop_reply"]) {
  test(`3.6, 4.4: a channel that ends itself by ${event} is closed and not joined again`, async (t) => {
    const channel = await join(open(t, { rejoinAfterMs: () => 20 }), "room:ends");
    if (event === "stop") tell(channel, event);
    else assert.deepEqual(await ok(channel, event), { bye: 1 });
    await channel.closes.next();
    assert.equal(channel.state, "closed");
    assert.equal(channel.errors.waiting.length, 0);
  });
}

for (const event of ["boom", "stop_crash", "an event nobody handles"]) {
  test(`3.6, 4.4: a channel that crashes by "${event}" errors and joins again by itself`, async (t) => {
    const socket = open(t, { rejoinAfterMs: () => 20 });
    const bystander = await join(socket, "room:bystander");
    const channel = await join(socket, "room:crashes");
    tell(channel, event);
    assert.deepEqual(await channel.errors.next(), { reason: "channel_crash" });
    await channel.joins.next("the rejoin");
    assert.deepEqual(await ok(channel, "echo", { back: 1 }), { back: 1 });
    assert.deepEqual(await ok(bystander, "echo", { unhurt: 1 }), { unhurt: 1 });
    assert.equal(bystander.errors.waiting.length, 0);
    assert.equal(socket.closed.waiting.length, 0);
  });
}

test("3.5, 4.3: a second channel object for a topic takes it over", async (t) => {
  const socket = open(t);
  const first = await join(socket, "room:twice");
  const firstHears = listen(first, "pushed");
  const second = await join(socket, "room:twice");
  assert.equal(first.state, "closed");
  const secondHears = listen(second, "pushed");
  tell(second, "push", { to: "second" });
  assert.deepEqual(await secondHears.next(), { to: "second" });
  assert.equal(firstHears.waiting.length, 0);
  assert.equal(second.closes.waiting.length, 0);
});
