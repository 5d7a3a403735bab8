// The long-poll transport, request by request, and as the unmodified phoenix client uses it.

import assert from "node:assert/strict";

import { LongPoll } from "phoenix";

import { answer, buffer, connect, join, listen, ok } from "./client.mjs";
import { Session, ask, handOver } from "./longpoll.mjs";
import { frame, reply } from "./raw.mjs";
import { despiteStalls, Program, test, use } from "./support.mjs";

// A window whose end no test waits for, so that no session ends because a machine is slow; the client waits for 20 s.
// That of the mount /idle is 200 ms all the same, and a session there ends 300 to 600 ms after its last poll.
const window = ["-window", "15s"];
const fixture = await use("fixture", ...window);
const at = (mount, transport = "longpoll") => `${fixture.http}${mount}/${transport}`;
const open = (mount = "/socket", ...rest) => Session.open(at(mount), ...rest);
const cors = "access-control-allow-origin";

test("5.1: every answer may be read by any page, and JSON is not kept", async () => {
  for (const method of ["GET", "POST", "OPTIONS", "PUT", "DELETE"]) {
    const { http, headers, text } = await ask(`${at("/socket")}?vsn=2.0.0`, { method });
    assert.equal(headers.get(cors), "*", method);
    assert.equal(http, ["PUT", "DELETE"].includes(method) ? 400 : 200, method);
    if (text.startsWith("{")) {
      assert.equal(headers.get("content-type"), "application/json; charset=utf-8");
      assert.equal(headers.get("cache-control"), "no-store");
    }
  }
});

test("5.1: the token may come in a header, which wins", async () => {
  const session = await open();
  const headers = (token) => ({ headers: { "x-phoenix-longpoll-token": token } });
  const post = (token) => ask(session.url, { method: "POST", body: '["1","1","room:t","phx_join",{}]', ...headers(token) });
  assert.equal((await post("nonsense")).status, 410);
  assert.equal((await post(session.token)).status, 200);
  const other = new Session(at("/socket"));
  assert.equal((await other.poll(headers(session.token))).status, 200);
});

test("5.2: a GET opens a session; so does one with a token of none", async () => {
  const session = await open();
  assert.match(session.token, /^[\w.~-]+$/);
  const forged = new Session(at("/socket"));
  forged.token = session.token.replace(/^./, (c) => (c === "A" ? "B" : "A"));
  const { status, token } = await forged.poll();
  assert.equal(status, 410);
  assert.ok(token && token !== session.token && token !== forged.token);
});

for (const [what, mount, params, headers] of [
  ["by version", "/socket", "vsn=2.1.0"],
  ["by connect", "/socket", "vsn=2.0.0&reject=true"],
  ["by connect with a reason, of which the error handler is not told", "/socket", "vsn=2.0.0&ratelimit=true"],
  ["for an id that is no string", "/socket", "vsn=2.0.0&badid=true"],
  ["by origin", "/socket", "vsn=2.0.0", { origin: "https://evil.example" }],
  ["by the default origin check", "/idle", "vsn=2.0.0", { origin: "https://example.com" }],
]) {
  test(`5.2: refused ${what}`, async () => {
    const { http, text, headers: got } = await new Session(at(mount), params, headers).poll();
    assert.deepEqual([http, text, got.get(cors)], [200, '{"status":403}', "*"]);
  });
}

test("5.3: nothing within the window is 204", () =>
  despiteStalls(async () => {
    const session = await open("/idle");
    const { status, token, messages } = await session.poll();
    assert.deepEqual([status, token, messages], [204, session.token, []]);
  }));

test("5.3: messages that wait come at once, all, the oldest first", async () => {
  const session = await open();
  await session.join("room:wait");
  await session.post(["1", "2", "room:wait", "push_reply", {}], ["1", "3", "room:wait", "echo", { "ü\n": '"' }]);
  await session.expect(
    ["1", null, "room:wait", "pushed", { n: 1 }],
    ["1", null, "room:wait", "pushed", { n: 2 }],
    reply("1", "2", "room:wait", "ok", {}),
    reply("1", "3", "room:wait", "ok", { "ü\n": '"' }),
  );
});

