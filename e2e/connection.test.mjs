// A connection once it is open: what it knows of its request, its limits, and the code it closes with.

import assert from "node:assert/strict";

import { dial, reply } from "./raw.mjs";
import { despiteStalls, test, use, within } from "./support.mjs";

const fixture = await use("fixture");
const open = (t, mount = "socket", options) => dial(t, `${fixture.ws}/${mount}/websocket?vsn=2.0.0`, options);

async function info(t, path, options) {
  const raw = await dial(t, `${fixture.ws}${path}`, options);
  raw.send(["1", "1", "info", "phx_join", {}]);
  const [, , , , { status, response }] = await raw.frames.next();
  assert.equal(status, "ok");
  return { ...response, raw };
}

test("1.7: the connect info holds what the mount asks for, and nothing else", async (t) => {
  const headers = {
    "X-Forwarded-For": "10.0.0.1",
    "X-Other": "x",
    "User-Agent": "dormouse-e2e",
    traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    tracestate: "rojo=00f067aa0ba902b7",
    Cookie: "a=b",
  };
  const { connect_info: got, raw } = await info(t, "/info/websocket?vsn=2.0.0&a=1", { headers });
  const { localPort } = raw.ws._socket;
  const { sec_websocket_headers: websocket, ...rest } = got;
  assert.deepEqual(rest, {
    peer_data: { address: "127.0.0.1", port: localPort },
    trace_context_headers: { traceparent: headers.traceparent, tracestate: headers.tracestate },
    x_headers: { "x-forwarded-for": "10.0.0.1", "x-other": "x" },
    uri: {
      scheme: "http",
      host: "127.0.0.1",
      port: Number(fixture.address.split(":")[1]),
      path: "/info/websocket",
      query: "vsn=2.0.0&a=1",
    },
    user_agent: "dormouse-e2e",
    signing_salt: "salt",
  });
  assert.equal(websocket["sec-websocket-version"], "13");
  assert.ok(Object.keys(websocket).every((name) => name.startsWith("sec-websocket-")));
});

test("1.7: a connect without those headers has them empty or null", async (t) => {
  const { connect_info: got } = await info(t, "/info/websocket?vsn=2.0.0");
  assert.deepEqual([got.trace_context_headers, got.x_headers, got.user_agent], [{}, {}, null]);
});

test("1.1: variables of the path are parameters and win over the query", async (t) => {
  const { params } = await info(t, "/custom/one/two/path?vsn=2.0.0&path_var=query&other=3");
  assert.deepEqual(params, { socket_var: "one", path_var: "two", other: "3", vsn: "2.0.0" });
});

test("1.1: of the same query key the last counts, a key without = is empty, k[] is a list", async (t) => {
  const { params } = await info(t, "/info/websocket?vsn=2.0.0&k=1&k=2&empty&list[]=a&list[]=b&plus=a+b");
  assert.deepEqual(params, { k: "2", empty: "", list: ["a", "b"], plus: "a b", vsn: "2.0.0" });
});

for (const [what, offered, expected] of [
  ["the standard alphabet", "Pz8+Pg", "??>>"],
  ["the alphabet of URLs", "fn4_Pz8-", "~~???>"],
]) {
  test(`1.5: an auth token in ${what} is read`, async (t) => {
    const protocols = ["phoenix", `base64url.bearer.phx.${offered}`];
    const { connect_info: got } = await info(t, "/auth/websocket?vsn=2.0.0", { protocols });
    assert.equal(got.auth_token, expected);
  });
}

test("1.9: a ping is answered with its own payload", async (t) => {
  const raw = await open(t);
  const pong = new Promise((resolve) => raw.ws.once("pong", (data) => resolve(`${data}`)));
  raw.ws.ping("are you awake?");
  assert.equal(await within(pong, "the pong"), "are you awake?");
});

test("1.9: a message may come in fragments, with a ping between them", async (t) => {
  const raw = await open(t);
  await raw.join("room:parts");
  const pong = new Promise((resolve) => raw.ws.once("pong", resolve));
  raw.ws.send('["1","2","room:pa', { fin: false });
  raw.ws.ping();
  await within(pong, "the pong between the fragments");
  raw.ws.send('rts","echo",{"a"', { fin: false });
  raw.ws.send(":1}]", { fin: true });
  await raw.expect(reply("1", "2", "room:parts", "ok", { a: 1 }));
});

