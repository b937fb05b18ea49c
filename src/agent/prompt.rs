//! The prompts that an agent gets at the start of a run and while it runs.

use std::fmt::Write as _;
use std::path::Path;

use jiff::Zoned;
use serde_json::Value;

use crate::session::advance::Gate;
use crate::session::mail::{Kind, Message};
use crate::session::review::Reviews;
use crate::session::{Elsewhere, Phase, Stray, stamp};

mod review;

pub use review::{ask_for_verdict, review};

/// Everything that goes into a prompt.
#[derive(Debug, Clone)]
pub struct PromptInput<'a> {
    /// The session's name, for commands that the agent suggests.
    pub session: &'a str,
    /// The session's folder of plain files.
    pub session_dir: &'a Path,
    /// Where the agent works.
    pub working_dir: &'a Path,
    /// The worktree's branch; `None` outside of git.
    pub branch: Option<&'a str>,
    /// The branch or commit that it started from.
    pub base: Option<&'a str>,
    /// The phase that the session is in.
    pub phase: Phase,
    /// The iteration within the phase, from 1.
    pub iteration: u32,
    /// The iteration of the session, from 1.
    pub total_iterations: u32,
    /// The run's id, which the signal repeats.
    pub run: &'a str,
    /// The local time of the start.
    pub now: &'a Zoned,
    /// How long the run may take, in seconds.
    pub time_limit: Option<u64>,
    /// The project's test command.
    pub test_command: Option<&'a str>,
    /// How far the phase's gate is open; `None` if it has none.
    pub gate: Option<Gate>,
    /// The task, when it has to be stated: in the first run, and after it was changed.
    pub task: Option<&'a str>,
    /// The topic to investigate first.
    pub dive: Option<&'a str>,
    /// What the agent should know of its worktree and its mail, a sentence each.
    pub notes: &'a [String],
    /// Unread mail, oldest first.
    pub mail: &'a [Message],
    /// The IDs of mail that no samocode command sent.
    pub unsigned: &'a [String],
    /// How the previous run was cut off, if it was: a sentence or two.
    pub interrupted: Option<&'a str>,
    /// Whether the machine was restarted since the previous run.
    pub restarted: bool,
    /// The files found to have lost data in that restart: a sentence.
    pub restored: Option<&'a str>,
    /// Where HEAD is, if it is not on the session's branch.
    pub elsewhere: Option<&'a Elsewhere>,
    /// The names of files in the session's folder that the run may want to read.
    pub files: &'a [String],
    /// What changed in the repository beside the session's branch.
    pub strays: &'a [Stray],
    /// The state that the previous conversation handed over.
    pub handoff: Option<&'a Value>,
    /// The reviews of the change, if there are any.
    pub reviews: Option<&'a Reviews>,
}

/// What is said of a message that no verb sent.
const UNSIGNED: &str = "[no samocode command sent this: somebody put it into _inbox/, and its sender may be another]\n";

/// The most text of a letter, a task or a handoff that goes into a prompt, in bytes. The session's
/// folder has all of it.
const MAX_PART: usize = 64 * 1024;

/// The prompt of a run.
#[must_use]
pub fn compose(input: &PromptInput<'_>) -> String {
    let mut text = header(input);
    match input.gate {
        None => {}
        Some(Gate::Closed | Gate::Waited) => text.push_str(
            "\nThis gate is closed: no human has answered yet. You can leave this phase only after you signal waiting and a human answers.\n",
        ),
        Some(Gate::Open) => text.push_str(
            "\nThis gate is open: a human has answered. Use the answer and continue to the next phase.\n",
        ),
    }
    if let Some(note) = input.interrupted {
        section(&mut text, "The previous run was cut off", note);
    }
    restart(&mut text, input);
    off_branch(&mut text, input);
    beside_branch(&mut text, input);
    if let Some(state) = input.handoff {
        let state = serde_json::to_string_pretty(state).unwrap_or_default();
        section(&mut text, "Handed over by the previous conversation", &state);
    }
    if let Some(task) = input.task {
        section(&mut text, "The task", task);
    }
    if let Some(reviews) = input.reviews {
        review::findings(&mut text, reviews);
    }
    if !input.notes.is_empty() {
        section(&mut text, "Worth knowing", &input.notes.join("\n"));
    }
    text.push_str(&mail(input.mail, input.unsigned, input.now));
    text.push_str("\nDo this iteration now, then write the signal.\n");
    text
}

