// The chat page of `dormouse serve` and the people on it.

import assert from "node:assert/strict";

import { useChromium } from "./chrome.mjs";

// useChat starts a browser for the file that calls it and returns visit, and skip for the options of its tests.
export async function useChat() {
  const { skip, openPage } = await useChromium();
  return { skip, visit: (...how) => visit(openPage, ...how) };
}

// visit opens the page as a new person, and returns when it is in the lobby. prepare is given the page before that.
async function visit(openPage, t, server, name, { prepare, ...options } = {}) {
  const page = await openPage(t, { viewport: { width: 900, height: 640 }, ...options });
  page.complaints = [];
  page.hosts = new Set();
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) page.complaints.push(message.text());
  });
  page.on("pageerror", (error) => page.complaints.push(`${error}`));
  page.on("requestfailed", (request) => page.complaints.push(`${request.url()}: ${request.failure().errorText}`));
  page.on("response", (response) => {
    if (response.status() >= 400) page.complaints.push(`${response.url()}: ${response.status()}`);
  });
  page.on("request", (request) => page.hosts.add(new URL(request.url()).host));
  page.on("websocket", (socket) => page.hosts.add(new URL(socket.url()).host));
  await prepare?.(page);
  await page.goto(server.http);
  await inState(page, "joined");
  if (name) {
    await page.getByLabel("You are").fill(name);
    await page.getByLabel("You are").blur();
  }
  return page;
}

export const inState = (page, state) => page.locator(`#status[data-state="${state}"]`).waitFor();

const people = (page) => page.locator("#people li").allTextContents();

// seesPeople waits until a page shows them.
export async function seesPeople(page, ...names) {
  const shown = (want) => JSON.stringify([...document.querySelectorAll("#people li")].map((li) => li.textContent)) === want;
  await page.waitForFunction(shown, JSON.stringify(names)).catch(async () => assert.deepEqual(await people(page), names));
}
