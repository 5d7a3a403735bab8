// A server that speaks Phoenix and does wrong: the run fails, says what is wrong, and counts it as the server does.

import assert from "node:assert/strict";
import { describe } from "node:test";

import { bench, errorsOf, failed, phoenix, worked } from "./bench.mjs";
import { despiteStalls, test } from "./support.mjs";

const quick = ["--arrival-rate", "1000", "--plateau", "0"];

async function run(t, serverFlags, scenario, ...flags) {
  const server = await phoenix(t, ...serverFlags);
  // What has not come when --settle is over is missing, also on a machine that is ten times slower.
  const length = scenario === "connect" ? ["--hold", "100ms"] : ["--duration", "1s", "--settle", "20s"];
  const done = await bench(t, scenario, "--url", server.ws, ...quick, ...length, ...flags);
  return { done, seen: await server.stop() };
}

// The sums of worst for each topic.
const byTopic = (worst, of) =>
  worst.reduce((sums, message) => ({ ...sums, [message.topic]: (sums[message.topic] ?? 0) + of(message) }), {});

describe("faults", { concurrency: 4 }, () => {
  test("one delivery in 10,000 is lost: how many, and on which topics", async (t) => {
    const traffic = ["--connections", "200", "--rooms", "2", "--rate", "100", "--duration", "4s"];
    const { done, seen } = await run(t, ["--lose", "10000"], "rooms", ...traffic);
    failed(done);
    assert.equal(seen.lost, 4); // 400 messages to 100 each
    const { missing, expected, received, extra, worst } = done.result.account;
    assert.deepEqual([missing, expected, received, extra], [seen.lost, seen.due, seen.delivered, 0]);
    assert.deepEqual(
      byTopic(worst, (message) => message.expected - message.received),
      seen.lostOf,
    );
    const reasons = done.result.reasons.join(" ");
    for (const topic of Object.keys(seen.lostOf)) {
      assert.ok(done.stdout.includes(topic), `the text does not name ${topic}\n${done}`);
    }
    assert.match(reasons, new RegExp(`\\b${seen.lost}\\b`), "the reason does not say how many");
    assert.match(done.stdout, new RegExp(`\\b${seen.lost}\\b`));
  });

  test("one delivery in 10,000 comes twice", async (t) => {
    const traffic = ["--connections", "300", "--rate", "100"];
    const { done, seen } = await run(t, ["--duplicate", "10000"], "broadcast", ...traffic);
    failed(done);
    assert.equal(seen.duplicated, 3); // 100 messages to 300 each
    const { missing, extra, worst } = done.result.account;
    assert.deepEqual([missing, extra], [0, seen.duplicated]);
    assert.deepEqual(
      byTopic(worst, (message) => message.extra),
      { "rooms:lobby": seen.duplicated },
    );
    assert.ok(done.stdout.includes("rooms:lobby"), `${done}`);
  });

  test("whole messages that nobody gets", async (t) => {
    const { done, seen } = await run(t, ["--swallow", "10"], "broadcast", "--connections", "100", "--rate", "50");
    failed(done);
    assert.equal(seen.lost, 500); // 5 messages of 100 each
    const { missing, messages, worst } = done.result.account;
    assert.deepEqual([messages, missing], [seen.shouts, seen.lost]);
    assert.deepEqual(
      worst.map(({ seq }) => seq),
      [9, 19, 29, 39, 49],
    );
  });

  test("messages that nobody has sent", async (t) => {
    const { done, seen } = await run(t, ["--forge", "20"], "broadcast", "--connections", "100", "--rate", "50");
    failed(done);
    assert.equal(seen.forged, 200);
    const { missing, extra, messages } = done.result.account;
    assert.deepEqual([messages, missing, extra], [seen.shouts, 0, seen.forged]);
  });

  const few = 20;
  const people = ["--connections", `${few}`];

  // A fault, what the server is told, what is run, and the kind under which all users' errors are counted.
  for (const [what, serverFlags, flags, kind] of [
    ["upgrades refused with 403", ["--refuse", "403"], ["connect"], / 403$/],
    ["upgrades refused with 429", ["--refuse", "429"], ["connect"], / 429$/],
    ["upgrades refused with 503", ["--refuse", "503"], ["connect"], / 503$/],
    ["joins refused", ["--refuse-join", "members only"], ["connect"], /^join refused: members only$/],
    ["joins never answered", ["--ignore", "phx_join"], ["connect", "--timeout", "1s"], /^timeout: join$/],
    ["connections closed after the upgrade", ["--close", "upgrade"], ["connect"], /^closed by server$|^reset by peer$/],
    ["connections closed instead of the join", ["--close", "join"], ["connect"], /^closed by server$/],
    ["connections closed with 1011", ["--close", "join", "--close-code", "1011"], ["connect"], /1011/],
    ["connections closed with 4003", ["--close", "join", "--close-code", "4003"], ["connect"], /4003/],
    ["text that is no message", ["--garbage", "text"], ["connect"], /^garbage/],
    ["JSON that is no message", ["--garbage", "object"], ["connect"], /^garbage/],
    ["binary garbage", ["--garbage", "binary"], ["connect"], /^garbage/],
    ["an opcode that there is not", ["--garbage", "opcode"], ["connect"], /^protocol violation/],
    ["reserved bits", ["--garbage", "reserved"], ["connect"], /^protocol violation/],
    ["a masked frame", ["--garbage", "masked"], ["connect"], /^protocol violation/],
    ["a frame of 2^63 bytes", ["--garbage", "huge"], ["connect"], /^protocol violation/],
    ["a text that is not UTF-8", ["--garbage", "utf8"], ["connect"], /^protocol violation/],
    [
      "heartbeats never answered",
      ["--ignore", "heartbeat"],
      ["connect", "--heartbeat", "500ms", "--hold", "3s"],
      /^timeout: heartbeat$/,
    ],
  ]) {
    const attempt = async (t) => {
      const { done, seen } = await run(t, serverFlags, ...flags, ...people);
      failed(done);
      assert.equal(done.result.counts.users, few);
      assert.equal(errorsOf(done, kind), few, `errors of ${kind}: ${JSON.stringify(done.result.errors)}`);
      assert.equal(done.result.counts.errors, few, JSON.stringify(done.result.errors));
      assert.deepEqual(seen.firstViolations, []);
    };
    // A machine that stalls may take a second for what comes before.
    const timed = flags.includes("--timeout") || flags.includes("--heartbeat");
    test(what, (t) => (timed ? despiteStalls(() => attempt(t), 5) : attempt(t)));
  }

  test("requests never answered", async (t) => {
    const flags = ["--active", `${few}`, "--rate", "20", "--timeout", "500ms"];
    const { done, seen } = await run(t, ["--ignore", "ping"], "echo", ...people, ...flags);
    failed(done);
    const { requests, unanswered } = done.result.account;
    assert.deepEqual([requests, unanswered, done.result.counts.answered], [seen.pings, seen.pings, 0]);
  });

  test("requests never answered, more of them than their timeouts leave time for", async (t) => {
    const flags = ["--active", "2", "--rate", "200", "--timeout", "1s"];
    const { done, seen } = await run(t, ["--ignore", "ping"], "echo", ...people, ...flags);
    failed(done);
    assert.equal(done.result.counts.sent, seen.pings);
  });

  test("an event that the target does not have", async (t) => {
    const { done, seen } = await run(t, [], "echo", ...people, "--active", "1", "--rate", "5", "--event", "nonsense");
    failed(done);
    assert.ok(seen.unknown > 0);
    assert.equal(errorsOf(done, /^phx_error$/), seen.unknown, JSON.stringify(done.result.errors));
  });

  test("messages to the sender alone: not one of the others' deliveries is there", async (t) => {
    const { done, seen } = await run(t, ["--others"], "broadcast", ...people, "--rate", "10");
    failed(done);
    assert.deepEqual(
      [done.result.account.missing, seen.shouts],
      [10, 10],
      "a sender's own delivery is missing each time",
    );
  });

  test("deliveries that come late, but within --settle, are there", async (t) => {
    const { done, seen } = await run(t, ["--late", "1500"], "broadcast", ...people, "--rate", "10");
    worked(done);
    assert.equal(done.result.account.received, seen.delivered);
  });

  test("deliveries that come after --settle are missing", async (t) => {
    const { done, seen } = await run(
      t,
      ["--late", "60000"],
      "broadcast",
      ...people,
      "--rate",
      "10",
      "--settle",
      "500ms",
    );
    failed(done);
    assert.deepEqual([done.result.account.missing, seen.delivered], [seen.shouts * few, 0]);
  });
});
