// Drives the view in headless Chromium against a running endpoint.
//
// Usage: node run.mjs --endpoint URL --key-file FILE --merged URL --airside PROGRAM
//   --paid URL --paid-key KEY --data-dir FOLDER --tools FOLDER --pictures FOLDER [NAME…]
//
// `--paid` is an endpoint where rates that cannot be refunded are paid first.
// `--merged` is an endpoint where the travel server is one of several, as `travel`.
//
// Prints a line for each check and, last, how many passed and failed. With names only
// the checks are run whose name contains one of them.

import { mkdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";
import { execFile } from "node:child_process";
import { parseArgs, promisify } from "node:util";

import { checks } from "./checks.mjs";
import { ask, serve } from "./serve.mjs";
import { useAxe } from "./view.mjs";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    endpoint: { type: "string" },
    merged: { type: "string" },
    paid: { type: "string" },
    "paid-key": { type: "string" },
    "key-file": { type: "string" },
    airside: { type: "string" },
    "data-dir": { type: "string" },
    tools: { type: "string" },
    pictures: { type: "string" },
  },
});

// The packages are in a folder of the tests, not beside this file.
const require = createRequire(path.join(values.tools, "index.js"));
const { chromium } = require("playwright-core");
useAxe(require.resolve("axe-core/axe.min.js"));
await mkdir(values.pictures, { recursive: true });

const key = (await readFile(values["key-file"], "utf8")).trim();
const site = await serve({
  alone: { endpoint: values.endpoint, key },
  merged: { endpoint: values.merged },
  paid: { endpoint: values.paid, key: values["paid-key"] },
});
const browser = await chromium.launch({
  executablePath: process.env.AIRSIDE_CHROMIUM ?? "/usr/bin/chromium",
  // Root cannot have Chromium's own sandbox; nothing but pages of this test is opened.
  args: [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    // Frames of other origins in one process: what they may is the same, and the driver
    // meets none of them while it is being moved to another process.
    "--disable-site-isolation-trials",
    "--disable-features=IsolateSandboxedIframes,IsolateOrigins,site-per-process",
  ],
});

const ledger = async () => {
  const arguments_ = ["ledger", "tail", "--json", "--lines", "1000", "--data-dir", values["data-dir"]];
  const { stdout } = await promisify(execFile)(values.airside, arguments_, { maxBuffer: 64 << 20 });
  return stdout.trim().split("\n").map((line) => JSON.parse(line));
};

let passed = 0;
let failed = 0;

/** Calls a tool as a model would, without a view. */
const call = async (name, args) => {
  const message = await ask(values.endpoint, key, { method: "tools/call", params: { name, arguments: args } });
  return message.result.structuredContent;
};
const names = Object.keys(checks);

async function run(name, check) {
  const started = performance.now();
  // Each check has nights of its own: none takes the last room of another.
  const arrival = 30 + 4 * names.indexOf(name);
  const t = { browser, site, pictures: values.pictures, ledger, call, arrival, views: [] };
  const noise = [];
  try {
    await check(t);
    for (const view of t.views) noise.push(...(await view.close()));
    if (noise.length > 0) throw new Error(noise.join("; "));
    passed += 1;
    console.log(`ok     ${name} (${Math.round(performance.now() - started)} ms)`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED ${name}: ${error.stack}`);
    const picture = path.join(values.pictures, `failed-${failed}.png`);
    await t.views.at(-1)?.page.screenshot({ path: picture }).catch(() => {});
    await Promise.all(t.views.map((view) => view.close()));
  }
}

const wanted = ([name]) => positionals.length === 0 || positionals.some((part) => name.includes(part));
const left = Object.entries(checks).filter(wanted);
// Two at a time: while one waits for the server, the other draws.
const work = async () => {
  for (let next = left.shift(); next; next = left.shift()) await run(...next);
};
await Promise.all([work(), work()]);
await browser.close();
site.stop();
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 || passed === 0 ? 1 : 0;
