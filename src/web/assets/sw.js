// Shows messages, also while no page is open.
"use strict";

addEventListener("install", () => skipWaiting());
addEventListener("activate", (event) => event.waitUntil(clients.claim()));

addEventListener("push", (event) => {
  if (!event.data) return;
  const { title, body, tag, path, at, stays } = event.data.json();
  event.waitUntil(registration.showNotification(title, {
    body, tag, renotify: true, timestamp: at, requireInteraction: stays, data: { path },
    icon: "/assets/icon-192.png", badge: "/assets/icon-192.png",
  }));
});

addEventListener("notificationclick", (event) => {
  event.notification.close();
  const { path } = event.notification.data;
  event.waitUntil((async () => {
    const open = await clients.matchAll({ type: "window", includeUncontrolled: true });
    const there = open.find((page) => new URL(page.url).pathname === path);
    return there ? there.focus() : clients.openWindow(path);
  })());
});
