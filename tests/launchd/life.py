#!/usr/bin/env python3
"""The life of sessions under launchd, played as the calling user.

    life.py SAMOCODE                 with the real launchd, on a Mac whose user is logged in
    life.py SAMOCODE LAUNCHCTL       with the stand-in beside this file, on Linux too

Makes a project of its own in a temporary folder below the home folder, drives samocode as a person
does, and looks at files and processes. If anything is not as it should be it ends with exit code 1 and a
report. With the real launchd, the user's own sessions are left alone: every session here
has a name that begins with "life-".
"""

import datetime
import glob
import json
import os
import plistlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

SAMOCODE = os.path.abspath(sys.argv[1])
STANDIN = os.path.abspath(sys.argv[2]) if len(sys.argv) > 2 else None
HOME = os.environ["HOME"]
AGENTS = os.path.join(HOME, "Library/LaunchAgents")
DOMAIN = f"gui/{os.getuid()}"
# On a busy machine, and with launchd's throttle of 10 s.
BOUND = 60
ROOT = tempfile.mkdtemp(prefix="samocode-life-", dir=HOME)
PROGRAM = os.path.join(ROOT, "bin/samocode")
LAUNCHCTL = STANDIN or "/bin/launchctl"

if STANDIN:
    os.environ.setdefault("LAUNCHD_THROTTLE", "0.1")
    os.environ["SAMOCODE_LAUNCHCTL"] = os.path.join(ROOT, "bin/launchctl")

launchd = None


def fail(what):
    raise AssertionError(what)


def check(condition, what):
    if not condition:
        fail(what)


def equal(found, wanted, what):
    check(found == wanted, f"{what}: {found!r}, not {wanted!r}")


def wait(what, condition, bound=BOUND):
    deadline = time.monotonic() + bound
    while not condition():
        if time.monotonic() > deadline:
            fail(f"not within {bound} s: {what() if callable(what) else what}")
        time.sleep(0.05)


def run(*words, code=0, env=None):
    out = subprocess.run(
        words, cwd=os.path.join(ROOT, "shop"), env={**os.environ, **(env or {})},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
    )
    if code is not None and out.returncode != code:
        fail(f"{' '.join(words)}: exit code {out.returncode}, not {code}\n{out.stdout}{out.stderr}")
    return out.stdout + out.stderr


def samocode(*words, **options):
    return run(PROGRAM, *words, **options)


def launchctl(*words, **options):
    return run(os.environ.get("SAMOCODE_LAUNCHCTL", LAUNCHCTL), *words, **options)


def write(path, text, mode=0o644):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write(text)
    os.chmod(path, mode)


def read(path):
    try:
        with open(path) as file:
            return file.read()
    except FileNotFoundError:
        return ""


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # On Linux a zombie is there until its parent has read its end.
    return " Z" not in subprocess.run(
        ["ps", "-o", "state=", "-p", str(pid)], capture_output=True, text=True
    ).stdout.join([" ", ""])


class Session:
    def __init__(self, name):
        self.name = name
        self.label = f"dev.samocode.session.{name}"
        self.target = f"{DOMAIN}/{self.label}"

    def folder(self):
        found = glob.glob(os.path.join(ROOT, f"shop-sessions/*-{self.name}"))
        return found[0] if found else os.path.join(ROOT, "none")

    def hook(self):
        return json.loads(read(os.path.join(self.folder(), "_hook.json")) or "{}")

    def stands(self):
        hook = self.hook()
        return hook.get("state"), hook.get("phase")

    def journal(self, kind):
        lines = read(os.path.join(self.folder(), "_journal.jsonl")).splitlines()
        return [entry for entry in map(json.loads, lines) if entry["kind"] == kind]

    def reaches(self, state, phase):
        wait(
            lambda: f"{self.name} is {state} in {phase}; it is {self.stands()}",
            lambda: self.stands() == (state, phase) and not self.pid(),
        )

    def job(self):
        """What launchctl shows; None if the agent is not loaded."""
        out = subprocess.run(
            [os.environ.get("SAMOCODE_LAUNCHCTL", LAUNCHCTL), "print", self.target],
            capture_output=True, text=True,
        )
        return out.stdout if out.returncode == 0 else None

    def pid(self):
        lines = [line.strip() for line in (self.job() or "").splitlines()]
        return next((int(line[6:]) for line in lines if line.startswith("pid = ")), None)

    def agent(self):
        """The process of the agent in its current run."""
        wait(f"an agent of {self.name} runs", lambda: read(os.path.join(ROOT, f"at/{self.name}")))
        return int(read(os.path.join(ROOT, f"at/{self.name}")))

    def runs(self):
        return len(self.journal("run_started"))

    def at_login(self):
        return os.path.exists(os.path.join(AGENTS, f"{self.label}.plist"))

    def enable(self, *words):
        return samocode("enable", self.name, "--task", "Greet people", *words)


