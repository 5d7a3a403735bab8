// What every suite shares: the programs under test, built once, started and always stopped, waiting that ends, and what
// is told of a test that has failed.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test as nodeTest } from "node:test";
import { fileURLToPath } from "node:url";

const repository = fileURLToPath(new URL("..", import.meta.url));

// How long one awaited thing may take. Generous, for machines that are ten times slower and stall: only a failing test
// ever waits for it.
export const patienceMs = 45_000;

// test is node's, with a deadline, so that a lost frame fails its own test and not the whole run. Of one that fails
// all witnesses tell what they have seen, so that the log alone says what was the matter.
export function test(name, ...rest) {
  const fn = rest.pop();
  return nodeTest(name, { timeout: 300_000, ...rest[0] }, async (t) => {
    const others = new Set(witnesses);
    let over = false;
    t.signal.addEventListener("abort", () => over || testify(name, "it was cut off"));
    try {
      return await fn(t);
    } catch (error) {
      if (!t.signal.aborted) testify(name, error.message);
      throw error;
    } finally {
      over = true;
      for (const own of witnesses) if (!others.has(own)) witnesses.delete(own);
    }
  });
}

const thisFile = path.basename(process.argv[1] ?? "e2e");
const witnesses = new Set();

// witness has tell() asked, in a test that fails, for a text of what it knows. One of a test is forgotten with it.
export function witness(tell) {
  witnesses.add(tell);
}

function testify(name, why) {
  console.error(`=== ${thisFile}: ${name}: ${`${why}`.split("\n", 1)[0]}`);
  for (const tell of witnesses) console.error(tell());
  console.error("===");
}

// despiteStalls runs again what a stall of the machine can spoil, such as a stay below a timeout of 300 ms. A server
// that does wrong spoils it every time.
export async function despiteStalls(attempt, times = 25) {
  for (let n = 1; ; n++) {
    try {
      return await attempt(n);
    } catch (error) {
      if (n === times) throw new Error(`${times} times in a row, at last: ${error.message}`, { cause: error });
    }
  }
}

// within resolves as promise does, or fails and says what never came.
export async function within(promise, what, ms = patienceMs) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: nothing within ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

// Inbox keeps what arrives, in order, until the test asks for it.
export class Inbox {
  #items = [];
  #taker = null;
  #ended = null;

  constructor(name) {
    this.name = name;
  }

  put(item) {
    const taker = this.#taker;
    this.#taker = null;
    if (taker) taker.resolve(item);
    else this.#items.push(item);
  }

  // end says that nothing more will come, and why: whoever waits need not wait to the end.
  end(why) {
    this.#ended = why;
    this.#taker?.reject(why);
    this.#taker = null;
  }

