// What a person may type wrong: one line that names it, before anything is dialled, and exit status 1.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";

import { bench, phoenix, worked } from "./bench.mjs";
import { nobody } from "./targets.mjs";
import { launch, temporaryFolder, test } from "./support.mjs";

const folder = mkdtempSync(path.join(temporaryFolder(), "flags-"));
const file = (name) => path.join(folder, name);
writeFileSync(file("empty"), "");
writeFileSync(file("no-json"), "hello");
writeFileSync(file("other.json"), '{"name":"something else"}');
writeFileSync(file("future.json"), '{"format":99}');

// refused asserts that the program says one line, which fits, and nothing else.
function refused(args, fits) {
  test(`dormouse bench ${args.join(" ").replaceAll(folder, "…")}`, () => {
    const { status, stdout, stderr } = launch("dormouse", "bench", ...args);
    assert.equal(status, 1, `${stdout}${stderr}`);
    assert.equal(stdout, "");
    assert.match(stderr, /^dormouse: [^\n]+\n$/, "not one line");
    assert.match(stderr, fits);
  });
}

// A scenario, a flag, and values that it does not take. The line names the flag, or says it in words.
for (const [scenario, flag, fits, ...values] of [
  ["connect", "--connections", /connections/, "0", "-1", "abc", "1e99", "NaN", "1.5", ""],
  ["connect", "--arrival-rate", /--arrival-rate/, "0", "-5", "NaN", "Inf", "1e300", "abc"],
  ["broadcast", "--rate", /--rate/, "0", "-5", "NaN", "fast"],
  ["broadcast", "--duration", /--duration/, "0s", "-1s", "5", "abc"],
  ["connect", "--timeout", /--timeout/, "0s", "-1s", "5"],
  ["connect", "--hold", /--hold/, "-1s", "5"],
  ["connect", "--heartbeat", /--heartbeat/, "-1s", "5"],
  ["connect", "--phase", /phase|connections/, "10s", "10s@", "@5", "0s@5", "10s@-1", "10s@5@5", "10s@NaN", "1ms@1"],
  ["connect", "--url", /url/i, "http://127.0.0.1:1", "127.0.0.1:1", "ftp://x", "ws://", "ws:///socket", ""],
  ["connect", "--url", /url/i, "ws://127.0.0.1:0", "ws://127.0.0.1:99999", "ws://[::1"],
  ["connect", "--url", /url/i, "ws://a:b@127.0.0.1:1", "ws://127.0.0.1:1/#x"],
  ["connect", "--protocol", /phoenix.*websocket/, "smtp", ""],
  ["broadcast", "--protocol", /protocol/, "websocket"],
  ["slow", "--slow", /--slow/, "2", "-0.1", "1", "abc", "200%"],
  ["broadcast", "--payload", /payload/, "x", "[]", '{"body":1}', '{"body":%m}', ""],
  ["connect", "--params", /params/, "x", "[]", "null"],
  ["connect", "--topic", /topic/, ""],
  ["broadcast", "--event", /event/, ""],
  ["broadcast", "--size", /size/, "-1", "10m", "abc"],
  ["connect", "--header", /--header/, "nonsense", "a b: c", ": c", "Upgrade: h2c"],
  ["connect", "--source", /source/, "nonsense", "10.0.0.5-10.0.0.1", "10.0.0.0/99", "10.0.0.5-fe80::1", "::1", ""],
  ["connect", "--agents", /agents/, "a:b:c", "a:9900=0", "a:9900=-1", "a:9900=NaN", ":", ""],
  ["connect", "--seed", /--seed/, "-1", "abc"],
  ["connect", "--pid", /pid/, "-1", "999999999", "abc"],
  ["connect", "--json", /no\/such/, file("no/such/folder.json")],
  ["connect", "--html", /no\/such/, file("no/such/folder.html")],
  ["connect", "--html", /flags-/, folder],
  ["connect", "--rate", /--rate/, "5"], // nothing is sent there
  ["connect", "--nonsense", /--nonsense.*--help/, "5"],
]) {
  const target = flag === "--url" ? [] : ["--url", nobody];
  for (const value of values) refused([scenario, `${flag}=${value}`, ...target], fits);
}

refused(["nonsense"], /nonsense/);
refused(["connect", "nonsense"], /nonsense/);
refused(["connect", "--connections"], /--connections/);
refused(["connect", "--engine", "nonsense"], /nonsense.*epoll/);

const agents = ["connect", "--url", nobody, "--agents", "127.0.0.1:1"];
refused([...agents, "--token-file", file("missing")], /missing/);
refused([...agents, "--token-file", file("empty")], /token|empty/);
refused(["agent", "--listen", "nonsense"], /nonsense/);
refused(["agent", "--listen", "0.0.0.0:0"], /token/); // whoever comes could direct load
refused(["agent", "--allow", "10.0.0.0/99"], /--allow/);
refused(["agent", "--token-file", file("missing")], /missing/);
refused(["agent", "--token-file", file("empty")], /token|empty/);

refused(["compare"], /two|2|compare/);
refused(["compare", file("no-json")], /two|2|compare/);
refused(["compare", file("no-json"), file("missing")], /no-json|missing/);
refused(["compare", file("other.json"), file("other.json")], /other\.json/);
refused(["compare", file("future.json"), file("future.json")], /future\.json.*99|99.*future\.json/);
refused(["compare", folder, folder], /flags-/);

test("help says what a scenario is for, and all its flags", () => {
  const general = launch("dormouse", "bench", "--help");
  assert.equal(general.status, 0);
  const commands = [...general.stdout.matchAll(/^ {2}([a-z]+) {2,}\S/gm)].map(([, name]) => name);
  const scenarios = ["connect", "broadcast", "rooms", "chat", "echo", "storm", "slow"];
  for (const name of [...scenarios, "drive", "engines", "agent", "compare"]) {
    assert.ok(commands.includes(name), `bench --help does not list ${name}`);
    const help = launch("dormouse", "bench", name, "--help");
    assert.equal(help.status, 0, help.stderr);
    const longest = Math.max(...help.stdout.split("\n").map((line) => line.length));
    assert.ok(longest <= 140, `${name} --help has a line of ${longest}`);
  }
});

test("two runs are compared in text and as one page", async (t) => {
  const runs = [];
  for (const connections of ["50", "100"]) {
    const server = await phoenix(t);
    const traffic = ["--arrival-rate", "1000", "--plateau", "0", "--rate", "20", "--duration", "1s"];
    const run = await bench(t, "broadcast", "--url", server.ws, "--connections", connections, ...traffic);
    worked(run);
    runs.push(run.file("run.json"));
  }
  const page = file("compare.html");
  const { status, stdout, stderr } = launch("dormouse", "bench", "compare", ...runs, "--html", page);
  assert.equal(status, 0, stderr);
  assert.match(stdout, /\b50\b.*\b100\b/, stdout);
  const html = readFileSync(page, "utf8");
  assert.match(html, /<\/html>\s*$/);
  assert.doesNotMatch(html, /(?:src|href)="https?:/, "the page is not self-contained");
});
