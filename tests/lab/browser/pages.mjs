// A person at the pages of samocode web, in a real browser.
//
//   node pages.mjs LINK CHROMIUM FOLDER
//
// It takes the session jwt from its questions to its end, and prints `at NAME` where the test has
// something to do; a line on standard input lets it continue. Screenshots go to FOLDER. It exits
// with 1 and the reason when something is not as it should be.
import assert from "node:assert/strict";
import crypto from "node:crypto";
import http from "node:http";
import { createRequire } from "node:module";
import readline from "node:readline";

const require = createRequire(new URL("../../.cache/browser/package.json", import.meta.url));
const { chromium } = require("playwright-core");
const axe = require.resolve("axe-core/axe.min.js");

const [link, executablePath, folder] = process.argv.slice(2);
const base = new URL(link).origin;
const PATIENCE = 90_000;

// The test

const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
async function at(name) {
  console.log(`at ${name}`);
  await lines.next();
}

// A push service, with the browser's side of RFC 8291

const keys = crypto.createECDH("prime256v1");
keys.generateKeys();
const secret = crypto.randomBytes(16);
const pushed = [];
let answer = 201;

function decrypt(message) {
  const salt = message.subarray(0, 16);
  const sender = message.subarray(21, 21 + message[20]);
  const record = message.subarray(21 + message[20]);
  const hkdf = (key, salt, info, length) => Buffer.from(crypto.hkdfSync("sha256", key, salt, info, length));
  const info = Buffer.concat([Buffer.from("WebPush: info\0"), keys.getPublicKey(), sender]);
  const key = hkdf(keys.computeSecret(sender), secret, info, 32);
  const cipher = crypto.createDecipheriv(
    "aes-128-gcm",
    hkdf(key, salt, "Content-Encoding: aes128gcm\0", 16),
    hkdf(key, salt, "Content-Encoding: nonce\0", 12),
  );
  cipher.setAuthTag(record.subarray(-16));
  const text = Buffer.concat([cipher.update(record.subarray(0, -16)), cipher.final()]);
  return text.subarray(0, text.lastIndexOf(2)).toString();
}

function isSigned(header) {
  const [, token, key] = /^vapid t=([^,]+), k=(.+)$/.exec(header);
  const [head, claims, signature] = token.split(".");
  const point = Buffer.from(key, "base64url");
  const jwk = { kty: "EC", crv: "P-256", x: point.subarray(1, 33).toString("base64url"), y: point.subarray(33).toString("base64url") };
  const { aud } = JSON.parse(Buffer.from(claims, "base64url"));
  return aud === service.url && crypto.verify("sha256", Buffer.from(`${head}.${claims}`),
    { key: crypto.createPublicKey({ key: jwk, format: "jwk" }), dsaEncoding: "ieee-p1363" },
    Buffer.from(signature, "base64url"));
}

function listen(handle) {
  return new Promise((resolve) => {
    const server = http.createServer(async (request, response) => {
      const parts = [];
      for await (const part of request) parts.push(part);
      handle(request, response, Buffer.concat(parts));
    });
    server.listen(0, "127.0.0.1", () => resolve({ url: `http://127.0.0.1:${server.address().port}`, server }));
  });
}

