// Who is there: the phoenix client's class Presence, unmodified, against channel P of the fixture.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { isDeepStrictEqual } from "node:util";

import { LongPoll, Presence } from "phoenix";

import { answer, connect, ok, tell } from "./client.mjs";
import { Inbox, owned, Program, test, use } from "./support.mjs";

const fixture = await use("fixture");
let topics = 0;
const newTopic = () => `presence:${++topics}`;

// enter joins as a key with a name, or only to look, and follows who is there.
async function enter(t, topic, params = {}, { server = fixture, mount = "/socket", ...options } = {}) {
  const socket = connect(t, `${server.ws}${mount}`, { rejoinAfterMs: () => 20, ...options });
  const channel = socket.channel(topic, params);
  const presence = new Presence(channel);
  presence.syncs = new Inbox(`syncs of ${topic}`);
  presence.onSync(() => presence.syncs.put(true));
  channel.states = new Inbox(`presence_state of ${topic}`);
  channel.on("presence_state", (state) => channel.states.put(state));
  channel.errors = new Inbox(`errors of ${topic}`);
  channel.onError((reason) => channel.errors.put(reason));
  assert.equal((await answer(channel.join())).status, "ok");
  return { socket, channel, presence };
}

const here = (presence) => Object.fromEntries(presence.list((key, { metas }) => [key, metas.map(({ name }) => name).sort()]));
const refs = (presence) => presence.list((_, { metas }) => metas.map((meta) => meta.phx_ref)).flat().sort();

// shows waits until a client shows these keys, each with the names of its metas.
async function shows({ presence }, want) {
  while (!isDeepStrictEqual(here(presence), want)) {
    await presence.syncs.next(`${JSON.stringify(want)}; shown is ${JSON.stringify(here(presence))}`);
  }
}

test("6.2, 6.3: who enters sees who is there, then itself; the others see it enter", async (t) => {
  const topic = newTopic();
  const ann = await enter(t, topic, { key: "u1", name: "Ann" });
  await shows(ann, { u1: ["Ann"] });
  assert.deepEqual(await ann.channel.states.next(), {});
  const joined = [];
  ann.presence.onJoin((key, before, { metas }) => joined.push([key, before, metas.map(({ name }) => name)]));
  const bob = await enter(t, topic, { key: "u2", name: "Bob" });
  await shows(bob, { u1: ["Ann"], u2: ["Bob"] });
  await shows(ann, { u1: ["Ann"], u2: ["Bob"] });
  assert.deepEqual(Object.keys(await bob.channel.states.next()), ["u1"]);
  assert.deepEqual(joined, [["u2", undefined, ["Bob"]]]);
  assert.deepEqual(refs(ann.presence), refs(bob.presence));
});

test("6.1: a key has a meta for each device, and stays until the last has left", async (t) => {
  const topic = newTopic();
  const watcher = await enter(t, topic);
  const left = [];
  watcher.presence.onLeave((key, { metas }) => left.push([key, metas.length]));
  const phone = await enter(t, topic, { key: "u1", name: "phone" });
  const laptop = await enter(t, topic, { key: "u1", name: "laptop" });
  await shows(watcher, { u1: ["laptop", "phone"] });
  assert.equal(new Set(refs(watcher.presence)).size, 2);
  phone.channel.leave();
  await shows(watcher, { u1: ["laptop"] });
  tell(laptop.channel, "untrack", { key: "u1" });
  await shows(watcher, {});
  await shows(laptop, {});
  assert.deepEqual(left, [["u1", 1], ["u1", 0]]);
});

