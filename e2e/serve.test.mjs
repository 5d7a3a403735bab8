// The program itself: what `dormouse serve` says, serves, and how it ends.

import assert from "node:assert/strict";

import { answer, connect, join, listen, ok } from "./client.mjs";
import { launch, Program, test, use } from "./support.mjs";

const server = await use("dormouse");

test("it says where it listens", () => {
  assert.match(server.output, /listening/);
  assert.ok(server.output.includes(server.http), server.output);
});

test("/healthz says that it is well", async () => {
  assert.equal((await fetch(`${server.http}/healthz`)).status, 200);
});

test("clients that no WebSocket reaches have long-polling", async () => {
  const opened = await (await fetch(`${server.http}/socket/longpoll?vsn=2.0.0`)).json();
  assert.equal(opened.status, 410);
  assert.ok(opened.token);
});

test("the page and its files come with their types, under a policy", async () => {
  const page = await fetch(server.http);
  assert.equal(page.status, 200);
  assert.match(page.headers.get("content-security-policy"), /^default-src 'self'/);
  const html = await page.text();
  const links = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, link]) => link);
  assert.ok(links.length >= 2);
  for (const link of links) assert.equal((await fetch(server.http + link)).status, 200, link);
  assert.equal((await fetch(`${server.http}/no-such-page`)).status, 404);
});

test("everyone in the lobby hears a message once, its sender before the reply", async (t) => {
  const members = await Promise.all([1, 2, 3].map(() => join(connect(t, `${server.ws}/socket`), "rooms:lobby")));
  const inboxes = members.map((member) => listen(member, "new_msg"));
  const message = { user: "Ann", body: "good night" };
  let heardBefore;
  const push = members[0].push("new_msg", message).receive("ok", () => (heardBefore = inboxes[0].waiting));
  assert.equal((await answer(push)).status, "ok");
  assert.deepEqual(heardBefore, [message]);
  for (const inbox of inboxes) assert.deepEqual(await inbox.next(), message);
  await Promise.all(members.map((member) => ok(member, "new_msg", message)));
  for (const inbox of inboxes) assert.deepEqual(await inbox.take(3), [message, message, message]);
});

test("a room that there is not is refused", async (t) => {
  const channel = connect(t, `${server.ws}/socket`).channel("cellar:1");
  assert.deepEqual(await answer(channel.join()), { status: "error", response: { reason: "unmatched topic" } });
});

test("told to stop it tells its clients to come back, and they do", async (t) => {
  const own = await Program.start("dormouse");
  t.after(() => own.stop());
  const socket = connect(t, `${own.ws}/socket`);
  const channel = await join(socket, "rooms:lobby");
  assert.deepEqual(await own.stop("SIGTERM"), { code: 0, signal: null });
  assert.equal((await socket.closed.next()).code, 1012);
  await own.start();
  await channel.joins.next("the rejoin");
  await ok(channel, "new_msg", { user: "Ann", body: "good morning" });
});

test("an interrupt from the keyboard ends it in the same way", async () => {
  const own = await Program.start("dormouse");
  assert.deepEqual(await own.stop("SIGINT"), { code: 0, signal: null });
});

test("an address that is taken is named, and the program ends with an error", () => {
  const second = launch("dormouse", "serve", "--addr", server.address);
  assert.ok(second.status > 0, `exit ${second.status}, signal ${second.signal}`);
  assert.ok(second.stderr.includes(server.address), second.stderr);
});
