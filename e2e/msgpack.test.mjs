// MessagePack: the unmodified client with the codec of examples/msgpack, in Node and in a browser, among clients of JSON.

import assert from "node:assert/strict";
import WebSocket from "ws";

import { Extension, messagePack, pack, unpack } from "../examples/msgpack/msgpack.mjs";
import { useChromium } from "./chrome.mjs";
import { answer, connect, join, listen, tell } from "./client.mjs";
import { atEnd, Program, test, within } from "./support.mjs";

const room = await Program.start("msgpack");
atEnd(() => room.stop());
const endpoint = `${room.ws}/socket`;
const { skip, openPage } = await useChromium();

test("the codec gives back what it was given, in the fewest bytes", () => {
  for (const [value, digits] of [
    [null, "c0"], [true, "c3"], [127, "7f"], [128, "cc80"], [65_536, "ce00010000"], [2 ** 53 - 1, "cf001fffffffffffff"],
    [-32, "e0"], [-33, "d0df"], [-2_147_483_649, "d3ffffffff7fffffff"], [0.5, "cb3fe0000000000000"], [-0, "cb8000000000000000"],
    [18_446_744_073_709_551_615n, "cfffffffffffffffff"], [-9_223_372_036_854_775_808n, "d38000000000000000"],
    ["ä", "a2c3a4"], [[1, []], "920190"], [{ a: { b: 1 } }, "81a16181a16201"], [new Uint8Array([1, 2]), "c4020102"],
    [new Date(-1), "c70cff3b8b87c0ffffffffffffffff"], [new Extension(5, new Uint8Array(3)), "c70305000000"],
    [Array(16).fill(0), `dc0010${"00".repeat(16)}`], ["x".repeat(32), `d920${"78".repeat(32)}`],
  ]) {
    assert.equal(Buffer.from(pack(value)).toString("hex"), digits);
    assert.deepEqual(unpack(Buffer.from(digits, "hex")), value);
  }
  assert.deepEqual(unpack(pack({ skipped: undefined, f() {}, list: [undefined] })), { list: [null] });
  assert.deepEqual(unpack(Buffer.from("81012a", "hex")), { 1: 42 });
  assert.deepEqual(unpack(Buffer.from("d7ff773594005a497a00", "hex")), new Date("2018-01-01T00:00:00.5Z"));
});

test("the codec refuses what is no message, whatever it claims", () => {
  for (const digits of ["", "c1", "ddffffffff", "dfffffffff", "dbffffffff61", "c6ffffffff", "92c0", "a1ff", "cb00", "c0c0", "c9ffffffff05"]) {
    assert.throws(() => unpack(Buffer.from(digits, "hex")), digits);
  }
});

test("phoenix.js speaks MessagePack: join, reply, broadcast, leave", async (t) => {
  const socket = connect(t, endpoint, messagePack(WebSocket));
  const channel = await join(socket, "room:1");
  assert.equal(socket.conn.protocol, "phoenix.msgpack");
  const payload = { big: 18_446_744_073_709_551_615n, bytes: new Uint8Array([1, 2]), at: new Date(1_500), deep: [{ a: [null, -1.5] }] };
  assert.deepEqual(await answer(channel.push("echo", payload)), { status: "ok", response: payload });
  assert.deepEqual(await answer(channel.push("echo", new Uint8Array([9, 8]).buffer)), { status: "ok", response: new Uint8Array([9, 8]) });
  const said = listen(channel, "said");
  tell(channel, "say", payload);
  assert.deepEqual(await said.next(), payload);
  await answer(channel.leave());
});

test("clients of JSON and of MessagePack hear each other", async (t) => {
  const packed = await join(connect(t, endpoint, messagePack(WebSocket)), "room:2");
  const json = await join(connect(t, endpoint), "room:2");
  const heard = [listen(packed, "said"), listen(json, "said")];
  tell(packed, "say", { n: 9_007_199_254_740_991, bytes: new Uint8Array([1, 2, 3]), at: new Date(0), ext: new Extension(5, new Uint8Array(1)) });
  assert.deepEqual(await heard[0].next(), {
    n: 9_007_199_254_740_991, bytes: new Uint8Array([1, 2, 3]), at: new Date(0), ext: new Extension(5, new Uint8Array(1)),
  });
  assert.deepEqual(await heard[1].next(), {
    n: 9_007_199_254_740_991, bytes: "AQID", at: "1970-01-01T00:00:00Z", ext: { type: 5, data: "AA==" },
  });
  const text = { s: "\u0000\"😀", list: [1, 0.1, null, true, {}], empty: {} };
  tell(json, "say", text);
  for (const inbox of heard) assert.deepEqual(await inbox.next(), text);
});

test("a heartbeat is answered, and the connection comes back after it was lost", async (t) => {
  const socket = connect(t, endpoint, { ...messagePack(WebSocket), reconnectAfterMs: () => 20 });
  const channel = await join(socket, "room:3");
  await socket.opened.next();
  await within(new Promise((resolve) => socket.ping(resolve)), "the answer to a heartbeat");
  socket.conn.terminate();
  await socket.opened.next("the second opening");
  await channel.joins.next("the second join");
  assert.deepEqual((await answer(channel.push("echo", { again: true }))).response, { again: true });
});

test("two pages, one in MessagePack and one in JSON", { skip }, async (t) => {
  const pages = [];
  for (const query of ["", "?json"]) {
    const page = await openPage(t);
    page.frames_ = [];
    page.on("websocket", (ws) => ws.on("framereceived", ({ payload }) => page.frames_.push(payload)));
    await page.goto(`${room.http}/${query}`);
    pages.push(page);
  }
  for (const [i, speaks] of ["phoenix.msgpack", "JSON"].entries()) {
    await pages[i].locator("#speaks", { hasText: speaks }).waitFor();
  }
  for (const [i, text] of ["from MessagePack", "from JSON"].entries()) {
    await pages[i].getByLabel("Message").fill(text);
    await pages[i].keyboard.press("Enter");
    for (const page of pages) await page.locator("#log li", { hasText: new RegExp(`^${text} \\(\\d{4}-`) }).waitFor();
  }
  assert.ok(pages[0].frames_.length >= 3 && pages[0].frames_.every((frame) => typeof frame !== "string"), "a text frame came");
  assert.ok(pages[1].frames_.every((frame) => typeof frame === "string"), "a binary frame came");
});
