// A Phoenix Channels server that is not ours, for `dormouse bench` to be tested against: written from the protocol
// alone, on the `ws` package, with counts of its own. It can be told to misbehave, and counts that too.
//
//	node phoenix-server.mjs [--help]
//
// Once it listens it prints a line of JSON, {"ws", "http"}. GET /stats answers with its counts. SIGUSR2 closes
// every connection with 1012, as a Phoenix that drains. SIGTERM prints the counts as a line of JSON and ends it.

import { createServer, STATUS_CODES } from "node:http";
import { parseArgs } from "node:util";
import { WebSocketServer } from "ws";

import { Rules } from "./phoenix-rules.mjs";

const options = {
  port: { type: "string", default: "0", help: "listen on this port of 127.0.0.1; 0: any that is free" },
  others: { type: "boolean", default: false, help: "a shout does not go to its sender (broadcast_from)" },
  lose: { type: "string", default: "0", help: "every so many-th delivery is lost" },
  duplicate: { type: "string", default: "0", help: "every so many-th delivery comes twice" },
  swallow: { type: "string", default: "0", help: "every so many-th shout is delivered to nobody" },
  forge: { type: "string", default: "0", help: "every so many-th shout is followed by one that nobody has sent" },
  late: { type: "string", default: "0", help: "deliveries come so many milliseconds late" },
  refuse: { type: "string", help: "upgrades are refused with this HTTP status" },
  "refuse-join": { type: "string", help: "joins are refused for this reason" },
  ignore: {
    type: "string",
    multiple: true,
    default: [],
    help: "this event is never answered, as phx_join or heartbeat",
  },
  close: {
    type: "string",
    help: "connections are closed after the upgrade, or instead of the answer to a join: upgrade or join",
  },
  "close-code": { type: "string", help: "the code of that close; without one it comes without a close frame" },
  garbage: { type: "string", help: "these bytes follow the answer to a join: one of the names in garbage" },
  help: { type: "boolean", default: false },
};

const { values: told } = parseArgs({ options });
if (told.help) {
  for (const [name, { help }] of Object.entries(options)) if (help) console.log(`--${name.padEnd(12)} ${help}`);
  process.exit(0);
}
const [lose, duplicate, swallow, forge] = [told.lose, told.duplicate, told.swallow, told.forge].map(Number);
const late = Number(told.late);
const every = (nth, count) => nth > 0 && count % nth === 0;

// What no server may send, as bytes on the wire.
const garbage = {
  text: Buffer.from("\x81\x05hello", "latin1"),
  object: Buffer.from('\x81\x11{"event":"shout"}', "latin1"),
  binary: Buffer.from("\x82\x03\xff\xff\xff", "latin1"),
  opcode: Buffer.from("\x83\x01x", "latin1"),
  reserved: Buffer.from("\xf1\x01x", "latin1"),
  masked: Buffer.from("\x81\x81\x00\x00\x00\x00x", "latin1"),
  huge: Buffer.from("\x81\x7f\x7f\xff\xff\xff\xff\xff\xff\xff", "latin1"),
  utf8: Buffer.from("\x81\x02\xc3\x28", "latin1"),
};

const counts = {
  open: 0,
  upgrades: 0, // requests answered with 101
  refused: 0, // requests answered with --refuse
  joins: 0, // answered with ok
  refusedJoins: 0,
  leaves: 0,
  heartbeats: 0, // received
  pings: 0, // received
  shouts: 0, // received
  unknown: 0, // events that this server does not have
  due: 0, // deliveries that the shouts ask for
  delivered: 0, // handed to the socket
  lost: 0, // on purpose, by --lose or --swallow
  lostOf: {}, // the same by topic
  duplicated: 0, // on purpose, by --duplicate
  forged: 0, // deliveries of what nobody has sent, by --forge
  closed: {}, // connections that are over, by the client's close code; 1006: without one
  violations: 0, // messages that no phoenix.js would send
  firstViolations: [],
};

function broken(violation) {
  counts.violations++;
  if (counts.firstViolations.length < 10) counts.firstViolations.push(violation);
}

const topics = new Map(); // topic -> Map of Connection -> join_ref

class Connection {
  #ws;
  #rules = new Rules(broken);
  #joinRefs = new Map(); // topic -> join_ref

  constructor(ws, request) {
    this.#ws = ws;
    this.#rules.request(request);
    ws.on("message", (data, binary) => this.#receive(data, binary));
    ws.on("error", () => {}); // close comes next, and is counted
    ws.once("close", (code) => {
      for (const topic of [...this.#joinRefs.keys()]) this.#leave(topic);
      counts.open--;
      counts.closed[code] = (counts.closed[code] ?? 0) + 1;
    });
  }

  // end closes the connection as --close-code says.
  end(code = told["close-code"]) {
    if (code) this.#ws.close(Number(code));
    else this.#ws.terminate();
  }

  get open() {
    return this.#ws.readyState === this.#ws.OPEN;
  }

  // write sends a frame that was encoded once for all its receivers.
  write(frame) {
    this.#ws.send(frame, { binary: false });
  }

  #send(...message) {
    if (this.open) this.write(JSON.stringify(message));
  }

  #reply(joinRef, ref, topic, status, response) {
    this.#send(joinRef, ref, topic, "phx_reply", { status, response });
  }

  #receive(data, binary) {
    const message = this.#rules.message(data, binary);
    if (!message) return this.#ws.close(1011);
    const [joinRef, ref, topic, event, payload] = message;
    if (topic === "phoenix") {
      counts.heartbeats++;
      if (!told.ignore.includes(event)) this.#reply(null, ref, topic, "ok", {});
    } else if (event === "phx_join") {
      this.#join(joinRef, ref, topic);
    } else if (this.#joinRefs.get(topic) === joinRef) {
      this.#handle(joinRef, ref, topic, event, payload);
    } else if (!this.#joinRefs.has(topic)) {
      this.#unmatched(joinRef, ref, topic, event);
    }
  }

