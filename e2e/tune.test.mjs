// `dormouse tune` on a real kernel. What it changes is of namespaces that end with the test; with
// DORMOUSE_TEST_HOST=1, on a machine that is there for it, the whole host is changed and put back.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import path from "node:path";

import { Bench, Process, worked } from "./bench.mjs";
import { build, temporaryFolder, test } from "./support.mjs";

const dormouse = build("dormouse");

function tune(...args) {
  const { status, stdout, stderr } = spawnSync(dormouse, ["tune", ...args], { encoding: "utf8", maxBuffer: 1 << 26 });
  assert.doesNotMatch(stderr, /^(panic|fatal error|goroutine \d+ )/m, stderr);
  return { status, stdout, stderr };
}

// own runs a shell script as root of a network and a mount namespace of its own. There the sysctls of the
// network are new ones; those of the host and /sys are read-only, as in a container; /var/lib is empty.
function own(script) {
  const prologue = `
    mount -t tmpfs none /var/lib
    mount -t sysfs -o ro none /sys
    for d in fs vm kernel; do mount --bind /proc/sys/$d /proc/sys/$d; mount -o remount,bind,ro /proc/sys/$d; done
    snap() { for f in net/core/somaxconn net/ipv4/ip_local_port_range net/ipv4/tcp_tw_reuse net/ipv4/tcp_max_tw_buckets; do
      echo "$f $(cat /proc/sys/$f)"; done; find /etc/sysctl.d /etc/security /etc/systemd /var/lib -type f | sort; }
    tune() { "$DORMOUSE" tune "$@"; }
  `;
  return spawnSync("unshare", ["-n", "-m", "--propagation", "private", "sh", "-uc", prologue + script], {
    encoding: "utf8",
    env: { ...process.env, DORMOUSE: path.resolve(dormouse) },
  });
}

const alone = own("true");
const namespaces = alone.status === 0 && alone.stderr === "";
const needsNamespaces = { skip: !namespaces && `no namespaces here: ${alone.error?.message ?? alone.stderr}` };

test("what is recorded is judged as the host is, and the exit status is the verdict", () => {
  const file = path.join(temporaryFolder(), "host.txtar");
  const recorded = tune("record");
  assert.equal(recorded.status, 0, recorded.stderr);
  writeFileSync(file, recorded.stdout);
  for (const connections of ["100", "500m"]) {
    const args = ["check", "--connections", connections, "--json"];
    const [here, there] = [tune(...args), tune(...args, "--host", file)];
    assert.equal(there.status, here.status);
    const [a, b] = [here, there].map(({ stdout }) => JSON.parse(stdout));
    assert.equal(here.status === 0, a.reachable);
    // What others do on this host meanwhile may change a value; the table and what stops it may not.
    const names = ({ findings }) => findings.map(({ name }) => name).sort();
    assert.deepEqual(names(b), names(a));
    assert.equal(b.reachable, a.reachable);
  }
  const text = tune("check", "--connections", "500m", "--host", file);
  assert.equal(text.status, 1);
  assert.match(text.stdout, /^This host can hold [\d,]+ connections? as it is, not 500,000,000: \S+ stops the next one\.\n/);
  assert.doesNotMatch(text.stdout, /\x1b/, "colours, and this is no terminal");
});

test("apply, twice, and revert: the same values as before", needsNamespaces, () => {
  const { status, stdout, stderr } = own(`
    snap > /tmp/before.$$
    tune apply --connections 2m --role both; echo "first $?"
    echo ==; tune apply --connections 2m --role both
    echo ==; cat /proc/sys/net/core/somaxconn
    tune revert; echo "revert $?"
    echo ==; snap | diff /tmp/before.$$ - && echo equal
    tune revert; rm /tmp/before.$$`);
  const [first, second, applied, after] = stdout.split("==\n");
  assert.match(first, /^done +net\.core\.somaxconn: 4,096 to 65,535$/m, stdout);
  // The rest is applied though these cannot be.
  assert.match(first, /^FAILED +fs\.nr_open: .*\n +.*read-only/m, stdout);
  assert.match(first, /first 1\n$/, "the exit status says that something could not be set");
  assert.doesNotMatch(second, /^done/m, "what was done once is done again");
  assert.match(second, /^already +net\.core\.somaxconn: 65,535$/m);
  assert.match(applied, /^65535\n[^]*revert 0\n$/, stdout);
  assert.equal(after, "equal\n", stdout);
  assert.match(stderr, /nothing to revert/);
  assert.equal(status, 0, stderr);
});