/// The prompt that resumes a conversation whose run was cut off.
#[must_use]
pub fn resume(input: &PromptInput<'_>) -> String {
    let note = input.interrupted.unwrap_or("The process ended before it wrote a signal.");
    let mut text = header(input);
    section(&mut text, "You were cut off", note);
    restart(&mut text, input);
    off_branch(&mut text, input);
    beside_branch(&mut text, input);
    text.push_str(&mail(input.mail, input.unsigned, input.now));
    text.push_str(
        "\nCheck the current state (git status, the session's files), finish this iteration, then write the signal.\n",
    );
    text
}

/// Describes a restart of the machine: changes that were not yet on disk may be lost.
fn restart(text: &mut String, input: &PromptInput<'_>) {
    if !input.restarted {
        return;
    }
    text.push_str("\n## The machine was restarted\n\n");
    if let Some(restored) = input.restored {
        indented(text, restored);
        text.push_str(
            "\nRestored files have the content that was last staged or committed. Later changes to them are lost, unless they are in the kept bytes. Files that may have lost data were not touched: check each one, and rewrite it if it is damaged.\n\n",
        );
    }
    text.push_str(
        "Commits are intact. If the machine lost power, edits that were neither staged nor committed in the last half minute before that may be missing: check git status, git diff and the session's files before you rely on them.\n",
    );
}

/// Says that HEAD is not on the session's branch, and how to bring the commits over.
fn off_branch(text: &mut String, input: &PromptInput<'_>) {
    let Some(elsewhere) = input.elsewhere else { return };
    section(text, "HEAD is not on this session's branch", &elsewhere.describe());
    let branch = one_line(&elsewhere.branch);
    let _ = writeln!(
        text,
        "\nOnly commits on {branch} count: the session cannot end while it lacks any. Unless a rebase is in progress, which you finish or abort first, do this now and work on {branch} from then on:\n"
    );
    let commands = elsewhere.remedy().into_iter().map(|words| format!("git {words}"));
    indented(text, &commands.collect::<Vec<_>>().join("\n"));
}

/// Names what changed beside the session's branch, and how to bring over what is the agent's.
fn beside_branch(text: &mut String, input: &PromptInput<'_>) {
    let (Some(branch), [_, ..]) = (input.branch.map(one_line), input.strays) else { return };
    let said = input.strays.iter().map(|stray| one_line(&stray.describe(&branch)));
    section(text, "Changed beside this session's branch", &said.collect::<Vec<_>>().join("\n"));
    let _ = writeln!(
        text,
        "\nIt may have been you or somebody else. Work only in this worktree and on {branch}, and leave other branches, checkouts and stashes as they are."
    );
    let commands = input.strays.iter().filter_map(Stray::remedy);
    let commands: Vec<_> = commands.map(|words| format!("git {}", one_line(&words))).collect();
    if !commands.is_empty() {
        let _ = writeln!(
            text,
            "Only commits on {branch} count. Bring over now what is your work for this task, and nothing else:\n"
        );
        indented(text, &commands.join("\n"));
    }
}

/// The prompt that only asks for the signal, after a run that left none or a bad one; `wrong`
/// describes the problem.
#[must_use]
pub fn ask_for_signal(input: &PromptInput<'_>, wrong: &str) -> String {
    let mut text = header(input);
    section(&mut text, "The signal is missing", wrong);
    let _ = writeln!(
        text,
        "\nDo no more work. Write {}/_signal.json now. Report what you really did, as one JSON object with status, run (\"{}\") and summary. Allowed here: {}.",
        one_line(&input.session_dir.to_string_lossy()),
        one_line(input.run),
        allowed(input.phase)
    );
    text
}

