// The page that `dormouse bench` writes, opened as people open it: from a file, with no network.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

import { useChromium } from "./chrome.mjs";
import { temporaryFolder, test } from "./support.mjs";

const here = (name) => fileURLToPath(new URL(name, import.meta.url));
const { skip, openPage } = await useChromium();

const samples = ["valid", "invalid", "failed", "compare"];
const files = new Map();

function run(command, ...args) {
  const done = spawnSync(command, args, { cwd: here(".."), encoding: "utf8", maxBuffer: 16 << 20 });
  assert.equal(done.status, 0, `${command} ${args.join(" ")}: ${done.error?.message ?? done.stderr}`);
  return done.stdout;
}

// sample writes the page of a run that never was and returns its path.
function sample(name) {
  if (!files.has(name)) {
    const program = path.join(temporaryFolder(), "reportsample");
    if (files.size === 0) run("go", "build", "-o", program, "./e2e/reportsample");
    const file = path.join(temporaryFolder(), `${name}.html`);
    writeFileSync(file, run(program, name));
    files.set(name, file);
  }
  return files.get(name);
}

// open shows a page, and notes what it asks for and complains of.
async function open(t, name, options = {}) {
  const page = await openPage(t, { viewport: { width: 1280, height: 900 }, offline: true, ...options });
  page.complaints = [];
  page.requests = [];
  page.on("console", (message) => page.complaints.push(message.text()));
  page.on("pageerror", (error) => page.complaints.push(`${error}`));
  page.on("dialog", (dialog) => {
    page.complaints.push(`a dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  page.on("request", (request) => page.requests.push(request.url()));
  const file = sample(name);
  await page.goto(pathToFileURL(file).href);
  assert.deepEqual(page.requests, [pathToFileURL(file).href]);
  return page;
}

const wholeTime = "Show all of the time";

// drawings says of each chart how many pixels of its canvas have the colour of one of its lines.
function drawings(page) {
  return page.evaluate(() => {
    const style = getComputedStyle(document.documentElement);
    const { charts } = JSON.parse(document.getElementById("data").textContent);
    return charts.map(({ id, series }) => {
      const colours = series.map(({ colour }) => {
        const hex = style.getPropertyValue(`--c${colour}`).trim();
        return [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
      });
      const canvas = document.getElementById(`chart-${id}`)?.querySelector("canvas");
      if (!canvas) return { id, drawn: 0 };
      const copy = Object.assign(document.createElement("canvas"), { width: canvas.width, height: canvas.height });
      const context = copy.getContext("2d", { willReadFrequently: true });
      context.drawImage(canvas, 0, 0);
      const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
      let drawn = 0;
      for (let i = 0; i < data.length; i += 4) {
        if (data[i + 3] > 200 && colours.some((colour) => colour.every((c, k) => Math.abs(data[i + k] - c) < 12))) drawn++;
      }
      return { id, drawn };
    });
  });
}

// nextFrame is when what a change of scheme or size brings about has been drawn.
const nextFrame = (page) => page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));

async function assertDrawn(page) {
  await nextFrame(page);
  const all = await drawings(page);
  assert.ok(all.length > 10, `${all.length} charts`);
  assert.deepEqual(all.filter(({ drawn }) => drawn < 20), [], "charts without a line");
}

async function screenshot(page, name, fullPage = true) {
  if (!process.env.E2E_SCREENSHOT) return;
  const file = path.join(mkdtempSync(path.join(tmpdir(), "dormouse-report-")), `${name}.png`);
  await page.screenshot({ path: file, fullPage });
  console.log(`screenshot: ${file}`);
}

// cells returns the texts of the row that begins with a name.
const cells = (page, section, name) =>
  page.locator(`#${section} tr`, { has: page.getByRole("rowheader", { name, exact: true }) }).first().locator("td").allTextContents();

test("what draws the charts is uPlot as npm has it", () => {
  const wanted = JSON.parse(readFileSync(here("package.json"))).devDependencies.uplot;
  const vendored = (name) => readFileSync(here(`../bench/report/web/${name}`), "utf8");
  assert.equal(JSON.parse(readFileSync(here("node_modules/uplot/package.json"))).version, wanted);
  assert.ok(vendored("README.md").includes(`\`uplot\` ${wanted}`), `README.md does not name ${wanted}`);
  for (const [name, from] of [["uPlot.iife.min.js", "dist/uPlot.iife.min.js"], ["uPlot.min.css", "dist/uPlot.min.css"], ["LICENSE", "LICENSE"]]) {
    assert.equal(vendored(name), readFileSync(here(`node_modules/uplot/${from}`), "utf8"), `${name} is another`);
  }
});

for (const name of samples) {
  for (const colorScheme of ["light", "dark"]) {
    test(`the page of ${name} draws every chart, in ${colorScheme}`, { skip }, async (t) => {
      const page = await open(t, name, { colorScheme });
      await assertDrawn(page);
      const paper = await page.evaluate(() => getComputedStyle(document.body).backgroundColor.match(/\d+/g).map(Number));
      assert.equal(colorScheme === "light", paper.every((c) => c > 200), `the paper is ${paper}`);
      assert.deepEqual(page.complaints, []);
      await screenshot(page, `${name}-${colorScheme}`);
    });
  }

  test(`the page of ${name} fits a telephone`, { skip }, async (t) => {
    const page = await open(t, name, { viewport: { width: 390, height: 844 }, deviceScaleFactor: 3, hasTouch: true });
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.equal(width, 390, "it scrolls sideways");
    await assertDrawn(page);
    await screenshot(page, `${name}-narrow`, false);
  });
}

test("the tables and tiles hold the figures", { skip }, async (t) => {
  const page = await open(t, "valid");
  assert.equal(await page.getByRole("heading", { level: 1 }).textContent(), "broadcast: 15,000 connections");
  assert.equal(await page.locator(".badge").textContent(), "Valid");
  assert.deepEqual(await cells(page, "memory", "target"), ["resident memory", "268 B", ""]);
  assert.equal((await cells(page, "latency", "deliver"))[0], "13,049,130");
  assert.match((await cells(page, "errors", "connection refused")).join(), /^11,dial tcp.*somaxconn/);
  assert.match((await cells(page, "made", "Command")).join(), /^dormouse bench broadcast/);
  assert.match(await page.locator(".tiles").textContent(), /Target memory\s*268 B/);
  await page.getByText("Configuration as JSON").click();
  assert.equal(JSON.parse(await page.locator("pre").textContent()).connections, 15_000);
});

test("a failed run says first what is missing, and a topic is text", { skip }, async (t) => {
  const page = await open(t, "failed");
  assert.equal(await page.locator(".badge").textContent(), "FAILED");
  assert.equal(await page.locator("main section").first().getAttribute("id"), "account");
  const topic = await page.locator("#account tbody th").first().textContent();
  assert.match(topic, /^<\/script><script>alert\(1\)<\/script>.*<b>room$/);
  assert.equal(await page.locator("script").count(), 3);
  assert.deepEqual(page.complaints, []);
});

test("two runs lie on the same charts, with the ratio of each figure", { skip }, async (t) => {
  const page = await open(t, "compare");
  assert.deepEqual((await cells(page, "figures", "connect p50")).slice(2), ["0.74", "better"]);
  const legend = await page.locator("#chart-latency-last .u-series th").allTextContents();
  assert.deepEqual(legend.slice(1), ["p50 a", "p50 b", "p90 a", "p90 b", "p99 a", "p99 b", "max a", "max b"]);
});

test("a chart is read by keyboard, and its lines are switched off", { skip }, async (t) => {
  const page = await open(t, "valid");
  const chart = page.locator("#chart-users");
  await chart.locator(".plot").focus();
  await page.keyboard.press("Home");
  for (let i = 1; i < 12; i++) await page.keyboard.press("ArrowRight");
  assert.match(await page.locator("#said").textContent(), /^0:12: arrived 7,000, connected 7,000, joined 6,998$/);
  assert.equal(await chart.locator(".at").textContent(), "0:12");
  assert.equal(await page.locator("#chart-cpu .at").textContent(), "0:12", "the charts do not follow each other");

  const before = (await drawings(page)).find(({ id }) => id === "users").drawn;
  for (const name of ["arrived", "connected", "joined"]) {
    const button = chart.getByRole("button", { name });
    await button.press("Enter");
    assert.equal(await button.getAttribute("aria-pressed"), "false");
  }
  const left = (await drawings(page)).find(({ id }) => id === "users").drawn;
  assert.ok(left < before / 10, `${left} of ${before} pixels are left`);
});

test("all time charts zoom together, and go back", { skip }, async (t) => {
  const page = await open(t, "valid");
  const reset = page.getByRole("button", { name: wholeTime });
  assert.equal(await reset.count(), 0, "it is offered before there is anything to undo");
  const over = page.locator("#chart-users .u-over");
  await over.scrollIntoViewIfNeeded();
  const { x, y, width, height } = await over.boundingBox();
  await page.mouse.move(x + width / 4, y + height / 2);
  await page.mouse.down();
  await page.mouse.move(x + width / 2, y + height / 2, { steps: 4 });
  await page.mouse.up();
  await reset.click();
  assert.equal(await reset.count(), 0);
  await assertDrawn(page);
});

test("the charts follow a change of scheme, of width, and the printer", { skip }, async (t) => {
  const page = await open(t, "valid", { colorScheme: "light" });
  await page.emulateMedia({ colorScheme: "dark" });
  await assertDrawn(page);
  await page.setViewportSize({ width: 700, height: 900 });
  await page.waitForFunction(() => {
    const fits = (plot) => Math.abs(plot.querySelector(".uplot").offsetWidth - plot.clientWidth) < 2;
    return [...document.querySelectorAll(".plot")].every(fits);
  });
  await page.evaluate(() => dispatchEvent(new Event("beforeprint")));
  assert.equal(await page.evaluate(() => getComputedStyle(document.documentElement).getPropertyValue("--raised").trim()), "#ffffff");
  await assertDrawn(page);
  await page.evaluate(() => dispatchEvent(new Event("afterprint")));
  await assertDrawn(page);
  assert.deepEqual(page.complaints, []);
});

test("two hours are drawn, from a small file", { skip }, async (t) => {
  const page = await open(t, "long");
  await assertDrawn(page);
  assert.ok(statSync(sample("long")).size < 4 << 20);
});

test("without JavaScript the figures are there, and it says what is not", { skip }, async (t) => {
  const page = await open(t, "valid", { javaScriptEnabled: false });
  assert.deepEqual(await cells(page, "memory", "target"), ["resident memory", "268 B", ""]);
  assert.match(await page.locator("noscript").innerText(), /need JavaScript/);
});
