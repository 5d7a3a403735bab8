// Frame by frame: joins, events, leaves and crashes of version 2, as a server answers whatever the client.

import assert from "node:assert/strict";

import { dial, reply, unmatched } from "./raw.mjs";
import { test, use } from "./support.mjs";

const fixture = await use("fixture");
const open = (t, mount = "socket") => dial(t, `${fixture.ws}/${mount}/websocket?vsn=2.0.0`);

test("3.2.1: a heartbeat is answered without join_ref, whatever it came with", async (t) => {
  const raw = await open(t);
  for (const [joinRef, ref] of [[null, "7"], ["3", "8"], [null, 9], [null, null]]) {
    raw.send([joinRef, ref, "phoenix", "heartbeat", {}]);
    await raw.expect(reply(null, ref, "phoenix", "ok", {}));
  }
});

test("3.2.2: an unknown topic: join and event are errors without join_ref, leave is fine", async (t) => {
  const raw = await open(t);
  raw.send(["1", "2", "nowhere", "phx_join", {}], ["1", "3", "nowhere", "echo", {}], ["1", "4", "nowhere", "phx_leave", {}]);
  await raw.expect(unmatched("2", "nowhere"), unmatched("3", "nowhere"), reply("1", "4", "nowhere", "ok", {}));
});

test("2.1, 3.6: join_ref and ref are told apart, and each comes back where it belongs", async (t) => {
  const raw = await open(t);
  raw.send(["join", "first", "room:refs", "phx_join", {}], ["join", "second", "room:refs", "echo", { a: 1 }]);
  await raw.expect(reply("join", "first", "room:refs", "ok", {}), reply("join", "second", "room:refs", "ok", { a: 1 }));
  raw.send(["join", "third", "room:refs", "push", { n: 1 }], ["join", "fourth", "room:refs", "boom", {}]);
  await raw.expect(
    ["join", null, "room:refs", "pushed", { n: 1 }],
    ["join", "join", "room:refs", "phx_error", { reason: "channel_crash" }],
  );
});

test("2.1, 3.2.3: refs may be numbers and go back as numbers", async (t) => {
  const raw = await open(t);
  raw.send([1, 2, "room:numbers", "phx_join", {}], [1, 3, "room:numbers", "echo", {}]);
  await raw.expect(reply(1, 2, "room:numbers", "ok", {}), reply(1, 3, "room:numbers", "ok", {}));
  raw.send(["1", 4, "room:numbers", "echo", {}]); // another type is another join: dropped
  raw.send([1, null, "room:numbers", "echo", { no: "ref" }]);
  await raw.expect(reply(1, null, "room:numbers", "ok", { no: "ref" }));
});

test("3.3: a join without join_ref uses its ref for what the channel says", async (t) => {
  const raw = await open(t);
  raw.send([null, "5", "room:null", "phx_join", {}]);
  await raw.expect(reply(null, "5", "room:null", "ok", {}));
  raw.send([null, "6", "room:null", "push", {}]);
  await raw.expect(["5", null, "room:null", "pushed", {}]);
  raw.send(["5", "7", "room:null", "echo", {}]); // "5" is not the null of the join: dropped
  raw.send([null, "8", "room:null", "echo", { a: 1 }]);
  await raw.expect(reply("5", "8", "room:null", "ok", { a: 1 }));
  raw.send([null, "9", "room:null", "phx_leave", {}]);
  await raw.expect(reply("5", "9", "room:null", "ok", {}), [null, null, "room:null", "phx_close", {}]);
});

test("3.2.3: messages of another join are dropped without a word, those without join_ref are taken", async (t) => {
  const raw = await open(t);
  await raw.join("room:stale");
  raw.send(["0", "2", "room:stale", "echo", {}], ["0", "3", "room:stale", "phx_leave", {}], ["", "4", "room:stale", "echo", {}]);
  await raw.quiet("1", "room:stale");
  raw.send([null, "5", "room:stale", "echo", {}]);
  await raw.expect(reply("1", "5", "room:stale", "ok", {}));
});

test("3.4: a leave is answered and closed with the join_ref in both places; then the topic is unknown", async (t) => {
  const raw = await open(t);
  await raw.join("room:leave");
  raw.send(["1", "8", "room:leave", "phx_leave", {}]);
  await raw.expect(reply("1", "8", "room:leave", "ok", {}), ["1", "1", "room:leave", "phx_close", {}]);
  raw.send(["1", "9", "room:leave", "echo", {}]);
  await raw.expect(unmatched("9", "room:leave"));
});

test("3.4, 3.6: what a leaving channel still pushes comes after its close, what a crashing one pushes before its error", async (t) => {
  const raw = await open(t);
  const joinLobby = async (ref) => {
    raw.send([ref, ref, "room:lobby", "phx_join", {}]);
    await raw.frames.take(3); // reply, user_entered, joined
  };
  await joinLobby("1");
  raw.send(["1", "2", "room:lobby", "phx_leave", {}]);
  await raw.expect(
    reply("1", "2", "room:lobby", "ok", {}),
    ["1", "1", "room:lobby", "phx_close", {}],
    ["1", null, "room:lobby", "you_left", { message: "bye!" }],
  );
  await joinLobby("3");
  raw.send(["3", "4", "room:lobby", "boom", {}]);
  await raw.expect(
    ["3", null, "room:lobby", "you_left", { message: "bye!" }],
    ["3", "3", "room:lobby", "phx_error", { reason: "channel_crash" }],
  );
});

