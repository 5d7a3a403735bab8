// Finds the machine's own Chromium or Chrome; none is ever downloaded.

import { spawnSync } from "node:child_process";
import { chromium } from "playwright-core";

const names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

// findChromium returns the path of a browser that starts, or undefined.
export function findChromium() {
  const wanted = process.env.CHROMIUM ? [process.env.CHROMIUM] : names;
  return wanted.find((name) => spawnSync(name, ["--version"]).status === 0);
}

// launchChromium starts it headless, and quiet: on its own it would look up and call hosts of its maker. args are
// further flags.
export function launchChromium(name, ...args) {
  const executablePath = name.includes("/") ? name : spawnSync("which", [name], { encoding: "utf8" }).stdout.trim();
  return chromium.launch({
    executablePath,
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
