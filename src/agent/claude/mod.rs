//! Claude Code, headless: <https://code.claude.com/docs/en/headless>. Flags and events as measured
//! with 2.1.329 and 2.1.197.

pub mod decode;
mod excerpt;
pub mod summary;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use serde_json::json;

use super::event::Decoder;
use super::process::MAX_ARGUMENT;
use super::{Agent, AgentError, Environment, Input, Launch, Task, process, variable};

/// The agent `claude`.
#[derive(Debug, Clone)]
pub struct Claude {
    program: PathBuf,
}

impl Claude {
    /// Claude Code by its path or its name on PATH.
    #[must_use]
    pub const fn new(program: PathBuf) -> Self {
        Self { program }
    }
}

#[async_trait]
impl Agent for Claude {
    fn name(&self) -> &'static str {
        "claude"
    }

    fn program(&self) -> &Path {
        &self.program
    }

    fn launch(&self, task: &Task) -> Launch {
        let mut args: Vec<OsString> = Vec::new();
        let mut add = |words: &[&str]| args.extend(words.iter().map(OsString::from));
        // stream-json is refused without --verbose.
        add(&[
            "-p",
            "--output-format",
            "stream-json",
            "--verbose",
            "--dangerously-skip-permissions",
        ]);
        if let Some(model) = &task.model {
            add(&["--model", model]);
        }
        if let Some(turns) = task.max_turns {
            add(&["--max-turns", &turns.to_string()]);
        }
        if let Some(dollars) = task.max_budget_usd {
            add(&["--max-budget-usd", &dollars.to_string()]);
        }
        add(&[if task.resume { "--resume" } else { "--session-id" }, &task.conversation]);
        let mut prompt = task.prompt.clone();
        if task.system_prompt.len() < MAX_ARGUMENT {
            if !task.system_prompt.is_empty() {
                add(&["--append-system-prompt", &task.system_prompt]);
            }
        } else if !task.resume {
            // What does not fit into an argument is said first; a conversation remembers it.
            prompt = super::command::whole_prompt(task);
        }
        let input = if task.live_input {
            add(&["--input-format", "stream-json"]);
            Input::Feed(user_message(&prompt))
        } else {
            // As text on stdin a prompt may be of any length and begin with a hyphen.
            Input::Text(prompt.into_bytes())
        };
        Launch {
            program: self.program.clone(),
            args,
            input,
            // A run ends when the agent says so: tasks left behind would only be killed.
            defaults: vec![("CLAUDE_CODE_DISABLE_BACKGROUND_TASKS", "1")],
        }
    }

    fn decoder(&self, working_dir: &Path) -> Box<dyn Decoder> {
        Box::new(decode::ClaudeDecoder::new(working_dir.to_string_lossy().into_owned()))
    }

    fn resumes(&self) -> bool {
        true
    }

    fn message(&self, text: &str) -> Option<Vec<u8>> {
        Some(user_message(text))
    }

    fn reports_end(&self) -> bool {
        true
    }

    fn ready(&self, root: bool, environment: &Environment) -> Result<PathBuf, AgentError> {
        if root && variable(environment, "IS_SANDBOX").is_none_or(|value| value != "1") {
            return Err(AgentError::Root("claude"));
        }
        Ok(process::find_program(&self.program, variable(environment, "PATH"))?)
    }
}

/// A line of the input stream that carries a user's message.
fn user_message(text: &str) -> Vec<u8> {
    let message = json!({"type": "user", "message": {"role": "user", "content": text}});
    let mut line = message.to_string().into_bytes();
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task() -> Task {
        Task {
            conversation: "7d9f".into(),
            prompt: "-p is no flag\nhere".into(),
            system_prompt: "Rules.".into(),
            model: Some("opus".into()),
            max_turns: Some(300),
            max_budget_usd: Some(1.5),
            live_input: true,
            ..Task::default()
        }
    }

    fn launch(task: &Task) -> (String, Input) {
        let launch = Claude::new("claude".into()).launch(task);
        let args: Vec<_> = launch.args.iter().map(|arg| arg.to_str().unwrap()).collect();
        (args.join(" "), launch.input)
    }

    #[test]
    fn a_first_run_chooses_its_conversation_and_is_fed() {
        let (args, input) = launch(&task());
        assert_eq!(
            args,
            "-p --output-format stream-json --verbose --dangerously-skip-permissions --model opus --max-turns 300 --max-budget-usd 1.5 --session-id 7d9f --append-system-prompt Rules. --input-format stream-json"
        );
        let Input::Feed(line) = input else { panic!("{input:?}") };
        assert_eq!(line.last(), Some(&b'\n'));
        assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
        let message: serde_json::Value = serde_json::from_slice(&line).unwrap();
        assert_eq!(message["message"]["content"], "-p is no flag\nhere");
    }

    #[test]
    fn a_resumed_run_names_the_conversation_and_no_new_one() {
        let (args, input) = launch(&Task { resume: true, live_input: false, ..task() });
        assert!(args.contains("--resume 7d9f") && !args.contains("--session-id"));
        assert_eq!(input, Input::Text(b"-p is no flag\nhere".to_vec()));
    }

    #[test]
    fn a_system_prompt_too_long_for_an_argument_is_said_first() {
        let long = "x".repeat(MAX_ARGUMENT);
        let (args, input) = launch(&Task { system_prompt: long, live_input: false, ..task() });
        assert!(args.len() < 1000);
        let Input::Text(text) = input else { panic!("{input:?}") };
        assert!(text.starts_with(b"xxx") && text.ends_with(b"here"));
    }

    #[test]
    fn root_is_refused_unless_it_is_a_sandbox() {
        let claude = Claude::new("/bin/sh".into());
        let told = claude.ready(true, &Vec::new()).unwrap_err().to_string();
        assert!(told.contains("IS_SANDBOX=1") && told.contains("--run-as"), "{told}");
        assert!(claude.ready(true, &vec![("IS_SANDBOX".into(), "1".into())]).is_ok());
        assert!(claude.ready(false, &Vec::new()).is_ok());
    }
}