class Front(Session):
    """The agent of a front end."""

    def __init__(self, name):
        self.name = name
        self.label = f"dev.samocode.{name}"
        self.target = f"{DOMAIN}/{self.label}"
        self.log = os.path.join(HOME, f"Library/Logs/samocode/{name}.log")


# An agent waits while ROOT/hold/SESSION exists. Its process id is in ROOT/at/SESSION meanwhile.
HOLD = """
hold={root}/hold/$SAMOCODE_SESSION
if [ -e "$hold" ]; then
    echo $$ >{root}/at/$SAMOCODE_SESSION.new
    mv {root}/at/$SAMOCODE_SESSION.new {root}/at/$SAMOCODE_SESSION
    while [ -e "$hold" ]; do sleep 0.05; done
    rm -f {root}/at/$SAMOCODE_SESSION
fi
"""


def prepare():
    for folder in ("bin", "hold", "at"):
        os.makedirs(os.path.join(ROOT, folder))
    shutil.copy(SAMOCODE, PROGRAM)
    here = os.path.dirname(os.path.abspath(__file__))
    if STANDIN:
        shutil.copy(STANDIN, os.path.join(ROOT, "bin/launchctl"))
    obedient = read(os.path.join(here, "../lab/api/obedient.sh"))
    agent = os.path.join(ROOT, "bin/agent")
    write(agent, obedient.replace("set -eu\n", "set -eu\n" + HOLD.format(root=ROOT), 1), 0o755)
    shop = os.path.join(ROOT, "shop")
    os.makedirs(shop)
    git = ["git", "-c", "user.name=Dev", "-c", "user.email=dev@example.org"]
    run("git", "init", "-q", "-b", "main")
    run("git", "config", "user.name", "Dev")
    run("git", "config", "user.email", "dev@example.org")
    write(os.path.join(shop, "README.md"), "A shop.\n")
    run(*git, "add", ".")
    run(*git, "commit", "-qm", "Begin")
    write(os.path.join(shop, ".git/info/exclude"), ".samocode\n")
    project("")


def project(more):
    write(
        os.path.join(ROOT, "shop/.samocode"),
        f"MAIN_REPO={ROOT}/shop\nWORKTREES={ROOT}/shop-worktrees\nSESSIONS={ROOT}/shop-sessions\n"
        f"SAMOCODE_AGENT=command:{ROOT}/bin/agent\nSAMOCODE_CONFINE=off\n{more}",
    )


def hold(session):
    write(os.path.join(ROOT, f"hold/{session.name}"), "")


def release(session):
    os.unlink(os.path.join(ROOT, f"hold/{session.name}"))


def log_in():
    global launchd
    if STANDIN:
        log = open(os.path.join(ROOT, "launchd.log"), "ab")
        program = os.environ["SAMOCODE_LAUNCHCTL"]
        launchd = subprocess.Popen([program, "serve"], stdin=subprocess.DEVNULL, stderr=log)
        wait("launchd runs", lambda: os.path.exists(os.path.join(ROOT, "bin/socket")), 10)


def log_out():
    launchd.send_signal(signal.SIGTERM)
    launchd.wait(timeout=BOUND)


