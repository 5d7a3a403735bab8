// Every scenario against servers that are not ours, whose own counts must be those of the report. A server checks each
// message for what phoenix.js keeps to.

import assert from "node:assert/strict";
import { describe } from "node:test";

import { bench, echoserver, phoenix, worked } from "./bench.mjs";
import { despiteStalls, test } from "./support.mjs";

const users = 300;
const quick = ["--connections", `${users}`, "--arrival-rate", "1000", "--plateau", "0"];
const traffic = ["--duration", "1s", "--settle", "60s"]; // which ends as soon as all is there
const still = ["--hold", "500ms"];

// run carries out a scenario against a server of its own, with the options that it has for it.
async function run(t, scenario, flags = [], serverFlags = []) {
  const server = await phoenix(t, ...serverFlags);
  const { result } = await checked(t, scenario, "--url", server.ws, ...quick, ...flags);
  const ended = ({ upgrades, closed }) => Object.values(closed).reduce((sum, n) => sum + n, 0) === upgrades;
  await server.until(ended, "the server has seen every end");
  const seen = await server.stop();
  assert.deepEqual(seen.firstViolations, []);
  const { counts, account } = result;
  assert.deepEqual(
    [counts.upgrades, counts.joins, counts.leaves, account.messages],
    [seen.upgrades, seen.joins, seen.leaves, seen.shouts],
  );
  assert.equal(counts.sent, seen.shouts + seen.pings);
  return { result, seen };
}

async function checked(t, ...args) {
  const done = await bench(t, ...args);
  worked(done);
  assert.equal(done.result.stopped, false);
  return done;
}

