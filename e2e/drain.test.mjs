// The end of a server that has more clients than it sends away at once: they are told in batches, come back, and
// join again.

import assert from "node:assert/strict";

import { connect, join, listen, ok } from "./client.mjs";
import { Program, test, within } from "./support.mjs";
import { dial, reply, shake } from "./raw.mjs";

// draining starts a server that sends away one socket at a time, with a pause that no test waits for.
const draining = async (t, interval, ...more) => {
  const program = await Program.start("dormouse", "--drain-batch", "1", "--drain-interval", interval, ...more);
  t.after(() => program.stop());
  return program;
};

const stopping = (program) => program.signal("SIGTERM");

test("7: after the first batch the others go on, and nobody new comes in", async (t) => {
  const server = await draining(t, "1h", "--drain", "10h");
  const url = `${server.ws}/socket/websocket?vsn=2.0.0`;
  const sockets = [];
  for (let i = 0; i < 3; i++) sockets.push(await dial(t, url));
  await sockets[0].join("rooms:lobby");
  stopping(server);
  const first = await within(Promise.race(sockets.map((it) => it.closed.then((end) => ({ it, ...end })))), "the first batch");
  assert.equal(first.code, 1012);
  for (const it of sockets) {
    if (it === first.it) continue;
    it.send([null, "1", "phoenix", "heartbeat", {}]);
    await it.expect(reply(null, "1", "phoenix", "ok", {}));
  }
  assert.equal((await fetch(`${server.http}/healthz`)).status, 503);
  const refused = await shake(`${server.http}/socket/websocket?vsn=2.0.0`);
  assert.deepEqual([refused.status, refused.body], [503, "the server is shutting down"]);
  assert.ok(Number(refused.headers["retry-after"]) > 0, JSON.stringify(refused.headers));
});

test("7: sockets are told one batch after the other", async (t) => {
  const server = await draining(t, "700ms");
  const sockets = [];
  for (let i = 0; i < 3; i++) sockets.push(await dial(t, `${server.ws}/socket/websocket?vsn=2.0.0`));
  const began = performance.now();
  stopping(server);
  for (const socket of sockets) await socket.closesWith(1012);
  const took = performance.now() - began; // a machine that is slow makes it longer, never shorter
  assert.ok(took >= 1_400, `two pauses of 700 ms took ${took} ms`);
  assert.deepEqual(await within(server.exited, "the exit"), { code: 0, signal: null });
});

test("4.1, 7: the client comes back from a drain and joins again, whichever batch it was in", async (t) => {
  const server = await draining(t, "100ms");
  const members = [];
  for (let i = 0; i < 3; i++) members.push(await join(connect(t, `${server.ws}/socket`), "rooms:lobby"));
  assert.deepEqual(await server.stop("SIGTERM"), { code: 0, signal: null });
  for (const member of members) {
    assert.equal((await member.socket.closed.next()).code, 1012);
    assert.deepEqual(await member.errors.next(), { source: "transport", reason: "connection_closed" });
  }
  await server.start();
  for (const member of members) await member.joins.next("the rejoin");
  const heard = members.map((member) => listen(member, "new_msg"));
  await ok(members[0], "new_msg", { user: "Ann", body: "again" });
  for (const inbox of heard) assert.deepEqual(await inbox.next(), { user: "Ann", body: "again" });
});

test("a delay before the drain: unready for the balancer, as ever for everybody else", async (t) => {
  const server = await draining(t, "0s", "--drain-delay", "1h");
  const raw = await dial(t, `${server.ws}/socket/websocket?vsn=2.0.0`);
  stopping(server);
  while ((await fetch(`${server.http}/healthz`)).status !== 503);
  await raw.join("rooms:lobby");
  await join(connect(t, `${server.ws}/socket`), "rooms:late");
  raw.send(["1", "2", "rooms:lobby", "ping", { still: "here" }]);
  await raw.expect(reply("1", "2", "rooms:lobby", "ok", { still: "here" }));
});

test("behind the delay comes the drain", async (t) => {
  const server = await draining(t, "0s", "--drain-delay", "700ms");
  const raw = await dial(t, `${server.ws}/socket/websocket?vsn=2.0.0`);
  const began = performance.now();
  stopping(server);
  await raw.closesWith(1012);
  assert.ok(performance.now() - began >= 700, `closed ${performance.now() - began} ms after the signal`);
  assert.deepEqual(await within(server.exited, "the exit"), { code: 0, signal: null });
});

test("a second signal does not wait for the drain", async (t) => {
  const server = await draining(t, "1h", "--drain", "10h");
  const sockets = [];
  for (let i = 0; i < 2; i++) sockets.push(await dial(t, `${server.ws}/socket/websocket?vsn=2.0.0`));
  stopping(server);
  await within(Promise.race(sockets.map((socket) => socket.closed)), "the first batch");
  assert.deepEqual(await server.stop("SIGTERM"), { code: null, signal: "SIGTERM" });
});

test("a server with no more sockets than a batch ends at once", async (t) => {
  const server = await Program.start("dormouse", "--drain-interval", "1h", "--drain", "10h");
  t.after(() => server.stop());
  const sockets = [];
  for (let i = 0; i < 5; i++) sockets.push(await dial(t, `${server.ws}/socket/websocket?vsn=2.0.0`));
  assert.deepEqual(await server.stop("SIGTERM"), { code: 0, signal: null });
  for (const socket of sockets) await socket.closesWith(1012);
});