test("5.3: of two polls the later is served, the earlier goes empty", async (t) => {
  const server = await Program.start("fixture", "-window", "1s"); // the earlier goes at its end
  t.after(() => server.stop());
  await despiteStalls(async () => {
    const session = await Session.open(`${server.http}/socket/longpoll`);
    await session.join("room:two");
    const [first, second] = [await handOver(session.url), await handOver(session.url)];
    await session.post(["1", "2", "room:two", "ack", {}]);
    const [earlier, later] = await Promise.all([first.body, second.body]);
    assert.deepEqual(later.messages.map((m) => JSON.parse(m)), [reply("1", "2", "room:two", "ok", {})]);
    assert.equal(earlier.status, 204);
  }, 5);
});

test("5.3: a binary message is dropped, and nothing else", async () => {
  const session = await open();
  await session.join("room:bin");
  await session.post(["1", "2", "room:bin", "binary_event", {}], ["1", "3", "room:bin", "ack", {}]);
  await session.expect(reply("1", "3", "room:bin", "ok", {}));
});

test("5.4: lines of text and base64, in order, the 100 first", async () => {
  const session = await open();
  await session.join("room:lines");
  const lines = Array.from({ length: 101 }, (_, n) => ["1", `n${n}`, "room:lines", "ack", {}]);
  lines[50] = frame(0, ["1", "n50", "room:lines", "ack"], [1, 2]);
  assert.equal((await session.post(...lines)).text, '{"status":200}');
  const refs = (await session.take(100)).map(([, ref]) => ref);
  assert.deepEqual(refs, Array.from({ length: 100 }, (_, n) => `n${n}`));
  await session.post(["1", "next", "room:lines", "ack", {}]);
  await session.expect(reply("1", "next", "room:lines", "ok", {}));
});

test("5.4: any other content type is one message, as V1 needs it", async () => {
  const session = await open("/socket", "vsn=1.0.0");
  const body = JSON.stringify({ topic: "room:one", event: "phx_join", payload: {}, ref: "7" });
  for (const type of ["application/json", "application/x-ndjson; charset=utf-8", "text/plain"]) {
    const { status } = await ask(session.url, { method: "POST", headers: { "content-type": type }, body });
    assert.equal(status, 200, type);
  }
  assert.equal((await session.take(1))[0].event, "phx_reply");
  assert.equal((await session.post(body)).http, 500, "V1 in lines is bad base64");
  const heartbeat = JSON.stringify({ topic: "phoenix", event: "heartbeat", payload: {}, ref: "8" });
  assert.equal((await ask(session.url, { method: "POST", body: heartbeat })).status, 200, "the session is unharmed");
  while ((await session.take(1))[0].ref !== "8");
});

test("5.4: a message that cannot be decoded ends the session", async () => {
  for (const line of ["[1]", "", "AAEB"]) {
    const session = await open();
    assert.equal((await session.post(line)).status, 408, line);
    assert.equal((await session.post(["1", "1", "room:x", "phx_join", {}])).text, '{"status":410}');
  }
});

test("5.4: a join counts until it is answered, an event until it is handed over", async () => {
  const session = await open();
  assert.equal((await session.post(["1", "1", "room:slow", "phx_join", {}])).status, 200, "300 ms in a window of 15 s");
  await session.expect(reply("1", "1", "room:slow", "ok", {}));
  await despiteStalls(async () => {
    const short = await open("/idle");
    assert.equal((await short.post(["1", "1", "room:quick", "phx_join", {}])).status, 200);
    assert.equal((await short.post(["1", "2", "room:quick", "sleep", { ms: 400 }])).status, 200, "400 ms, but of a handler");
  });
  await despiteStalls(async () => {
    const short = await open("/idle");
    assert.equal((await short.post(["1", "1", "room:slow", "phx_join", {}])).status, 408, "300 ms in a window of 200");
  });
});

test("5.4: a body above 8,000,000 bytes is refused", async () => {
  const session = await open();
  const body = "x".repeat(8_000_001);
  assert.equal((await ask(session.url, { method: "POST", body })).http, 400);
});

test("5.5: polls keep a session, POSTs do not", () =>
  despiteStalls(async () => {
    const session = await open("/idle");
    const began = performance.now();
    while (performance.now() - began < 1_000) assert.equal((await session.poll()).status, 204);
    let { status } = await session.post(["1", "1", "room:posts", "phx_join", {}]);
    while (status === 200) ({ status } = await session.post(["1", "2", "room:posts", "ack", {}]));
    assert.equal(status, 410);
  }));

