// The long-poll transport without a client in between: a session is a token and requests that the test writes down.

import assert from "node:assert/strict";

import http from "node:http";

import { within } from "./support.mjs";

// ask sends a request and returns {http, headers, text, status, token, messages}; the last three are the JSON body's.
export async function ask(url, options = {}) {
  const response = await within(fetch(url, options), `answer to ${options.method ?? "GET"} ${url}`);
  const text = await response.text();
  const json = text.startsWith("{") ? JSON.parse(text) : {};
  return { http: response.status, headers: response.headers, text, ...json };
}

// handOver sends a GET, and returns once the kernel has all of it; its answer is {body}, a promise of JSON.
export async function handOver(url) {
  const request = http.get(url, { agent: false });
  const body = new Promise((resolve, reject) => {
    request.once("error", reject);
    request.once("response", async (response) => {
      let text = "";
      for await (const chunk of response) text += chunk;
      resolve(JSON.parse(text));
    });
  });
  await within(new Promise((resolve) => request.once("finish", resolve)), `the sending of GET ${url}`);
  return { body: within(body, `answer to GET ${url}`) };
}

export class Session {
  constructor(url, params = "vsn=2.0.0", headers = {}) {
    this.base = `${url}?${params}`;
    this.headers = headers;
    this.token = null;
  }

  static async open(...args) {
    const session = new Session(...args);
    const { status, token, messages } = await session.poll();
    assert.deepEqual([status, messages], [410, []]);
    session.token = token;
    return session;
  }

  get url() {
    return this.token ? `${this.base}&token=${this.token}` : `${this.base}&`;
  }

  poll(options) {
    return ask(this.url, { headers: this.headers, ...options });
  }

  // post sends lines: arrays as JSON text, Buffers as base64, texts as they are.
  post(...lines) {
    const line = (it) => (Buffer.isBuffer(it) ? it.toString("base64") : typeof it === "string" ? it : JSON.stringify(it));
    const headers = { "content-type": "application/x-ndjson" };
    return ask(this.url, { method: "POST", headers, body: lines.map(line).join("\n") });
  }

  // take polls until so many messages have come.
  async take(count) {
    const messages = [];
    while (messages.length < count) {
      const answer = await this.poll();
      assert.ok([200, 204].includes(answer.status) && answer.token === this.token, `${answer.text} after ${messages}`);
      messages.push(...answer.messages.map((message) => JSON.parse(message)));
    }
    return messages;
  }

  async expect(...messages) {
    assert.deepEqual(await this.take(messages.length), messages);
  }

  async join(topic, payload = {}) {
    assert.equal((await this.post(["1", "1", topic, "phx_join", payload])).text, '{"status":200}');
    return (await this.take(1))[0][4];
  }
}
