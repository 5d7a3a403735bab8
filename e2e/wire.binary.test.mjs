// Byte by byte: the binary frames of version 2.

import { dial, frame, reply, unmatched } from "./raw.mjs";
import { test, use } from "./support.mjs";

const fixture = await use("fixture");
const open = (t) => dial(t, `${fixture.ws}/socket/websocket?vsn=2.0.0`);

// push: kind 0 from the client, with five header bytes.
const push = (joinRef, ref, topic, event, ...data) => frame(0, [joinRef, ref, topic, event], data);

// What the server sends; a push of the server has no ref.
const serverPush = (joinRef, topic, event, ...data) => frame(0, [joinRef, topic, event], data).toString("hex");
const serverReply = (joinRef, ref, topic, status, ...data) => frame(1, [joinRef, ref, topic, status], data).toString("hex");
const serverBroadcast = (topic, event, ...data) => frame(2, [topic, event], data).toString("hex");

const packed = (digits) => digits.replaceAll(" ", "");

async function joined(t, topic, joinRef = "11") {
  const raw = await open(t);
  raw.send([joinRef, "1", topic, "phx_join", {}]);
  await raw.expect(reply(joinRef, "1", topic, "ok", {}));
  return raw;
}

test("2.2: a binary event gets a binary reply, as the bytes of the specification", async (t) => {
  const raw = await joined(t, "room:bin");
  raw.send(Buffer.from(packed("00 02 01 08 04  31 31  32  72 6f 6f 6d 3a 62 69 6e  65 63 68 6f  01 02"), "hex"));
  await raw.expect(packed("01 02 01 08 02  31 31  32  72 6f 6f 6d 3a 62 69 6e  6f 6b  01 02"));
});

test("2.2: a server's push in binary has four header bytes", async (t) => {
  const raw = await joined(t, "room:bin");
  raw.send(push("11", "2", "room:bin", "binary_event", 1, 2));
  await raw.expect(
    serverPush("11", "room:bin", "binary_event", 0, 1),
    serverReply("11", "2", "room:bin", "ok", 1, 2, 3, 4),
  );
});

test("2.2: a binary broadcast has no refs, reaches all, and the reply is text", async (t) => {
  const ann = await joined(t, "room:bin");
  const bob = await joined(t, "room:bin", "12");
  ann.send(push("11", "2", "room:bin", "bcast_bin", 101, 102, 103));
  await ann.expect(serverBroadcast("room:bin", "bcast_bin", 101, 102, 103), reply("11", "2", "room:bin", "ok", {}));
  await bob.expect(serverBroadcast("room:bin", "bcast_bin", 101, 102, 103));
});

test("2.2: the form of a reply follows the reply alone", async (t) => {
  const raw = await joined(t, "room:bin");
  raw.send(["11", "2", "room:bin", "gen_bin", {}], push("11", "3", "room:bin", "ack", 1));
  await raw.expect(serverReply("11", "2", "room:bin", "ok", 1, 2, 0xfe), reply("11", "3", "room:bin", "ok", {}));
});

test("2.2: numbers as refs become decimal digits", async (t) => {
  const raw = await open(t);
  raw.send([11, 1, "room:bin", "phx_join", {}], [11, 22, "room:bin", "gen_bin", {}]);
  await raw.expect(reply(11, 1, "room:bin", "ok", {}), serverReply("11", "22", "room:bin", "ok", 1, 2, 0xfe));
});

test("2.2: an absent ref is of length 0", async (t) => {
  const raw = await joined(t, "room:bin");
  raw.send([null, null, "room:bin", "gen_bin", {}]);
  await raw.expect(serverReply("11", "", "room:bin", "ok", 1, 2, 0xfe));
});

test("2.2: any event may be binary: join, heartbeat, an unknown topic; empty data too", async (t) => {
  const raw = await open(t);
  raw.send(push("1", "1", "room:binjoin", "phx_join"));
  await raw.expect(serverReply("1", "1", "room:binjoin", "ok", 9, 8, 7));
  raw.send(push("", "7", "phoenix", "heartbeat"));
  await raw.expect(reply(null, "7", "phoenix", "ok", {}));
  raw.send(push("1", "2", "nowhere", "echo", 1));
  await raw.expect(unmatched("2", "nowhere"));
  raw.send(push("1", "3", "room:binjoin", "echo"));
  await raw.expect(serverReply("1", "3", "room:binjoin", "ok"));
});

test("2.2: an empty join_ref is no null: the message belongs to another join and is dropped", async (t) => {
  const raw = await joined(t, "room:bin", "1");
  raw.send(push("", "2", "room:bin", "echo", 1));
  await raw.quiet("1", "room:bin");
});

test("2.2: a field of 255 bytes fits", async (t) => {
  const topic = `room:${"x".repeat(250)}`;
  const raw = await joined(t, topic);
  raw.send(push("11", "2", topic, "echo", 1));
  await raw.expect(serverReply("11", "2", topic, "ok", 1));
});

test("2.2: a field of 256 bytes cannot be answered in binary: the channel crashes, the connection stays", async (t) => {
  const topic = `room:${"x".repeat(251)}`;
  const raw = await joined(t, topic);
  raw.send(["11", "2", topic, "gen_bin", {}]);
  await raw.expect(["11", "11", topic, "phx_error", { reason: "channel_crash" }]);
  raw.send([null, "3", "phoenix", "heartbeat", {}]);
  await raw.expect(reply(null, "3", "phoenix", "ok", {}));
});

test("2.2, 10.2: header fields in Latin-1, as old clients write them, break nothing", async (t) => {
  const raw = await open(t);
  raw.send(Buffer.concat([Buffer.from([0, 1, 1, 2, 4]), Buffer.from("12"), Buffer.from([0xe9, 0xff]), Buffer.from("echo")]));
  raw.send([null, "3", "phoenix", "heartbeat", {}]);
  const heartbeat = (message) => message[1] === "3" && message[2] === "phoenix";
  await raw.frames.until(heartbeat, "the reply to the heartbeat after it");
});

for (const [why, data] of [
  ["kind 1 is the server's", frame(1, ["1", "2", "room:bin", "ok"], [])],
  ["kind 2 is the server's", frame(2, ["room:bin", "echo"], [])],
  ["an unknown kind", frame(9, ["1", "2", "room:bin", "echo"], [])],
  ["sizes beyond the frame", Buffer.from([0, 1, 1, 200, 4, 49, 50])],
  ["less than a header", Buffer.from([0, 1, 1])],
  ["nothing at all", Buffer.alloc(0)],
]) {
  test(`1.9, 2.2: a frame that cannot be decoded ends the connection with 1011: ${why}`, async (t) => {
    const raw = await joined(t, "room:bin");
    raw.send(data);
    await raw.closesWith(1011);
  });
}