test("a dry run changes nothing", needsNamespaces, () => {
  const { stdout } = own(`
    snap > /tmp/before.$$
    tune apply --connections 2m --persist --dry-run
    echo ==; snap | diff /tmp/before.$$ - && echo equal; rm /tmp/before.$$`);
  const [said, after] = stdout.split("==\n");
  assert.match(said, /^would +net\.core\.somaxconn: 4,096 to 65,535$/m);
  assert.equal(after, "equal\n", stdout);
});

test("a read-only /etc is said, nothing is half-written, the rest is applied", needsNamespaces, () => {
  const { stdout } = own(`
    mount --bind /etc /etc; mount -o remount,bind,ro /etc
    snap > /tmp/before.$$
    tune apply --connections 2m --persist
    echo ==; cat /proc/sys/net/core/somaxconn; tune revert >/dev/null
    snap | diff /tmp/before.$$ - && echo equal; rm /tmp/before.$$`);
  const [said, after] = stdout.split("==\n");
  assert.match(said, /^FAILED +\/etc\/sysctl\.d\/90-dormouse\.conf\n +.*read-only/im, said);
  assert.equal(after, "65535\nequal\n", stdout);
});

test("without a place for what was found nothing is changed", needsNamespaces, () => {
  const { stdout, stderr } = own(`
    mount -o remount,ro /var/lib
    tune apply --connections 2m; echo "status $?"; cat /proc/sys/net/core/somaxconn`);
  assert.equal(stdout, "status 1\n4096\n", stderr);
  assert.match(stderr, /^dormouse: .*\/var\/lib/m);
});

test("a state that is garbage stops it, and says which file", needsNamespaces, () => {
  const { stdout, stderr } = own(`
    mkdir -m 700 /var/lib/dormouse; echo '{"version":1,"values":[{"path":"/etc/passwd"' > /var/lib/dormouse/tuning.json
    for c in "apply --connections 2m" revert; do tune $c; echo "status $?"; done; cat /proc/sys/net/core/somaxconn`);
  assert.equal(stdout, "status 1\nstatus 1\n4096\n", stderr);
  assert.equal(stderr.match(/\/var\/lib\/dormouse\/tuning\.json/g)?.length >= 2, true, stderr);
});

test("two at once: one works, the other says so, and revert undoes both", needsNamespaces, () => {
  const { stdout, stderr } = own(`
    snap > /tmp/before.$$
    for i in 1 2 3 4 5 6 7 8; do tune apply --connections 2m >/tmp/out.$$.$i 2>/tmp/err.$$.$i & done; wait
    cat /tmp/err.$$.*; rm /tmp/out.$$.* /tmp/err.$$.*
    echo ==; cat /proc/sys/net/core/somaxconn; tune revert >/dev/null
    snap | diff /tmp/before.$$ - && echo equal; rm /tmp/before.$$`);
  const [errors, after] = stdout.split("==\n");
  for (const line of errors.split("\n").filter(Boolean)) assert.match(line, /another|running|at work/, line);
  assert.equal(after, "65535\nequal\n", stdout + stderr);
});

// The figures are of a kernel and a process that do other things as well: 1,000 connections are the base, so that
// only what grows with connections counts. A collection that comes late, as beside other tests, adds up to 1 MB, which
// is a quarter of what these connections take in the process: so what is off is measured again, four times at most.
test("the prediction is within a tenth of what connections take", { timeout: 600_000 }, async (t) => {
  const limit = Number(/^Max open files +\d+ +(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))[1]);
  const connections = Math.min(15_000, limit - 300);
  if (connections < 10_000) return t.skip(`${limit} descriptors are too few to measure`);
  const right = new Set();
  let wrong;
  for (let runs = 0; runs < 5; runs++) {
    wrong = await compare(t, connections, right);
    if (wrong.length === 0) return;
  }
  assert.fail(wrong.join("; "));
});