  get waiting() {
    return [...this.#items];
  }

  async next(what = `next of ${this.name}`) {
    if (this.#items.length > 0) return this.#items.shift();
    if (this.#ended) throw new Error(`${what}: ${this.#ended}`);
    const item = new Promise((resolve, reject) => {
      this.#taker = { resolve, reject: (why) => reject(new Error(`${what}: ${why}`)) };
    });
    return within(item, what).finally(() => (this.#taker = null));
  }

  async take(count) {
    const items = [];
    while (items.length < count) items.push(await this.next(`item ${items.length + 1} of ${count} of ${this.name}`));
    return items;
  }

  // until skips to the first item that fits.
  async until(fits, what = `a fitting item of ${this.name}`) {
    for (;;) {
      const item = await this.next(what);
      if (fits(item)) return item;
    }
  }
}

const programs = {
  dormouse: { prebuilt: "DORMOUSE_BIN", from: ".", args: (address) => ["serve", "--addr", address] },
  fixture: { prebuilt: "FIXTURE_BIN", from: "./e2e/fixture", args: (address) => ["-addr", address] },
  echoserver: { prebuilt: "ECHOSERVER_BIN", from: "./e2e/echoserver", args: (address) => ["-addr", address] },
  msgpack: {
    prebuilt: "MSGPACK_BIN",
    from: "./examples/msgpack",
    args: (address) => ["-addr", address, "-phoenix", fileURLToPath(import.meta.resolve("phoenix"))],
  },
};

const built = new Map();

// build returns the path of a program: the one that the environment names, else it is built for this run.
export function build(name) {
  if (built.has(name)) return built.get(name);
  const { prebuilt, from } = programs[name];
  let binary = process.env[prebuilt] && path.resolve(process.env[prebuilt]);
  if (!binary) {
    binary = path.join(temporaryFolder(), name);
    const go = spawnSync("go", ["build", "-o", binary, from], { cwd: repository, encoding: "utf8" });
    assert.equal(go.status, 0, `go build ${from} failed: ${go.error?.message ?? go.stderr}`);
  }
  built.set(name, binary);
  return binary;
}

let folder;

// temporaryFolder is one for this run, removed when it ends.
export function temporaryFolder() {
  folder ??= mkdtempSync(path.join(tmpdir(), "dormouse-e2e-"));
  return folder;
}

const running = new Set();

// owned makes sure that a process does not outlive this one.
export function owned(child) {
  running.add(child);
  child.once("close", () => running.delete(child));
  return child;
}

process.once("SIGINT", () => process.exit(130));
process.once("SIGTERM", () => process.exit(143));
process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL");
  if (folder) rmSync(folder, { recursive: true, force: true });
});

// ports are below the range that the kernel hands to clients, so that a server which comes back on its port never finds
// it taken by one of the test's own connections.
function ports() {
  const [lowest] = readFileSync("/proc/sys/net/ipv4/ip_local_port_range", "utf8").trim().split(/\s+/).map(Number);
  const end = Math.min(lowest, 32_768);
  return end >= 20_000 ? [end - 10_000, end] : [20_000, 32_768];
}

const holds = (port, host) =>
  new Promise((resolve) => {
    const server = createServer().unref();
    server.once("error", () => resolve(null));
    server.listen(port, host, () => resolve(server));
  });

// freePort returns a port of 127.0.0.1 for as long as this process lives: other test files that run at the same time
// see it taken on another address of the loopback, also while the program behind it is between two starts.
async function freePort() {
  const [from, to] = ports();
  for (;;) {
    const port = from + Math.floor(Math.random() * (to - from));
    const claim = await holds(port, "127.77.0.1");
    const probe = claim && (await holds(port, "127.0.0.1"));
    if (probe) {
      await new Promise((resolve) => probe.close(resolve));
      return port;
    }
    claim?.close();
  }
}

// Program is one of ours as a process of its own: it can be killed, and started again on the same address.
export class Program {
  #binary;
  #args;
  #child = null;
  #output = "";
  #before = ""; // what came before, of earlier starts

  static async start(name, ...more) {
    const address = `127.0.0.1:${await freePort()}`;
    const program = new Program(build(name), [...programs[name].args(address), ...more], address);
    await program.start();
    return program;
  }

  constructor(binary, args, address) {
    this.#binary = binary;
    this.#args = args;
    this.address = address;
    this.http = `http://${address}`;
    this.ws = `ws://${address}`;
    witness(() => this.#told());
  }

  // #told is the command, how it ended if it did, and the end of what it said.
  #told() {
    const { exitCode, signalCode, pid } = this.#child ?? {};
    const state = exitCode ?? signalCode ?? `runs as ${pid}`;
    const said = (this.#before + this.#output).split("\n").slice(-200).join("\n").slice(-20_000);
    return `--- ${[this.#binary, ...this.#args].join(" ")} (${state})\n${said}`;
  }

  // start returns once the program has said that it listens.
  async start() {
    const child = spawn(this.#binary, this.#args, { stdio: ["ignore", "pipe", "pipe"] });
    if (this.#child) this.#before += `${this.#output}(started again)\n`;
    this.#child = child;
    this.#output = "";
    owned(child);
    this.exited = new Promise((resolve) => {
      child.once("error", (error) => resolve({ code: null, signal: null, error }));
      child.once("close", (code, signal) => resolve({ code, signal }));
    });
    const listening = new Promise((resolve) => {
      const read = (chunk) => {
        this.#output += chunk;
        if (this.#output.split("\n").some((line) => line.includes(this.address))) resolve();
      };
      child.stdout.on("data", read);
      child.stderr.on("data", read);
    });
    const early = this.exited.then((end) => {
      throw new Error(`${this.#binary} ended before it listened: ${JSON.stringify(end)}\n${this.#output}`);
    });
    await within(Promise.race([listening, early]), `the line of ${this.#binary} that it listens on ${this.address}`);
  }

  get output() {
    return this.#output;
  }

  // signal sends one and does not wait for what comes of it.
  signal(name) {
    this.#child.kill(name);
  }

  // stop sends the signal and returns {code, signal} of the exit. A server that has survived a bug of its own is one
  // that fails its test.
  async stop(signal = "SIGKILL") {
    this.#child.kill(signal);
    const end = await within(this.exited, `exit of ${this.#binary} after ${signal}`);
    assert.doesNotMatch(this.#before + this.#output, /panic in the server's own code/);
    return end;
  }
}

const cleanups = [];

// atEnd has something ended with the file that calls it, also when the end of something else fails: of node's own hooks
// the first that fails is the last that runs, and a browser that is left open would keep the file from ending.
export function atEnd(cleanup) {
  if (cleanups.push(cleanup) > 1) return;
  after(async () => {
    const ends = await Promise.allSettled(cleanups.map(async (each) => each()));
    setTimeout(hung, 4 * patienceMs).unref();
    const failed = ends.find(({ status }) => status === "rejected");
    if (failed) throw new Error(`at the end of ${thisFile}: ${failed.reason?.message}`, { cause: failed.reason });
  });
}

// hung ends a file that would never end by itself.
function hung() {
  console.error(`${thisFile}: still open after the last test: ${process.getActiveResourcesInfo()}`);
  process.exit(1);
}

// use starts a program for the file that calls it. Stopped at the end, it must leave as an orderly program does.
export async function use(name, ...more) {
  const program = await Program.start(name, ...more);
  atEnd(async () => {
    assert.deepEqual(await program.stop("SIGTERM"), { code: 0, signal: null }, program.output);
  });
  return program;
}

// launch runs a program to its end, for those that are expected to fail at once.
export function launch(name, ...args) {
  return spawnSync(build(name), args, { encoding: "utf8", timeout: patienceMs });
}
