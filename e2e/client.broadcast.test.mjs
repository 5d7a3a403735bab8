// What several clients hear of each other, in text and in binary.

import assert from "node:assert/strict";

import { answer, buffer, bytes, connect, join, listen, ok } from "./client.mjs";
import { test, use } from "./support.mjs";

const fixture = await use("fixture");
const open = (t, options) => connect(t, `${fixture.ws}/socket`, options);

test("3.7, 3.8: a broadcast reaches the others and the sender, the sender before its reply", async (t) => {
  const [ann, bob] = [await join(open(t), "room:all"), await join(open(t), "room:all")];
  const bobHears = listen(bob, "bcast");
  const order = [];
  ann.on("bcast", (payload) => order.push(payload));
  const push = ann.push("bcast", { n: 1 }).receive("ok", () => order.push("ok"));
  await answer(push);
  assert.deepEqual(await bobHears.next(), { n: 1 });
  assert.deepEqual(order, [{ n: 1 }, "ok"]);
});

test("3.7: broadcast_from leaves out the sender", async (t) => {
  const [ann, bob] = [await join(open(t), "room:from"), await join(open(t), "room:from")];
  const [annHears, bobHears] = [listen(ann, "bcast_from"), listen(bob, "bcast_from")];
  await ok(ann, "bcast_from", { n: 1 });
  assert.deepEqual(await bobHears.next(), { n: 1 });
  await ok(bob, "bcast_from", { n: 2 });
  assert.deepEqual(await annHears.next(), { n: 2 });
  assert.equal(annHears.waiting.length + bobHears.waiting.length, 0);
});

test("3.7: an intercepted broadcast is a push of each recipient's own channel", async (t) => {
  const [ann, bob] = [await join(open(t), "room:intercept"), await join(open(t), "room:intercept")];
  const [annHears, bobHears] = [listen(ann, "new_msg"), listen(bob, "new_msg")];
  await ok(ann, "new_msg", { body: "hi" });
  assert.deepEqual(await annHears.next(), { body: "hi", transport: ":websocket" });
  assert.deepEqual(await bobHears.next(), { body: "hi", transport: ":websocket" });
});

test("3.7, 3.10: two topics on one socket do not hear each other", async (t) => {
  const socket = open(t);
  const [red, blue] = [await join(socket, "room:red"), await join(socket, "room:blue")];
  const [redHears, blueHears] = [listen(red, "bcast"), listen(blue, "bcast")];
  await ok(red, "bcast", { for: "red" });
  await ok(blue, "bcast", { for: "blue" });
  assert.deepEqual(redHears.waiting, [{ for: "red" }]);
  assert.deepEqual(blueHears.waiting, [{ for: "blue" }]);
  await answer(red.leave());
  assert.deepEqual(await ok(blue, "echo", { on: 1 }), { on: 1 });
});

test("3.4: whoever left hears nothing more", async (t) => {
  const sockets = [open(t), open(t)];
  const [ann, bob] = [await join(sockets[0], "room:left"), await join(sockets[1], "room:left")];
  const bobHears = listen(bob, "bcast");
  await answer(bob.leave());
  await ok(ann, "bcast", { n: 1 });
  const other = await join(sockets[1], "room:after");
  await ok(other, "echo", {});
  assert.equal(bobHears.waiting.length, 0);
});

test("3.7: a broadcast through the endpoint reaches any topic", async (t) => {
  const [ann, bob] = [await join(open(t), "room:here"), await join(open(t), "room:there")];
  const bobHears = listen(bob, "ext");
  await ok(ann, "endpoint_bcast", { topic: "room:there", payload: { over: "there" } });
  assert.deepEqual(await bobHears.next(), { over: "there" });
});

test("2.2: binary goes up, comes back as the reply, and is not changed", async (t) => {
  const channel = await join(open(t), "room:binary");
  const all = Uint8Array.from({ length: 256 }, (_, i) => i);
  assert.deepEqual(bytes(await ok(channel, "echo", all.buffer)), [...all]);
  assert.deepEqual(bytes(await ok(channel, "echo", buffer())), []);
  assert.deepEqual(bytes(await ok(channel, "gen_bin")), [1, 2, 0xfe]);
  const failed = await answer(channel.push("fail", buffer(7)));
  assert.equal(failed.status, "error");
  assert.deepEqual(bytes(failed.response), [7]);
});

test("2.2, 3.3: a channel pushes and answers in binary, and a join may be answered so", async (t) => {
  const channel = await join(open(t), "room:binjoin");
  assert.deepEqual(bytes(channel.joined), [9, 8, 7]);
  const pushed = listen(channel, "binary_event");
  assert.deepEqual(bytes(await ok(channel, "binary_event", buffer(1, 2))), [1, 2, 3, 4]);
  assert.deepEqual(bytes(await pushed.next()), [0, 1]);
});

test("2.2: a binary broadcast reaches everyone as it was sent", async (t) => {
  const [ann, bob] = [await join(open(t), "room:binall"), await join(open(t), "room:binall")];
  const [annHears, bobHears] = [listen(ann, "bcast_bin"), listen(bob, "bcast_bin")];
  assert.deepEqual(await ok(ann, "bcast_bin", buffer(101, 102, 0, 255)), {});
  assert.deepEqual(bytes(await annHears.next()), [101, 102, 0, 255]);
  assert.deepEqual(bytes(await bobHears.next()), [101, 102, 0, 255]);
});

test("2.2: names that are not ASCII work in binary frames too", async (t) => {
  const channel = await join(open(t), "room:žluťoučký-кот-🐭");
  assert.deepEqual(bytes(await ok(channel, "echo", buffer(1))), [1]);
});

test("3.8: in a room of 50 everyone gets all 20 messages of each of 3 senders once and in their order", async (t) => {
  const members = await Promise.all(Array.from({ length: 50 }, () => join(open(t), "room:crowd")));
  const inboxes = members.map((member) => listen(member, "bcast"));
  const senders = members.slice(0, 3);
  const sent = senders.map(async (sender, from) => {
    for (let n = 0; n < 20; n++) await ok(sender, "bcast", { from, n });
  });
  await Promise.all(sent);
  for (const inbox of inboxes) {
    const got = await inbox.take(60);
    for (const from of senders.keys()) {
      assert.deepEqual(got.filter((message) => message.from === from).map(({ n }) => n), [...Array(20).keys()]);
    }
  }
  await Promise.all(members.map((member) => ok(member, "echo", {})));
  assert.equal(inboxes.reduce((extra, inbox) => extra + inbox.waiting.length, 0), 0, "messages came twice");
});
