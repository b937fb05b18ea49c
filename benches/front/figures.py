#!/usr/bin/env python3
"""Measures what a person at a terminal or a phone waits for, and prints it beside what is to be
reached. benches/front/run.sh runs it in the lab, with the released program.

  figures.py BINARY [--log-mib N] [--only PART]…       parts: top, logs, message, press

It fails when a bound is missed."""

import argparse
import http.server
import json
import os
import pty
import select
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
import fcntl

PATIENCE = 60.0
MISSED = []


def row(figure, bound, values, unit="ms"):
    """Prints a row; the median counts."""
    median = statistics.median(values)
    reached = median <= bound
    spread = f" ({min(values):.1f} – {max(values):.1f})" if len(values) > 1 else ""
    print(f"| {figure} | ≤ {bound:g} {unit} | {median:.1f} {unit}{spread} | {'yes' if reached else '**no**'} |", flush=True)
    if not reached:
        MISSED.append(figure)


class Ground:
    """A project in a folder of its own."""

    def __init__(self, binary, home, agent=None):
        self.binary, self.home = binary, home
        self.dir = os.path.join(home, "shop")
        for name in ("repo", "worktrees", "sessions"):
            os.makedirs(os.path.join(self.dir, name), exist_ok=True)
        lines = ["MAIN_REPO=repo", "WORKTREES=worktrees", "SESSIONS=sessions"]
        if agent:
            lines.append(f"SAMOCODE_AGENT=command:{agent}")
        write(os.path.join(self.dir, ".samocode"), "\n".join(lines) + "\n")
        self.env = {**os.environ, "HOME": home, "TERM": "xterm-256color", "PAGER": "cat"}
        for name in ("NO_COLOR", "SAMOCODE_SESSION", "SAMOCODE_RUN"):
            self.env.pop(name, None)

    def folder(self, name):
        return os.path.join(self.dir, "sessions", f"26-11-20-{name}")

    def overview(self, name, phase="implementation", iteration=1):
        """A session as the predecessor left it. Replaces the file as a whole, as the worker does."""
        folder = self.folder(name)
        os.makedirs(folder, exist_ok=True)
        text = (f"# Session: {name}\nStarted: 11-20 10:00\n\n## Task\nMeasure\n\n## Status\nPhase: {phase}\n"
                f"Iteration: {iteration}\nTotal Iterations: {iteration}\nBlocked: no\nLast Action: -\nNext: -\n\n"
                "## Flow Log\n- [001 @ 11-20 10:00] Session created\n\n## Files\n\n## Notes\n")
        aside = os.path.join(self.dir, f"{name}.new")
        write(aside, text)
        os.rename(aside, os.path.join(folder, "_overview.md"))

    def samocode(self, *args, **more):
        return subprocess.run([self.binary, *args], cwd=self.dir, env=self.env, text=True,
                              capture_output=True, timeout=PATIENCE, **more)


def write(path, text, mode=0o644):
    with open(path, "w", opener=lambda p, flags: os.open(p, flags, mode)) as file:
        file.write(text)


def until(what, look):
    end = time.monotonic() + PATIENCE
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > end:
            sys.exit(f"not within {PATIENCE:.0f} s: {what}")
        time.sleep(0.002)


def top(binary, home):
    """100 sessions on a terminal of 120 by 40."""
    ground = Ground(binary, home)
    names = [f"work-{at:03}" for at in range(100)]
    for name in names:
        ground.overview(name)
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(ground.dir)
        os.execve(binary, [binary, "top"], ground.env)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))

    def output(seconds):
        """What is written within this time; ends with the first part."""
        if select.select([terminal], [], [], seconds)[0]:
            return os.read(terminal, 1 << 16)
        return b""

    def settle(quiet):
        while output(quiet):
            pass

    settle(3)

    def cpu():
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    seconds, before = 30, cpu()
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        output(left)
    row("`top` with 100 sessions, idle for 30 s: of a core", 1, [(cpu() - before) / seconds * 100], "%")
    took = []
    for round in range(21):
        settle(0.3)
        began = time.monotonic()
        ground.overview(names[round], iteration=round + 2)
        if not output(PATIENCE):
            sys.exit("a change did not reach the screen")
        took.append((time.monotonic() - began) * 1000)
    row("— a change on the screen", 100, took)
    os.write(terminal, b"q")
    until("top ends", lambda: os.waitpid(pid, os.WNOHANG)[0])
    os.close(terminal)