// compare measures what connections take, adds to right what was predicted within a tenth, and returns what never was.
async function compare(t, connections, right) {
  const flags = ["--connections", String(connections), "--plateau", "1000", "--arrival-rate", "3000", "--heartbeat", "0"];
  const run = await new Bench(t, ["connect", ...flags, "--hold", "8s", "--quiet"]).finish(110_000);
  worked(run);
  const predict = (...role) =>
    JSON.parse(tune("check", ...role, "--connections", String(connections), "--json").stdout).prediction;
  const [server, both] = [predict(), predict("--role", "both")];
  const { parts } = run.result.ledger;
  const of = (where, name) => parts.find((part) => part.where === where && part.name === name)?.bytes;
  const wrong = [];
  const near = (what, measured, predicted) => {
    t.diagnostic(`${what}: ${Math.round(measured)} bytes, predicted ${predicted}`);
    if (Math.abs(measured - predicted) <= predicted / 10) right.add(what);
    if (!right.has(what)) wrong.push(`${what}: ${measured} bytes, predicted ${predicted}`);
  };

  // The server collects garbage when it comes to rest, the bench does not: its memory is counted in the sum alone.
  near("resident memory of the server", of("target", "resident memory"), server.processBytes);
  if (of("kernel", "TCP") === undefined) {
    t.diagnostic("left out: slabs, which only root may read");
    return wrong;
  }
  // The ledger knows the slabs by name; what it calls other is of everything that happens on this host.
  const named = ["TCP", "sock_inode_cache", "dentry", "filp", "eventpoll", "security labels"];
  const kernel = named.reduce((sum, name) => sum + (of("kernel", name) ?? 0), 0);
  const predicted = both.kernel.filter(({ from }) => from !== "computed").reduce((sum, { bytes }) => sum + bytes, 0);
  near("kernel, of an end", kernel, predicted);
  const resident = of("target", "resident memory") + of("generator", "resident memory");
  near("all of a connection", 2 * kernel + resident, 2 * predicted + both.processBytes);
  return wrong;
}

// How long 10,000 connections may take, and a cgroup to be empty. Only a failing test waits for it.
const patienceMs = 90_000;

// group makes a memory cgroup of 1 GiB, of version 2 or 1, in which nothing else is; undefined where that may not be.
// It ends with the test and all that is in it.
function group(t) {
  const own = readFileSync("/proc/self/cgroup", "utf8");
  for (const [version, root, limit] of [
    [/^0::(.*)$/m, "/sys/fs/cgroup", "memory.max"],
    [/^\d+:(?:.*,)?memory(?:,.*)?:(.*)$/m, "/sys/fs/cgroup/memory", "memory.limit_in_bytes"],
  ]) {
    const parent = version.exec(own)?.[1];
    const dir = parent !== undefined && path.join(root, parent, `dormouse-test-${process.pid}`);
    try {
      mkdirSync(dir);
      t.after(async () => {
        for (const deadline = Date.now() + patienceMs; ; await new Promise(setImmediate)) {
          for (const pid of readFileSync(path.join(dir, "cgroup.procs"), "utf8").match(/\d+/g) ?? []) {
            try {
              process.kill(Number(pid), "SIGKILL");
            } catch {} // it has ended meanwhile
          }
          try {
            return rmdirSync(dir);
          } catch (error) {
            if (Date.now() > deadline) throw error;
          }
        }
      });
      writeFileSync(path.join(dir, limit), String(1 << 30));
      return dir;
    } catch {}
  }
}

