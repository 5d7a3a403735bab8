// Targets that are none: each ends in bounded time, is counted by kind, and named with what to do about it.

import assert from "node:assert/strict";
import { describe } from "node:test";

import { bench, echoserver, errorsOf, failed, worked } from "./bench.mjs";
import { despiteStalls, test } from "./support.mjs";
import {
  endlessly,
  listen,
  nobody,
  request,
  says,
  upgrades,
  upgradesSlowly,
  upgradesWith,
  upgradesWrongly,
} from "./targets.mjs";

const few = 20;
const users = ["--connections", `${few}`, "--arrival-rate", "1000", "--plateau", "0"];
const quick = [...users, "--metrics", "none"]; // else those that are silent are first asked for theirs
const connect = (t, url, ...flags) => bench(t, "connect", "--url", url, ...quick, "--hold", "200ms", ...flags);

const requests = ["--protocol", "websocket", "--rate", "20", "--duration", "1s", "--settle", "1s", "--timeout", "1s"];
const echo = (t, url, ...flags) => bench(t, "echo", "--url", url, ...quick, ...requests, ...flags);

const http = (status, more = "") =>
  `HTTP/1.1 ${status}\r\nContent-Type: text/html\r\nContent-Length: 13\r\n${more}\r\n<html></html>`;

// afterwards sends bytes behind an upgrade that is in order, and then does more.
const afterwards = (bytes, more = () => {}) =>
  upgrades((socket) => socket.write(Buffer.from(bytes, "latin1"), () => more(socket)));

// What a server of HTTP does with the first bytes of TLS.
const speaksHTTP = (socket) => socket.once("data", () => socket.end(http("400 Bad Request"), "latin1"));

const endlessHead = request((socket) => {
  socket.write("HTTP/1.1 101 Switching Protocols\r\n");
  endlessly("X-More: and more\r\n")(socket);
});

// eachBy asserts that each user has failed once, by errors of a kind.
function eachBy(kind, done) {
  failed(done);
  const { counts } = done.result;
  assert.deepEqual([counts.users, counts.errors, errorsOf(done, kind)], [few, few, few], `${done}`);
  assert.deepEqual([counts.open, counts.joined], [0, 0]);
}