test("5.5: the channels of a session end with it", async (t) => {
  const watcher = await join(connect(t, `${fixture.ws}/socket`), "presence:ends");
  const diffs = listen(watcher, "presence_diff");
  const key = await despiteStalls(async (n) => {
    const session = await open("/idle");
    assert.equal((await session.post(["1", "1", "presence:ends", "phx_join", { key: `silent ${n}` }])).status, 200);
    return `silent ${n}`;
  });
  await diffs.until(({ joins }) => joins[key], "the join");
  await diffs.until(({ leaves }) => leaves[key], "the leave");
});

for (const event of ["disconnect", "drain"]) {
  test(`5.6: ${event} ends the session`, async () => {
    const session = await open("/socket", "vsn=2.0.0&user_id=lp");
    await session.join("room:end");
    const poll = session.poll();
    await session.post(["1", "2", "room:end", event, { user_id: "lp" }]);
    const answers = [await poll];
    while (answers.at(-1).status !== 410) answers.push(await session.poll());
    assert.ok(answers.slice(0, -1).every(({ status, token }) => [200, 204].includes(status) && token === session.token));
    assert.notEqual(answers.at(-1).token, session.token);
    assert.equal((await session.post(["1", "3", "room:end", "ack", {}])).text, '{"status":410}');
  });
}

test("5.7: a preflight names the headers that were asked for", async () => {
  const preflight = (headers) => ask(`${at("/socket")}?vsn=2.0.0`, { method: "OPTIONS", headers });
  const { http, headers, text } = await preflight({ "access-control-request-headers": "content-type,x-phoenix-authtoken" });
  assert.deepEqual([http, text], [200, ""]);
  assert.equal(headers.get("access-control-allow-headers"), "content-type,x-phoenix-authtoken");
  assert.equal(headers.get("access-control-allow-methods"), "get, post, options");
  assert.equal(headers.get("access-control-max-age"), "3600");
  assert.equal((await preflight({})).headers.get("access-control-allow-headers"), "");
  const refused = await preflight({ origin: "https://evil.example" });
  assert.deepEqual([refused.text, refused.headers.get("access-control-allow-headers")], ['{"status":403}', null]);
});

test("1.7: connect info is that of the request that opened the session", async () => {
  const headers = { "x-one": "1", traceparent: "00-a", "x-phoenix-authtoken": "secret", "user-agent": "test" };
  const session = await Session.open(at("/info"), "vsn=2.0.0&a=b", headers);
  session.headers = {};
  const { connect_info: info, params } = (await session.join("info")).response;
  assert.deepEqual(Object.keys(info).sort(), ["peer_data", "trace_context_headers", "uri", "x_headers"]);
  assert.equal(info.peer_data.address, "127.0.0.1");
  assert.deepEqual(info.trace_context_headers, { traceparent: "00-a" });
  assert.equal(info.x_headers["x-one"], "1");
  const port = Number(new URL(fixture.http).port);
  assert.deepEqual(info.uri, { scheme: "http", host: "127.0.0.1", port, path: "/info/longpoll", query: "vsn=2.0.0&a=b&" });
  assert.deepEqual(params, { vsn: "2.0.0", a: "b" });
});

test("1.5: the auth token comes in a header, as it is", async () => {
  for (const [headers, token] of [[{ "x-phoenix-authtoken": "a+b/c=" }, "a+b/c="], [{}, null]]) {
    const session = await Session.open(at("/auth"), "vsn=2.0.0", headers);
    assert.deepEqual((await session.join("info")).response.connect_info, { auth_token: token });
  }
});

test("1.1: variables of the path are params", async () => {
  const session = await Session.open(at("/custom/one", "two/lp"), "vsn=2.0.0&path_var=three");
  const { params } = (await session.join("info")).response;
  assert.deepEqual(params, { vsn: "2.0.0", socket_var: "one", path_var: "two" });
});

test("3.2: the limit of channels", async () => {
  const session = await open("/limited");
  await session.join("room:1");
  await session.post(["2", "2", "room:2", "phx_join", {}]);
  await session.expect(reply("2", "2", "room:2", "error", { reason: "too many channels joined" }));
});

test("mounts without the transport have none of it", async () => {
  for (const mount of ["/sub", "/conn", "/host", "/deflate"]) assert.equal((await ask(at(mount))).http, 404, mount);
});

