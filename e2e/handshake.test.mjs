// Who is let in, and what the others are told: methods, versions, origins, subprotocols, tokens, refusals.

import assert from "node:assert/strict";

import { shake } from "./raw.mjs";
import { test, use } from "./support.mjs";

const fixture = await use("fixture");
const at = (path) => `${fixture.http}${path}`;
const socket = at("/socket/websocket?vsn=2.0.0");

async function status(url, headers, method) {
  return (await shake(url, headers, method)).status;
}

async function refused(url, expected, headers, method) {
  const { status, body } = await shake(url, headers, method);
  assert.deepEqual({ status, body }, { status: expected, body: "" });
}

test("1.2.10: an upgrade is answered with the accept key of RFC 6455, section 1.3", async () => {
  const { status, headers } = await shake(socket);
  assert.equal(status, 101);
  assert.equal(headers["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  assert.equal(headers["sec-websocket-protocol"], undefined);
  assert.equal(headers["sec-websocket-extensions"], undefined);
});

test("1.2.9: header names and values of the upgrade are matched whatever their case", async () => {
  assert.equal(await status(socket, { connection: "keep-alive, UPGRADE", upgrade: "WebSocket" }), 101);
});

test("1.1, 1.2.1: only GET upgrades", async () => {
  for (const method of ["POST", "PUT", "DELETE", "OPTIONS", "HEAD"]) await refused(socket, 400, {}, method);
});

for (const [why, headers] of [
  ["no connection: upgrade", { connection: "keep-alive" }],
  ["no upgrade", { upgrade: null }],
  ["another upgrade", { upgrade: "h2c" }],
  ["no key", { "sec-websocket-key": null }],
  ["no version", { "sec-websocket-version": null }],
  ["an old version", { "sec-websocket-version": "8" }],
]) {
  test(`1.2.9: a request that is no upgrade gets 400 and a reason: ${why}`, async () => {
    const { status, body } = await shake(socket, headers);
    assert.equal(status, 400);
    assert.notEqual(body, "");
  });
}

test("1.1: a path without a socket is not found", async () => {
  for (const path of ["/", "/socket", "/socket/websocket/more", "/sub/longpoll", "/nothing/websocket"]) {
    assert.equal(await status(at(path)), 404, path);
  }
});

test("1.1, 1.2.2: a query that does not decode gets 400", async () => {
  assert.equal(await status(at("/socket/websocket?vsn=2.0.0&a=%ff")), 400);
});

test("1.1: superfluous ampersands in the query do not matter", async () => {
  assert.equal(await status(at("/socket/websocket?&a=1&&vsn=2.0.0&")), 101);
});

for (const vsn of ["2.0.0", "2.0.9", "2.0.0%2Bbuild", "1.0.0", "1.0.7"]) {
  test(`1.3: vsn ${vsn} is spoken`, async () => assert.equal(await status(at(`/socket/websocket?vsn=${vsn}`)), 101));
}

for (const vsn of ["2.1.0", "1.1.0", "3.0.0", "2.0.0-rc.1", "2", "2.0", "abc", ""]) {
  test(`1.3: vsn "${vsn}" is refused`, async () => refused(at(`/socket/websocket?vsn=${vsn}`), 403));
}

test("1.3: vsn absent is spoken, vsn as a list is refused", async () => {
  assert.equal(await status(at("/socket/websocket")), 101);
  await refused(at("/socket/websocket?vsn[]=2.0.0"), 403);
});

test("1.6: a connect that is refused: without a reason, with one, and by a bad id", async () => {
  await refused(`${socket}&reject=true`, 403);
  const limited = await shake(`${socket}&ratelimit=true`);
  assert.deepEqual([limited.status, limited.body], [429, "Too many requests"]);
  await refused(at("/idle/websocket?vsn=2.0.0&ratelimit=true"), 403);
  await refused(`${socket}&badid=true`, 403);
});

test("1.2: the checks have an order: method, origin, version, connect, upgrade", async () => {
  const plain = { connection: null, upgrade: null };
  await refused(`${socket}&reject=true`, 400, { origin: "http://evil.example" }, "POST");
  await refused(at("/socket/websocket?vsn=9.0.0&ratelimit=true"), 403, { origin: "http://evil.example" });
  await refused(at("/socket/websocket?vsn=9.0.0&ratelimit=true"), 403);
  assert.equal(await status(`${socket}&ratelimit=true`, plain), 429);
  assert.equal(await status(socket, plain), 400);
});

const ownOrigin = fixture.http;

for (const [path, allowed, denied] of [
  [
    "/socket",
    [
      null,
      "https://example.com",
      "http://example.com:99",
      "http://a.wild.example",
      "https://a.b.wild.example",
      "https://wild.example",
      "https://secure.example:8443",
      "http://port.example:81",
    ],
    [
      "http://sub.example.com",
      "http://EXAMPLE.com",
      "https://xwild.example",
      "http://secure.example:8443",
      "https://secure.example",
      "http://port.example",
      "http://host.example",
      "example.com",
      "null",
      "",
      "file://",
    ],
  ],
  ["/host", [null, "http://host.example", "https://host.example:8443"], ["http://other.example", ownOrigin, "null", "", "file://"]],
  ["/idle", [null, "https://host.example"], ["http://example.com", "null"]],
  ["/conn", [null, ownOrigin], [ownOrigin.replace("http", "https"), "http://127.0.0.1", "http://host.example"]],
]) {
  for (const origin of allowed) {
    test(`1.4: ${path} lets in ${origin ?? "no origin"}`, async () => {
      assert.equal(await status(at(`${path}/websocket?vsn=2.0.0`), { origin }), 101);
    });
  }
  for (const origin of denied) {
    test(`1.4: ${path} refuses the origin "${origin}"`, async () => {
      await refused(at(`${path}/websocket?vsn=2.0.0`), 403, { origin });
    });
  }
}

const protocol = "sec-websocket-protocol";

test("1.5: the first subprotocol of the server's list that the client offers is agreed on", async () => {
  for (const [offered, agreed] of [[null, undefined], ["sip", "sip"], ["mqtt", "mqtt"], ["other, mqtt, sip", "sip"]]) {
    const { status, headers } = await shake(at("/sub/websocket?vsn=2.0.0"), { [protocol]: offered });
    assert.deepEqual([status, headers[protocol]], [101, agreed], offered);
  }
  await refused(at("/sub/websocket?vsn=2.0.0"), 403, { [protocol]: "other" });
});

test("1.5: a mount without subprotocols ignores what is offered and echoes nothing", async () => {
  const { status, headers } = await shake(socket, { [protocol]: "phoenix, sip" });
  assert.deepEqual([status, headers[protocol]], [101, undefined]);
});

const token = (text) => `base64url.bearer.phx.${Buffer.from(text).toString("base64").replaceAll("=", "")}`;

for (const [what, offered, expected, agreed] of [
  ["the client's two entries", `phoenix, ${token("1234")}`, 101, "phoenix"],
  ["phoenix alone", "phoenix", 101, "phoenix"],
  ["nothing", null, 101, undefined],
  ["only a token", token("1234"), 101, undefined],
  ["two tokens", `phoenix, ${token("1")}, ${token("2")}`, 101, "phoenix"],
  ["only foreign subprotocols", "sip", 403, undefined],
  ["a token that does not decode", "phoenix, base64url.bearer.phx.!!!", 500, undefined],
]) {
  test(`1.5: a mount with auth tokens and ${what}`, async () => {
    const { status, headers } = await shake(at("/auth/websocket?vsn=2.0.0"), { [protocol]: offered });
    assert.deepEqual([status, headers[protocol]], [expected, agreed]);
  });
}

test("1.8: compression is accepted where the mount allows it, and only there", async () => {
  const offer = { "sec-websocket-extensions": "permessage-deflate; client_max_window_bits" };
  const agreed = await shake(at("/deflate/websocket?vsn=2.0.0"), offer);
  assert.match(agreed.headers["sec-websocket-extensions"], /^permessage-deflate/);
  const plain = await shake(socket, offer);
  assert.deepEqual([plain.status, plain.headers["sec-websocket-extensions"]], [101, undefined]);
});