# ---- what is played -------------------------------------------------------------------


def a_session_is_worked_on_from_enable_to_done_with_both_gates():
    session = Session("life-whole")
    session.enable()
    check(session.at_login(), "an enabled session starts at login")
    session.reaches("waiting", "requirements")
    check(session.job() is not None, "it stays loaded")
    samocode("answer", session.name, "--accept-suggestions")
    session.reaches("waiting", "planning")
    samocode("approve", session.name)
    session.reaches("done", "done")
    wait("what is done no longer starts at login", lambda: not session.at_login())
    workers = {entry["pid"] for entry in session.journal("worker_started")}
    check(len(workers) >= 3, f"each reply started a worker: {workers}")
    log = read(os.path.join(HOME, f"Library/Logs/samocode/sessions/{session.name}.log"))
    check(f"{session.name}: " in log, f"its events are in its log: {log}")


def a_killed_worker_is_restarted_and_its_run_does_not_outlive_it():
    session = Session("life-killed")
    hold(session)
    session.enable()
    agent, worker = session.agent(), session.pid()
    os.unlink(os.path.join(ROOT, f"at/{session.name}"))
    os.kill(worker, signal.SIGKILL)
    again = session.agent()
    check(session.pid() not in (None, worker), "another worker runs")
    check(not is_alive(agent), "the agent of the killed worker is gone")
    equal(session.runs(), 2, "runs")
    equal(len(session.journal("run_lost")), 1, "runs lost")
    shown = json.loads(samocode("status", session.name, "--json"))
    equal(shown["unit"]["restarts"], 1, f"restarts in {shown['unit']}")

    # And now the agent.
    os.unlink(os.path.join(ROOT, f"at/{session.name}"))
    worker = session.pid()
    os.kill(again, signal.SIGKILL)
    ended = lambda: [entry["outcome"] for entry in session.journal("run_ended")]
    wait("the end of the run is recorded", lambda: ended() == ["killed"])
    equal(session.pid(), worker, "the worker")
    release(session)
    samocode("stop", session.name, "--now")


def a_run_that_stalls_is_ended_by_the_timer_of_the_kernel():
    session = Session("life-stalled")
    launchctl("setenv", "SAMOCODE_WATCHDOG_S", "2")
    project("SAMOCODE_STALL_AFTER=2 s\n")
    hold(session)
    session.enable()
    agent, worker = session.agent(), session.pid()
    os.unlink(os.path.join(ROOT, f"at/{session.name}"))
    wait("the timer has killed the worker", lambda: not is_alive(worker))
    session.agent()
    check(not is_alive(agent), "the agent that stalled is gone")
    equal(len(session.journal("nudged")), 1, "nudges")
    check(len(session.journal("stalled")) >= 1, "the stall is recorded")
    release(session)
    samocode("stop", session.name, "--now")
    project("")
    launchctl("setenv", "SAMOCODE_WATCHDOG_S", "30")


def a_session_that_is_stopped_stays_stopped():
    session = Session("life-stopped")
    hold(session)
    session.enable()
    agent, worker = session.agent(), session.pid()
    samocode("stop", session.name, "--now")
    check(not is_alive(worker) and not is_alive(agent), "its processes are gone")
    equal(session.job(), None, "what launchd knows of it")
    equal(session.stands()[0], "stopped", "its state")
    samocode("send", session.name, "hello")
    spool = os.path.join(HOME, ".local/state/samocode/wake")
    wait("the waker has looked", lambda: not os.listdir(spool))
    equal(session.job(), None, "what launchd knows of it after mail")
    os.unlink(os.path.join(ROOT, f"at/{session.name}"))
    samocode("start", session.name)
    session.agent()
    release(session)
    session.reaches("waiting", "requirements")


