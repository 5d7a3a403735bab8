// The end of a server in several batches, as pages in a real browser see it.

import assert from "node:assert/strict";

import { inState, seesPeople, useChat } from "./chat.mjs";
import { Inbox, Program, test, within } from "./support.mjs";

const { skip, visit } = await useChat();

// witnessCloses has a page report the code and the time of each close of a WebSocket, as its script sees it.
const witnessCloses = (closes) => async (page) => {
  await page.exposeFunction("reportClose", (code) => closes.put({ code, at: performance.now() }));
  await page.addInitScript(() => {
    globalThis.WebSocket = class extends WebSocket {
      constructor(...args) {
        super(...args);
        this.addEventListener("close", ({ code }) => globalThis.reportClose(code));
      }
    };
  });
};

test("4.1, 4.7, 7: pages are told in batches, come back, and see each other again", { skip }, async (t) => {
  const names = ["Ann", "Bob", "Cleo", "Dan", "Eve"];
  const [batch, pause] = [2, 2_000]; // so there are three batches
  const server = await Program.start("dormouse", "--drain-batch", `${batch}`, "--drain-interval", `${pause}ms`);
  t.after(() => server.stop());
  const pages = [];
  for (const name of names) {
    const closes = new Inbox(`closes of ${name}`);
    const page = await visit(t, server, name, { prepare: witnessCloses(closes) });
    pages.push(Object.assign(page, { closes }));
  }
  for (const page of pages) await seesPeople(page, ...names);

  const began = performance.now();
  server.signal("SIGTERM");
  assert.deepEqual(await within(server.exited, "the exit"), { code: 0, signal: null });
  const told = await Promise.all(pages.map((page) => page.closes.next()));
  assert.deepEqual(told.map(({ code }) => code), names.map(() => 1012));
  // A machine that is slow makes times longer, never shorter.
  const times = told.map(({ at }) => at - began).sort((a, b) => a - b);
  for (const [i, time] of times.entries()) {
    const pauses = Math.floor(i / batch);
    assert.ok(time >= pauses * pause, `close ${i + 1} of ${times.length} came after ${time} ms, before pause ${pauses} was over`);
  }
  for (const page of pages) {
    await inState(page, "reconnecting");
    assert.match(await page.locator("#status").textContent(), /restarting/);
  }

  await server.start();
  for (const page of pages) {
    await inState(page, "joined");
    await seesPeople(page, ...names);
  }
});
