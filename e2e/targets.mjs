// What else may listen on a port: servers that no load generator would choose, each a few lines.

import { createHash } from "node:crypto";
import { createServer } from "node:net";

// listen serves every connection with serve and resolves with the port.
export async function listen(t, serve) {
  const open = new Set();
  const server = createServer((socket) => {
    open.add(socket);
    socket.once("close", () => open.delete(socket));
    socket.on("error", () => {}); // resets are part of the game
    serve(socket);
  });
  await new Promise((resolve) => server.listen({ port: 0, host: "127.0.0.1", backlog: 4096 }, resolve));
  t.after(() => {
    for (const socket of open) socket.destroy();
    server.close();
  });
  return server.address().port;
}

// nobody is where nothing listens: tcpmux, RFC 1078. A port that was free a moment ago may be somebody's own by now.
export const nobody = "ws://127.0.0.1:1";

// request calls answer with the Sec-WebSocket-Key, once the head of the request is there.
export const request = (answer) => (socket) => {
  let head = "";
  socket.on("data", function read(data) {
    head += data.toString("latin1");
    if (!head.includes("\r\n\r\n")) return;
    socket.off("data", read);
    answer(socket, /^sec-websocket-key: *(\S+)/im.exec(head)?.[1] ?? "");
  });
};

// says answers a request with these bytes, and closes if told to.
export const says = (text, close = false) =>
  request((socket) => {
    socket.write(text, "latin1");
    if (close) socket.end();
  });

const acceptOf = (key) => createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");

const head = (accept, more = "") =>
  `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n${more}\r\n`;

// upgrades answers in good order, and calls then. tamper may change the response.
export const upgrades = (then = () => {}, tamper = (response) => response) =>
  request((socket, key) => {
    socket.write(tamper(head(acceptOf(key))), "latin1");
    then(socket);
  });

// upgradesSlowly answers one byte at a time.
export const upgradesSlowly = request((socket, key) => {
  const bytes = Buffer.from(head(acceptOf(key)), "latin1");
  socket.setNoDelay(true);
  const next = (i) => {
    if (i < bytes.length) socket.write(bytes.subarray(i, i + 1), () => setImmediate(next, i + 1));
  };
  next(0);
});

// upgradesWith answers with one header line more.
export const upgradesWith = (more) => request((socket, key) => socket.write(head(acceptOf(key), more), "latin1"));

// endlessly writes a chunk again and again, and leaves others time for theirs.
export const endlessly = (chunk) => (socket) => {
  const bytes = Buffer.from(chunk.repeat(1_000), "latin1");
  const more = () => {
    if (!socket.destroyed) socket.write(bytes, () => setTimeout(more, 2));
  };
  more();
};

// upgradesWrongly answers with this Sec-WebSocket-Accept.
export const upgradesWrongly = (accept) => request((socket) => socket.write(head(accept), "latin1"));