def a_logout_interrupts_and_a_login_resumes():
    if not STANDIN:
        return
    working, stopped = Session("life-login"), Session("life-off")
    for session in (working, stopped):
        hold(session)
        session.enable()
    agent, worker = working.agent(), working.pid()
    stopped.agent()
    samocode("stop", stopped.name, "--now")
    log_out()
    check(not is_alive(worker) and not is_alive(agent), "a logout ends everything")
    said = samocode("status", code=None)
    check(working.name in said, f"status works without a login session: {said}")
    said = samocode("start", working.name, code=1)
    check("login session" in said and "samocode run" in said, said)
    os.unlink(os.path.join(ROOT, f"at/{working.name}"))
    os.unlink(os.path.join(ROOT, f"at/{stopped.name}"))

    log_in()
    working.agent()
    wait("the stopped one has looked and rests", lambda: stopped.job() and not stopped.pid())
    equal(stopped.stands()[0], "stopped", "the stopped one")
    equal([end["outcome"] for end in working.journal("run_ended")], ["interrupted"], "runs")
    for session in (working, stopped):
        release(session)
    working.reaches("waiting", "requirements")


class Timer(Session):
    """The agent that begins a session at its time."""

    def __init__(self, name):
        self.name = name
        self.label = f"dev.samocode.timer.{name}"
        self.target = f"{DOMAIN}/{self.label}"
        self.record = os.path.join(ROOT, f"shop-sessions/_timers/{name}.json")

    def plist(self):
        with open(os.path.join(AGENTS, f"{self.label}.plist"), "rb") as file:
            return plistlib.load(file)

    def starts(self):
        lines = [line.strip() for line in (self.job() or "").splitlines()]
        return next((int(line[7:]) for line in lines if line.startswith("runs = ")), 0)

    def gone(self):
        left = lambda: self.job() or self.at_login() or os.path.exists(self.record)
        wait(f"the timer of {self.name} is gone", lambda: not left())


def a_session_begins_at_its_time_whatever_the_machine_did_meanwhile():
    soon, later, daily = Session("life-soon"), Session("life-later"), Session("life-daily")
    soon.enable("--at", "2s")
    later.enable("--at", "3h")
    daily.enable("--every", "daily")
    timer = Timer(later.name)
    equal((later.stands()[0], later.job()), ("queued", None), "one that waits")
    agent = timer.plist()
    at = datetime.datetime.fromisoformat(agent["ProgramArguments"][3].replace("Z", "+00:00"))
    at = at.astimezone()
    minute = {"Month": at.month, "Day": at.day, "Hour": at.hour, "Minute": at.minute}
    equal(agent["StartCalendarInterval"], minute, "when launchd starts it")
    check(abs(at.timestamp() - time.time() - 3 * 3600) < BOUND, f"in three hours: {at}")
    midnight = Timer(daily.name).plist()["StartCalendarInterval"]
    equal((midnight["Hour"], midnight["Minute"]), (0, 0), "each day")
    said = samocode("why", daily.name)
    check("every day at 00:00, next " in said, said)

    soon.reaches("waiting", "requirements")
    Timer(soon.name).gone()
    if STANDIN:
        # It was asleep at that time, and ten hours more: launchd starts the agent once.
        wait("the first look is over", lambda: timer.starts() == 1 and not timer.pid())
        launchctl("slept", str(13 * 3600))
        wait("it looks at the wake", lambda: timer.starts() == 2 and not timer.pid())
        # By the machine's own clock it is not time.
        equal(later.stands()[0], "queued", "its state")
        log_out()
        record = json.loads(read(timer.record))
        write(timer.record, json.dumps({**record, "next": "2026-01-01T00:00:00Z"}))
        log_in()
    else:
        samocode("start", later.name)
    later.reaches("waiting", "requirements")
    timer.gone()
    equal(len(later.journal("created")), 1, "it began once")
    said = samocode("stop", daily.name)
    check("no longer starts" in said, said)
    Timer(daily.name).gone()


def notices_that_quiet_hours_hold_back_are_looked_at():
    held = Front("held")
    check(held.at_login(), "it starts at login")
    folder = os.path.join(HOME, ".local/state/samocode/notices-held")
    if STANDIN:
        check("runs = 0" in held.job(), f"nothing is held back: {held.job()}")
        write(os.path.join(folder, "no-notice.json"), "{}")
        wait("it is looked at", lambda: "runs = 0" not in held.job())


