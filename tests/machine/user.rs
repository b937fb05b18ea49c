//! The machine's user, their project and its sessions.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::shell::Output;
use super::{BOUND, Machine};
use crate::lab::quoted;

/// Becomes the user, with a login's environment.
const AS_DEV: &str = "exec setpriv --reuid=1900 --regid=1900 --init-groups \
    env -i -C /home/dev HOME=/home/dev USER=dev LOGNAME=dev SHELL=/bin/bash LANG=C.UTF-8 \
    PATH=/usr/local/bin:/usr/bin:/bin XDG_RUNTIME_DIR=/run/user/1900 bash -c ";

impl Machine {
    /// A line of shell as the user, bounded to a minute.
    #[track_caller]
    pub(crate) fn dev(&self, line: &str) -> Output {
        self.root(&format!("{AS_DEV}{}", quoted(line)))
    }

    /// Makes `~/NAME` a repository with a `.samocode` of the required keys and
    /// these lines more.
    #[track_caller]
    pub(crate) fn project(&self, name: &str, keys: &str) {
        self.dev(&format!(
            "set -eu; git config --global user.name Dev; git config --global user.email dev@lab
             git init -q -b main {name}; cd {name}; echo .samocode >.git/info/exclude
             echo 'A small shop.' >README.md; git add .; git commit -qm Begin
             printf 'MAIN_REPO=%s\\nWORKTREES=%s-worktrees\\nSESSIONS=%s-sessions\\nSAMOCODE_CONFINE=off\\n' \
                 \"$PWD\" \"$PWD\" \"$PWD\" >.samocode
             printf %s {} >>.samocode",
            quoted(keys)
        ))
        .ok();
    }

    /// Writes `~/NAME`, a program of these lines of shell; the `SAMOCODE_AGENT`
    /// that runs it.
    #[track_caller]
    pub(crate) fn agent(&self, name: &str, lines: &str) -> String {
        let program = quoted(&format!("#!/bin/bash\n{lines}\n"));
        self.dev(&format!("printf %s {program} >{name} && chmod +x {name}")).ok();
        format!("command:/home/dev/{name}")
    }

    /// Makes the rehearsal take its time, until the next boot.
    #[track_caller]
    pub(crate) fn slow_rehearsals(&self) {
        let set = "systemctl --user set-environment SAMOCODE_REHEARSAL_PACE=700";
        self.wait_until("the user's manager runs", || self.dev(set).code == 0);
    }

    /// A session of the project of the same name, enabled.
    #[track_caller]
    pub(crate) fn enable(&self, name: &'static str) -> Session<'_> {
        self.dev(&format!("cd {name} && samocode enable {name} --task 'Build a kite'")).ok();
        Session { machine: self, name }
    }

    /// Waits for a condition; fails the test with a diagnosis when it does not
    /// hold in time.
    #[track_caller]
    pub(crate) fn wait_until(&self, what: &str, mut is_so: impl FnMut() -> bool) {
        let end = Instant::now() + BOUND;
        while !is_so() {
            assert!(Instant::now() < end, "not within {BOUND:?}: {what}\n{}", self.diagnosis());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Diagnostics that a developer would look at first.
    pub(crate) fn diagnosis(&self) -> String {
        let look = "systemctl --user --no-pager status --all --lines=0 'samocode*'
            journalctl --user --no-pager --quiet --lines=60
            for session in ~/*-sessions/*/; do
                echo \"== $session\"; ls -la \"$session\"; cat \"$session/_hook.json\"
                tail -n 30 \"$session/_journal.jsonl\" | cut -c -600
            done";
        self.dev(look).to_string()
    }
}

/// A session of the user's; project and session have one name.
pub(crate) struct Session<'m> {
    machine: &'m Machine,
    pub(crate) name: &'static str,
}

impl Session<'_> {
    /// A line of shell in the session's folder; its stdout.
    #[track_caller]
    pub(crate) fn sh(&self, line: &str) -> String {
        self.machine.dev(&format!("cd ~/{0}-sessions/*-{0} && {line}", self.name)).stdout
    }

    /// A command of samocode in the project's folder.
    #[track_caller]
    pub(crate) fn samocode(&self, args: &str) -> Output {
        self.machine.dev(&format!("cd {} && samocode {args}", self.name))
    }

    /// The hook, null where there is none.
    #[track_caller]
    pub(crate) fn hook(&self) -> Value {
        serde_json::from_str(&self.sh("cat _hook.json")).unwrap_or(Value::Null)
    }

    /// The reason for its state, from the hook.
    #[track_caller]
    pub(crate) fn reason(&self) -> String {
        self.hook()["reason"].as_str().unwrap_or_default().to_owned()
    }

    /// The lines of `_journal.jsonl` of a kind; all kinds when it is empty. A
    /// last line that is being written is left out.
    #[track_caller]
    pub(crate) fn journal(&self, kind: &str) -> Vec<Value> {
        self.sh("cat _journal.jsonl")
            .split_inclusive('\n')
            .filter(|line| line.ends_with('\n'))
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
            .filter(|line: &Value| kind.is_empty() || line["kind"] == kind)
            .collect()
    }

    /// A property of its unit.
    #[track_caller]
    pub(crate) fn unit(&self, property: &str) -> String {
        let unit = format!("samocode@{}.service", self.name);
        let show = format!("systemctl --user show --value --property={property} {unit}");
        self.machine.dev(&show).ok().stdout.trim().to_owned()
    }

    /// Waits until the session has this state and phase and its unit has ended.
    #[track_caller]
    pub(crate) fn wait_to_rest(&self, state: &str, phase: &str) {
        self.machine.wait_until(&format!("{} is {state} in {phase}", self.name), || {
            let hook = self.hook();
            hook["state"] == state
                && hook["phase"] == phase
                && matches!(self.unit("ActiveState").as_str(), "inactive" | "failed")
        });
    }

    /// Waits until the session is in a phase.
    #[track_caller]
    pub(crate) fn wait_for_phase(&self, phase: &str) {
        let what = format!("{} is in {phase}", self.name);
        self.machine.wait_until(&what, || self.hook()["phase"] == phase);
    }
}
