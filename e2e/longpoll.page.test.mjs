// The long-poll transport in a real browser: a page of another origin, with its preflights, and the fallback to it
// where something on the way lets no WebSocket through.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import http from "node:http";
import net from "node:net";

import { useChromium } from "./chrome.mjs";
import { atEnd, patienceMs, Program, test, use } from "./support.mjs";

const { skip, openPage } = await useChromium("--host-resolver-rules=MAP *.example 127.0.0.1");
const window = ["-window", "15s"]; // so that no session ends because a page is slow; the client waits for 20 s
const fixture = await use("fixture", ...window);
const client = readFileSync(new URL("node_modules/phoenix/priv/static/phoenix.mjs", import.meta.url), "utf8");

// pages serves an empty page, and the client, at whatever host the browser has for it.
const pages = http.createServer((request, response) => {
  const isClient = request.url === "/phoenix.mjs";
  response.setHeader("content-type", isClient ? "text/javascript" : "text/html");
  response.end(isClient ? client : "<!doctype html><title>page</title><link rel=icon href=data:,>");
});
await new Promise((resolve) => pages.listen(0, "127.0.0.1", resolve));
atEnd(() => {
  pages.close();
  pages.closeAllConnections();
});

// visit opens the page at a host; the fixture's /socket lets in those below wild.example.
async function visit(t, host = "page.wild.example") {
  const page = await openPage(t);
  page.asked = [];
  page.on("request", (request) => page.asked.push(`${request.method()} ${new URL(request.url()).pathname}`));
  page.on("websocket", (socket) => page.asked.push(`WebSocket ${new URL(socket.url()).pathname}`));
  await page.goto(`http://${host}:${pages.address().port}/`);
  return page;
}

// talk connects, joins a room and has a payload echoed; it returns what the client used for it. With logged it waits
// until the client has said so.
const talk = (page, url, options, logged) =>
  page.evaluate(
    async ([url, options, logged]) => {
      const { Socket, LongPoll } = await import("/phoenix.mjs");
      if (options.transport) options.transport = LongPoll;
      const said = new Promise((resolve) => {
        options.logger = (kind, message) => (!logged || message.includes(logged)) && resolve();
      });
      const socket = new Socket(url, options);
      const answer = (push) =>
        new Promise((resolve, reject) => {
          push.receive("ok", resolve);
          for (const status of ["error", "timeout"]) push.receive(status, () => reject(new Error(`${push.event}: ${status}`)));
        });
      socket.connect();
      const channel = socket.channel("room:page", {});
      await answer(channel.join());
      const echo = await answer(channel.push("echo", { "ü": 1 }));
      const heard = new Promise((resolve) => channel.on("new_msg", resolve));
      await answer(channel.push("new_msg", { n: 1 }));
      await said;
      const result = { echo, heard: await heard, kept: sessionStorage.getItem("phx:fallback:LongPoll") };
      socket.disconnect();
      return result;
    },
    [url, { timeout: patienceMs, ...options }, logged],
  );

test("5.7: a page of another origin talks, preflights and all", { skip }, async (t) => {
  const page = await visit(t);
  const { echo, heard } = await talk(page, `${fixture.ws}/socket`, { transport: "LongPoll", authToken: "secret" });
  assert.deepEqual([echo, heard], [{ "ü": 1 }, { n: 1, transport: ":longpoll" }]);
  assert.ok(page.asked.includes("POST /socket/longpoll"), page.asked.join("\n"));
});

test("1.4: a page of an origin that is not let in is told so, and cannot connect", { skip }, async (t) => {
  const page = await visit(t, "evil.example");
  const failed = await page.evaluate(async (url) => {
    const { Socket, LongPoll } = await import("/phoenix.mjs");
    const socket = new Socket(url, { transport: LongPoll });
    const closed = new Promise((resolve) => socket.onClose(({ code }) => resolve(code)));
    socket.connect();
    const code = await closed;
    socket.disconnect();
    return code;
  }, `${fixture.ws}/socket`);
  assert.equal(failed, 1008);
});

test("4.5: with a WebSocket that works, nothing falls back", { skip }, async (t) => {
  const page = await visit(t);
  const { heard, kept } = await talk(page, `${fixture.ws}/socket`, { longPollFallbackMs: patienceMs }, "connected to primary");
  assert.deepEqual([heard.transport, kept], [":websocket", null]);
  assert.deepEqual(page.asked.filter((what) => what.includes("longpoll")), []);
});

// between is a middlebox before the fixture: it refuses upgrades, or takes them and never answers. The rest passes.
async function between(t, answersUpgrade) {
  const server = net.createServer((inside) => {
    inside.on("error", () => inside.destroy());
    inside.once("data", (head) => {
      if (/^upgrade: websocket/im.test(`${head}`)) {
        if (answersUpgrade) inside.end("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        return;
      }
      const [host, port] = fixture.address.split(":");
      const outside = net.connect(Number(port), host);
      outside.on("error", () => inside.destroy());
      outside.write(head);
      inside.pipe(outside).pipe(inside);
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => server.close());
  return `ws://127.0.0.1:${server.address().port}/socket`;
}

for (const [what, answersUpgrade] of [["refuses", true], ["swallows", false]]) {
  test(`4.5: where something ${what} upgrades, the client falls back, and remembers`, { skip }, async (t) => {
    const url = await between(t, answersUpgrade);
    const page = await visit(t);
    const options = { longPollFallbackMs: 300 };
    const first = await talk(page, url, options);
    assert.deepEqual([first.heard, first.kept], [{ n: 1, transport: ":longpoll" }, "true"]);
    assert.ok(page.asked.includes("WebSocket /socket/websocket"), page.asked.join("\n"));
    page.asked.length = 0;
    const second = await talk(page, url, options);
    assert.equal(second.heard.transport, ":longpoll");
    assert.ok(!page.asked.includes("WebSocket /socket/websocket"), page.asked.join("\n"));
  });
}

test("a page's session outlives a restart of the server: it connects and joins again", { skip }, async (t) => {
  const server = await Program.start("fixture", ...window);
  t.after(() => server.stop());
  const page = await visit(t);
  await page.evaluate(async (url) => {
    const { Socket, LongPoll } = await import("/phoenix.mjs");
    const socket = new Socket(url, { transport: LongPoll });
    socket.connect();
    globalThis.joins = 0;
    socket.channel("room:page", {}).join().receive("ok", () => globalThis.joins++);
  }, `${server.ws}/socket`);
  await page.waitForFunction(() => globalThis.joins === 1);
  await server.stop();
  await server.start();
  await page.waitForFunction(() => globalThis.joins === 2);
});
