// What `dormouse serve` tells those that are too many, and that an unmodified client gets in once there is room.

import assert from "node:assert/strict";
import net from "node:net";

import { answer, connect, join, listen, ok, tell } from "./client.mjs";
import { dial, shake } from "./raw.mjs";
import { Inbox, Program, test, within } from "./support.mjs";

// serve starts the program with flags of its own.
async function serve(t, ...flags) {
  const server = await Program.start("dormouse", ...flags);
  t.after(() => server.stop());
  server.upgrade = `${server.http}/socket/websocket?vsn=2.0.0`;
  return server;
}

// refused asserts that a handshake is refused so, with a Retry-After of at most some seconds.
async function refused(url, status, most, headers) {
  const got = await shake(url, headers);
  assert.equal(got.status, status, got.body);
  const seconds = Number(got.headers["retry-after"]);
  assert.ok(Number.isInteger(seconds) && seconds >= 1 && seconds <= most, `Retry-After: ${got.headers["retry-after"]}`);
}

// refusals returns the counter of a limit.
async function refusals(server, limit) {
  const text = await (await fetch(`${server.http}/metrics`)).text();
  return Number(text.match(new RegExp(`^dormouse_limit_refusals_total\\{limit="${limit}"\\} (\\d+)$`, "m"))?.[1]);
}

test("--max-connections: one more gets 503 and a time to come back, and gets in when another has gone", async (t) => {
  const server = await serve(t, "--max-connections", "2");
  const [first, second] = [connect(t, `${server.ws}/socket`), connect(t, `${server.ws}/socket`)];
  const channel = await join(first, "rooms:lobby");
  await join(second, "rooms:lobby");
  await refused(server.upgrade, 503, 10);
  assert.equal((await fetch(`${server.http}/healthz`)).status, 200, "a full server is well");
  assert.equal(await refusals(server, "connections"), 1);

  const third = connect(t, `${server.ws}/socket`);
  await third.failed.next("the refusal of the third");
  second.disconnect();
  await third.opened.next("the place of the second");
  const heard = listen(channel, "new_msg");
  await ok(await join(third, "rooms:lobby"), "new_msg", { user: "Ann", body: "at last" });
  assert.deepEqual(await heard.next(), { user: "Ann", body: "at last" });
});

test("--max-per-address: 429", async (t) => {
  const server = await serve(t, "--max-per-address", "1");
  await dial(t, server.upgrade.replace("http", "ws"));
  await refused(server.upgrade, 429, 1);
});

test("--new-per-address: 429", async (t) => {
  const server = await serve(t, "--new-per-address", "1");
  const answers = await Promise.all(Array.from({ length: 30 }, () => shake(server.upgrade)));
  assert.ok(answers.some(({ status }) => status === 101));
  const late = answers.filter(({ status }) => status === 429);
  assert.ok(late.length > 0);
  for (const { headers } of late) assert.equal(headers["retry-after"], "1");
});

test("--joins-per-second: the client tries again by itself, and joins", async (t) => {
  const server = await serve(t, "--joins-per-second", "1");
  const socket = connect(t, `${server.ws}/socket`);
  await socket.opened.next();
  for (let i = 0; i < 200; i++) { // twice the burst, so that a machine may be 100 s slow
    socket.push({ topic: "rooms:worn", event: "phx_join", payload: {}, ref: `r${i}`, join_ref: `r${i}` });
  }
  // One may be let in, if the machine stalls for a second behind the last of the 200; not all of them.
  const joins = new Inbox("joins");
  const answers = ["rooms:1", "rooms:2", "rooms:3"].map((topic) => {
    const joining = socket.channel(topic).join();
    joining.receive("ok", () => joins.put(topic));
    return answer(joining);
  });
  const denied = (await Promise.all(answers)).filter(({ status }) => status === "error");
  assert.ok(denied.length > 0, "nobody was refused");
  for (const { response } of denied) {
    assert.equal(response.reason, "rate limited");
    assert.ok(response.retry_after >= 1, `retry_after: ${response.retry_after}`);
  }
  assert.deepEqual((await joins.take(3)).sort(), ["rooms:1", "rooms:2", "rooms:3"]);
  assert.ok((await refusals(server, "join_rate")) > 0);
});

test("--messages-per-second: closed with 1008, and the client comes back", async (t) => {
  const server = await serve(t, "--messages-per-second", "1");
  const socket = connect(t, `${server.ws}/socket`);
  const channel = await join(socket, "rooms:lobby");
  await socket.opened.next();
  for (let i = 0; i < 300; i++) tell(channel, "ping", { i });
  assert.equal((await socket.closed.next()).code, 1008);
  await socket.opened.next("the reopening");
  await channel.joins.next("the rejoin");
  assert.equal(await refusals(server, "message_rate"), 1);
});

test("--proxy: clients count by what the proxy says, others by where they come from", async (t) => {
  const server = await serve(t, "--proxy", "127.0.0.1", "--max-per-address", "1");
  const url = server.upgrade.replace("http", "ws");
  const from = (client) => ({ headers: { "X-Forwarded-For": `10.1.1.1, ${client}` } });
  await dial(t, url, from("192.0.2.1"));
  await dial(t, url, from("192.0.2.2"));
  await dial(t, url, from("2001:db8::1"));
  await refused(server.upgrade, 429, 1, { "X-Forwarded-For": "192.0.2.1" });
  await refused(server.upgrade, 429, 1, { "X-Forwarded-For": "2001:db8::beef" });
  await dial(t, url);
  await dial(t, url);
});

test("--proxy-protocol: the header names the client, and whoever sends none is cut off", async (t) => {
  const server = await serve(t, "--proxy", "127.0.0.1", "--proxy-protocol", "--max-per-address", "1");
  const [host, port] = server.address.split(":");
  const status = (text) =>
    within(
      new Promise((resolve) => {
        const socket = net.connect(Number(port), host, () => socket.write(text));
        t.after(() => socket.destroy());
        socket.once("data", (data) => resolve(Number(`${data}`.split(" ")[1])));
        socket.on("error", (error) => resolve(error.code));
        socket.once("end", () => resolve("end"));
      }),
      "an answer",
    );
  const request =
    "GET /socket/websocket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
  const header = (client) => `PROXY TCP4 ${client} 198.51.100.1 4711 443\r\n`;
  assert.equal(await status(header("192.0.2.1") + request), 101);
  assert.equal(await status(header("192.0.2.2") + request), 101);
  assert.equal(await status(header("192.0.2.1") + request), 429);
  assert.equal(await status(request), "ECONNRESET");
});
