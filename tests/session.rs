//! A session as the tests handle it: its files are read, humans answer and
//! send mail.

use std::fs;

use serde_json::{Value, json};

use crate::lab::{LabUser, Project, secs};

/// How long a session may take to get somewhere on a machine that is busy.
pub(crate) const BOUND: std::time::Duration = secs(90);

/// An agent of `command:` that does what samocode asks, the same as the
/// scripted API has the real CLI do.
pub(crate) const OBEDIENT: &str = include_str!("lab/api/obedient.sh");

impl LabUser {
    /// Writes [`OBEDIENT`] as a program with lines put before its work, and
    /// gives the `SAMOCODE_AGENT` that runs it. What it was asked is kept in
    /// `~/asked/SESSION.RUN`.
    #[track_caller]
    pub(crate) fn obedient_agent(&self, first: &str) -> String {
        let keep = "mkdir -p ~/asked; cat >~/asked/$SAMOCODE_SESSION.$SAMOCODE_RUN\n";
        let work = OBEDIENT.replacen("set -eu\n", &format!("set -eu\n{keep}{first}\n"), 1);
        self.write_program("agent", work);
        format!("command:{}", self.home.join("agent").display())
    }

    /// `SAMOCODE_AGENT` for a program with these lines of shell.
    #[track_caller]
    pub(crate) fn shell_agent(&self, lines: &str) -> String {
        self.write_program("agent", format!("#!/bin/bash\n{lines}\n"));
        format!("command:{}", self.home.join("agent").display())
    }

    /// What the agents of [`LabUser::obedient_agent`] were asked in a run.
    #[track_caller]
    pub(crate) fn asked(&self, session: &str, run: &Value) -> String {
        self.read(format!("asked/{session}.{}", run["run"].as_str().expect("a run")))
    }
}

/// A session of a project.
pub(crate) struct Session<'p> {
    pub(crate) project: &'p Project<'p>,
    pub(crate) name: &'p str,
    pub(crate) instance: String,
}

impl<'u> Project<'u> {
    /// A session by its name, which is its instance too.
    pub(crate) fn named<'p>(&'p self, name: &'p str) -> Session<'p>
    where
        'u: 'p,
    {
        Session { project: self, name, instance: name.to_owned() }
    }

    /// A command of samocode in the project's folder.
    pub(crate) fn samocode<S: AsRef<str>>(
        &self,
        args: impl IntoIterator<Item = S>,
    ) -> crate::lab::LabCommand {
        self.user.samocode(args).cwd(&self.dir)
    }
}

impl<'p> Session<'p> {
    /// The same with an instance of another name.
    pub(crate) fn with_instance(self, instance: &str) -> Self {
        Self { instance: instance.to_owned(), ..self }
    }