test("3.5: a second join displaces the first: its reply, the close of the old join, its own pushes", async (t) => {
  const raw = await open(t);
  raw.send(["1", "1", "room:lobby2", "phx_join", {}]);
  await raw.frames.take(3);
  raw.send(["2", "2", "room:lobby2", "phx_join", { user: "again" }]);
  await raw.expect(reply("2", "2", "room:lobby2", "ok", {}), ["1", "1", "room:lobby2", "phx_close", {}]);
  const events = (await raw.frames.take(2)).map(([joinRef, , , event]) => [joinRef, event]);
  assert.deepEqual(events, [[null, "user_entered"], ["2", "joined"]]);
  raw.send(["1", "3", "room:lobby2", "echo", {}]); // of the displaced join: dropped
  await raw.quiet("2", "room:lobby2");
});

test("3.5: the channel that is displaced does not count against the limit", async (t) => {
  const raw = await open(t, "limited");
  await raw.join("room:same");
  raw.send(["2", "2", "room:same", "phx_join", {}]);
  await raw.expect(reply("2", "2", "room:same", "ok", {}), ["1", "1", "room:same", "phx_close", {}]);
});

for (const [event, ...frames] of [
  ["stop", ["1", "1", "room:end", "phx_close", {}]],
  ["stop_reply", reply("1", "2", "room:end", "ok", { bye: 1 }), ["1", "1", "room:end", "phx_close", {}]],
  ["stop_crash", reply("1", "2", "room:end", "ok", { bye: 1 }), ["1", "1", "room:end", "phx_error", { reason: "channel_crash" }]],
  ["boom", ["1", "1", "room:end", "phx_error", { reason: "channel_crash" }]],
  ["unheard of", ["1", "1", "room:end", "phx_error", { reason: "channel_crash" }]],
  ["phx_close", ["1", "1", "room:end", "phx_error", { reason: "channel_crash" }]],
]) {
  test(`3.6: the end of a channel by "${event}"`, async (t) => {
    const raw = await open(t);
    await raw.join("room:end");
    raw.send(["1", "2", "room:end", event, {}]);
    await raw.expect(...frames);
    raw.send(["1", "3", "room:end", "echo", {}]);
    await raw.expect(unmatched("3", "room:end"));
  });
}

test("2.1, 3.6: replies: status alone, any status, any JSON, twice", async (t) => {
  const raw = await open(t);
  await raw.join("room:reply2");
  const answers = (ref, status, response) => reply("1", ref, "room:reply2", status, response);
  raw.send(["1", "2", "room:reply2", "ack", {}], ["1", "3", "room:reply2", "nack", {}]);
  await raw.expect(answers("2", "ok", {}), answers("3", "error", {}));
  for (const response of [42, "text", null, true, [1, [2]], { a: {} }]) {
    raw.send(["1", "4", "room:reply2", "status", { status: "custom", response }]);
    await raw.expect(answers("4", "custom", response));
  }
  raw.send(["1", "5", "room:reply2", "async2", { n: 1 }]);
  await raw.expect(answers("5", "ok", { n: 1 }), answers("5", "ok", { n: 1 }));
});

test("2.1: numbers keep every digit", async (t) => {
  const raw = await open(t);
  await raw.join("room:digits");
  const payload = '{"big":123456789012345678901234567890,"small":-0.10000000000000000555,"exponent":1e400}';
  raw.send(`["1","2","room:digits","echo",${payload}]`);
  await raw.frames.next();
  for (const digits of ["123456789012345678901234567890", "-0.10000000000000000555", "1e400"]) {
    assert.ok(raw.lastText.includes(digits), `${digits} is not in ${raw.lastText}`);
  }
});

test("3.7, 3.8: a broadcast has no refs and precedes the sender's reply; an intercepted one is a push and follows it", async (t) => {
  const [ann, bob] = [await open(t), await open(t)];
  await ann.join("room:cast");
  await bob.join("room:cast");
  ann.send(["1", "2", "room:cast", "bcast", { n: 1 }]);
  await ann.expect([null, null, "room:cast", "bcast", { n: 1 }], reply("1", "2", "room:cast", "ok", {}));
  await bob.expect([null, null, "room:cast", "bcast", { n: 1 }]);
  ann.send(["1", "3", "room:cast", "new_msg", { n: 2 }]);
  const pushed = ["1", null, "room:cast", "new_msg", { n: 2, transport: ":websocket" }];
  await ann.expect(reply("1", "3", "room:cast", "ok", {}), pushed);
  await bob.expect(pushed);
});

test("2.1: elements after the fifth are ignored", async (t) => {
  const raw = await open(t);
  raw.send(["1", "1", "room:six", "phx_join", {}, "sixth", { seventh: 7 }]);
  await raw.expect(reply("1", "1", "room:six", "ok", {}));
});

test("3.2.2: the limit of channels refuses the next join and keeps its join_ref; a leave makes room", async (t) => {
  const raw = await open(t, "limited");
  await raw.join("room:a");
  raw.send(["2", "3", "room:b", "phx_join", {}], ["4", "5", "elsewhere", "phx_join", {}]);
  await raw.expect(reply("2", "3", "room:b", "error", { reason: "too many channels joined" }), unmatched("5", "elsewhere"));
  raw.send(["1", "6", "room:a", "phx_leave", {}]);
  await raw.frames.take(2);
  await raw.join("room:b");
});

test("0.2, 3.10: one hundred channels fit on a connection, and not one more", async (t) => {
  const raw = await open(t);
  for (let n = 0; n < 100; n++) await raw.join(`room:${n}`);
  raw.send(["1", "2", "room:100", "phx_join", {}]);
  await raw.expect(reply("1", "2", "room:100", "error", { reason: "too many channels joined" }));
});
