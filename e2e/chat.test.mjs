// The page of `dormouse serve` in a real browser, as two people use it.

import assert from "node:assert/strict";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

import { inState, seesPeople, useChat } from "./chat.mjs";
import { Program, test } from "./support.mjs";

const { skip, visit } = await useChat();

async function say(page, text) {
  await page.getByLabel("Message", { exact: true }).fill(text);
  await page.keyboard.press("Enter");
}

const said = (page) => page.locator("#log li:not(.note)");

async function hears(page, count) {
  await said(page).nth(count - 1).waitFor();
  return said(page).evaluateAll((items) => items.map((item) => ["b", "p"].map((tag) => item.querySelector(tag).textContent)));
}

async function serve(t) {
  const server = await Program.start("dormouse");
  t.after(() => server.stop());
  return server;
}

async function screenshot(page, name) {
  if (!process.env.E2E_SCREENSHOT) return;
  const file = path.join(mkdtempSync(path.join(tmpdir(), "dormouse-page-")), `${name}.png`);
  await page.screenshot({ path: file });
  console.log(`screenshot: ${file}`);
}

test("two people talk: both see all of it, in the same order, and nothing else is loaded", { skip }, async (t) => {
  const server = await serve(t);
  const [ann, bob] = [await visit(t, server, "Ann"), await visit(t, server, "Bob", { colorScheme: "dark" })];
  const talk = [];
  for (const [page, name, text] of [
    [ann, "Ann", "Is anybody awake?"],
    [bob, "Bob", "Only just 😴"],
    [ann, "Ann", "  two   spaces, ünïcode, and “quotes”"],
    [bob, "Bob", "a-very-long-word-".repeat(30)],
  ]) {
    await say(page, text);
    talk.push([name, text.trim()]);
    assert.deepEqual(await hears(ann, talk.length), talk);
    assert.deepEqual(await hears(bob, talk.length), talk);
  }
  await screenshot(ann, "light");
  await screenshot(bob, "dark");
  for (const page of [ann, bob]) {
    assert.deepEqual(page.complaints, []);
    assert.deepEqual([...page.hosts], [server.address]);
  }
});

test("what people write is text, never markup", { skip }, async (t) => {
  const server = await serve(t);
  const evil = `<img src=x onerror="document.title='owned'"><b>bold</b>`;
  const [ann, bob] = [await visit(t, server, "<i>Ann</i>"), await visit(t, server)];
  await say(ann, evil);
  assert.deepEqual(await hears(bob, 1), [["<i>Ann</i>", evil]]);
  assert.equal(await bob.locator("#log img, #log i, #log p b").count(), 0);
  assert.equal(await bob.title(), "Dormouse lobby");
  assert.deepEqual(bob.complaints, []);
});

test("a name is given, can be changed, and is kept", { skip }, async (t) => {
  const server = await serve(t);
  const page = await visit(t, server);
  const field = page.getByLabel("You are");
  const given = await field.inputValue();
  assert.match(given, /^\w+ \w+$/);
  await page.reload();
  assert.equal(await field.inputValue(), given);
  await field.fill("  Hazel ");
  await field.press("Tab");
  await page.reload();
  assert.equal(await field.inputValue(), "Hazel");
  await inState(page, "joined");
  await say(page, "it is me");
  assert.deepEqual(await hears(page, 1), [["Hazel", "it is me"]]);
  assert.equal(await page.locator("#log li.mine").count(), 1);
});

test("4.1, 7: a restart of the server is said, keeps the draft, and the talk goes on", { skip }, async (t) => {
  const server = await serve(t);
  const [ann, bob] = [await visit(t, server, "Ann"), await visit(t, server, "Bob")];
  assert.deepEqual(await server.stop("SIGTERM"), { code: 0, signal: null });
  await inState(ann, "reconnecting");
  assert.match(await ann.locator("#status").textContent(), /restarting/);
  await say(ann, "are you back?");
  assert.match(await ann.getByRole("alert").textContent(), /stays here/);
  await server.start();
  await inState(ann, "joined");
  await inState(bob, "joined");
  assert.equal(await ann.getByRole("alert").count(), 0, "the problem is over and still shown");
  await ann.keyboard.press("Enter");
  assert.deepEqual(await hears(bob, 1), [["Ann", "are you back?"]]);
});

test("the newest message is in sight, unless one reads further up", { skip }, async (t) => {
  const server = await serve(t);
  const [ann, bob] = [await visit(t, server, "Ann"), await visit(t, server, "Bob")];
  for (let n = 1; n <= 30; n++) {
    await say(ann, `line ${n}`);
    await hears(bob, n);
  }
  const gap = () => bob.locator("#log").evaluate((log) => log.scrollHeight - log.scrollTop - log.clientHeight);
  assert.ok((await gap()) < 2, `${await gap()} pixels below`);
  await bob.locator("#log").evaluate((log) => (log.scrollTop = 0));
  await say(ann, "line 31");
  await hears(bob, 31);
  assert.ok((await gap()) > 100, "the page scrolled away from its reader");
  await bob.getByRole("button", { name: "New messages below" }).click();
  assert.ok((await gap()) < 2, `${await gap()} pixels below`);
});

test("4.7, 6.2: who is here is shown, under the name of the moment, and as text", { skip }, async (t) => {
  const server = await serve(t);
  const ann = await visit(t, server, "Ann");
  await seesPeople(ann, "Ann");
  const bob = await visit(t, server, "<b>Bob</b>");
  await seesPeople(ann, "<b>Bob</b>", "Ann");
  await seesPeople(bob, "<b>Bob</b>", "Ann");
  await ann.getByLabel("You are").fill("Anna");
  await ann.getByLabel("You are").press("Tab");
  await seesPeople(bob, "<b>Bob</b>", "Anna");
  const twin = await ann.context().newPage(); // of the same name, in another tab
  await twin.goto(server.http);
  await seesPeople(twin, "<b>Bob</b>", "Anna");
  await ann.close();
  await seesPeople(bob, "<b>Bob</b>", "Anna");
  await twin.close();
  await seesPeople(bob, "<b>Bob</b>");
  await screenshot(bob, "people");
  assert.deepEqual(bob.complaints, []);
});

test("after the server was killed everybody is here again, once", { skip }, async (t) => {
  const server = await serve(t);
  const [ann, bob] = [await visit(t, server, "Ann"), await visit(t, server, "Bob")];
  await seesPeople(ann, "Ann", "Bob");
  for (const signal of ["SIGTERM", "SIGKILL"]) {
    await server.stop(signal);
    await inState(ann, "reconnecting");
    await server.start();
    await inState(ann, "joined");
    await inState(bob, "joined");
    await seesPeople(ann, "Ann", "Bob");
    await seesPeople(bob, "Ann", "Bob");
  }
});
