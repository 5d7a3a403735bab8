// The server goes away and comes back; the client's user does nothing.

import assert from "node:assert/strict";

import { connect, join, listen, ok } from "./client.mjs";
import { Program, test } from "./support.mjs";

// What a client sees when the server ends by each signal: told to stop it says so, killed it just vanishes.
const endings = [
  { signal: "SIGTERM", exit: { code: 0, signal: null }, closeCode: 1012 },
  { signal: "SIGKILL", exit: { code: null, signal: "SIGKILL" }, closeCode: 1006 },
];

for (const { signal, exit, closeCode } of endings) {
  test(`4.1, 7: after ${signal} the client comes back and joins its channels again`, async (t) => {
    const server = await Program.start("fixture");
    t.after(() => server.stop());
    const socket = connect(t, `${server.ws}/socket`);
    const [red, blue] = [await join(socket, "room:red"), await join(socket, "room:blue")];
    await socket.opened.next();

    assert.deepEqual(await server.stop(signal), exit);
    assert.equal((await socket.closed.next()).code, closeCode);
    for (const channel of [red, blue]) {
      assert.deepEqual(await channel.errors.next(), { source: "transport", reason: "connection_closed" });
    }

    await server.start();
    await socket.opened.next("the reopening");
    await red.joins.next("the rejoin of red");
    await blue.joins.next("the rejoin of blue");
    const other = await join(connect(t, `${server.ws}/socket`), "room:red");
    const heard = listen(red, "bcast");
    await ok(other, "bcast", { after: signal });
    assert.deepEqual(await heard.next(), { after: signal });
    assert.deepEqual(await ok(blue, "echo", { on: 1 }), { on: 1 });
  });
}

test("7: a socket without channels is told to come back as well", async (t) => {
  const server = await Program.start("fixture");
  t.after(() => server.stop());
  const socket = connect(t, `${server.ws}/socket`);
  await socket.opened.next();
  await server.stop("SIGTERM");
  assert.equal((await socket.closed.next()).code, 1012);
  await server.start();
  await socket.opened.next("the reopening");
});

test("4.3: what is pushed while the server is away is delivered after the rejoin", async (t) => {
  const server = await Program.start("fixture");
  t.after(() => server.stop());
  const channel = await join(connect(t, `${server.ws}/socket`), "room:later");
  await server.stop();
  await channel.errors.next();
  const replied = ok(channel, "echo", { patient: true });
  await server.start();
  assert.deepEqual(await replied, { patient: true });
});