// In a cgroup of their own, so that what others do on this machine is not in what is compared. 20,000 ends are there and
// 98 MB, of which the kernel's 84 are predicted: without them given back the answer is 7 % less.
test("beside connections that are open already, check says what it says without them", async (t) => {
  const limit = Number(/^Max open files +\d+ +(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))[1]);
  if (limit < 11_000) return t.skip(`${limit} descriptors are too few`);
  const dir = group(t);
  if (!dir) return t.skip("no memory cgroup can be made here");
  const inside = (...args) => ["-c", 'echo $$ > "$0/cgroup.procs" && exec "$@"', dir, dormouse, ...args];
  const check = (...more) => {
    const { stdout } = spawnSync("sh", inside("tune", "check", "--connections", "100k", "--role", "both", "--json", ...more), { encoding: "utf8" });
    const { prediction, findings, held = [] } = JSON.parse(stdout);
    assert.match(prediction.availableFrom, /dormouse-test/, "it is not the cgroup that bounds the memory");
    const files = Number(findings.find(({ name }) => name === "fs.file-max").needed);
    return { holds: prediction.largest, files, held };
  };
  const near = (now, before) => {
    t.diagnostic(`room for ${now.holds}, fs.file-max ${now.files}`);
    assert.ok(Math.abs(now.holds - before.holds) < 0.02 * before.holds, `room for ${now.holds}, and ${before.holds} before`);
    // Others open and close files too, but not as many as the half of those that are held.
    assert.ok(Math.abs(now.files - before.files) < 10_000, `fs.file-max ${now.files}, and ${before.files} before`);
  };

  const before = check("--held-by", "none");
  t.diagnostic(`room for ${before.holds}, fs.file-max ${before.files}`);
  const flags = ["--connections", "10000", "--arrival-rate", "3000", "--heartbeat", "0", "--hold", "10m", "--quiet"];
  const bench = new Process(t, "sh", inside("bench", "connect", ...flags));
  // Other tests have servers too: these are the bench and the server that it has started.
  const threads = `/proc/${bench.pid}/task`;
  const children = () => readdirSync(threads).flatMap((id) => readFileSync(`${threads}/${id}/children`, "utf8").match(/\d+/g) ?? []);
  const ours = () => [bench.pid, ...children().map(Number)];
  const full = ({ held }) => ours().every((pid) => held.some((p) => p.pid === pid && p.descriptors > 10_000));
  const deadline = Date.now() + patienceMs;
  while (ours().length < 2 || !full(check())) {
    assert.ok(Date.now() < deadline, `it has not come so far\n${bench}`);
    await new Promise(setImmediate); // for what it says, and its end
    assert.equal(bench.child.exitCode, null, `${bench}`);
  }
  near(check("--held-by", ours().join()), before);
  const twice = check("--held-by", "none");
  assert.ok(twice.holds < 0.97 * before.holds && twice.files > before.files + 10_000, "nothing was held in the first place");
  bench.kill("SIGINT");
  await bench.end();
  near(check("--held-by", "none"), before);
});

test(
  "the whole host: apply --persist, check, revert",
  { skip: process.env.DORMOUSE_TEST_HOST !== "1" && "DORMOUSE_TEST_HOST=1 lets it change this host and put it back" },
  () => {
    const before = JSON.parse(tune("check", "--connections", "2m", "--json").stdout);
    const values = ({ findings }) => Object.fromEntries(findings.map(({ name, value }) => [name, value]));
    try {
      tune("apply", "--connections", "2m", "--persist");
      const after = JSON.parse(tune("check", "--connections", "2m", "--json").stdout);
      assert.ok(after.holds >= before.holds);
      for (const { name, verdict } of after.findings.filter(({ settings, verdict }) => settings && verdict !== "not needed"))
        assert.ok(["ok", "cannot be read here"].includes(verdict), `${name}: ${verdict} after apply`);
    } finally {
      const { status, stdout, stderr } = tune("revert");
      assert.equal(status, 0, stdout + stderr);
    }
    const now = values(JSON.parse(tune("check", "--connections", "2m", "--json").stdout));
    assert.deepEqual(now, values(before));
  },
);