def an_upgrade_reaches_running_and_resting_sessions():
    session = Session("life-upgrade")
    hold(session)
    session.enable()
    session.agent()
    worker = session.pid()
    shutil.copy(SAMOCODE, PROGRAM + ".new")
    os.rename(PROGRAM + ".new", PROGRAM)
    reload = subprocess.Popen(
        [PROGRAM, "reload", session.name], cwd=os.path.join(ROOT, "shop"),
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )
    time.sleep(0.2)
    release(session)
    said, _ = reload.communicate(timeout=BOUND)
    equal(reload.returncode, 0, said)
    ends = [entry["end"] for entry in session.journal("worker_ended")]
    equal(ends[0], "reloaded", "how the old worker ended")
    equal(session.journal("worker_started")[1]["pid"], worker, "the process")
    session.reaches("waiting", "requirements")

    # A program elsewhere: agents are written and loaded again.
    moved = os.path.join(ROOT, "newer/samocode")
    os.makedirs(os.path.dirname(moved))
    shutil.copy(SAMOCODE, moved)
    run(moved, "units", "install")
    with open(os.path.join(AGENTS, "dev.samocode.wake.plist"), "rb") as file:
        equal(plistlib.load(file)["ProgramArguments"][0], moved, "the waker's program")
    check(moved in launchctl("print", f"{DOMAIN}/dev.samocode.wake"), "launchd has loaded it")
    run(PROGRAM, "units", "install")


def a_worker_that_cannot_work_is_not_restarted_and_the_human_is_told():
    session = Session("life-broken")
    session.enable()
    session.reaches("waiting", "requirements")
    before = len(session.journal("worker_started"))
    project("SAMOCODE_STALL_AFTER=never\n")
    # It is killed after it has reported its end, and before it leaves the token.
    launchctl("setenv", "SAMOCODE_CRASH_AT", "1")
    failed = os.path.join(HOME, ".local/state/samocode/failed", session.name)
    status = os.path.join(HOME, f".local/state/samocode/launchd/status/{session.name}.json")
    launchctl("kickstart", session.target)
    wait("the worker has failed", lambda: json.loads(read(status) or "{}").get("exit") == 78)
    launchctl("unsetenv", "SAMOCODE_CRASH_AT")
    told = os.path.join(HOME, "Library/Logs/samocode/failed.log")
    wait("the agent that tells of it has run", lambda: os.path.exists(told))
    wait("it is not started again", lambda: "last exit code = 0" in session.job())
    wait("the human was told", lambda: not os.path.exists(failed))
    time.sleep(1.5)
    runs = [line for line in session.job().splitlines() if "runs =" in line]
    equal(session.pid(), None, "its process")
    time.sleep(1.5)
    equal([line for line in session.job().splitlines() if "runs =" in line], runs, "its starts")
    equal(len(session.journal("worker_started")), before, "workers that got as far as the journal")
    project("")
    said = samocode("status", session.name)
    check("failed" in said, said)
    said = samocode("why", session.name)
    check("SAMOCODE_STALL_AFTER" in said, said)
    samocode("start", session.name)
    samocode("answer", session.name, "--accept-suggestions")
    session.reaches("waiting", "planning")


def an_agent_that_somebody_disabled_is_named():
    session = Session("life-masked")
    session.enable()
    session.reaches("waiting", "requirements")
    samocode("stop", session.name)
    launchctl("disable", session.target)
    said = samocode("start", session.name, code=1)
    check(f"launchctl enable {session.target}" in said, said)
    launchctl("enable", session.target)
    samocode("start", session.name)
    session.reaches("waiting", "requirements")


