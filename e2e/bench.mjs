// `dormouse bench` as a process of its own, and the servers that it is run against, whose counts it is compared with.
// Whatever a test starts here ends with the test.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

import { build, owned, temporaryFolder, within } from "./support.mjs";

// How long a run may take. Generous: runs end by themselves, and only a failing one is waited for so long.
const patienceMs = 120_000;

// Process is a program whose lines are read while it runs.
export class Process {
  stdout = "";
  stderr = "";
  #heard = [];

  constructor(t, command, args, options = {}) {
    this.child = owned(spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], ...options }));
    this.ended = new Promise((resolve) => {
      this.child.once("error", (error) => resolve({ code: null, signal: null, error }));
      this.child.once("close", (code, signal) => resolve({ code, signal }));
    });
    for (const stream of ["stdout", "stderr"]) {
      this.child[stream].setEncoding("utf8").on("data", (text) => {
        this[stream] += text;
        for (const heard of this.#heard) heard();
      });
    }
    this.command = [path.basename(command), ...args].join(" ");
    t.after(async () => {
      this.kill("SIGKILL");
      await this.ended;
    });
  }

  get pid() {
    return this.child.pid;
  }

  kill(signal) {
    this.child.kill(signal);
  }

  // says resolves with the match of the first text on stdout or stderr that fits.
  async says(pattern) {
    const said = new Promise((resolve, reject) => {
      const look = () => {
        const match = pattern.exec(this.stdout) ?? pattern.exec(this.stderr);
        if (match) resolve(match);
      };
      this.#heard.push(look);
      look();
      this.ended.then(() => reject(new Error(`it ended before it said ${pattern}\n${this}`)));
    });
    return within(said, `${pattern} of ${this.command}`);
  }

  async end(ms = patienceMs) {
    return within(this.ended, `the end of ${this.command}`, ms).catch((error) => {
      throw new Error(`${error.message}\n${this}`);
    });
  }

  toString() {
    return `$ ${this.command}\n--- stdout\n${this.stdout}\n--- stderr\n${this.stderr}`;
  }
}

// Bench is one run. Its files lie in a folder of their own.
export class Bench extends Process {
  #folder;

  constructor(t, args, options) {
    const folder = mkdtempSync(path.join(temporaryFolder(), "bench-"));
    const files = ["--json", path.join(folder, "run.json"), "--html", path.join(folder, "run.html")];
    // A target on a machine that stalls may be slow, and answers all the same.
    const patient = args.includes("--timeout") ? [] : ["--timeout", "60s"];
    super(t, build("dormouse"), ["bench", ...args, ...patient, ...files], { cwd: folder, ...options });
    this.#folder = folder;
  }

  file(name) {
    return path.join(this.#folder, name);
  }

  // text is what it has printed, without line breaks.
  get text() {
    return this.stdout.replace(/\s+/g, " ");
  }

  // finish waits for the end and reads what was written. No run may end by a panic or in silence.
  async finish(ms) {
    const { code, signal } = await this.end(ms);
    assert.equal(signal, null, `it was killed by ${signal}\n${this}`);
    assert.doesNotMatch(this.stderr, /^(panic|fatal error|goroutine \d+ )/m, `${this}`);
    this.code = code;
    try {
      this.result = JSON.parse(readFileSync(this.file("run.json"), "utf8"));
    } catch (error) {
      assert.fail(`no result: ${error.message}, exit ${code}\n${this}`);
    }
    assert.match(readFileSync(this.file("run.html"), "utf8"), /<\/html>\s*$/, "the HTML is not complete");
    return this;
  }
}

// bench carries out a run to its end.
export const bench = (t, ...args) => new Bench(t, args).finish();

// worked asserts that a run found nothing wrong with its target. A machine that is too busy may make it INVALID.
export function worked(run) {
  const { verdict, reasons, errors, counts, account } = run.result;
  assert.ok([0, 3].includes(run.code), `exit ${run.code}: ${verdict}, ${reasons}\n${run}`);
  assert.equal(verdict, run.code === 0 ? "valid" : "INVALID", `${reasons}`);
  assert.equal(counts.errors, 0, JSON.stringify(errors));
  assert.deepEqual(errors ?? [], []);
  assert.deepEqual([account.missing, account.extra, account.unanswered, counts.lost], [0, 0, 0, 0], `${run}`);
}

// failed asserts that a run was found to be bad, and that each error is named with what to do about it.
export function failed(run) {
  const { verdict, reasons, errors, counts } = run.result;
  assert.equal(run.code, 1, `exit ${run.code}: ${verdict}, ${reasons}\n${run}`);
  assert.equal(verdict, "FAILED");
  assert.ok(reasons?.length > 0, "it does not say why");
  for (const { kind, count, example, fix } of errors ?? []) {
    assert.ok(
      kind && count > 0 && example && fix,
      `an error without a name, count, example or fix: ${kind} ${count} ${example} ${fix}`,
    );
    assert.ok(run.text.includes(kind), `the text does not name ${kind}\n${run}`);
  }
  assert.equal(
    counts.errors,
    (errors ?? []).reduce((sum, { count }) => sum + count, 0),
    "errors by kind do not add up",
  );
}

// errorsOf returns how many errors there were of kinds that fit.
export function errorsOf(run, kind) {
  return (run.result.errors ?? []).filter((error) => kind.test(error.kind)).reduce((sum, { count }) => sum + count, 0);
}

// Counter is a server in a process of its own that counts: a line of JSON says where it listens, another, after
// SIGTERM, what it has seen.
class Counter extends Process {
  async listens() {
    const [line] = await this.says(/^\{.*\}$/m);
    Object.assign(this, JSON.parse(line));
    return this;
  }

  async stop() {
    this.kill("SIGTERM");
    assert.deepEqual(await this.end(), { code: 0, signal: null }, `${this}`);
    return JSON.parse(this.stdout.trimEnd().split("\n").at(-1));
  }

  async stats() {
    return (await fetch(`${this.http}/stats`)).json();
  }

  // until waits for counts that fit.
  async until(fits, what) {
    const look = async () => {
      for (;;) {
        const counts = await this.stats();
        if (fits(counts)) return counts;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    };
    return within(look(), what, patienceMs);
  }
}

// phoenix starts phoenix-server.mjs with options of its own.
export const phoenix = (t, ...args) =>
  new Counter(t, process.execPath, [fileURLToPath(new URL("phoenix-server.mjs", import.meta.url)), ...args]).listens();

// echoserver starts the one on gorilla/websocket.
export const echoserver = (t, ...args) => new Counter(t, build("echoserver"), args).listens();