    pub(crate) fn user(&self) -> &'p LabUser {
        self.project.user
    }

    /// Its unit.
    pub(crate) fn unit(&self) -> String {
        format!("samocode@{}.service", self.instance)
    }

    /// `enable` with these arguments, from the project's folder.
    #[track_caller]
    pub(crate) fn enable(&self, args: &[&str]) {
        self.project.samocode(["enable", self.name].iter().chain(args)).ok();
    }

    /// A file of the session.
    #[track_caller]
    pub(crate) fn file(&self, file: &str) -> String {
        self.project.session_file(self.name, file).unwrap_or_else(|| {
            panic!("no {file} of {}\n{}", self.name, self.user().diagnosis());
        })
    }

    /// The hook, null where there is none.
    pub(crate) fn hook(&self) -> Value {
        let hook = self.project.session_file(self.name, "_hook.json");
        hook.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or(Value::Null)
    }

    /// State and phase, as the hook has them.
    pub(crate) fn stands(&self) -> (String, String) {
        let hook = self.hook();
        let word = |key: &str| hook[key].as_str().unwrap_or_default().to_owned();
        (word("state"), word("phase"))
    }

    /// The reason for its state, from the hook.
    pub(crate) fn reason(&self) -> String {
        self.hook()["reason"].as_str().unwrap_or_default().to_owned()
    }

    /// The conversations of its runs, and whether each was resumed.
    pub(crate) fn conversations(&self) -> Vec<(String, bool)> {
        let of = |run: &Value| {
            let id = run["conversation"].as_str().unwrap_or_default().to_owned();
            (id, run["resume"].as_bool().unwrap_or_default())
        };
        self.journal("run_started").iter().map(of).collect()
    }

    /// The lines of `_journal.jsonl` of a kind; all kinds when it is empty.
    pub(crate) fn journal(&self, kind: &str) -> Vec<Value> {
        let lines = self.lines("_journal.jsonl");
        lines.into_iter().filter(|line| kind.is_empty() || line["kind"] == kind).collect()
    }

    /// Iteration, phase and status of each line of `_signal_history.jsonl`.
    pub(crate) fn history(&self) -> Vec<(u64, String, String)> {
        let word = |line: &Value, key: &str| line[key].as_str().unwrap_or_default().to_owned();
        self.lines("_signal_history.jsonl")
            .iter()
            .map(|line| {
                let iteration = line["iteration"].as_u64().unwrap_or_default();
                (iteration, word(line, "phase"), word(line, "status"))
            })
            .collect()
    }

    /// A file of JSON lines. A last line that is being written is left out.
    pub(crate) fn lines(&self, file: &str) -> Vec<Value> {
        let text = self.project.session_file(self.name, file).unwrap_or_default();
        text.split_inclusive('\n')
            .filter(|line| line.ends_with('\n'))
            .map(|line| {
                serde_json::from_str(line).unwrap_or_else(|e| panic!("{file}: {e}: {line}"))
            })
            .collect()
    }

    /// Waits until the session has this state and phase and its unit has ended.
    #[track_caller]
    pub(crate) fn wait_to_rest(&self, state: &str, phase: &str) {
        let what = format!("{} is {state} in {phase}, its unit inactive", self.name);
        self.user().wait_until(&what, BOUND, || {
            self.stands() == (state.to_owned(), phase.to_owned()) && !self.is_active()
        });
    }

    /// Waits until the hook has this state.
    #[track_caller]
    pub(crate) fn wait_for_state(&self, state: &str) {
        let what = format!("{} is {state}", self.name);
        self.user().wait_until(&what, BOUND, || self.stands().0 == state);
    }

    /// Whether the unit has a process, or is about to have one.
    #[track_caller]
    pub(crate) fn is_active(&self) -> bool {
        !matches!(self.active().as_str(), "inactive" | "failed")
    }

    /// `ActiveState` of the unit.
    #[track_caller]
    pub(crate) fn active(&self) -> String {
        self.user().unit_property(&self.unit(), "ActiveState")
    }

    /// The worker's process, as the lab numbers it.
    #[track_caller]
    pub(crate) fn worker(&self) -> String {
        self.user().unit_property(&self.unit(), "MainPID")
    }

    /// Takes every suggestion of `_qa.md`.
    #[track_caller]
    pub(crate) fn answer(&self) {
        self.project.samocode(["answer", &self.instance, "--accept-suggestions"]).ok();
    }

    /// Fills in the answers without notifying samocode.
    #[track_caller]
    pub(crate) fn answer_file(&self) {
        let path = self.project.session(self.name).expect("a session").join("_qa.md");
        let answered = self.user().read(&path).replace("_waiting_", "A");
        self.user().write(&path, answered);
    }

    /// Opens the gate.
    #[track_caller]
    pub(crate) fn approve(&self) {
        self.project.samocode(["approve", &self.instance]).ok();
    }

    /// Sends a message.
    #[track_caller]
    pub(crate) fn send(&self, text: &str) {
        self.project.samocode(["send", &self.instance, text]).ok();
    }

    /// Puts a message into the inbox as a verb would, without notifying the waker.
    #[track_caller]
    pub(crate) fn put_message(&self, kind: &str, body: &str) {
        let folder = self.project.session(self.name).expect("a session");
        let id = uuid::Uuid::now_v7().to_string();
        let message = json!({
            "id": id, "from": "human", "to": self.instance,
            "at": jiff::Timestamp::now(), "kind": kind, "body": body,
        });
        let words = format!(".local/state/samocode/words/{}/{id}.json", self.instance);
        let voucher = json!({ "from": "human", "kind": kind, "body": body, "by": "a test" });
        self.user().write(&words, voucher.to_string());
        let aside = folder.join(format!(".{id}"));
        self.user().write(&aside, message.to_string());
        let inbox = folder.join("_inbox").join(format!("{id}.json"));
        let (from, to) = (self.user().host_path(&aside), self.user().host_path(&inbox));
        fs::rename(from, to).unwrap_or_else(|e| panic!("{}: {e}", inbox.display()));
    }

    /// Waits until every token was taken and acted upon.
    #[track_caller]
    pub(crate) fn wait_for_waker(&self) {
        let user = self.user();
        let spool = user.host_path(".local/state/samocode/wake");
        user.wait_until("the waker has done its work", BOUND, || {
            let empty = fs::read_dir(&spool).is_ok_and(|mut entries| entries.next().is_none());
            empty && user.unit_property("samocode-wake.service", "ActiveState") == "inactive"
        });
    }

    /// Takes a session that the obedient agent plays from its first gate to its end.
    #[track_caller]
    pub(crate) fn through_the_gates(&self) {
        self.wait_to_rest("waiting", "requirements");
        self.answer();
        self.wait_to_rest("waiting", "planning");
        self.approve();
        self.wait_to_rest("done", "done");
    }
}

/// The signals of a session that runs straight through, with a wait at both gates.
pub(crate) fn straight_through() -> Vec<(u64, String, String)> {
    [
        ("investigation", "continue"),
        ("requirements", "waiting"),
        ("requirements", "continue"),
        ("planning", "waiting"),
        ("planning", "continue"),
        ("implementation", "continue"),
        ("testing", "continue"),
        ("quality", "continue"),
        ("done", "done"),
    ]
    .into_iter()
    .zip(1..)
    .map(|((phase, status), iteration)| (iteration, phase.to_owned(), status.to_owned()))
    .collect()
}
