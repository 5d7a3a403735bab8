// The machine's own Chromium or Chrome, headless; none is ever downloaded.

import { spawnSync } from "node:child_process";
import { chromium } from "playwright-core";

import { atEnd, patienceMs, temporaryFolder, witness } from "./support.mjs";

const names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

// findChromium returns the path of a browser that starts, or undefined.
function findChromium() {
  const wanted = process.env.CHROMIUM ? [process.env.CHROMIUM] : names;
  return wanted.find((name) => spawnSync(name, ["--version"]).status === 0);
}

// launch starts it quiet: on its own it would look up and call hosts of its maker, and write to the home of whoever
// runs the tests.
function launch(name, args) {
  const executablePath = name.includes("/") ? name : spawnSync("which", [name], { encoding: "utf8" }).stdout.trim();
  return chromium.launch({
    executablePath,
    timeout: 4 * patienceMs,
    env: { ...process.env, XDG_CONFIG_HOME: temporaryFolder(), XDG_CACHE_HOME: temporaryFolder() },
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      ...args,
    ],
  });
}

// useChromium starts a browser for the file that calls it; args are further flags of it. It returns openPage, and skip,
// which is for the options of the tests: where there is no browser it says so.
export async function useChromium(...args) {
  const found = findChromium();
  if (!found) return { skip: "no Chromium here: install chromium, or name one in CHROMIUM" };
  const browser = await launch(found, args);
  atEnd(() => browser.close());
  return { skip: false, openPage: (t, options) => openPage(t, browser, options) };
}

// openPage opens an empty page as a new person: a context has its own storage. What it says and asks for is told of a
// test that fails.
async function openPage(t, browser, options) {
  const context = await browser.newContext(options);
  t.after(() => context.close());
  context.setDefaultTimeout(patienceMs);
  const page = await context.newPage();
  watch(page);
  return page;
}

// watch notes the last that happened on a page.
function watch(page) {
  const seen = [];
  const note = (what) => {
    seen.push(`${new Date().toISOString()} ${what}`);
    if (seen.length > 100) seen.shift();
  };
  page.on("console", (message) => note(`${message.type()}: ${message.text()}`));
  page.on("pageerror", (error) => note(`${error}`));
  page.on("request", (request) => note(`${request.method()} ${request.url()}`));
  page.on("requestfailed", (request) => note(`${request.url()}: ${request.failure()?.errorText}`));
  page.on("response", (response) => response.status() >= 400 && note(`${response.url()}: ${response.status()}`));
  page.on("websocket", (socket) => {
    note(`WebSocket ${socket.url()}`);
    socket.on("socketerror", (error) => note(`WebSocket error: ${error}`));
    socket.on("close", () => note("WebSocket closed"));
  });
  witness(() => `--- the page ${page.url()}\n${seen.join("\n")}`);
}
