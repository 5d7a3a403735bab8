// A run that is interrupted, stopped, starved or orphaned, and a target to which that happens.

import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { describe } from "node:test";

import { Bench, errorsOf, failed, phoenix, worked } from "./bench.mjs";
import { despiteStalls, test, within } from "./support.mjs";

const quick = ["--connections", "200", "--arrival-rate", "1000", "--plateau", "0"];

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// begin starts a run against a server and returns once the server has seen some of its messages.
async function begin(t, server, ...flags) {
  const run = new Bench(t, [...flags, "--url", server.ws, ...quick]);
  await server.until(({ shouts, pings }) => shouts + pings >= 20, "some messages");
  return run;
}

// children are the processes that a process has started and that are still there.
function children(pid) {
  const all = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return all.map(Number).filter((child) => statOf(child)?.parent === pid);
}

// statOf is the state and the parent of a process, null if it is gone. See proc_pid_stat(5).
function statOf(pid) {
  try {
    const [state, parent] = readFileSync(`/proc/${pid}/stat`, "utf8")
      .replace(/^.*\) /s, "")
      .split(" ");
    return { state, parent: Number(parent) };
  } catch {
    return null;
  }
}

async function gone(pid) {
  const look = async () => {
    while (existsSync(`/proc/${pid}`) && statOf(pid)?.state !== "Z") await pause(20);
  };
  await within(look(), `the end of process ${pid}`);
}