describe("against servers that are not ours", { concurrency: 3 }, () => {
  test("without a target it starts a server of its own", async (t) => {
    const { result } = await checked(t, "broadcast", ...quick, ...traffic, "--rate", "20");
    const { target, counts, account } = result;
    assert.deepEqual([target.own, counts.joins, account.messages], [true, users, 20]);
    assert.ok(target.pid > 0 && target.peak_rss > 0, JSON.stringify(target));
  });

  test("connect: all arrive, join and go in good order", async (t) => {
    const { result, seen } = await run(t, "connect", still);
    const { users: arrived, dials, upgrades, joins, open, joined, sent } = result.counts;
    assert.deepEqual([arrived, dials, upgrades, joins, sent], [users, users, users, users, 0]);
    assert.deepEqual([open, joined], [users, users], "at the end of the run all are still there");
    assert.deepEqual(seen.closed, { 1000: users });
  });

  test("connect: phases of arrivals, and two targets in turn", async (t) => {
    const servers = [await phoenix(t), await phoenix(t)];
    const urls = servers.flatMap(({ ws }) => ["--url", ws]);
    const phases = ["--phase", "1s@50/s", "--phase", "500ms@300/s"];
    const { result } = await checked(t, "connect", ...urls, ...phases, "--hold", "100ms");
    assert.equal(result.counts.joins, 200);
    for (const server of servers) assert.equal((await server.stop()).joins, 100);
  });

  test("broadcast: each delivery is counted", async (t) => {
    const { result, seen } = await run(t, "broadcast", [
      ...traffic,
      "--rate",
      "20",
      "--topic",
      "rooms:lobby",
      "--event",
      "shout",
    ]);
    const { messages, expected, received } = result.account;
    assert.equal(messages, 20, "messages in one second at 20/s");
    assert.deepEqual([expected, received, result.counts.delivered], [seen.due, seen.delivered, seen.delivered]);
    assert.equal(received, messages * users);
  });

  test("broadcast: a target that does not deliver to the sender", async (t) => {
    const { result, seen } = await run(t, "broadcast", [...traffic, "--rate", "20", "--others"], ["--others"]);
    assert.deepEqual([result.account.expected, result.account.received], [seen.due, seen.delivered]);
    assert.equal(seen.due, 20 * (users - 1));
  });

  test("broadcast: large payloads, that come in many parts, and late", async (t) => {
    const flags = [...traffic, "--connections", "20", "--rate", "20", "--size", "100000"];
    const { result, seen } = await run(t, "broadcast", flags, ["--late", "300"]);
    assert.deepEqual([result.account.received, result.account.received], [seen.due, 20 * 20]);
    assert.ok(result.counts.bytes_in > 40e6, `${result.counts.bytes_in} bytes in 400 messages of 100,000`);
  });

  test("rooms: a message goes to one of them", async (t) => {
    const { result, seen } = await run(t, "rooms", [...traffic, "--rooms", "10", "--rate", "100"]);
    assert.deepEqual([result.account.expected, result.account.received], [seen.due, seen.delivered]);
    assert.deepEqual([seen.shouts, seen.due], [100, 100 * (users / 10)]);
  });

  // Who goes comes back after a second at the earliest, which on a machine that stalls is after the end.
  test("chat: whoever comes and goes meanwhile is neither missing nor extra", (t) =>
    despiteStalls(async () => {
      const flags = ["--rooms", "5", "--rate", "400", "--duration", "2s", "--seed", "7"];
      const { result, seen } = await run(t, "chat", [...traffic, ...flags]);
      assert.ok(seen.shouts > 0 && seen.leaves > 0 && seen.upgrades > users, JSON.stringify(seen));
      assert.ok(result.account.expected <= seen.due, `${result.account.expected} expected, ${seen.due} due`);
      assert.equal(result.account.received, result.account.expected);
    }, 5));

  test("echo: each request is answered, with idle users beside", async (t) => {
    const { result, seen } = await run(t, "echo", [...traffic, "--active", "50", "--rate", "500"]);
    const { requests, unanswered } = result.account;
    assert.deepEqual([requests, unanswered, result.counts.answered], [seen.pings, 0, seen.pings]);
    assert.equal(seen.pings, 500);
  });

  test("storm: all come back", async (t) => {
    const { result, seen } = await run(t, "storm");
    assert.deepEqual([result.counts.users, seen.upgrades, seen.joins], [users, 2 * users, 2 * users]);
  });

  test("slow: those who read get everything", async (t) => {
    const { result, seen } = await run(t, "slow", [...traffic, "--slow", "10%", "--rate", "20", "--size", "1000"]);
    assert.ok(result.account.expected > 0 && result.account.expected < seen.due, JSON.stringify(result.account));
    assert.equal(result.account.received, result.account.expected);
  });

  // A server that stalls for 500 ms has not answered in time.
  test("heartbeats come as often as they are told to, one at a time", (t) =>
    despiteStalls(async () => {
      const { result, seen } = await run(t, "connect", ["--heartbeat", "500ms", "--hold", "3s"]);
      const { heartbeats } = result.counts;
      const unanswered = seen.heartbeats - heartbeats; // each user may have one on its way at the end
      assert.ok(unanswered >= 0 && unanswered <= users, `${heartbeats} of ${seen.heartbeats} were answered`);
      const seconds = result.elapsed / 1e9;
      assert.ok(
        seen.heartbeats >= users && seen.heartbeats <= users * (2 * seconds + 1),
        `${seen.heartbeats} heartbeats of ${users} users in ${seconds} s`,
      );
    }, 10));

  for (const [what, flags, insecure] of [
    ["ws", [], []],
    ["wss", ["-tls"], ["--insecure"]],
  ]) {
    const plain = [
      "--protocol",
      "websocket",
      "--connections",
      "200",
      "--arrival-rate",
      "500",
      "--plateau",
      "0",
      ...insecure,
    ];

    test(`echo over ${what} against gorilla/websocket`, async (t) => {
      const server = await echoserver(t, ...flags);
      const requests = ["--active", "20", "--rate", "300"];
      const { result } = await checked(t, "echo", "--url", server.ws, ...plain, ...traffic, ...requests);
      const seen = await server.stop();
      assert.deepEqual([result.counts.upgrades, result.counts.answered], [seen.upgrades, seen.messages]);
      assert.deepEqual(seen, { upgrades: 200, messages: 300 });
    });

    test(`large echoes over ${what} against gorilla/websocket`, async (t) => {
      const server = await echoserver(t, ...flags);
      const requests = ["--connections", "20", "--active", "20", "--rate", "50", "--size", "200000"];
      const { result } = await checked(t, "echo", "--url", server.ws, ...plain, ...traffic, ...requests);
      assert.equal(result.counts.answered, 50);
      assert.ok(result.counts.bytes_out > 50 * 200_000 && result.counts.bytes_in > 50 * 200_000);
    });

    for (const [scenario, length, upgrades] of [
      ["connect", still, 200],
      ["storm", [], 400],
    ]) {
      test(`${scenario} over ${what} against gorilla/websocket`, async (t) => {
        const server = await echoserver(t, ...flags);
        const { result } = await checked(t, scenario, "--url", server.ws, ...plain, ...length);
        assert.deepEqual([result.counts.users, result.counts.upgrades], [200, upgrades]);
        assert.deepEqual(await server.stop(), { upgrades, messages: 0 });
      });
    }
  }
});