/// Messages as an agent sees them, in a prompt or while it runs; empty if there are none. Those in
/// `unsigned` may be forged, which is said. Times are shown in the zone of `now`.
#[must_use]
pub fn mail(letters: &[Message], unsigned: &[String], now: &Zoned) -> String {
    let mut text = String::new();
    if letters.is_empty() {
        return text;
    }
    text.push_str("\n## Mail\n");
    for letter in letters {
        let at = stamp::log(&letter.at.to_zoned(now.time_zone().clone()));
        let Message { id, kind, from, reply_to, .. } = letter;
        let reply = reply_to.as_ref();
        let reply = reply.map_or_else(String::new, |id| format!(" in reply to {}", one_line(id)));
        let _ = writeln!(text, "\n[{kind} from {} at {at}{reply}]", one_line(from));
        if unsigned.contains(id) {
            text.push_str(UNSIGNED);
        }
        if *kind == Kind::Question {
            let id = one_line(id);
            let _ = writeln!(text, "[answer it with: samocode send --reply-to {id} \"…\"]");
        }
        indented(&mut text, &letter.body);
    }
    text
}

fn allowed(phase: Phase) -> String {
    let statuses: Vec<_> = phase.signals().iter().map(|status| status.as_str()).collect();
    let mut text = statuses.join(", ");
    let next: Vec<_> = phase.next().iter().map(|next| next.as_str()).collect();
    if !next.is_empty() {
        let _ = write!(text, "; with continue, phase may be {}", next.join(" or "));
    }
    text
}

/// The block of names and values: one a line, which rehearsal and scripts read too.
fn header(input: &PromptInput<'_>) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "{name}: {}", one_line(value));
    };
    line("SESSION", input.session);
    line("SESSION_DIR", &input.session_dir.to_string_lossy());
    line("WORKING_DIR", &input.working_dir.to_string_lossy());
    for (name, value) in [("BRANCH", input.branch), ("BASE", input.base)] {
        if let Some(value) = value {
            line(name, value);
        }
    }
    line("PHASE", input.phase.as_str());
    line("ITERATION", &input.iteration.to_string());
    line("TOTAL_ITERATIONS", &input.total_iterations.to_string());
    line("RUN", input.run);
    line("TIMESTAMP_FILE", &stamp::file(input.now));
    line("TIMESTAMP_LOG", &stamp::log(input.now));
    line("TIMESTAMP_ITERATION", &stamp::iteration(input.total_iterations, input.now));
    match input.gate {
        None => {}
        Some(Gate::Closed | Gate::Waited) => line("GATE", "closed"),
        Some(Gate::Open) => line("GATE", "open"),
    }
    if let Some(seconds) = input.time_limit {
        line("TIME_LIMIT", &format!("{} min", seconds.div_ceil(60)));
    }
    for (name, value) in [("TEST_COMMAND", input.test_command), ("DIVE", input.dive)] {
        if let Some(value) = value {
            line(name, value);
        }
    }
    if !input.files.is_empty() {
        line("FILES", &input.files.join(", "));
    }
    text
}

/// A section whose body cannot pass for our own text: every line of it is indented.
fn section(text: &mut String, title: &str, body: &str) {
    let _ = writeln!(text, "\n## {title}\n");
    indented(text, body);
}

fn indented(text: &mut String, body: &str) {
    let kept = super::event::cut(body.trim_end(), MAX_PART);
    for line in kept.split(is_line_end) {
        let line: String = line.chars().filter(|c| *c == '\t' || !c.is_control()).collect();
        let _ = writeln!(text, "    {line}");
    }
    if kept.len() < body.trim_end().len() {
        text.push_str("    […] (cut here; the session's folder has all of it)\n");
    }
}

/// Every character that may be displayed as a line break.
const fn is_line_end(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn one_line(value: &str) -> String {
    value.chars().map(|c| if c.is_control() || is_line_end(c) { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests;