test("6.2: an update replaces the meta in one step and names the one before", async (t) => {
  const topic = newTopic();
  const [ann, watcher] = [await enter(t, topic, { key: "u1", name: "Ann" }), await enter(t, topic)];
  await shows(watcher, { u1: ["Ann"] });
  const changes = [];
  watcher.presence.onJoin((key, before, after) => changes.push({ key, before, after }));
  for (const name of ["Anna", "Annabel"]) {
    const [before] = refs(watcher.presence);
    tell(ann.channel, "update", { key: "u1", name });
    await shows(watcher, { u1: [name] });
    const { before: old, after } = changes.pop();
    assert.equal(old.metas[0].phx_ref, before);
    assert.equal(after.metas[0].phx_ref_prev, before);
    assert.notEqual(after.metas[0].phx_ref, before);
  }
  assert.deepEqual(changes, []);
  await shows(ann, { u1: ["Annabel"] });
});

test("6.2: what cannot be done is said, and lists are the server's own", async (t) => {
  const topic = newTopic();
  const ann = await enter(t, topic, { key: "u1", name: "Ann" });
  for (const [event, key, reason] of [["track", "u1", "already_tracked"], ["update", "u2", "nopresence"]]) {
    assert.deepEqual(await answer(ann.channel.push(event, { key, name: "x" })), { status: "error", response: { reason } });
  }
  tell(ann.channel, "untrack", { key: "nobody" });
  tell(ann.channel, "track", { key: 7, name: "a number as key" });
  const list = await ok(ann.channel, "list");
  assert.deepEqual(Object.keys(list).sort(), ["7", "u1"]);
  await shows(ann, { u1: ["Ann"], 7: ["a number as key"] });
  assert.deepEqual(list.u1.metas.map(({ name }) => name), ["Ann"]);
});

test("4.7: keys may be any strings", async (t) => {
  const topic = newTopic();
  const watcher = await enter(t, topic);
  const names = ["__proto__", "constructor", "", 'a "quote" \\ and a\nline', "ünï😴", "metas"];
  for (const key of names) await enter(t, topic, { key, name: key });
  while (watcher.presence.list().length < names.length) await watcher.presence.syncs.next();
  assert.deepEqual(watcher.presence.list((key) => key).sort(), [...names].sort());
});

test("4.7: diffs that come while many enter are neither lost nor counted twice", async (t) => {
  const topic = newTopic();
  const people = await Promise.all(Array.from({ length: 30 }, (_, n) => enter(t, topic, { key: `u${n % 10}`, name: `${n}` })));
  const want = Object.fromEntries(Array.from({ length: 10 }, (_, n) => [`u${n}`, [`${n}`, `${n + 10}`, `${n + 20}`].sort()]));
  for (const person of people) await shows(person, want);
  for (const { channel } of people.slice(1)) channel.leave();
  await shows(people[0], { u0: ["0"] });
});

test("4.7: a channel that crashes loses its entries, joins again and gets a new state", async (t) => {
  const topic = newTopic();
  const [ann, watcher] = [await enter(t, topic, { key: "u1", name: "Ann" }), await enter(t, topic)];
  await ann.channel.states.next();
  await shows(watcher, { u1: ["Ann"] });
  const [before] = refs(watcher.presence);
  tell(ann.channel, "boom");
  assert.deepEqual(await ann.channel.errors.next(), { reason: "channel_crash" });
  await ann.channel.states.next("the state after the rejoin");
  await shows(ann, { u1: ["Ann"] });
  await shows(watcher, { u1: ["Ann"] });
  while (refs(watcher.presence)[0] === before) await watcher.presence.syncs.next("the entry of the rejoin");
  assert.deepEqual(refs(ann.presence), refs(watcher.presence));
  assert.equal(ann.channel.states.waiting.length, 0, "more than one state for a join");
});