test("1.9: a silent connection is closed, and not with 1000, after which old clients would stay away", async (t) => {
  const raw = await open(t, "idle");
  const { code } = await within(raw.closed, "the close for idleness");
  assert.notEqual(code, 1000);
});

test("1.9: any received byte keeps a connection, a ping too", async (t) => {
  await despiteStalls(async () => {
    const raw = await open(t, "idle"); // which allows 300 ms of silence
    for (const began = performance.now(); performance.now() - began < 1_000; ) {
      const pong = new Promise((resolve) => raw.ws.once("pong", () => resolve("pong")));
      raw.ws.ping();
      const came = await within(Promise.race([pong, raw.closed]), "a pong or the close");
      assert.equal(came, "pong", `closed in spite of its pings after ${performance.now() - began} ms`);
    }
  });
});

test("1.9: what the server sends does not keep a connection", async (t) => {
  const speaker = await open(t);
  await speaker.join("room:heard");
  await despiteStalls(async () => {
    const listener = await open(t, "idle"); // which is closed 300 ms after its join
    await listener.join("room:heard");
    let over = false;
    const closed = within(listener.closed, "the close of one who only listens").finally(() => (over = true));
    while (!over) {
      speaker.send(["1", "2", "room:heard", "bcast", {}]);
      await speaker.frames.take(2);
    }
    await closed;
    assert.ok(listener.frames.waiting.length > 0, "it was never spoken to");
  });
});

test("1.8, 1.9: a frame over the limit closes with 1009, one below it is fine", async (t) => {
  const raw = await open(t, "limited");
  await raw.join("room:frames");
  raw.send(["1", "2", "room:frames", "echo", { text: "x".repeat(1_900) }]);
  await raw.expect(reply("1", "2", "room:frames", "ok", { text: "x".repeat(1_900) }));
  raw.send(["1", "3", "room:frames", "echo", { text: "x".repeat(2_000) }]);
  await raw.closesWith(1009);
});

test("1.9: a message in fragments has a limit as well", async (t) => {
  const raw = await open(t);
  let over = false;
  raw.closed.then(() => (over = true));
  for (let part = 0; part < 64 && !over; part++) {
    const read = Promise.race([raw.closed, new Promise((resolve) => raw.ws.once("pong", resolve))]);
    raw.ws.send("x".repeat(1 << 20), { fin: false });
    raw.ws.ping();
    await within(read, `what became of fragment ${part}`);
  }
  await raw.closesWith(1009);
});

for (const [what, text] of [
  ["no JSON", "hello"],
  ["an object", '{"topic":"room:1","event":"phx_join","payload":{},"ref":"1"}'],
  ["four elements", '["1","1","room:1","phx_join"]'],
  ["half an array", '["1","1","room:1"'],
  ["an empty frame", ""],
]) {
  test(`1.9: what cannot be decoded ends the connection with 1011: ${what}`, async (t) => {
    const raw = await open(t);
    raw.send(text);
    await raw.closesWith(1011);
  });
}

test("1.9: a text frame that is not UTF-8 closes with 1007", async (t) => {
  const raw = await open(t);
  raw.ws.send(Buffer.from([0x5b, 0x22, 0xff, 0x22, 0x5d]), { binary: false });
  await raw.closesWith(1007);
});

test("1.9: a close is answered, with its own code or with 1000", async (t) => {
  for (const code of [1000, 1001, 3000, 4999]) {
    const raw = await open(t);
    raw.ws.close(code, "bye");
    const { code: got } = await within(raw.closed, `the answer to close ${code}`);
    assert.ok([1000, code].includes(got), `${code} was answered with ${got}`);
  }
});

test("3.9: a close by socket id comes without any frame of the channels", async (t) => {
  const raw = await dial(t, `${fixture.ws}/socket/websocket?vsn=2.0.0&user_id=77`);
  await raw.join("room:kicked");
  raw.send(["1", "2", "room:kicked", "disconnect", { user_id: "77" }]);
  await raw.closesWith(1001);
  const frames = raw.frames.waiting.map(([, , , event]) => event);
  assert.ok(!frames.includes("phx_close") && !frames.includes("phx_error"), `${frames}`);
});