def logs(binary, home, mib):
    """The log of a run of so many MiB, and a short one after it."""
    ground = Ground(binary, home)
    ground.overview("big")
    folder = os.path.join(ground.folder("big"), "_logs")
    os.makedirs(folder)
    entries = []
    for run, at in ((1, "2026-11-20T10:00:00Z"), (2, "2026-11-21T10:00:00Z")):
        entries.append({"seq": run, "at": at, "kind": "run_started", "run": f"r{run}", "agent": "rehearsal",
                        "conversation": "c", "resume": False, "phase": "implementation", "iteration": run,
                        "total": run, "attempt": 1, "log": f"{run}.jsonl"})
    write(os.path.join(ground.folder("big"), "_journal.jsonl"), "".join(json.dumps(one) + "\n" for one in entries))
    line = json.dumps({"event": "text", "text": "It reads the session store, and then it thinks. " * 8}) + "\n"
    part = (line * (1 + (1 << 20) // len(line)))[: 1 << 20]
    part = part[: part.rindex("\n") + 1].encode()

    def fill(run, parts):
        with open(os.path.join(folder, f"{run}.jsonl"), "wb") as file:
            for _ in range(parts):
                file.write(part)

    def first_byte(*args):
        took = []
        for _ in range(5):
            began = time.monotonic()
            with subprocess.Popen([binary, "logs", "big", *args], cwd=ground.dir, env=ground.env,
                                  stdout=subprocess.PIPE) as shown:
                if not shown.stdout.read(1):
                    sys.exit(f"samocode logs {args} printed nothing")
                took.append((time.monotonic() - began) * 1000)
                shown.kill()
        return took

    fill(1, mib)
    fill(2, 1)
    row(f"`logs` of {mib} MiB: the first line", 200, first_byte())
    row("— `--since` a day later", 200, first_byte("--since", "2026-11-21 00:00", "--utc"))
    fill(1, 1)
    fill(2, mib)
    row("— `-n 20`, of a run that is as long", 200, first_byte("-n", "20"))


class Telegram(http.server.ThreadingHTTPServer):
    """A Bot API on loopback, which notes when messages arrive and when it hands out a press."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.messages, self.updates, self.handed = [], [], {}
        self.lock = threading.Condition()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def env_file(self, home):
        folder = os.path.join(home, ".config/samocode")
        os.makedirs(folder, exist_ok=True)
        write(os.path.join(folder, "env"),
              "TELEGRAM_BOT_TOKEN=12345678:AAabcdefghijklmnopqrstuvwxyz0123456\nTELEGRAM_CHAT_ID=1\n"
              f"TELEGRAM_API_URL=http://127.0.0.1:{self.server_address[1]}\n", 0o600)

    def message(self, text):
        """When the message with this text arrived, and its buttons."""
        with self.lock:
            return next((one for one in self.messages if text in one[1]), None)

    def press(self, data):
        with self.lock:
            number = len(self.handed) + len(self.updates) + 1
            self.updates.append({"update_id": number, "callback_query": {
                "id": "q", "data": data, "from": {"id": 1, "first_name": "Anna"},
                "message": {"message_id": 1, "chat": {"id": 1}}}})
            self.lock.notify_all()
            return number


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        at, method, server = time.time_ns(), self.path.rsplit("/", 1)[-1], self.server
        asked = json.loads(body or b"{}")
        result = {"id": 99, "username": "bench", "message_id": 1}
        if method == "getUpdates":
            with server.lock:
                server.updates = [one for one in server.updates if one["update_id"] >= asked.get("offset", 0)]
                server.lock.wait_for(lambda: server.updates, timeout=30)
                result = list(server.updates)
                for one in result:
                    server.handed.setdefault(one["update_id"], time.time_ns())
        elif method == "sendMessage":
            with server.lock:
                server.messages.append((at, asked.get("text", ""), asked.get("reply_markup", {})))
        answer = json.dumps({"ok": True, "result": result}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


# Notes when it begins, leaves its signal, and notes when that is on the disk.
AGENT = """#!/bin/bash
date +%s%N >"$SAMOCODE_SESSION_DIR/began"
cat >/dev/null
case $SAMOCODE_PHASE in
planning)
    printf '# Plan\\n\\n1. Measure %s\\n' "$SAMOCODE_SESSION" >"$SAMOCODE_SESSION_DIR/11-20-10:00-plan-measure.md"
    signal='{"status":"waiting","for":"plan_approval"}' ;;
*) signal='{"status":"blocked","reason":"it is measured","needs":"human_decision"}' ;;
esac
printf '%s' "$signal" >"$SAMOCODE_SESSION_DIR/_signal.new"
mv "$SAMOCODE_SESSION_DIR/_signal.new" "$SAMOCODE_SESSION_DIR/_signal.json"
date +%s%N >"$SAMOCODE_SESSION_DIR/signalled"
"""


def prepared(binary, home):
    agent = os.path.join(home, "agent")
    write(agent, AGENT, 0o755)
    ground = Ground(binary, home, agent)
    subprocess.run(["sh", "-c", "git init -q -b main && git config user.name b && git config user.email b@b && "
                    "git commit -q --allow-empty -m first"], cwd=os.path.join(ground.dir, "repo"), check=True, env=ground.env)
    telegram = Telegram()
    telegram.env_file(home)
    return ground, telegram


def noted(ground, name, file):
    try:
        with open(os.path.join(ground.folder(name), file)) as noted:
            return int(noted.read() or 0)
    except FileNotFoundError:
        return 0


def message(binary, home):
    """From the signal on the disk to the message at the server, without a service manager."""
    ground, telegram = prepared(binary, home)
    took = []
    for round in range(11):
        name = f"talks-{round}"
        ground.overview(name)
        ran = ground.samocode("run", name)
        found = telegram.message(name)
        if not found:
            sys.exit(f"no message about {name}: {ran.stdout}{ran.stderr}")
        took.append((found[0] - noted(ground, name, "signalled")) / 1e6)
    row("from the signal on the disk to the message at the server", 300, took)
    telegram.shutdown()


def press(binary, home):
    """From a press on Approve, handed to the bot, to the agent's first line; under systemd."""
    ground, telegram = prepared(binary, home)

    def done(result, what):
        if result.returncode:
            sys.exit(f"cannot {what}: {result.stderr}")

    done(ground.samocode("units", "install"), "install the units")
    done(subprocess.run(["systemctl", "--user", "start", "samocode-bot"], capture_output=True, text=True),
         "start the bot")
    took = []
    for round in range(7):
        name = f"asks-{round}"
        ground.overview(name, phase="planning")
        done(ground.samocode("enable", name), f"enable {name}")
        asked = until(f"{name} asks", lambda: telegram.message(f"<b>{name}</b>"))
        buttons = [button for line in asked[2].get("inline_keyboard", []) for button in line]
        approve = next((one["callback_data"] for one in buttons if one["text"] == "Approve"), None)
        if not approve:
            sys.exit(f"{name} asks without a button: {asked}")
        until(f"{name} rests", lambda: not unit_runs(name))
        before = noted(ground, name, "began")
        number = telegram.press(approve)
        until(f"{name} resumes", lambda: noted(ground, name, "began") > before)
        began = noted(ground, name, "began")
        took.append((began - telegram.handed[number]) / 1e6)
        until(f"{name} rests again", lambda: not unit_runs(name))
    subprocess.run(["systemctl", "--user", "stop", "samocode-bot"], capture_output=True)
    row("from a press on Approve to the agent's exec, systemd and bot included", 300, took)
    telegram.shutdown()


def unit_runs(name):
    shown = subprocess.run(["systemctl", "--user", "is-active", f"samocode@{name}"], capture_output=True, text=True)
    return shown.stdout.strip() in ("active", "activating", "deactivating")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary")
    parser.add_argument("--log-mib", type=int, default=1024)
    parser.add_argument("--only", action="append", choices=["top", "logs", "message", "press"])
    args = parser.parse_args()
    binary = os.path.realpath(args.binary)
    print("| figure | to reach | measured: median (min – max) | reached |")
    print("|---|---|---|---|")
    for name in args.only or ["top", "logs", "message", "press"]:
        # The bot and the units are the user's own, so their part uses the user's home.
        home = os.environ["HOME"] if name == "press" else tempfile.mkdtemp(prefix="samocode-front-")
        try:
            if name == "logs":
                logs(binary, home, args.log_mib)
            else:
                {"top": top, "message": message, "press": press}[name](binary, home)
        finally:
            if name != "press":
                shutil.rmtree(home, ignore_errors=True)
    sys.exit(f"missed: {'; '.join(MISSED)}" if MISSED else 0)


if __name__ == "__main__":
    main()