def a_start_that_is_killed_anywhere_is_completed_by_the_next():
    session = Session("life-cut")
    hold(session)
    session.enable()
    # Only builds for tests can be killed at a point; others start at the first attempt.
    for point in range(1, 100):
        session.agent()
        samocode("stop", session.name, "--now")
        os.unlink(os.path.join(ROOT, f"at/{session.name}"))
        cut = subprocess.run(
            [PROGRAM, "start", session.name], cwd=os.path.join(ROOT, "shop"),
            env={**os.environ, "SAMOCODE_CRASH_AT": str(point)}, capture_output=True,
        )
        if cut.returncode != -signal.SIGKILL:
            equal(cut.returncode, 0, f"{cut.stdout}{cut.stderr}")
            break
        samocode("start", session.name)
        check(session.pid(), f"it runs after a kill at point {point}")
    check(point > 3 or not STANDIN, f"only {point - 1} points")
    session.agent()
    release(session)
    session.reaches("waiting", "requirements")


def starts_and_stops_at_the_same_time_end_in_one_worker_or_none():
    session = Session("life-crowd")
    hold(session)
    session.enable()
    session.agent()
    samocode("stop", session.name, "--now")

    def at_once(*verbs):
        running = [
            subprocess.Popen(
                [PROGRAM, *verb], cwd=os.path.join(ROOT, "shop"), stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            )
            for verb in verbs
        ]
        return [(process.communicate(timeout=BOUND)[0], process.returncode) for process in running]

    start, stop = ["start", session.name], ["stop", "--now", session.name]
    for said, code in at_once(start, start, start):
        equal(code, 0, said)
    equal(len(session.journal("worker_started")), 2, "workers")
    check(session.pid(), "it runs")
    at_once(stop, start, stop)
    # Whoever came last has their way, and what is shown agrees with what runs.
    wait("it has come to rest or runs", lambda: (session.stands()[0] == "stopped") == (not session.pid()))
    samocode("stop", session.name, "--now")
    equal((session.job(), session.stands()[0]), (None, "stopped"), "in the end")
    release(session)


def a_convoy_starts_stops_and_is_removed_as_one():
    one, two = Session("life-one"), Session("life-two")
    task = '[[session]]\nname = "{}"\ntask = "Greet people"\n'
    file = os.path.join(ROOT, "pair.toml")
    write(file, 'id = "life-pair"\n' + task.format(one.name) + task.format(two.name))
    samocode("convoy", "create", "--file", file)
    for session in (one, two):
        session.reaches("waiting", "requirements")
    own = os.path.join(HOME, ".local/state/samocode/launchd/convoys/life-pair.plist")
    with open(own, "rb") as file:
        equal(plistlib.load(file)["Members"], [one.name, two.name], "members")
    samocode("convoy", "stop", "life-pair")
    for session in (one, two):
        equal((session.job(), session.stands()[0]), (None, "stopped"), session.name)
    samocode("convoy", "start", "life-pair")
    for session in (one, two):
        session.reaches("waiting", "requirements")
    samocode("convoy", "remove", "life-pair")
    check(not os.path.exists(own), "its file is gone")


def answers(port):
    with socket.socket() as client:
        client.settimeout(5)
        return client.connect_ex(("127.0.0.1", port)) == 0


def the_web_page_and_the_bot_are_kept_up_until_they_are_removed():
    page, bot = Front("web"), Front("bot")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    samocode("web", "--install", "--port", str(port))
    wait("the page is served", lambda: answers(port))
    link = samocode("web", "--open")
    check(f"http://127.0.0.1:{port}/" in link, f"a link to it: {link}")
    check("http" not in read(page.log), "no link is in the log")
    pid = page.pid()
    os.kill(pid, signal.SIGKILL)
    wait("the page is served again", lambda: page.pid() not in (None, pid) and answers(port))
    samocode("web", "--remove")
    equal((page.job(), page.at_login(), answers(port)), (None, False, False), "the page")
    # The real launchd's user has no bot of these tests.
    if STANDIN:
        samocode("bot", "--install")
        wait("the bot runs", lambda: bot.pid())
        check(bot.at_login(), "it starts at login")
        samocode("bot", "--remove")
        equal((bot.job(), bot.at_login()), (None, False), "the bot")