const longpoll = (t, options = {}) => connect(t, `${fixture.ws}/socket`, { transport: LongPoll, ...options });

test("phoenix.js: join, push, reply, broadcasts and their interception, beside a WebSocket", async (t) => {
  const poller = await join(longpoll(t), "room:both");
  const socket = await join(connect(t, `${fixture.ws}/socket`), "room:both");
  const heard = [listen(poller, "bcast"), listen(socket, "bcast"), listen(poller, "new_msg"), listen(socket, "new_msg")];
  assert.deepEqual(await ok(poller, "echo", { "ü": 1 }), { "ü": 1 });
  assert.deepEqual(await answer(poller.push("fail", { no: 1 })), { status: "error", response: { no: 1 } });
  await ok(poller, "bcast", { n: 1 });
  await ok(socket, "new_msg", { n: 2 });
  assert.deepEqual(await heard[0].next(), { n: 1 });
  assert.deepEqual(await heard[1].next(), { n: 1 });
  assert.deepEqual(await heard[2].next(), { n: 2, transport: ":longpoll" });
  assert.deepEqual(await heard[3].next(), { n: 2, transport: ":websocket" });
});

test("phoenix.js: hundreds of pushes at once are answered, in order", async (t) => {
  const channel = await join(longpoll(t), "room:many");
  const answers = await Promise.all(Array.from({ length: 250 }, (_, n) => ok(channel, "echo", { n })));
  assert.deepEqual(answers.map(({ n }) => n), Array.from({ length: 250 }, (_, n) => n));
});

test("phoenix.js: binary payloads go up; what is binary does not come down", async (t) => {
  const channel = await join(longpoll(t), "room:up");
  await ok(channel, "ack", buffer(0, 255, 10));
  const socket = await join(connect(t, `${fixture.ws}/socket`), "room:up");
  const heard = listen(socket, "bcast_bin");
  assert.deepEqual(await answer(channel.push("bcast_bin", buffer(1, 2))), { status: "ok", response: {} });
  assert.deepEqual([...new Uint8Array(await heard.next())], [1, 2]);
});

test("phoenix.js: a leave, and a crash of a channel, after which it joins again", async (t) => {
  const socket = longpoll(t, { rejoinAfterMs: () => 10 });
  const [gone, crashed] = [await join(socket, "room:gone"), await join(socket, "room:crashed")];
  assert.equal((await answer(gone.leave())).status, "ok");
  crashed.push("boom", {}, 1);
  await crashed.errors.next();
  await crashed.joins.next("the rejoin");
  assert.deepEqual(await ok(crashed, "echo", {}), {});
});

test("phoenix.js: a session that is gone is opened anew, and its channels join again", async (t) => {
  const socket = longpoll(t, { params: { user_id: "gone" } });
  const channel = await join(socket, "room:expires");
  await socket.opened.next();
  channel.push("disconnect", { user_id: "gone" }, 1);
  const { code } = await socket.closed.next();
  assert.equal(code, 3410);
  await socket.opened.next("the reopening");
  await channel.joins.next("the rejoin");
  assert.deepEqual(await ok(channel, "echo", { again: 1 }), { again: 1 });
});

for (const signal of ["SIGTERM", "SIGKILL"]) {
  test(`phoenix.js: after ${signal} of the server the client comes back`, async (t) => {
    const server = await Program.start("fixture", ...window);
    t.after(() => server.stop());
    const socket = connect(t, `${server.ws}/socket`, { transport: LongPoll });
    const channel = await join(socket, "room:back");
    await server.stop(signal);
    await socket.closed.next();
    await channel.errors.next();
    await server.start();
    await channel.joins.next("the rejoin");
    assert.deepEqual(await ok(channel, "echo", { after: signal }), { after: signal });
  });
}

test("phoenix.js: connect refuses, and the client is told so", async (t) => {
  const socket = longpoll(t, { params: { reject: "true" } });
  assert.equal(await socket.failed.next(), 403);
  assert.equal((await socket.closed.next()).code, 1008);
});

test("phoenix.js: the auth token", async (t) => {
  const socket = connect(t, `${fixture.ws}/auth`, { transport: LongPoll, authToken: "1234/+=" });
  const channel = await join(socket, "info");
  assert.equal(channel.joined.connect_info.auth_token, "1234/+=");
});
