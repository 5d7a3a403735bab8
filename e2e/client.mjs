// The unmodified phoenix client, with promises around its callbacks.

import { Socket } from "phoenix";
import WebSocket from "ws";

import { Inbox, patienceMs, within } from "./support.mjs";

export { Socket };

// connect opens a socket that the test closes when it ends. Node has no WebSocket of its own before version 22,
// so the transport is given, as the client's documentation says.
export function connect(t, url, options = {}) {
  const socket = new Socket(url, { transport: WebSocket, timeout: patienceMs, ...options });
  socket.opened = new Inbox("opens of the socket");
  socket.closed = new Inbox("closes of the socket");
  socket.failed = new Inbox("errors of the socket");
  socket.onOpen(() => socket.opened.put(true));
  socket.onClose((event) => socket.closed.put(event));
  socket.onError((error) => socket.failed.put(error));
  t.after(() => socket.disconnect());
  socket.connect();
  return socket;
}

// answer resolves with the first answer to a push or join, as {status, response}.
export function answer(push, ...statuses) {
  const name = `answer to ${push.event} on ${push.channel.topic}`;
  return within(
    new Promise((resolve) => {
      for (const status of ["ok", "error", "timeout", ...statuses]) {
        push.receive(status, (response) => resolve({ status, response }));
      }
    }),
    name,
  );
}

// join returns a joined channel. Its `joins` receives one item per successful join, rejoins included.
export async function join(socket, topic, params = {}) {
  const channel = socket.channel(topic, params);
  channel.joins = new Inbox(`joins of ${topic}`);
  channel.errors = new Inbox(`errors of ${topic}`);
  channel.closes = new Inbox(`closes of ${topic}`);
  channel.onError((reason) => channel.errors.put(reason));
  channel.onClose((reason) => channel.closes.put(reason));
  const pushed = channel.join();
  pushed.receive("ok", (response) => channel.joins.put(response));
  const { status, response } = await answer(pushed);
  if (status !== "ok") throw new Error(`join of ${topic}: ${status} ${JSON.stringify(response)}`);
  channel.joined = await channel.joins.next();
  return channel;
}

// listen collects the payloads of an event.
export function listen(channel, event) {
  const inbox = new Inbox(`${event} on ${channel.topic}`);
  channel.on(event, (payload) => inbox.put(payload));
  return inbox;
}

// ok pushes and returns the response; any other status is an error.
export async function ok(channel, event, payload) {
  const { status, response } = await answer(channel.push(event, payload));
  if (status !== "ok") throw new Error(`${event} on ${channel.topic}: ${status} ${JSON.stringify(response)}`);
  return response;
}

// tell pushes what has no answer, so that the client's wait for one does not outlive the test.
export function tell(channel, event, payload) {
  channel.push(event, payload, 1);
}

export const buffer = (...values) => Uint8Array.from(values).buffer;

export const bytes = (arrayBuffer) => [...new Uint8Array(arrayBuffer)];
