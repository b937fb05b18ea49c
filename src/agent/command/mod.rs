//! Any program that honours the file contract, as an agent.
//!
//! It gets system prompt and prompt as text on its standard input, then the end of the file; the
//! session by `SAMOCODE_SESSION_DIR` and the other variables; the worktree as its current folder.
//! It leaves `_signal.json`. Every line it prints is a sign of life; a line that is JSON with the
//! key `event` is read as one of our [`Event`]s. It need not print anything.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::event::{Decoder, Event, MAX_TEXT, cut, fingerprint, one_line};
use super::{Agent, AgentError, Input, Launch, Task};

/// The agent `command:PROGRAM ARGS`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    program: PathBuf,
    args: Vec<OsString>,
}

impl Command {
    /// Reads a command line: words parted by white space, with quotes and backslashes as in a
    /// shell, and nothing else of a shell.
    ///
    /// # Errors
    /// [`AgentError::BadCommand`] for an open quote, no program, and a relative path, which would
    /// mean another file in every worktree.
    pub fn parse(line: &str) -> Result<Self, AgentError> {
        let bad = |why| AgentError::BadCommand(format!("command:{line}"), why);
        let mut words = shlex::split(line).ok_or_else(|| bad("a quote is not closed"))?.into_iter();
        let program = words.next().filter(|word| !word.is_empty());
        let program = PathBuf::from(program.ok_or_else(|| bad("it names no program"))?);
        if program.is_relative() && program.components().count() > 1 {
            return Err(bad("the program's path is relative; give it from / on"));
        }
        Ok(Self { program, args: words.map(OsString::from).collect() })
    }
}

impl Agent for Command {
    fn name(&self) -> &'static str {
        "command"
    }

    fn program(&self) -> &Path {
        &self.program
    }

    fn launch(&self, task: &Task) -> Launch {
        Launch {
            program: self.program.clone(),
            args: self.args.clone(),
            input: Input::Text(whole_prompt(task).into_bytes()),
            defaults: Vec::new(),
        }
    }

    fn decoder(&self, _working_dir: &Path) -> Box<dyn Decoder> {
        Box::new(Lines)
    }

    fn resumes(&self) -> bool {
        false
    }

    fn message(&self, _text: &str) -> Option<Vec<u8>> {
        None
    }

    fn reports_end(&self) -> bool {
        false
    }
}

/// System prompt and prompt in one text, for agents that know no difference.
pub(super) fn whole_prompt(task: &Task) -> String {
    if task.system_prompt.is_empty() {
        return task.prompt.clone();
    }
    format!("{}\n\n{}", task.system_prompt.trim_end(), task.prompt)
}

/// Reads lines of which some may be our own events.
#[derive(Debug, Clone, Copy, Default)]
pub struct Lines;

impl Decoder for Lines {
    fn line(&mut self, line: &[u8], emit: &mut dyn FnMut(Event)) {
        let line = line.trim_ascii();
        // Most JSON that agents print is not ours; to look for the key is cheaper than to parse.
        let is_ours = line.starts_with(b"{") && memchr::memmem::find(line, b"\"event\"").is_some();
        let told = is_ours.then(|| serde_json::from_slice::<Event>(line).ok());
        emit(told.flatten().map_or(Event::Progress, bounded));
    }
}

/// The event with its texts cut, since they are held in memory and shown in one line.
fn bounded(event: Event) -> Event {
    match event {
        Event::Text { text } => Event::Text { text: cut(&text, MAX_TEXT).to_owned() },
        Event::Tool(mut tool) => {
            if tool.fingerprint == 0 {
                tool.fingerprint = fingerprint(&tool.name, tool.summary.as_bytes());
            }
            tool.name = one_line(&tool.name, 80);
            tool.summary = one_line(&tool.summary, 80);
            Event::Tool(tool)
        }
        Event::Finished(mut finished) => {
            finished.text.truncate(cut(&finished.text, MAX_TEXT).len());
            Event::Finished(finished)
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_is_split_as_in_a_shell() {
        let command = Command::parse(r#" /bin/sh -c 'echo "a b"' x\ y "q\"q" '' "#).unwrap();
        assert_eq!(command.program, Path::new("/bin/sh"));
        assert_eq!(command.args, ["-c", "echo \"a b\"", "x y", "q\"q", ""]);
    }

    #[test]
    fn open_quotes_and_relative_paths_are_refused_with_the_reason() {
        for (line, why) in [
            ("sh -c 'x", "a quote is not closed"),
            ("  ", "it names no program"),
            ("''", "it names no program"),
            ("./agent.sh", "relative"),
        ] {
            let told = Command::parse(line).unwrap_err().to_string();
            assert!(told.contains(why), "{told}");
        }
    }

    #[test]
    fn the_prompt_comes_whole_on_standard_input() {
        let task =
            Task { system_prompt: "Rules.\n".into(), prompt: "Do it.".into(), ..Task::default() };
        let launch = Command::parse("agent").unwrap().launch(&task);
        assert_eq!(launch.input, Input::Text(b"Rules.\n\nDo it.".to_vec()));
    }

    #[test]
    fn lines_of_our_own_events_are_read_and_all_others_are_signs_of_life() {
        let mut events = Vec::new();
        for line in [
            r#"{"event":"tool","name":"git","summary":"running\ngit commit"}"#,
            r#"{"event":"dance"}"#,
            "compiling…",
            r#"{"event":"finished","is_error":true,"text":"no"}"#,
        ] {
            Lines.line(line.as_bytes(), &mut |event| events.push(event));
        }
        assert!(
            matches!(&events[0], Event::Tool(t) if t.summary == "running git commit" && t.fingerprint != 0)
        );
        assert_eq!(events[1..3], [Event::Progress, Event::Progress]);
        assert!(matches!(&events[3], Event::Finished(f) if f.is_error && f.text == "no"));
    }
}