// socketsOf is how many sockets a process has. It throws when that is gone.
function socketsOf(pid) {
  const open = (name) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${name}`).startsWith("socket:");
    } catch {
      return false; // it has been closed meanwhile
    }
  };
  return readdirSync(`/proc/${pid}/fd`).filter(open).length;
}

// started waits until the run has a server of its own, and users: they arrive, or have, and the end must be the same.
async function started(run) {
  const look = async () => {
    for (;;) {
      const users = socketsOf(run.pid);
      const [child] = children(run.pid);
      if (child && users >= 20) return child;
      await pause(20);
    }
  };
  return within(look(), "the bench's own server, and users");
}

describe("signals", { concurrency: 3 }, () => {
  test("a generator that gets no processor for a second says that its figures are worth nothing", async (t) => {
    const server = await phoenix(t);
    const run = await begin(t, server, "broadcast", "--rate", "50", "--duration", "6s", "--heartbeat", "30s");
    run.kill("SIGSTOP");
    await pause(1_200);
    run.kill("SIGCONT");
    await run.finish();
    const { verdict, reasons, account, counts } = run.result;
    assert.deepEqual([verdict, run.code, counts.errors], ["INVALID", 3, 0], `${run}`);
    for (const reason of reasons) assert.match(reason, /^[A-Z0-9].*[.?]$/s, "a reason is a sentence");
    assert.ok(
      reasons.some((reason) => /\d/.test(reason)),
      `no figures: ${reasons}`,
    );
    for (const said of ["INVALID", ...reasons]) assert.ok(run.text.includes(said), `${said}\n${run}`);
    const { due, shouts } = await server.stop();
    assert.deepEqual([account.messages, account.expected, account.received], [shouts, due, due]);
  });

  test("a target that stands still for a second is not the generator's fault, and all requests see it", async (t) => {
    const server = await phoenix(t);
    const run = await begin(t, server, "echo", "--active", "2", "--rate", "200", "--duration", "4s");
    server.kill("SIGSTOP");
    await pause(1_200);
    server.kill("SIGCONT");
    worked(await run.finish());
    const worst = Math.max(...run.result.points.map(({ latency }) => latency.echo?.p90 ?? 0));
    assert.ok(
      worst >= 400e6,
      `at most ${worst} ns in the 90th percentile of a second: requests that waited are not counted`,
    );
  });

  // It reads what one sender has sent meanwhile, then what the next has: each message is overtaken by many.
  for (const [scenario, ...flags] of [
    ["rooms", "--rooms", "1", "--rate", "100", "--duration", "3s"],
    ["chat", "--rooms", "2", "--rate", "200", "--duration", "4s"],
  ]) {
    test(`a target that stands still has lost nothing, and doubled nothing: ${scenario}`, async (t) => {
      const server = await phoenix(t);
      const run = await begin(t, server, scenario, ...flags, "--settle", "60s");
      server.kill("SIGSTOP");
      await pause(1_800);
      server.kill("SIGCONT");
      worked(await run.finish());
      assert.ok(run.result.account.received > 0);
    });
  }

  for (const signal of ["SIGINT", "SIGTERM"]) {
    // For what is on its way it waits two seconds, and three for the answers to its closes.
    test(`${signal} in the middle of the traffic: a report of what was done so far`, (t) =>
      despiteStalls(async () => {
        const server = await phoenix(t);
        const run = await begin(t, server, "broadcast", "--rate", "50", "--duration", "60s");
        run.kill(signal);
        await run.finish(20_000);
        const { stopped, account, counts } = run.result;
        assert.equal(stopped, true);
        worked(run);
        assert.match(run.stdout, /interrupt|stopped/i, `${run}`);
        await server.until(({ open }) => open === 0, "the end of all users");
        const seen = await server.stop();
        assert.deepEqual([account.messages, account.received, counts.joins], [seen.shouts, seen.due, seen.joins]);
        assert.deepEqual(seen.closed, { 1000: 200 });
      }, 5));
  }

  // For those on their way it waits two seconds.
  test("an interrupt while users arrive", (t) =>
    despiteStalls(async () => {
      const server = await phoenix(t);
      const flags = ["--connections", "5000", "--arrival-rate", "1000", "--plateau", "0"];
      const run = new Bench(t, ["connect", "--url", server.ws, ...flags]);
      await server.until(({ joins }) => joins >= 20, "some users");
      run.kill("SIGINT");
      await run.finish(20_000);
      worked(run);
      const { joins } = await server.stop();
      assert.deepEqual([run.result.stopped, run.result.counts.joins], [true, joins]);
    }, 5));

  test("a second interrupt does not wait", async (t) => {
    const server = await phoenix(t, "--late", "60000"); // so that there is something to wait for
    const run = await begin(t, server, "broadcast", "--rate", "50", "--duration", "60s");
    run.kill("SIGINT");
    await run.says(/Ctrl-C again leaves at once/);
    run.kill("SIGINT");
    assert.deepEqual(await run.end(), { code: null, signal: "SIGINT" }, `${run}`);
  });

  test("Ctrl-C reaches the whole process group, and the own server stays until the report is made", async (t) => {
    const run = new Bench(t, ["broadcast", ...quick, "--rate", "50", "--duration", "60s"], { detached: true });
    const server = await started(run);
    process.kill(-run.pid, "SIGINT");
    await run.finish(20_000);
    assert.equal(run.result.stopped, true);
    worked(run);
    await gone(server);
  });

  test("a bench that is killed leaves no server behind", async (t) => {
    const run = new Bench(t, ["connect", ...quick, "--hold", "60s"]);
    const server = await started(run);
    run.kill("SIGKILL");
    await run.end();
    await gone(server);
  });

  test("an own server that dies is named", async (t) => {
    const run = new Bench(t, ["connect", ...quick, "--hold", "60s"]);
    process.kill(await started(run), "SIGKILL");
    const { code } = await run.end(30_000);
    assert.equal(code, 1, `${run}`);
    assert.match(run.stdout + run.stderr, /server.*(killed|ended|died)/i);
  });

  test("a target that is killed in the middle: what is lost is counted, and it ends", async (t) => {
    const server = await phoenix(t);
    const run = await begin(t, server, "broadcast", "--rate", "50", "--duration", "20s", "--settle", "1s");
    server.kill("SIGKILL");
    await run.finish(30_000);
    failed(run);
    assert.equal(run.result.counts.lost, 200);
    assert.equal(errorsOf(run, /clos|reset/), 200, JSON.stringify(run.result.errors));
  });

  test("a target that drains says so, and that is what is reported", async (t) => {
    const server = await phoenix(t);
    const run = new Bench(t, ["connect", "--url", server.ws, ...quick, "--hold", "5s"]);
    await server.until(({ joins }) => joins === 200, "all users");
    server.kill("SIGUSR2");
    await run.finish();
    failed(run);
    assert.equal(run.result.counts.lost, 200);
    assert.equal(errorsOf(run, /1012/), 200, JSON.stringify(run.result.errors));
  });
});
