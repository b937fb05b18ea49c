//! Codex, headless: `codex exec --json`. Flags, events and files as measured with 0.171.0.
//!
//! `exec` was chosen over `codex app-server` after both were measured. They cost the same: a trivial run
//! takes 0.30 s and 109 MB, and 0.33 s and 111 MB; both resume after SIGKILL, and leave tools to the
//! cgroup. The server has more: a message reaches the model with its next request (`turn/steer`), and
//! limits come as they change. But its own help calls it experimental, and its 85 methods are
//! those of an editor's back end, so an update may stop every run. What `exec` does not print, such as
//! the class of an error, is in the conversation's own file: see [`rollout`]. Mail waits for the next run.

mod decode;
mod native;
mod rollout;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::event::Decoder;
use super::exam::{About, Exam, Finding, Status};
use super::outcome::{Facts, Outcome, judge};
use super::process::MAX_ARGUMENT;
use super::spec::{AgentSpec, Capabilities, ConversationId, Login, Program, Records};
use super::{Agent, Input, Launch, Task, variable};
use crate::config::keys::{Key, Kind, key};
use crate::config::{AgentManifest, AgentName, Credentials, Reach, Settings, Variables};

const PATH: &str = "CODEX_PATH";
const MODEL: &str = "CODEX_MODEL";
const EFFORT: &str = "CODEX_EFFORT";

const KEYS: &[Key] = &[
    key(PATH, "codex", Kind::Program, "the Codex program"),
    key(MODEL, "none", Kind::Text, "the model for Codex, if not its own default").by_phase(),
    key(EFFORT, "none", Kind::Text, "how hard Codex's model thinks: low, medium, high").by_phase(),
];

const WORDS: AgentManifest = AgentManifest {
    name: "codex",
    takes_command: false,
    reach: Reach::Own,
    keys: KEYS,
    variables: Variables {
        prefixes: &["OPENAI_", "CODEX_"],
        routes: &["OPENAI_"],
        places: &["CODEX_HOME"],
        of_parent: &[
            "CODEX_CI",
            "CODEX_SESSION_ID",
            "CODEX_THREAD_ID",
            "CODEX_TOOL_CALL_ID",
            "CODEX_SANDBOX",
            "CODEX_SANDBOX_NETWORK_DISABLED",
            "CODEX_VERSION",
            "CODEX_MANAGED_BY_NPM",
            "CODEX_MANAGED_BY_BUN",
            "CODEX_MANAGED_BY_PNPM",
            "CODEX_MANAGED_PACKAGE_ROOT",
        ],
        ..Variables::NONE
    },
    credentials: Credentials {
        folder: Some(("CODEX_HOME", ".codex")),
        base_url: "OPENAI_BASE_URL",
        hosts: &["api.openai.com", "chatgpt.com", "auth.openai.com"],
        keys: &["CODEX_API_KEY", "OPENAI_API_KEY"],
        logins: &["auth.json"],
        remedy: "log in with: codex login, or put CODEX_API_KEY into",
        ..Credentials::NONE
    },
};

/// What Codex does that its model is not reported.
const NOTE: &str = "This program refuses every command that contains `rm -f` or `rm -rf`, and does \
    not say so. Delete with `rm -r PATH` (no -f), `find PATH -delete` or `git clean -fd`.";

/// The agent `codex`: `codex exec --json`, which takes no messages while it runs.
#[derive(Debug, Clone, Copy)]
pub struct Codex;

