//! Any agent that speaks the Agent Client Protocol, version 1, on its standard input and output:
//! `acp:PROGRAM ARGS`, as in `acp:qwen --acp`. <https://agentclientprotocol.com>
//!
//! A run is one dialogue: initialize, open a session or load the one to resume, one prompt, and its
//! result. The agent asks for permissions on the way and gets them; it works unattended.

mod dialogue;
mod errors;
mod wire;

use std::path::Path;

use super::event::Decoder;
use super::find::CHOICE;
use super::spec::{AgentSpec, Capabilities, ConversationId, Program};
use super::{Agent, Input, Launch, Task};
use crate::config::{AgentManifest, AgentName, Credentials, Reach, Settings, Variables};

const WORDS: AgentManifest = AgentManifest {
    name: "acp",
    takes_command: true,
    // It may be any program, with any credentials.
    reach: Reach::All,
    keys: &[],
    variables: Variables {
        // Of the programs that are known to speak it and have no folder of their own here.
        prefixes: &[
            "COPILOT_",
            "DASHSCOPE_",
            "GOOSE_",
            "KIMI_",
            "MOONSHOT_",
            "OPENCODE_",
            "OPENROUTER_",
            "QWEN_",
        ],
        // With these it may do more than talk to a model: no other program gets them.
        of_programs: &[("copilot", &["GH_TOKEN", "GITHUB_TOKEN"])],
        ..Variables::NONE
    },
    credentials: Credentials::NONE,
};

/// Programs with an interactive mode that knows the same conversations: the argument that makes them
/// speak the protocol instead, and the option that resumes one.
const INTERACTIVE: [(&str, &str, &str); 2] =
    [("opencode", "acp", "--session"), ("qwen", "--acp", "--resume")];

/// The agent `acp:PROGRAM ARGS`.
#[derive(Debug, Clone, Copy)]
pub struct Acp;

impl AgentSpec for Acp {
    fn manifest(&self) -> &'static AgentManifest {
        &WORDS
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            resumes: true,
            conversation: ConversationId::Agents,
            one_writer: true,
            // Agents differ: one cancels the turn, one joins the message to it, one queues it.
            live_input: false,
            reports_end: true,
            cost: false,
            limits: false,
            day_quota: true,
            max_turns: None,
            partial_messages: true,
            tells_version: false,
            wants_identity: false,
        }
    }

    fn program(&self, name: &AgentName, _settings: &Settings) -> Program {
        let program = name.command().map(|command| command.program.clone()).unwrap_or_default();
        Program::Named { program, key: CHOICE, before: "acp:" }
    }

    fn launch(&self, agent: &Agent, _task: &Task) -> Launch {
        let args = agent.name().command().map(|command| command.args.as_slice());
        Launch {
            program: agent.program().to_owned(),
            args: args.unwrap_or_default().iter().map(Into::into).collect(),
            input: Input::Feed(wire::initialize()),
            defaults: Vec::new(),
            files: Vec::new(),
        }
    }

    /// The protocol knows no terminal, but of some programs it is known how they resume there.
    fn interactive(&self, agent: &Agent, task: &Task) -> Option<Launch> {
        let name = agent.program().file_name()?.to_str()?;
        let (_, speaks, resumes) = INTERACTIVE.iter().find(|(known, ..)| *known == name)?;
        let words = agent.name().command().map(|command| command.args.as_slice());
        let words = words.unwrap_or_default().iter().map(String::as_str);
        let words = words.filter(|word| word != speaks).chain([*resumes, &task.conversation]);
        Some(Launch::on_terminal(agent, words.map(Into::into).collect()))
    }

    /// For reading a log: what the agent said, without anyone to reply.
    fn decoder(&self, working_dir: &Path) -> Box<dyn Decoder> {
        Box::new(dialogue::Dialogue::new(working_dir, &Task::default()))
    }

    fn driver(&self, task: &Task, working_dir: &Path) -> Box<dyn Decoder> {
        Box::new(dialogue::Dialogue::new(working_dir, task))
    }
}

#[cfg(test)]
mod tests {
    use crate::agent::registry::testing::agent_of;
    use crate::agent::{REGISTRY, Task};

    #[test]
    fn known_programs_resume_on_a_terminal_and_others_have_no_such_mode() {
        let folder = tempfile::tempdir().unwrap();
        let task = Task { resume: true, conversation: "ses_1".to_owned(), ..Task::default() };
        let args = |name: &str, args: &str| {
            let program = folder.path().join(name);
            crate::write_program(&program, "#!/bin/sh\n");
            let choice = format!("acp:{} {args}", program.display());
            agent_of(&REGISTRY, &choice, "").unwrap().interactive(&task).map(|launch| launch.args)
        };
        assert_eq!(args("opencode", "acp").unwrap(), ["--session", "ses_1"]);
        let qwen = args("qwen", "--acp --auth-type anthropic").unwrap();
        assert_eq!(qwen, ["--auth-type", "anthropic", "--resume", "ses_1"]);
        assert_eq!(args("goose", "acp"), None);
    }
}
