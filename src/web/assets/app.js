// Live updates. All pages and forms work without it.
"use strict";

const byId = (id) => document.getElementById(id);

/** Elements of HTML that the server rendered and escaped. */
function elements(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  return template.content;
}

/** Replaces what an element contains, if it differs. */
function fill(element, html) {
  if (element && element.innerHTML !== html) element.replaceChildren(elements(html));
}

function say(text) {
  const live = byId("live");
  if (live && live.textContent !== text) live.textContent = text;
}

// Times

function ago(seconds) {
  if (seconds < 60) return `${Math.max(0, Math.floor(seconds))} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  return null;
}

function tick() {
  for (const time of document.querySelectorAll("time[data-ago]")) {
    const seconds = (Date.now() - Date.parse(time.dateTime)) / 1000;
    time.textContent = (seconds < 0 ? null : ago(seconds)) ?? time.title;
  }
}

// The list

function showSessions(data) {
  for (const { id, html } of data.cards) {
    const card = elements(html).firstElementChild;
    const old = byId(id);
    const hadFocus = old?.contains(document.activeElement);
    if (old && old.outerHTML === card.outerHTML) continue;
    if (old) old.replaceWith(card);
    else document.querySelector(".cards").append(card);
    card.classList.add("new");
    if (hadFocus) card.querySelector("a").focus();
  }
  const there = new Set(data.order.map(([, id]) => id));
  for (const card of document.querySelectorAll(".card")) {
    if (!there.has(card.id)) card.remove();
  }
  const ends = new Map();
  for (const [group, id] of data.order) {
    const card = byId(id);
    const list = document.querySelector(`[data-group="${group}"] .cards`);
    if (!card || !list) continue;
    const after = ends.has(group) ? ends.get(group).nextElementSibling : list.firstElementChild;
    if (after !== card) {
      const hadFocus = card.contains(document.activeElement);
      list.insertBefore(card, after);
      if (hadFocus) card.querySelector("a").focus();
    }
    ends.set(group, card);
  }
  for (const section of document.querySelectorAll(".group")) {
    section.hidden = !section.querySelector(".card");
  }
  byId("empty").hidden = data.order.length > 0;
  const headline = byId("headline");
  if (headline.textContent !== data.headline) headline.textContent = data.headline;
  fill(byId("troubles"), data.troubles);
  document.title = `${data.need ? `(${data.need}) ` : ""}Sessions · samocode`;
}

// A session

/** Whether somebody is filling in a form in this element. */
function isInUse(element) {
  if (element.contains(document.activeElement) && document.activeElement.matches("input, textarea, select")) return true;
  return [...element.querySelectorAll("textarea, input")].some((field) =>
    field.type === "radio" ? field.checked !== field.defaultChecked : field.type !== "hidden" && field.value !== field.defaultValue);
}

let wanted = null;

/** Loads the rest of the page as it is at this stamp; again and again while that fails. */
async function reload(stamp) {
  wanted = stamp;
  let response;
  try {
    response = await fetch(location.pathname, { headers: { accept: "text/html" } });
    if (!response.ok) throw new Error(response.statusText);
  } catch {
    // The server starts again, or the network is away.
    setTimeout(() => { if (wanted === stamp) reload(stamp); }, 3000);
    return;
  }
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  let skipped = false;
  for (const id of ["needs", "part", "controls"]) {
    const [old, fresh] = [byId(id), page.getElementById(id)];
    if (!old || !fresh || old.innerHTML === fresh.innerHTML) continue;
    // The log has a stream of its own.
    if (id === "part" && byId("log")) continue;
    if (isInUse(old)) {
      skipped = true;
      continue;
    }
    const opened = [...old.querySelectorAll("details")].map((details) => details.open);
    old.replaceChildren(...fresh.childNodes);
    old.querySelectorAll("details").forEach((details, at) => { details.open = opened[at] ?? false; });
  }
  say(skipped ? "Live. This page has changed: what you are writing stays until you load it again." : "Live");
  tick();
}

function showSession(data) {
  if (data.gone) return say("This session was removed.");
  const now = byId("now");
  if (!now) return;
  fill(now, data.html);
  if (now.dataset.stamp !== data.stamp) {
    now.dataset.stamp = data.stamp;
    reload(data.stamp);
  }
}

// The log

const MOST_LINES = 3000;
let isFresh = false;

function showLines(data) {
  const log = byId("log");
  const wasAtEnd = isFresh || log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  if (isFresh) log.replaceChildren();
  isFresh = false;
  log.append(elements(data.html));
  while (log.children.length > MOST_LINES) log.firstElementChild.remove();
  if (wasAtEnd) log.scrollTop = log.scrollHeight;
}

// The streams

/** Follows a stream of events for as long as the page can be seen. */
function follow(path, since, kinds, onOpen = () => {}) {
  let source = null;
  const open = () => {
    if (source || document.hidden) return;
    source = new EventSource(since ? `${path}${path.includes("?") ? "&" : "?"}since=${encodeURIComponent(since)}` : path);
    source.onopen = () => { say("Live"); onOpen(); };
    source.onerror = () => {
      say("Reconnecting…");
      // Refused for good, for example while the server starts again: the browser gives up then.
      if (source.readyState === EventSource.CLOSED) {
        source = null;
        setTimeout(open, 3000);
      }
    };
    for (const [kind, show] of Object.entries(kinds)) {
      source.addEventListener(kind, (event) => {
        if (event.lastEventId) since = event.lastEventId;
        show(JSON.parse(event.data));
        tick();
      });
    }
  };
  const close = () => {
    source?.close();
    source = null;
  };
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  addEventListener("pagehide", close);
  addEventListener("pageshow", open);
  open();
}

const { live, since } = document.body.dataset;
if (live?.startsWith("/lines/")) {
  follow(live, "", { lines: showLines }, () => { isFresh = true; });
  follow(live.replace("/lines/", "/events/"), "", { session: showSession });
} else if (live) {
  follow(live, since, { sessions: showSessions, session: showSession });
}

// Forms

addEventListener("submit", (event) => {
  const form = event.target;
  // After the browser has collected the fields, or the pressed button would not be among them.
  setTimeout(() => form.querySelectorAll("button").forEach((button) => { button.disabled = true; }));
});
addEventListener("pageshow", () => {
  document.querySelectorAll("button:disabled").forEach((button) => { button.disabled = false; });
});

// Messages to this browser, also while the page is closed

const urlOf = (subscription) => `/push${subscription ? `?of=${encodeURIComponent(subscription.endpoint)}` : ""}`;

async function post(path, fields) {
  const token = document.querySelector('footer [name="form-token"]').value;
  const response = await fetch(path, { method: "POST", body: new URLSearchParams({ ...fields, "form-token": token }) });
  if (!response.ok) throw new Error(await response.text());
}

async function subscribe(manager, key) {
  const wanted = { userVisibleOnly: true, applicationServerKey: key };
  // One that was made with another key is of no use.
  const subscription = await manager.subscribe(wanted).catch(async (error) => {
    if (error.name !== "InvalidStateError") throw error;
    await (await manager.getSubscription())?.unsubscribe();
    return manager.subscribe(wanted);
  });
  const { endpoint, keys } = subscription.toJSON();
  await post("/push", { endpoint, p256dh: keys.p256dh, auth: keys.auth });
  return subscription;
}

async function offerMessages(button) {
  // A browser offers them only to a page that it trusts, such as one with TLS.
  if (!("serviceWorker" in navigator && "PushManager" in window && "Notification" in window)) return;
  await navigator.serviceWorker.register("/sw.js");
  const manager = (await navigator.serviceWorker.ready).pushManager;
  let subscription = await manager.getSubscription();
  const answer = await fetch(urlOf(subscription));
  if (!answer.ok) return;
  let { key, on } = await answer.json();
  const show = () => {
    button.textContent = on ? "Turn notifications off" : "Turn notifications on";
    button.hidden = false;
  };
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      if (on) {
        await post("/push/off", { endpoint: subscription.endpoint });
        await subscription.unsubscribe();
      } else if (await Notification.requestPermission() === "granted") {
        subscription = await subscribe(manager, key);
      } else {
        return say("This browser blocks notifications: allow them in its settings for this page.");
      }
      on = !on;
      say(on ? "This browser gets notifications." : "This browser gets no more notifications.");
    } catch (error) {
      say(`Notifications could not be changed: ${error.message}`);
    } finally {
      button.disabled = false;
      show();
    }
  });
  show();
}

const messages = byId("messages");
if (messages) offerMessages(messages).catch(() => {});

const log = byId("log");
if (log) log.scrollTop = log.scrollHeight;
const current = document.querySelector(".tabs [aria-current]");
if (current) current.parentElement.scrollLeft = current.offsetLeft - 32;
document.querySelector("form[data-auto]")?.requestSubmit();
setInterval(tick, 15000);
tick();