describe("bad targets", { concurrency: 4 }, () => {
  // A target, how it serves a connection, and the kind under which each user is counted.
  for (const [what, serve, kind, example] of [
    ["closes at once", (socket) => socket.end(), /^closed by server: upgrade$|^reset by peer$/],
    ["resets at once", (socket) => socket.resetAndDestroy(), /^reset by peer$/],
    ["closes when it has read the request", request((socket) => socket.end()), /^closed by server: upgrade$/],
    ["speaks HTTP only, and has a page", says(http("200 OK")), /HTTP only.* 200$/],
    [
      "redirects",
      says(http("301 Moved Permanently", "Location: https://chat.example.com/\r\n"), true),
      / 301$/,
      /chat\.example\.com/,
    ],
    ["has nothing at this path", says(http("404 Not Found"), true), / 404$/],
    ["wants a password", says(http("401 Unauthorized"), true), / 401$/],
    ["is broken", says(http("500 Internal Server Error")), / 500$/],
    ["closes after half a response", says("HTTP/1.1 101 Switching Proto", true), /^closed by server: upgrade$/],
    ["answers with another key's accept", upgradesWrongly("s3pPLMBiTxaQ9kYGzhZRbK+xOo0="), /wrong accept key/],
    [
      "answers with an extension",
      upgradesWith("Sec-WebSocket-Extensions: permessage-deflate\r\n"),
      /extension that was not asked for/,
    ],
    ["answers with a head that never ends", endlessHead, /head too long/],
    ["speaks another protocol", (socket) => socket.write("220 mail.example.com ESMTP\r\n"), /not HTTP/],
    ["speaks first, and in binary", (socket) => socket.write(Buffer.from([0, 255, 254, 1, 0, 0, 13, 10])), /not HTTP/],
    ["upgrades and sends garbage", afterwards("\xff\xff\xff\xff"), /^protocol violation/],
    [
      "upgrades and resets in mid frame",
      afterwards("\x81\x7e\x10", (socket) => socket.resetAndDestroy()),
      /^reset by peer$/,
    ],
    ["upgrades and closes in mid frame", afterwards("\x81\x7e\x10", (socket) => socket.end()), /^closed by server$/],
    ["upgrades and sends a control frame of 200 bytes", afterwards("\x89\x7e\x00\xc8"), /^protocol violation/],
    ["upgrades and closes with a code that there is not", afterwards("\x88\x02\x03\xed"), /^protocol violation/],
  ]) {
    test(`one that ${what}`, async (t) => {
      const done = await connect(t, `ws://127.0.0.1:${await listen(t, serve)}`);
      eachBy(kind, done);
      if (example) assert.match(done.result.errors[0].example, example);
    });
  }

  // Those that keep one waiting. A machine that is busy may take the second for the upgrade alone.
  for (const [what, serve, kind] of [
    ["says nothing", () => {}, /^timeout: connect$/],
    ["does not even read", (socket) => socket.pause(), /^timeout: connect$/],
    ["stops after half a response", says("HTTP/1.1 101 Switching Proto"), /^timeout: connect$/],
    ["upgrades and is silent", upgrades(), /^timeout: (connect|join)$/],
    ["upgrades and stops reading", upgrades((socket) => socket.pause()), /^timeout: (connect|join)$/],
    ["upgrades and sends pings for ever", upgrades(endlessly("\x89\x04ping")), /^timeout: (connect|join)$/],
  ]) {
    test(`one that ${what}`, async (t) => {
      eachBy(kind, await connect(t, `ws://127.0.0.1:${await listen(t, serve)}`, "--timeout", "1s"));
    });
  }

  test("one that is not there", async (t) => {
    const done = await connect(t, nobody);
    failed(done);
    assert.equal(errorsOf(done, /^connection refused$/), few);
    assert.ok(done.text.includes(nobody), `it does not say where nobody listens\n${done}`);
  });

  test("one that says nothing, and is asked for its metrics first", async (t) => {
    const url = `ws://127.0.0.1:${await listen(t, () => {})}`;
    eachBy(/^timeout: connect$/, await bench(t, "connect", "--url", url, ...users, "--timeout", "1s", "--hold", "0s"));
  });

  test("one that is not there, and every other scenario", async (t) => {
    for (const scenario of ["broadcast", "rooms", "chat", "echo", "storm", "slow"]) {
      const done = await bench(t, scenario, "--url", nobody, ...quick, "--duration", "300ms");
      failed(done);
      assert.ok(errorsOf(done, /^connection refused$/) >= few, `${done}`);
    }
  });

  test("one of two that is not there", async (t) => {
    const there = await listen(t, upgrades());
    const urls = ["--url", nobody, "--url", `ws://127.0.0.1:${there}`];
    const done = await bench(t, "connect", ...urls, "--protocol", "websocket", ...quick, "--hold", "200ms");
    failed(done);
    assert.deepEqual([errorsOf(done, /refused/), done.result.counts.upgrades], [few / 2, few / 2]);
  });

  test("TLS where ws:// was asked for", async (t) => {
    const { ws } = await echoserver(t, "-tls");
    const done = await connect(t, ws.replace("wss:", "ws:"));
    failed(done);
    assert.equal(done.result.counts.errors, few);
    assert.match(done.text, /wss:/, "the fix does not name wss");
  });

  test("plain HTTP where wss:// was asked for", async (t) => {
    const done = await connect(t, `wss://127.0.0.1:${await listen(t, speaksHTTP)}`, "--insecure");
    failed(done);
    assert.equal(errorsOf(done, /^TLS: not TLS$/), few);
    assert.match(done.text, /ws:/, "the fix does not name ws");
  });

  test("a certificate that nobody has signed", async (t) => {
    const { ws } = await echoserver(t, "-tls");
    const done = await connect(t, ws);
    failed(done);
    assert.equal(errorsOf(done, /^TLS: unknown authority$/), few);
    assert.match(done.text, /--insecure/);
  });

  test("a TLS target that says nothing, or closes", async (t) => {
    for (const [serve, kind, ...flags] of [
      [() => {}, /^timeout: connect$/, "--timeout", "1s"],
      [(socket) => socket.end(), /^TLS: closed by server|^reset by peer$/],
      [(socket) => socket.once("data", () => socket.resetAndDestroy()), /^reset by peer$/],
    ]) {
      eachBy(kind, await connect(t, `wss://127.0.0.1:${await listen(t, serve)}`, "--insecure", ...flags));
    }
  });

  test("one that closes everything in the middle", (t) =>
    despiteStalls(async () => {
      const sockets = [];
      const serve = upgrades((socket) => {
        sockets.push(socket);
        if (sockets.length === few) setTimeout(() => sockets.forEach((each) => each.end()), 300);
      });
      const middle = ["--protocol", "websocket", "--hold", "2s"]; // it may be over, if this process stalls
      const done = await connect(t, `ws://127.0.0.1:${await listen(t, serve)}`, ...middle);
      failed(done);
      const { counts, errors } = done.result;
      assert.deepEqual([counts.lost, errorsOf(done, /^closed by server$/)], [few, few], JSON.stringify(errors));
    }, 5));

  test("one that does not read what is sent to it", async (t) => {
    const port = await listen(
      t,
      upgrades((socket) => socket.pause()),
    );
    // 10 MB for each of two, more than the kernel keeps for them.
    const two = ["--connections", "2", "--size", "1000000", "--timeout", "500ms"];
    const done = await echo(t, `ws://127.0.0.1:${port}`, ...two);
    failed(done);
    assert.ok(errorsOf(done, /^timeout: (reply|write)$|^outbox full$/) >= 2, JSON.stringify(done.result.errors));
    assert.equal(done.result.counts.answered, 0);
  });

  test("one that answers something else", async (t) => {
    const port = await listen(
      t,
      upgrades((socket) => socket.on("data", () => socket.write("\x81\x05hello", "latin1"))),
    );
    const done = await echo(t, `ws://127.0.0.1:${port}`);
    failed(done);
    assert.equal(done.result.counts.answered, 0);
  });
});

const inCapitals = (response) => response.replace(/^[a-z-]+:/gim, (name) => name.toUpperCase());

describe("odd targets that are right", { concurrency: 4 }, () => {
  const plain = ["--protocol", "websocket"];

  for (const [what, serve] of [
    ["answers one byte at a time", upgradesSlowly],
    [
      "says 100 Continue first",
      upgrades(
        () => {},
        (response) => `HTTP/1.1 100 Continue\r\n\r\n${response}`,
      ),
    ],
    ["writes its header names in capitals", upgrades(() => {}, inCapitals)],
    [
      "sends a ping with its answer",
      upgrades(
        () => {},
        (response) => `${response}\x89\x04ping`,
      ),
    ],
    ["never answers a close", upgrades()],
    ["sends pings for ever", upgrades(endlessly("\x89\x04ping"))],
    ["sends messages for ever", upgrades(endlessly("\x81\x05hello"))],
  ]) {
    test(`one that ${what}`, async (t) => {
      const done = await connect(t, `ws://127.0.0.1:${await listen(t, serve)}`, ...plain);
      worked(done);
      assert.equal(done.result.counts.upgrades, few);
    });
  }
});