  #join(joinRef, ref, topic) {
    if (told.ignore.includes("phx_join")) return;
    if (told.close === "join") return this.end();
    if (told["refuse-join"]) {
      counts.refusedJoins++;
      this.#rules.gone(topic);
      return this.#reply(joinRef, ref, topic, "error", { reason: told["refuse-join"] });
    }
    if (!topics.has(topic)) topics.set(topic, new Map());
    topics.get(topic).set(this, joinRef);
    this.#joinRefs.set(topic, joinRef);
    counts.joins++;
    this.#rules.joined(topic);
    this.#reply(joinRef, ref, topic, "ok", {});
    if (told.garbage) this.#ws._socket.write(garbage[told.garbage]);
  }

  #unmatched(joinRef, ref, topic, event) {
    this.#rules.gone(topic);
    if (event === "phx_leave") this.#reply(joinRef, ref, topic, "ok", {});
    else this.#reply(null, ref, topic, "error", { reason: "unmatched topic" });
  }

  #leave(topic) {
    topics.get(topic).delete(this);
    this.#joinRefs.delete(topic);
    this.#rules.gone(topic);
  }

  #handle(joinRef, ref, topic, event, payload) {
    const ignored = told.ignore.includes(event);
    switch (event) {
      case "phx_leave":
        counts.leaves++;
        if (ignored) return;
        this.#leave(topic);
        this.#reply(joinRef, ref, topic, "ok", {});
        return this.#send(joinRef, joinRef, topic, "phx_close", {});
      case "ping":
        counts.pings++;
        return ignored || this.#reply(joinRef, ref, topic, "ok", payload);
      case "shout":
        counts.shouts++;
        return ignored || shout(this, topic, payload);
      default:
        counts.unknown++;
        this.#leave(topic);
        return this.#send(joinRef, joinRef, topic, "phx_error", { reason: "channel_crash" });
    }
  }
}

// shout delivers to all who are in the topic now.
function shout(sender, topic, payload) {
  const members = [...topics.get(topic).keys()].filter((member) => !(told.others && member === sender));
  const swallowed = every(swallow, counts.shouts);
  const forged = every(forge, counts.shouts) && forgery(payload);
  const deliver = () => {
    const present = members.filter((member) => member.open);
    const frame = encode(topic, payload);
    for (const member of present) deliverOne(member, topic, frame, swallowed);
    if (!forged) return;
    const other = encode(topic, forged);
    for (const member of present) member.write(other);
    counts.forged += present.length;
  };
  if (late > 0) setTimeout(deliver, late);
  else deliver();
}

const encode = (topic, payload) => Buffer.from(JSON.stringify([null, null, topic, "shout", payload]));

// forgery is the payload with a later number in its mark: dm1, the run, the room, the number, each in hexadecimal.
const forgery = (payload) => JSON.parse(JSON.stringify(payload).replace(/(dm1\.\w{8}\.\w{8}\.)0000/, "$10001"));

function deliverOne(member, topic, frame, swallowed) {
  counts.due++;
  if (swallowed || every(lose, counts.due)) {
    counts.lost++;
    counts.lostOf[topic] = (counts.lostOf[topic] ?? 0) + 1;
    return;
  }
  member.write(frame);
  counts.delivered++;
  if (every(duplicate, counts.due)) {
    member.write(frame);
    counts.delivered++;
    counts.duplicated++;
  }
}

const connections = new Set();
const websockets = new WebSocketServer({ noServer: true, perMessageDeflate: false, clientTracking: false });
const server = createServer((request, response) => {
  const found = request.url === "/stats";
  response.writeHead(found ? 200 : 404, { "content-type": "application/json" });
  response.end(JSON.stringify(found ? counts : { error: "not found" }));
});

server.on("upgrade", (request, stream, head) => {
  stream.on("error", () => stream.destroy());
  if (told.refuse) {
    counts.refused++;
    stream.end(
      `HTTP/1.1 ${told.refuse} ${STATUS_CODES[told.refuse]}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n`,
    );
    return;
  }
  websockets.handleUpgrade(request, stream, head, (ws) => {
    counts.upgrades++;
    counts.open++;
    const connection = new Connection(ws, request);
    connections.add(connection);
    ws.once("close", () => connections.delete(connection));
    if (told.close === "upgrade") connection.end();
  });
});

process.on("SIGUSR2", () => connections.forEach((connection) => connection.end(1012)));
process.once("SIGTERM", () => process.stdout.write(`${JSON.stringify(counts)}\n`, () => process.exit(0)));

server.listen({ port: Number(told.port), host: "127.0.0.1", backlog: 4096 }, () => {
  const at = `127.0.0.1:${server.address().port}`;
  console.log(JSON.stringify({ ws: `ws://${at}/socket`, http: `http://${at}` }));
});
