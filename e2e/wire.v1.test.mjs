// Version 1: objects instead of arrays, no join_ref unless the client brings one, no binary.

import { dial } from "./raw.mjs";
import { test, use } from "./support.mjs";

const fixture = await use("fixture");

const message = (topic, event, payload, ref) => ({ topic, event, payload, ref });
const reply = (topic, ref, status, response) => message(topic, "phx_reply", { status, response }, ref);

for (const [name, query] of [["without vsn", ""], ["vsn 1.0.0", "?vsn=1.0.0"], ["vsn 1.0.7", "?vsn=1.0.7"]]) {
  test(`1.3, 2.3: ${name}: join, event, push, broadcast, leave`, async (t) => {
    const raw = await dial(t, `${fixture.ws}/socket/websocket${query}`);
    raw.send(message("phoenix", "heartbeat", {}, "0"), message("room:v1", "phx_join", {}, "1"));
    await raw.expect(reply("phoenix", "0", "ok", {}), reply("room:v1", "1", "ok", {}));
    raw.send(message("room:v1", "push", { n: 1 }, "2"), message("room:v1", "bcast", { n: 2 }, "3"));
    await raw.expect(
      message("room:v1", "pushed", { n: 1 }, null),
      message("room:v1", "bcast", { n: 2 }, null),
      reply("room:v1", "3", "ok", {}),
    );
    raw.send(message("room:v1", "phx_leave", {}, "4"));
    await raw.expect(reply("room:v1", "4", "ok", {}), message("room:v1", "phx_close", {}, null));
    raw.send(message("room:v1", "echo", {}, "5"));
    await raw.expect(reply("room:v1", "5", "error", { reason: "unmatched topic" }));
  });
}

test("2.3: a join_ref is read when it is there", async (t) => {
  const raw = await dial(t, `${fixture.ws}/socket/websocket`);
  raw.send({ ...message("room:v1", "phx_join", {}, "2"), join_ref: "1" });
  await raw.expect(reply("room:v1", "2", "ok", {}));
  raw.send({ ...message("room:v1", "echo", {}, "3"), join_ref: "0" }); // of another join: dropped
  raw.send({ ...message("room:v1", "phx_leave", {}, "4"), join_ref: "1" });
  await raw.expect(reply("room:v1", "4", "ok", {}), message("room:v1", "phx_close", {}, "1"));
});

test("2.3: the message may come in a binary frame", async (t) => {
  const raw = await dial(t, `${fixture.ws}/socket/websocket`);
  raw.send(Buffer.from(JSON.stringify(message("room:v1", "phx_join", {}, "1"))));
  await raw.expect(reply("room:v1", "1", "ok", {}));
});

test("2.3: a channel that answers in binary crashes, since version 1 has no form for it", async (t) => {
  const raw = await dial(t, `${fixture.ws}/socket/websocket`);
  raw.send(message("room:v1", "phx_join", {}, "1"), message("room:v1", "gen_bin", {}, "2"));
  await raw.expect(reply("room:v1", "1", "ok", {}), message("room:v1", "phx_error", { reason: "channel_crash" }, null));
});

for (const [why, text] of [
  ["no JSON", "hello"],
  ["an array", '["1","1","room:v1","phx_join",{}]'],
  ["no topic", '{"event":"e","payload":{},"ref":"1"}'],
  ["no event", '{"topic":"t","payload":{},"ref":"1"}'],
  ["no payload", '{"topic":"t","event":"e","ref":"1"}'],
  ["no ref", '{"topic":"t","event":"e","payload":{}}'],
]) {
  test(`1.9, 2.3: what cannot be decoded ends the connection with 1011: ${why}`, async (t) => {
    const raw = await dial(t, `${fixture.ws}/socket/websocket`);
    raw.send(text);
    await raw.closesWith(1011);
  });
}