const service = await listen((request, response, body) => {
  const text = isSigned(request.headers.authorization) ? decrypt(body) : null;
  pushed.push(JSON.parse(text));
  response.writeHead(answer).end();
});
async function message(words) {
  const end = Date.now() + PATIENCE;
  while (Date.now() < end) {
    const found = pushed.find((one) => one.title.includes(words));
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.fail(`no message has ${words}: ${JSON.stringify(pushed)}`);
}

// The browser

const browser = await chromium.launch({ executablePath, headless: true, args: ["--no-sandbox"] });
const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
context.setDefaultTimeout(PATIENCE);
await context.grantPermissions(["notifications"], { origin: base });
// A push service of a browser's maker cannot be reached from a test: this one takes its place.
await context.addInitScript(({ endpoint, p256dh, auth }) => {
  const subscription = { endpoint, toJSON: () => ({ endpoint, keys: { p256dh, auth } }), unsubscribe: async () => true };
  let current = null;
  PushManager.prototype.subscribe = async () => (current = subscription);
  PushManager.prototype.getSubscription = async () => current;
}, { endpoint: `${service.url}/to/me`, p256dh: keys.getPublicKey("base64url"), auth: secret.toString("base64url") });

const wrong = [];
let framed = 0;
context.on("page", (page) => {
  page.on("pageerror", (error) => wrong.push(`${page.url()}: ${error}`));
  page.on("dialog", (dialog) => { wrong.push(`a dialog: ${dialog.message()}`); dialog.dismiss(); });
  page.on("console", (line) => {
    if (line.text().startsWith(`Framing '${base}/' violates`)) framed += 1;
    else if (/Content Security Policy/.test(line.text())) wrong.push(line.text());
  });
});

/** Nothing that a person who cannot see, or sees little, could not use. */
async function accessible(page, name) {
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    await page.evaluate(require("node:fs").readFileSync(axe, "utf8"));
    const { violations } = await page.evaluate(() => globalThis.axe.run(document));
    const found = violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.html).join(" ")}`);
    assert.deepEqual(found, [], `axe on ${name}, ${colorScheme}`);
  }
  await page.emulateMedia({ colorScheme: null });
}

async function pictures(page, name) {
  for (const [size, width, height] of [["phone", 390, 844], ["desk", 1280, 900]]) {
    await page.setViewportSize({ width, height });
    const wider = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert(wider <= 0, `${name} is ${wider} px too wide for a ${size}`);
    await page.screenshot({ path: `${folder}/${name}-${size}.png`, fullPage: true });
  }
}

/** The text of the log's lines, without their times. */
const logOf = (page) => page.locator("#log > li").allInnerTexts();

try {
  // A link that is wrong lets nobody in, and a stranger sees nothing.
  const stranger = await context.newPage();
  await stranger.goto(`${base}/enter?token=${"0".repeat(64)}`);
  await stranger.getByText("This link is not valid any more").waitFor();
  assert.equal((await stranger.goto(`${base}/s/jwt`)).status(), 401);
  await accessible(stranger, "refusal");
  await stranger.close();

  const list = await context.newPage();
  await list.goto(link);
  await list.getByRole("heading", { name: "1 needs you" }).waitFor();
  await list.keyboard.press("Tab");
  assert.equal(await list.evaluate(() => document.activeElement.textContent), "Skip to content");
  await accessible(list, "list");
  await pictures(list, "list");

  // Messages, also while the page is closed.
  await list.getByRole("button", { name: "Turn notifications on" }).click();
  await list.getByText("This browser gets notifications.").waitFor();

  // Questions. The page stays the same document until the end.
  await list.getByRole("link", { name: "jwt" }).click();
  const page = list;
  await page.getByRole("heading", { name: "It asks you" }).waitFor();
  await accessible(page, "questions");
  await pictures(page, "questions");
  const log = await context.newPage();
  await log.goto(`${base}/s/jwt/log`);
  await log.locator("#live").getByText("Live").waitFor();
  await page.getByLabel(/^B In local storage/).check();
  await page.getByRole("button", { name: "Accept suggestions for the rest" }).click();
  await page.getByText("Answered: jwt").waitFor();
  await page.evaluate(() => { globalThis.sameDocument = true; });
  await log.evaluate(() => { globalThis.sameDocument = true; });

  // The server goes away below the open pages, and the session continues meanwhile.
  await at("answered");
  await page.getByRole("heading", { name: "It asks you to approve its plan" }).waitFor();
  assert(await page.evaluate(() => globalThis.sameDocument), "the page was loaded again");
  const asked = await message("is waiting for your approval of the plan");
  assert.equal(asked.path, "/s/jwt");

  // The service worker shows it.
  const shown = await page.evaluate(async (registration) => {
    const { active, scope } = await navigator.serviceWorker.ready;
    return { state: active.state, scope, registration };
  }, null);
  assert.deepEqual([shown.state, shown.scope], ["activated", `${base}/`]);
  const devtools = await context.newCDPSession(page);
  const registration = new Promise((resolve) => devtools.on("ServiceWorker.workerRegistrationUpdated",
    ({ registrations }) => { if (registrations.length > 0) resolve(registrations[0].registrationId); }));
  await devtools.send("ServiceWorker.enable");
  await devtools.send("ServiceWorker.deliverPushMessage",
    { origin: base, registrationId: await registration, data: JSON.stringify(asked) });
  const title = await page.waitForFunction(async () => {
    const [shown] = await (await navigator.serviceWorker.ready).getNotifications();
    return shown && shown.title;
  });
  assert.equal(await title.jsonValue(), asked.title);

  // What agents write is text.
  const texts = await log.locator("#log").innerText();
  assert(texts.includes("<script>alert('log')</script>"), texts);
  await page.getByText("<img src=x onerror=alert('task')>").first().waitFor();
  assert.equal(await page.locator("main img, main script, main iframe").count(), 0);

  // Another site can neither act nor look, although the browser is signed in.
  const elsewhere = await listen((request, response) => {
    response.writeHead(200, { "content-type": "text/html" });
    response.end(`<form method="post" action="${base}/s/jwt/approve"><button>Win</button></form><iframe src="${base}/"></iframe>`);
  });
  const other = await context.newPage();
  await other.goto(elsewhere.url.replace("127.0.0.1", "localhost"));
  const stolen = await other.evaluate((url) => fetch(url, { credentials: "include" }).then(() => "read", () => "refused"), `${base}/s/jwt`);
  assert.equal(stolen, "refused");
  const [answered] = await Promise.all([
    other.waitForResponse((response) => response.url().endsWith("/approve")),
    other.getByRole("button", { name: "Win" }).click(),
  ]);
  assert.equal(answered.status(), 403);
  await other.getByText("This request came from another site").waitFor();
  await other.close();

  // The plan, and the end.
  const plan = await context.newPage();
  await plan.goto(`${base}/s/jwt/plan`);
  await plan.getByRole("button", { name: "Approve the plan" }).waitFor();
  await accessible(plan, "plan");
  await pictures(plan, "plan");
  await plan.getByRole("button", { name: "Approve the plan" }).click();
  await plan.getByText("Approved: jwt").waitFor();
  await plan.close();
  // What it uses of the machine while it works, on every page that shows it.
  await page.locator("#now .load").getByText(/[KMG]iB|% CPU/).waitFor();
  const sessions = await context.newPage();
  await sessions.goto(base);
  await sessions.locator(".card .load").getByText(/[KMG]iB|% CPU/).waitFor();
  await accessible(sessions, "working");
  await pictures(sessions, "working");
  await sessions.close();
  // From here on the browser takes no messages.
  answer = 410;
  await at("working");
  await page.locator("#now .state-done").waitFor();
  assert(await page.evaluate(() => globalThis.sameDocument), "the page was loaded again");
  await message("is done");

  // The open log has what a new one has, each line once.
  const fresh = await context.newPage();
  await fresh.goto(`${base}/s/jwt/log`);
  const expected = await logOf(fresh);
  assert(expected.length > 10, expected.join("\n"));
  await log.waitForFunction((count) => document.querySelectorAll("#log > li").length === count, expected.length);
  assert.deepEqual(await logOf(log), expected);
  assert(await log.evaluate(() => globalThis.sameDocument), "the log was loaded again");

  for (const part of ["", "/questions", "/changes", "/log", "/timeline", "/mail", "/convoy"]) {
    await fresh.goto(`${base}/s/jwt${part}`);
    await accessible(fresh, part || "overview");
    await pictures(fresh, part ? part.slice(1) : "overview");
  }
  await fresh.goto(`${base}/new`);
  await accessible(fresh, "new");
  await pictures(fresh, "new");

  // The report is a page of its own. In its tables no word is broken that has room.
  await at("done");
  await fresh.goto(`file://${folder}/report.html`);
  await accessible(fresh, "report");
  await pictures(fresh, "report");
  await fresh.setViewportSize({ width: 390, height: 844 });
  const broken = await fresh.evaluate(() => {
    const cells = [...document.querySelectorAll("td:not(.event td:last-child)")];
    const texts = cells.flatMap((cell) => [...cell.childNodes, ...cell.querySelectorAll("code")].flatMap((node) => [node, ...node.childNodes]))
      .filter((node) => node.nodeType === Node.TEXT_NODE);
    return texts.flatMap((text) => [...text.data.matchAll(/\S+/g)].filter((word) => {
      const range = document.createRange();
      range.setStart(text, word.index);
      range.setEnd(text, word.index + word[0].length);
      return range.getClientRects().length > 1;
    }).map((word) => word[0]));
  });
  assert.deepEqual(broken, []);
  assert.deepEqual(wrong, []);
  assert.equal(framed, 1, "another site showed a page in a frame");
  await at("end");
  await browser.close();
  process.exit(0);
} catch (error) {
  console.error(error.stack, wrong.join("\n"));
  await browser.close();
  process.exit(1);
}
