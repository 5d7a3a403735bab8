// Frames and handshakes without a client in between: what goes over the wire is what the test writes down.

import assert from "node:assert/strict";
import http from "node:http";
import WebSocket from "ws";

import { Inbox, within } from "./support.mjs";

// dial opens a WebSocket. A received text frame is seen parsed, and its text kept under `lastText`; a binary one as hex.
export async function dial(t, url, { protocols = [], ...options } = {}) {
  const raw = new Raw(new WebSocket(url, protocols, options));
  t.after(() => raw.ws.terminate());
  await within(raw.opened, `open of ${url}`);
  return raw;
}

class Raw {
  constructor(ws) {
    this.ws = ws;
    this.frames = new Inbox("frames");
    this.opened = new Promise((resolve, reject) => {
      ws.once("open", resolve);
      ws.on("error", reject);
    });
    this.closed = new Promise((resolve) => ws.once("close", (code, reason) => resolve({ code, reason: `${reason}` })));
    this.closed.then(({ code, reason }) => this.frames.end(`the connection was closed with ${code} ${reason}`));
    ws.on("message", (data, binary) => {
      if (!binary) this.lastText = `${data}`;
      this.frames.put(binary ? data.toString("hex") : JSON.parse(this.lastText));
    });
  }

  // send takes a message as an array or object, a text as it is, or binary data as a Buffer.
  send(...messages) {
    for (const message of messages) {
      this.ws.send(typeof message === "string" || Buffer.isBuffer(message) ? message : JSON.stringify(message));
    }
  }

  // expect takes the next frames and compares them one by one.
  async expect(...frames) {
    for (const frame of frames) assert.deepEqual(await this.frames.next(JSON.stringify(frame)), frame);
  }

  // joins a topic with "1" for both refs, for tests that start after the join.
  async join(topic, payload = {}) {
    this.send(["1", "1", topic, "phx_join", payload]);
    await this.expect(reply("1", "1", topic, "ok", {}));
  }

  // quiet asserts that everything sent so far on a joined topic is answered: an echo comes back next.
  async quiet(joinRef, topic) {
    this.send([joinRef, "quiet", topic, "echo", {}]);
    await this.expect(reply(joinRef, "quiet", topic, "ok", {}));
  }

  async closesWith(code) {
    const { code: got } = await within(this.closed, `close with ${code}`);
    assert.equal(got, code);
  }
}

export const reply = (joinRef, ref, topic, status, response) => [joinRef, ref, topic, "phx_reply", { status, response }];

export const unmatched = (ref, topic) => reply(null, ref, topic, "error", { reason: "unmatched topic" });

// frame writes the binary form of a message: kind, the sizes of the fields, the fields, the data.
export function frame(kind, fields, data) {
  const texts = fields.map((field) => Buffer.from(field));
  return Buffer.concat([Buffer.from([kind, ...texts.map((text) => text.length)]), ...texts, Buffer.from(data)]);
}

const upgrading = {
  connection: "Upgrade",
  upgrade: "websocket",
  "sec-websocket-version": "13",
  "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
};

// shake asks for an upgrade and returns {status, headers, body}; a null among the headers leaves that header out.
export function shake(url, headers = {}, method = "GET") {
  const wanted = Object.entries({ ...upgrading, ...headers }).filter(([, value]) => value !== null);
  const request = http.request(url, { method, headers: Object.fromEntries(wanted), agent: false });
  const answered = new Promise((resolve, reject) => {
    request.once("error", reject);
    request.once("upgrade", (response, stream) => {
      stream.destroy();
      resolve({ status: response.statusCode, headers: response.headers, body: "" });
    });
    request.once("response", async (response) => {
      let body = "";
      for await (const chunk of response) body += chunk;
      resolve({ status: response.statusCode, headers: response.headers, body });
    });
  });
  request.end();
  return within(answered, `answer to ${method} ${url}`);
}