impl AgentSpec for Codex {
    fn manifest(&self) -> &'static AgentManifest {
        &WORDS
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            resumes: true,
            conversation: ConversationId::Agents,
            one_writer: true,
            live_input: false,
            reports_end: true,
            cost: false,
            limits: true,
            day_quota: false,
            max_turns: None,
            partial_messages: false,
            tells_version: true,
            wants_identity: false,
        }
    }

    fn program(&self, _name: &AgentName, settings: &Settings) -> Program {
        let program = settings.of_agents(PATH).unwrap_or(WORDS.name).to_owned();
        Program::Named { program, key: PATH, before: "" }
    }

    fn executable(&self, found: PathBuf) -> PathBuf {
        native::behind(&found).unwrap_or(found)
    }

    fn launch(&self, agent: &Agent, task: &Task) -> Launch {
        let mut args: Vec<OsString> = Vec::new();
        let mut add = |words: &[&str]| args.extend(words.iter().map(OsString::from));
        add(&["exec", "--json", "--dangerously-bypass-approvals-and-sandbox"]);
        add(&["--skip-git-repo-check"]);
        if let Some(model) = agent.value(MODEL) {
            add(&["-m", model]);
        }
        if let Some(effort) = agent.value(EFFORT) {
            add(&["-c", &format!("model_reasoning_effort={}", toml_string(effort))]);
        }
        // Its tools get no *KEY*, *SECRET* or *TOKEN*.
        add(&["-c", "shell_environment_policy.ignore_default_excludes=false"]);
        // But git refuses to work with a count of settings of which one is hidden.
        for (name, value) in &task.environment {
            let name = name.to_string_lossy();
            if name.starts_with("GIT_CONFIG_KEY_") {
                let value = toml_string(&value.to_string_lossy());
                add(&["-c", &format!("shell_environment_policy.set.{name}={value}")]);
            }
        }
        // Otherwise it never ends when the service cannot be reached.
        add(&["--disable", "unbounded_connection_retries"]);
        add(&["-c", "analytics.enabled=false", "--disable", "plugins", "--disable", "apps"]);
        let instructions = format!("{}\n\n{NOTE}\n", task.system_prompt.trim_end());
        let setting = format!("developer_instructions={}", toml_string(&instructions));
        let mut prompt = task.prompt.clone();
        if setting.len() < MAX_ARGUMENT {
            add(&["-c", &setting]);
        } else {
            // Too long for an argument: it goes before the prompt.
            prompt = format!("{instructions}\n{prompt}");
        }
        if task.resume {
            add(&["resume", &task.conversation]);
        }
        add(&["-"]);
        Launch {
            program: agent.program().to_owned(),
            args,
            input: Input::Text(prompt.into_bytes()),
            defaults: Vec::new(),
            files: Vec::new(),
        }
    }

    fn interactive(&self, agent: &Agent, task: &Task) -> Option<Launch> {
        let mut words = vec!["resume"];
        words.extend(agent.value(MODEL).into_iter().flat_map(|model| ["-m", model]));
        words.push(&task.conversation);
        Some(Launch::on_terminal(agent, words.into_iter().map(OsString::from).collect()))
    }

    fn decoder(&self, working_dir: &Path) -> Box<dyn Decoder> {
        Box::new(decode::CodexDecoder::new(working_dir))
    }

    fn tested(&self) -> Option<&'static str> {
        Some("0.171.0")
    }

    fn outcome(&self, facts: &Facts<'_>) -> Outcome {
        if facts.stderr_tail.contains(ACTIVE_WRITER) && facts.ended_by.is_none() {
            let why = format!(
                "another process has conversation {} open: close it (codex resume, an editor), then: samocode start",
                facts.conversation
            );
            return Outcome::Failed { why };
        }
        let mut reported = facts.reported.clone();
        let Some(finished) = reported.finished.as_mut().filter(|finished| finished.is_error) else {
            return judge(facts);
        };
        let record = record(facts);
        if let Some(error) = record.error {
            error.explain(finished);
        }
        reported.limit = record.limit.or(reported.limit);
        judge(&Facts { reported: &reported, ..*facts })
    }

    fn records(&self, facts: &Facts<'_>) -> Records {
        let record = record(facts);
        Records { conversation_usage: record.usage, model: record.model, windows: record.windows }
    }

    fn logged_in(&self, folder: &Path) -> Option<Login> {
        let file = folder.join("auth.json");
        file.is_file().then_some(Login { how: "logged in by", file })
    }

    fn check(&self, _agent: &Agent, exam: &Exam<'_>) -> Vec<Finding> {
        let has = |name: &str| exam.file.get(name).is_some() || exam.units.get(name).is_some();
        let only_openai = has("OPENAI_API_KEY") && !has("CODEX_API_KEY");
        let found = only_openai.then(|| Finding {
            about: About::Credentials,
            status: Status::Note,
            what: "codex exec reads CODEX_API_KEY, and only OPENAI_API_KEY is set".to_owned(),
            remedy: format!(
                "rename it to CODEX_API_KEY in {}, or run: codex login --with-api-key",
                exam.dirs.short(&exam.dirs.env_file())
            ),
        });
        found.into_iter().collect()
    }
}

/// In the message of a second process that resumes a conversation.
const ACTIVE_WRITER: &str = "already has an active writer";

/// What the conversation's file says.
fn record(facts: &Facts<'_>) -> rollout::Record {
    let set = variable(facts.environment, "CODEX_HOME").map(PathBuf::from);
    let home = || variable(facts.environment, "HOME").map(|home| Path::new(home).join(".codex"));
    let Some(folder) = set.or_else(home) else { return rollout::Record::default() };
    rollout::find(&folder, facts.conversation).map(|file| rollout::read(&file)).unwrap_or_default()
}

/// A text as a TOML string. JSON's escapes are TOML's, but for one character.
fn toml_string(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

#[cfg(test)]
mod tests;
