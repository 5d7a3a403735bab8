// What every suite shares: the programs under test, built once, started and always stopped, and waiting that ends.

import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test as nodeTest } from "node:test";
import { fileURLToPath } from "node:url";

const repository = fileURLToPath(new URL("..", import.meta.url));

// How long one awaited thing may take. Generous: only a failing test ever waits for it.
const patienceMs = 10_000;

// test is node's, with a deadline, so that a lost frame fails its own test and not the whole run.
export function test(name, ...rest) {
  const fn = rest.pop();
  return nodeTest(name, { timeout: 40_000, ...rest[0] }, fn);
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

  constructor(name) {
    this.name = name;
  }

  put(item) {
    const taker = this.#taker;
    this.#taker = null;
    if (taker) taker(item);
    else this.#items.push(item);
  }

  get waiting() {
    return [...this.#items];
  }

  async next(what = `next of ${this.name}`) {
    if (this.#items.length > 0) return this.#items.shift();
    return within(new Promise((take) => (this.#taker = take)), what);
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

// freePort finds a port below the range that the kernel hands to clients, so that a server which comes back on it
// never finds it taken by one of the test's own connections.
async function freePort() {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    const probe = createServer();
    const free = await new Promise((resolve) => {
      probe.once("error", () => resolve(false));
      probe.listen(port, "127.0.0.1", () => probe.close(() => resolve(true)));
    });
    if (free) return port;
  }
}

// Program is one of ours as a process of its own: it can be killed, and started again on the same address.
export class Program {
  #binary;
  #args;
  #child = null;
  #output = "";

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
  }

  // start returns once the program has said that it listens.
  async start() {
    const child = spawn(this.#binary, this.#args, { stdio: ["ignore", "pipe", "pipe"] });
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

  // stop sends the signal and returns {code, signal} of the exit.
  async stop(signal = "SIGKILL") {
    this.#child.kill(signal);
    return within(this.exited, `exit of ${this.#binary} after ${signal}`);
  }
}

// use starts a program for the file that calls it. Stopped at the end, it must leave as an orderly program does.
export async function use(name) {
  const program = await Program.start(name);
  after(async () => {
    assert.deepEqual(await program.stop("SIGTERM"), { code: 0, signal: null }, program.output);
  });
  return program;
}

// launch runs a program to its end, for those that are expected to fail at once.
export function launch(name, ...args) {
  return spawnSync(build(name), args, { encoding: "utf8", timeout: patienceMs });
}