test("4.7: with Resync, who joins, leaves and joins in one go is there once", async (t) => {
  const server = await use("fixture", "-resync");
  const topic = newTopic();
  const watcher = await enter(t, topic, {}, { server });
  const socket = connect(t, `${server.ws}/socket`);
  await socket.opened.next();
  const [first, second] = ["first", "second"].map((name) => socket.channel(topic, { key: "u1", name }));
  const presence = new Presence(second);
  presence.syncs = new Inbox(`syncs of ${topic}`);
  presence.onSync(() => presence.syncs.put(true));
  first.join();
  first.leave(); // the entry of the first comes in a diff that the second keeps, and goes while nobody is told
  second.join();
  await shows({ presence }, { u1: ["second"] });
  await shows(watcher, { u1: ["second"] });
  tell(second, "untrack", { key: "u1" });
  await shows({ presence }, {});
});

test("6.2: entries go with a connection that is cut, and come back with it", async (t) => {
  const topic = newTopic();
  const watcher = await enter(t, topic);
  const left = new Inbox("leaves");
  watcher.presence.onLeave((key) => left.put(key));
  const ann = await enter(t, topic, { key: "u1", name: "Ann" });
  await shows(watcher, { u1: ["Ann"] });
  ann.socket.conn.terminate();
  assert.equal(await left.next(), "u1");
  await shows(watcher, { u1: ["Ann"] });
  await shows(ann, { u1: ["Ann"] });
});

test("6.2: entries go with a process that is killed", async (t) => {
  const topic = newTopic();
  const watcher = await enter(t, topic);
  const program = fileURLToPath(new URL("presence.client.mjs", import.meta.url));
  const child = owned(spawn(process.execPath, [program, `${fixture.ws}/socket`, topic, "u1"], { stdio: "inherit" }));
  t.after(() => child.kill("SIGKILL"));
  await shows(watcher, { u1: ["a process"] });
  child.kill("SIGKILL");
  await shows(watcher, {});
});

test("6.2: entries go with a client that has fallen silent (1.9)", async (t) => {
  const topic = newTopic();
  const watcher = await enter(t, topic);
  const left = new Inbox("leaves");
  watcher.presence.onLeave((key) => left.put(key));
  const silent = await enter(t, topic, { key: "u1", name: "silent" }, { mount: "/idle" });
  await shows(watcher, { u1: ["silent"] });
  assert.equal(await left.next(), "u1");
  assert.equal((await silent.socket.closed.next()).code, 1002);
});

test("6.2: who polls sees and is seen; entries go with a client that polls no more (5.5)", async (t) => {
  const topic = newTopic();
  const watcher = await enter(t, topic, { key: "u1", name: "watcher" });
  const left = new Inbox("leaves");
  watcher.presence.onLeave((key) => left.put(key));
  const polling = await enter(t, topic, { key: "u2", name: "polling" }, { transport: LongPoll });
  await shows(polling, { u1: ["watcher"], u2: ["polling"] });
  await shows(watcher, { u1: ["watcher"], u2: ["polling"] });
  tell(watcher.channel, "update", { key: "u1", name: "renamed" });
  await shows(polling, { u1: ["renamed"], u2: ["polling"] });
  polling.socket.disconnect();
  await left.until((key) => key === "u2");
});

for (const signal of ["SIGTERM", "SIGKILL"]) {
  test(`4.7: after ${signal} of the server all come back, and nobody is there twice`, async (t) => {
    const server = await Program.start("fixture");
    t.after(() => server.stop());
    const topic = newTopic();
    const people = [];
    for (const name of ["Ann", "Bob"]) people.push(await enter(t, topic, { key: name, name }, { server }));
    const watcher = await enter(t, topic, {}, { server });
    const want = { Ann: ["Ann"], Bob: ["Bob"] };
    await shows(watcher, want);
    const before = refs(watcher.presence);
    await server.stop(signal);
    await server.start();
    for (const { channel } of [...people, watcher]) {
      await channel.states.next();
      await channel.states.next("the state after the restart");
    }
    for (const person of [...people, watcher]) {
      while (refs(person.presence).some((ref) => before.includes(ref))) await person.presence.syncs.next("old entries gone");
      await shows(person, want);
    }
    assert.deepEqual(refs(people[0].presence), refs(watcher.presence));
  });
}
