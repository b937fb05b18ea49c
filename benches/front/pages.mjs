#!/usr/bin/env node
// Measures samocode web with many open pages, and prints what was measured beside what is to be
// reached:
//
//   benches/front/pages.mjs [BINARY]     by default target/release/samocode
//
// 100 sessions and 100 open pages, as many of the list as of single sessions. A change is a file that
// is renamed into a session's folder, as the worker does it; it has arrived when the page's stream has
// the event. Needs Node 18 or later. It fails when a bound is missed.
import { spawn } from "node:child_process";
import fs from "node:fs";
import http from "node:http";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

const SESSIONS = 100;
const ROUNDS = 21;
const MOST_MIB = 40;
const MOST_MS = 200;
const PATIENCE_MS = 20_000;

const here = path.dirname(fileURLToPath(import.meta.url));
const binary = process.argv[2] ?? path.join(here, "../../target/release/samocode");
const root = fs.mkdtempSync(path.join(os.tmpdir(), "samocode-pages-"));
const names = Array.from({ length: SESSIONS }, (_, at) => `work-${String(at).padStart(3, "0")}`);

function overview(name, iteration) {
  const folder = path.join(root, "sessions", `26-11-20-${name}`);
  fs.mkdirSync(folder, { recursive: true });
  const text = `# Session: ${name}\n\n## Task\nMeasure the page\n\n## Status\nPhase: implementation\nIteration: ${iteration}\n`;
  const aside = path.join(root, `${name}.new`);
  fs.writeFileSync(aside, text);
  fs.renameSync(aside, path.join(folder, "_overview.md"));
}

for (const folder of ["repo", "worktrees", "sessions", "run"]) fs.mkdirSync(path.join(root, folder));
fs.writeFileSync(path.join(root, ".samocode"), "MAIN_REPO=repo\nWORKTREES=worktrees\nSESSIONS=sessions\n");
names.forEach((name) => overview(name, 1));

const server = spawn(binary, ["web"], {
  cwd: root,
  env: { PATH: process.env.PATH, HOME: root, XDG_RUNTIME_DIR: path.join(root, "run") },
  stdio: ["ignore", "pipe", "inherit"],
});
process.on("exit", () => {
  server.kill("SIGKILL");
  fs.rmSync(root, { recursive: true, force: true });
});
const link = new URL(await new Promise((resolve, reject) => {
  let printed = "";
  server.stdout.on("data", (part) => {
    printed += part;
    const found = /http:\S+\/enter\?token=\S+/.exec(printed);
    if (found) resolve(found[0]);
  });
  server.on("exit", (code) => reject(new Error(`samocode web ended with ${code}`)));
}));

// More connections than Node opens by itself.
const agent = new http.Agent({ maxSockets: Infinity });
function request(method, where, headers = {}, body = null) {
  return new Promise((resolve, reject) => {
    const sent = http.request(new URL(where, link.origin), { method, headers, agent }, resolve);
    sent.on("error", reject);
    sent.end(body);
  });
}
const entered = await request("POST", "/enter", {
  origin: link.origin, "content-type": "application/x-www-form-urlencoded",
}, link.search.slice(1));
const cookie = entered.headers["set-cookie"][0].split(";")[0];

/** An open page: it loads, and then follows its stream. */
class Page {
  seen = 0;
  constructor(page, stream) {
    Object.assign(this, { page, stream });
  }
  async open() {
    const loaded = await request("GET", this.page, { cookie });
    for await (const _ of loaded) { /* as a browser, to the end */ }
    const events = await request("GET", this.stream, { cookie });
    if (events.statusCode !== 200) throw new Error(`${this.stream}: ${events.statusCode}`);
    events.setEncoding("utf8");
    let text = "";
    events.on("data", (part) => {
      text += part;
      const whole = text.split("\n\n");
      text = whole.pop();
      for (const event of whole) {
        const iteration = /implementation, iteration (\d+)|implementation (\d+)/.exec(event);
        if (iteration) {
          this.seen = Math.max(this.seen, Number(iteration[1] ?? iteration[2]));
          this.at = performance.now();
        }
      }
    });
  }
}

const pages = names.map((name, at) => at % 2 === 0
  ? new Page("/", "/events")
  : new Page(`/s/${name}`, `/events/s/${name}`));
await Promise.all(pages.map((page) => page.open()));

/** Waits until the pages have seen an iteration; how long the last took since `start`. */
async function arrived(these, iteration, start) {
  const end = performance.now() + PATIENCE_MS;
  while (these.some((page) => page.seen < iteration)) {
    if (performance.now() > end) throw new Error(`no event of iteration ${iteration}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  return Math.max(...these.map((page) => page.at)) - start;
}

const pause = () => new Promise((resolve) => setTimeout(resolve, 100));
const lists = pages.filter((page) => page.page === "/");
const singles = pages.filter((page) => page.page !== "/");
let iteration = 1;
const one = [];
const all = [];
for (let round = 0; round < ROUNDS; round += 1) {
  iteration += 1;
  await pause();
  let start = performance.now();
  overview(names[0], iteration);
  one.push(await arrived(lists, iteration, start));
  iteration += 1;
  await pause();
  start = performance.now();
  names.forEach((name) => overview(name, iteration));
  all.push(await arrived(singles, iteration, start));
}
const status = fs.readFileSync(`/proc/${server.pid}/status`, "utf8");
const mib = (key) => Number(new RegExp(`${key}:\\s+(\\d+) kB`).exec(status)[1]) / 1024;

let isReached = true;
function row(what, bound, measured, fits) {
  isReached &&= fits;
  console.log(`| ${what} | ${bound} | ${measured} | ${fits ? "yes" : "**no**"} |`);
}
const sorted = (all) => [...all].sort((a, b) => a - b);
const median = (all) => sorted(all)[Math.floor(all.length / 2)];
const figures = (all) => {
  const [min, max] = [sorted(all)[0], sorted(all).at(-1)];
  return `${median(all).toFixed(0)} ms (${min.toFixed(0)} – ${max.toFixed(0)})`;
};
console.log("| figure | to reach | measured: median (min – max) | reached |");
console.log("|---|---|---|---|");
row(`a change of a session, until the last of ${lists.length} open lists has it`, `≤ ${MOST_MS} ms`, figures(one), median(one) <= MOST_MS);
row(`changes of all ${SESSIONS} sessions, until the last of ${singles.length} pages has its own`, `≤ ${MOST_MS} ms`, figures(all), median(all) <= MOST_MS);
row(`peak memory of the server, ${pages.length} open pages`, `≤ ${MOST_MIB} MiB`, `${mib("VmHWM").toFixed(1)} MiB, now ${mib("VmRSS").toFixed(1)}`, mib("VmHWM") <= MOST_MIB);
process.exit(isReached ? 0 : 1);