def doctor_knows_what_differs():
    said = samocode("doctor", code=None)
    for word in ("launchd", "dev.samocode.wake", "keychain", "asleep", "every 10 s"):
        check(word in said, f"{word!r} is not in:\n{said}")
    for word in ("systemd", "journalctl", "loginctl", "cgroup"):
        check(word not in said, f"{word!r} is in:\n{said}")


def sessions_are_removed_and_leave_nothing():
    names = sorted(
        os.path.basename(path).split("session.")[1][: -len(".plist")]
        for path in glob.glob(os.path.join(AGENTS, "dev.samocode.session.life-*.plist"))
    )
    check(names, "there are sessions to remove")
    for name in names:
        samocode("remove", name, "--unfinished")
        equal(Session(name).job(), None, f"what launchd knows of {name}")
        left = glob.glob(os.path.join(HOME, f".local/state/samocode/launchd/*/*{name}*"))
        equal([path for path in left if "/locks/" not in path], [], f"what is left of {name}")
    equal(glob.glob(os.path.join(AGENTS, "dev.samocode.session.life-*")), [], "agents")


PLAYED = [
    a_session_is_worked_on_from_enable_to_done_with_both_gates,
    a_killed_worker_is_restarted_and_its_run_does_not_outlive_it,
    a_run_that_stalls_is_ended_by_the_timer_of_the_kernel,
    a_session_that_is_stopped_stays_stopped,
    a_logout_interrupts_and_a_login_resumes,
    a_session_begins_at_its_time_whatever_the_machine_did_meanwhile,
    notices_that_quiet_hours_hold_back_are_looked_at,
    an_upgrade_reaches_running_and_resting_sessions,
    a_worker_that_cannot_work_is_not_restarted_and_the_human_is_told,
    an_agent_that_somebody_disabled_is_named,
    a_start_that_is_killed_anywhere_is_completed_by_the_next,
    starts_and_stops_at_the_same_time_end_in_one_worker_or_none,
    a_convoy_starts_stops_and_is_removed_as_one,
    the_web_page_and_the_bot_are_kept_up_until_they_are_removed,
    doctor_knows_what_differs,
    sessions_are_removed_and_leave_nothing,
]


def report():
    print(launchctl("print", DOMAIN, code=None) if STANDIN else "", file=sys.stderr)
    print(samocode("status", code=None), file=sys.stderr)
    logs = glob.glob(os.path.join(HOME, "Library/Logs/samocode/**/*.log"), recursive=True)
    for path in sorted(logs) + [os.path.join(ROOT, "launchd.log")]:
        print(f"== {path}\n" + "".join(read(path).splitlines(keepends=True)[-15:]), file=sys.stderr)


def clean_up():
    for session in {path for path in glob.glob(os.path.join(ROOT, "shop-sessions/*-life-*"))}:
        name = os.path.basename(session)[9:]
        subprocess.run(
            [os.environ.get("SAMOCODE_LAUNCHCTL", LAUNCHCTL), "bootout", f"{DOMAIN}/dev.samocode.session.{name}"],
            capture_output=True,
        )
        for path in glob.glob(os.path.join(AGENTS, f"dev.samocode.session.{name}.plist")):
            os.unlink(path)
    if launchd and launchd.poll() is None:
        log_out()
    shutil.rmtree(ROOT, ignore_errors=True)


def main():
    chosen = os.environ.get("LIFE_ONLY", "")
    failures = 0
    try:
        prepare()
        log_in()
        for play in PLAYED:
            if chosen not in play.__name__:
                continue
            began = time.monotonic()
            try:
                play()
                print(f"ok: {play.__name__} ({time.monotonic() - began:.1f} s)", flush=True)
            except (AssertionError, subprocess.TimeoutExpired, OSError) as error:
                print(f"failed: {play.__name__}: {error}", flush=True)
                failures += 1
        if failures:
            report()
    finally:
        clean_up()
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
