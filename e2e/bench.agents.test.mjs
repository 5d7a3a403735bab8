// Load from agents: shared, summed up, guarded, and never silently less than was asked for.

import assert from "node:assert/strict";
import { mkdtempSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import path from "node:path";
import { describe } from "node:test";

import { Bench, bench, phoenix, Process, worked } from "./bench.mjs";
import { build, despiteStalls, temporaryFolder, test, within } from "./support.mjs";

const folder = mkdtempSync(path.join(temporaryFolder(), "agents-"));

function tokenFile(token) {
  const file = path.join(folder, token);
  writeFileSync(file, `${token}\n`, { mode: 0o600 });
  return file;
}

const right = tokenFile("the-right-token-of-these-tests");
const wrong = tokenFile("some-other-token-that-is-wrong");

// agent starts one that may reach this machine, and resolves once it listens.
async function agent(t, allow = "127.0.0.1") {
  const args = ["bench", "agent", "--listen", "127.0.0.1:0", "--token-file", right, "--allow", allow];
  const process = new Process(t, build("dormouse"), args);
  [, process.address] = await process.says(/(127\.0\.0\.1:[1-9]\d*)/);
  return process;
}

// conduct is how a run is given to agents.
const conduct = (agents, token = right) => [
  "--agents",
  agents.map(({ address }) => address).join(","),
  "--token-file",
  token,
];
const quick = ["--connections", "300", "--arrival-rate", "1000", "--plateau", "0"];
const traffic = ["--rate", "20", "--duration", "2s", "--settle", "60s"]; // which ends as soon as all is there

const sum = (generators, of) => generators.reduce((total, generator) => total + of(generator.counts), 0);

// refused starts a run that cannot begin.
async function refused(t, ...args) {
  const run = new Bench(t, args);
  const { code } = await run.end(30_000);
  assert.equal(code, 1, `${run}`);
  assert.doesNotMatch(run.stderr, /panic|goroutine/, `${run}`);
  return run.stderr;
}

describe("agents", { concurrency: 3 }, () => {
  test("two agents share a broadcast by weight, and their sums are what the server has seen", async (t) => {
    const server = await phoenix(t);
    const [one, two] = [await agent(t), await agent(t)];
    const shares = conduct([one, { address: `${two.address}=2` }]);
    const run = await bench(t, "broadcast", "--url", server.ws, ...quick, ...traffic, ...shares);
    worked(run);
    const { counts, account, generators, latency } = run.result;
    const seen = await server.stop();
    assert.deepEqual(seen.firstViolations, []);
    assert.deepEqual(
      [counts.joins, account.messages, account.expected, account.received],
      [seen.joins, seen.shouts, seen.due, seen.delivered],
    );
    assert.equal(seen.due, 300 * 40);
    assert.deepEqual(
      generators.map(({ name, counts: { joins } }) => [name, joins]),
      [
        [one.address, 100],
        [two.address, 200],
      ],
    );
    for (const name of ["joins", "sent", "delivered", "bytes_in", "errors"]) {
      assert.equal(
        sum(generators, (of) => of[name]),
        counts[name],
        name,
      );
    }
    assert.ok(latency.deliver && latency.last, "no distributions");
  });

  for (const [scenario, ...flags] of [
    ["connect", "--hold", "300ms"],
    ["rooms", "--rooms", "6", ...traffic],
    ["chat", "--rooms", "4", "--rate", "100", "--duration", "2s", "--settle", "60s"],
    ["echo", "--rate", "100", "--duration", "1s"],
    ["storm"],
    ["slow", ...traffic],
  ]) {
    test(`${scenario} from two agents`, async (t) => {
      const server = await phoenix(t);
      const agents = [await agent(t), await agent(t)];
      const run = await bench(t, scenario, "--url", server.ws, ...quick, ...flags, ...conduct(agents));
      worked(run);
      const { counts, account } = run.result;
      const seen = await server.stop();
      assert.deepEqual(seen.firstViolations, []);
      assert.deepEqual(
        [counts.upgrades, counts.joins, account.messages, counts.answered],
        [seen.upgrades, seen.joins, seen.shouts, seen.pings],
      );
      for (const each of agents) {
        each.kill("SIGTERM");
        assert.deepEqual(await each.end(), { code: 0, signal: null }, `${each}`);
      }
    });
  }

  test("a loss is found, whoever has not got it", async (t) => {
    const server = await phoenix(t, "--lose", "1000");
    const agents = [await agent(t), await agent(t)];
    const limits = ["--settle", "15s", ...conduct(agents)];
    const run = await bench(t, "broadcast", "--url", server.ws, ...quick, ...traffic, ...limits);
    const seen = await server.stop();
    assert.equal(run.code, 1, `${run}`);
    assert.deepEqual([run.result.account.missing, seen.lost], [12, 12]);
  });

  test("whole messages that nobody gets are missing at all agents", async (t) => {
    const server = await phoenix(t, "--swallow", "10");
    const agents = [await agent(t), await agent(t)];
    const limits = ["--settle", "15s", ...conduct(agents)];
    const run = await bench(t, "broadcast", "--url", server.ws, ...quick, ...traffic, ...limits);
    const seen = await server.stop();
    assert.equal(run.code, 1, `${run}`);
    assert.deepEqual([run.result.account.missing, seen.lost], [1200, 1200]); // 4 messages of 300 each
  });

  test("a wrong token is refused, and so is none", async (t) => {
    const server = await phoenix(t);
    const one = await agent(t);
    const target = ["connect", "--url", server.ws, ...quick];
    const said = await refused(t, ...target, ...conduct([one], wrong));
    assert.match(said, /token/);
    assert.ok(said.includes(one.address) && !said.includes("the-right-token"), said);
    assert.match(await refused(t, ...target, "--agents", one.address), /token/);
    assert.equal((await server.stop()).upgrades, 0);
  });

  test("a target that is not on the agent's list is refused", async (t) => {
    const server = await phoenix(t);
    const one = await agent(t, "chat.example.com");
    const said = await refused(t, "connect", "--url", server.ws, ...quick, ...conduct([one]));
    assert.match(said, /--allow/);
    assert.match(said, /127\.0\.0\.1/);
    assert.equal((await server.stop()).upgrades, 0);
  });

  test("an agent that is not there is named", async (t) => {
    const server = await phoenix(t);
    const agents = [await agent(t), { address: "127.0.0.1:1" }];
    const said = await refused(t, "connect", "--url", server.ws, ...quick, ...conduct(agents));
    assert.match(said, /127\.0\.0\.1:1\b/);
    assert.equal((await server.stop()).upgrades, 0);
  });

  test("an agent that is killed in mid-run is named, and the run is worth nothing", async (t) => {
    const server = await phoenix(t);
    const [one, two] = [await agent(t), await agent(t)];
    const long = ["--rate", "20", "--duration", "4s", "--settle", "3s"];
    const run = new Bench(t, ["broadcast", "--url", server.ws, ...quick, ...long, ...conduct([one, two])]);
    await server.until(({ shouts }) => shouts >= 20, "some messages");
    two.kill("SIGKILL");
    await run.finish();
    const { verdict, reasons, generators } = run.result;
    assert.deepEqual([verdict, run.code], ["INVALID", 3], `${run}`);
    assert.ok(
      reasons.some((reason) => reason.includes(two.address)),
      `${reasons}`,
    );
    assert.ok(run.stdout.includes(two.address), `${run}`);
    assert.deepEqual(
      generators.map(({ lost }) => Boolean(lost)),
      [false, true],
    );
  });

  test("a conductor that is killed leaves no users behind, and the agents are free again", async (t) => {
    const server = await phoenix(t);
    const agents = [await agent(t), await agent(t)];
    const run = new Bench(t, ["connect", "--url", server.ws, ...quick, "--hold", "60s", ...conduct(agents)]);
    await server.until(({ joins }) => joins === 300, "all users");

    const said = await refused(t, "connect", "--url", server.ws, ...quick, ...conduct(agents));
    assert.match(said, /busy|another run/, "an agent has two conductors");

    run.kill("SIGKILL");
    await server.until(({ open }) => open === 0, "the end of all users");
    for (const each of agents) await each.says(/run ended/); // which comes behind that of its users
    worked(await bench(t, "connect", "--url", server.ws, ...quick, "--hold", "100ms", ...conduct(agents)));
  });

  // For those who have not read yet that they have joined it waits two seconds.
  test("an interrupt ends the run of agents, with a report", (t) =>
    despiteStalls(async () => {
      const server = await phoenix(t);
      const agents = [await agent(t), await agent(t)];
      const run = new Bench(t, ["connect", "--url", server.ws, ...quick, "--hold", "60s", ...conduct(agents)]);
      await server.until(({ joins }) => joins === 300, "all users");
      run.kill("SIGINT");
      await run.finish(20_000);
      worked(run);
      assert.deepEqual([run.result.stopped, run.result.counts.joins], [true, 300]);
      await server.until(({ open }) => open === 0, "the end of all users");
    }, 5));

  test("what is no conductor does an agent no harm", async (t) => {
    const server = await phoenix(t);
    const one = await agent(t);
    const [host, port] = one.address.split(":");
    const texts = ["{}\n", "\n\n\n", "[".repeat(1_000_000), "\x00\xff".repeat(10_000), ""];
    const strangers = [...texts, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"].map((text) => {
      const socket = connect(Number(port), host, () => socket.write(text, "latin1"));
      t.after(() => socket.destroy());
      return new Promise((resolve) => {
        socket.on("error", () => {});
        socket.on("close", resolve);
        socket.resume();
      });
    });
    worked(await bench(t, "connect", "--url", server.ws, ...quick, "--hold", "100ms", ...conduct([one])));
    await within(Promise.all(strangers), "the end of all strangers, also of the one that says nothing", 30_000);
  });
});
