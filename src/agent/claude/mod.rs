//! Claude Code, headless: <https://code.claude.com/docs/en/headless>. Flags and events as measured
//! with 2.1.329 and 2.1.197.

mod cloud;
pub mod decode;
mod errors;
mod excerpt;
mod known;
mod message;
mod permissions;
mod result;
mod retention;
pub mod summary;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde_json::json;

use super::event::Decoder;
use super::exam::{About, Exam, Finding, Status};
use super::process::MAX_ARGUMENT;
use super::spec::{AgentSpec, Capabilities, ConversationId, Kept, Login, Program, Token};
use super::{Agent, AgentError, Environment, Input, Launch, Task, variable};
use crate::config::keys::{Key, Kind, key};
use crate::config::{AgentManifest, AgentName, Credentials, Reach, Settings, Variables};
use crate::session::Hint as _;

const PATH: &str = "CLAUDE_PATH";
const MODEL: &str = "CLAUDE_MODEL";
const FALLBACK: &str = "CLAUDE_FALLBACK_MODEL";
const EFFORT: &str = "CLAUDE_EFFORT";
const PERMISSIONS: &str = "CLAUDE_PERMISSIONS";
const MAX_TURNS: &str = "CLAUDE_MAX_TURNS";

/// The variable with a token of `claude setup-token`.
const TOKEN: &str = "CLAUDE_CODE_OAUTH_TOKEN";

/// Values of [`PERMISSIONS`] that are no file.
const SKIP: &str = "skip";
const AUTO: &str = "auto";

const KEYS: &[Key] = &[
    key(PATH, "claude", Kind::Program, "the Claude Code program"),
    key(MODEL, "opus", Kind::Text, "the model for Claude Code").by_phase(),
    key(FALLBACK, "none", Kind::Text, "models that it uses while that one is overloaded, in order"),
    key(EFFORT, "none", Kind::Text, "how hard it thinks: low, medium, high, xhigh or max")
        .by_phase(),
    key(
        PERMISSIONS,
        SKIP,
        Kind::WordOrFile(&[SKIP, AUTO]),
        "which of its calls need no approval: all (skip), those it judges safe (auto), or those that a settings file allows; the rest are denied",
    ),
    key(MAX_TURNS, "300", Kind::Number(1, 1_000_000), "how many turns the model gets in one run"),
];

const WORDS: AgentManifest = AgentManifest {
    name: "claude",
    takes_command: false,
    reach: Reach::Own,
    keys: KEYS,
    variables: Variables {
        // The AWS variables are for Bedrock.
        prefixes: &["ANTHROPIC_", "CLAUDE_", "AWS_"],
        // For Vertex and for Foundry; Google's own are declared by its agent.
        shared: &["CLOUD_ML_REGION", "VERTEX_REGION_", "GCLOUD_PROJECT", "AZURE_"],
        routes: &[
            "ANTHROPIC_",
            "CLAUDE_CODE_USE_ANTHROPIC_",
            "CLAUDE_CODE_USE_BEDROCK",
            "CLAUDE_CODE_USE_FOUNDRY",
            "CLAUDE_CODE_USE_GATEWAY",
            "CLAUDE_CODE_USE_MANTLE",
            "CLAUDE_CODE_USE_VERTEX",
            "CLAUDE_CODE_SKIP_",
            "CLAUDE_CODE_API_BASE_URL",
            "CLAUDE_CODE_CUSTOM_OAUTH_URL",
            "CLAUDE_CODE_CERT_STORE",
            "CLAUDE_CODE_CLIENT_CERT",
            "CLAUDE_CODE_HTTP_PROXY",
            "CLAUDE_CODE_HTTPS_PROXY",
            "CLAUDE_CODE_PROXY_",
            "AWS_CA_BUNDLE",
            "AWS_CONFIG_FILE",
            "AWS_CONTAINER_",
            "AWS_DEFAULT_",
            "AWS_ENDPOINT_URL",
            "AWS_PROFILE",
            "AWS_REGION",
            "AWS_ROLE_",
            "AWS_SHARED_CREDENTIALS_FILE",
            "AWS_USE_",
            "AWS_WEB_IDENTITY_TOKEN_FILE",
            "AZURE_",
            "CLOUDSDK_CONFIG",
            "CLOUD_ML_REGION",
            "GCLOUD_PROJECT",
            "GOOGLE_APPLICATION_CREDENTIALS",
            "GOOGLE_CLOUD_",
            "VERTEX_REGION_",
        ],
        places: &["CLAUDE_CONFIG_DIR"],
        of_parent: &[
            "CLAUDECODE",
            "CLAUDE_CODE_ENTRYPOINT",
            "CLAUDE_CODE_EXECPATH",
            "CLAUDE_CODE_SESSION",
            "CLAUDE_CODE_SESSION_ID",
            "CLAUDE_CODE_HOST_SESSION_ID",
            "CLAUDE_CODE_CHILD_SESSION",
            "CLAUDE_CODE_SESSION_ACCESS_TOKEN",
            "CLAUDE_CODE_SSE_PORT",
            "CLAUDE_CODE_REMOTE",
            "CLAUDE_SESSION_ID",
            "CLAUDE_PID",
            "CLAUDE_PROJECT_DIR",
            "CLAUDE_PLUGIN_ROOT",
            "CLAUDE_ENV_FILE",
        ],
        defaults: &[
            // An update in the middle of a run would replace the running program.
            ("DISABLE_AUTOUPDATER", "1"),
        ],
        ..Variables::NONE
    },
    credentials: Credentials {
        folder: Some(("CLAUDE_CONFIG_DIR", ".claude")),
        base_url: "ANTHROPIC_BASE_URL",
        hosts: &["api.anthropic.com", "console.anthropic.com", "platform.claude.com", "claude.ai"],
        keys: &[
            "ANTHROPIC_API_KEY",
            "ANTHROPIC_AUTH_TOKEN",
            TOKEN,
            "AWS_BEARER_TOKEN_BEDROCK",
            "AWS_ACCESS_KEY_ID",
            "AWS_PROFILE",
        ],
        logins: &[".credentials.json"],
        switches: &[
            "CLAUDE_CODE_USE_BEDROCK",
            "CLAUDE_CODE_USE_VERTEX",
            "CLAUDE_CODE_USE_FOUNDRY",
            "CLAUDE_CODE_USE_MANTLE",
            "CLAUDE_CODE_USE_GATEWAY",
            "CLAUDE_CODE_USE_ANTHROPIC_AWS",
            "CLAUDE_CODE_USE_ANTHROPIC_GOOGLE_CLOUD",
        ],
        remedy: "log in with: claude /login, or put ANTHROPIC_API_KEY into",
    },
};

/// The agent `claude`: Claude Code in its print mode, with a stream of JSON lines both ways.
#[derive(Debug, Clone, Copy)]
pub struct Claude;

impl AgentSpec for Claude {
    fn manifest(&self) -> &'static AgentManifest {
        &WORDS
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            resumes: true,
            conversation: ConversationId::Ours,
            one_writer: false,
            live_input: true,
            reports_end: true,
            cost: true,
            limits: true,
            day_quota: false,
            max_turns: Some(MAX_TURNS),
            partial_messages: false,
            tells_version: true,
            wants_identity: false,
        }
    }

    fn program(&self, _name: &AgentName, settings: &Settings) -> Program {
        let program = settings.of_agents(PATH).unwrap_or(WORDS.name).to_owned();
        Program::Named { program, key: PATH, before: "" }
    }

    fn refusal(&self, agent: &Agent, root: bool, environment: &Environment) -> Option<AgentError> {
        let is_sandbox = variable(environment, "IS_SANDBOX").is_some_and(|value| value == "1");
        let skips = matches!(agent.value(PERMISSIONS), None | Some(SKIP));
        (root && skips && !is_sandbox)
            .then_some(AgentError::Root(WORDS.name))
            .or_else(|| no_permissions(agent))
    }

    fn files_at_home(&self) -> &'static [&'static str] {
        &[".claude.json"]
    }

    fn launch(&self, agent: &Agent, task: &Task) -> Launch {
        let mut args: Vec<OsString> = Vec::new();
        let mut add = |words: &[&str]| args.extend(words.iter().map(OsString::from));
        // stream-json is refused without --verbose.
        add(&["-p", "--output-format", "stream-json", "--verbose"]);
        // Nobody is there to approve a call.
        const NOBODY: [&str; 2] = ["--permission-prompts", "none"];
        match agent.value(PERMISSIONS) {
            None | Some(SKIP) => add(&["--dangerously-skip-permissions"]),
            Some(AUTO) => {
                add(&["--permission-mode", "auto"]);
                add(&NOBODY);
            }
            Some(file) => {
                add(&["--settings", file]);
                add(&NOBODY);
            }
        }
        for (key, flag) in [(FALLBACK, "--fallback-model"), (EFFORT, "--effort")] {
            if let Some(value) = agent.value(key) {
                add(&[flag, value]);
            }
        }
        if let Some(model) = agent.value(MODEL) {
            add(&["--model", model]);
        }
        if let Some(turns) = agent.value(MAX_TURNS) {
            add(&["--max-turns", turns]);
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
            // A system prompt too long for an argument goes before the prompt; the conversation
            // remembers it.
            prompt = task.whole_prompt();
        }
        let input = if task.live_input {
            add(&["--input-format", "stream-json"]);
            Input::Feed(user_message(&prompt))
        } else {
            // As text on stdin a prompt may be of any length and begin with a hyphen.
            Input::Text(prompt.into_bytes())
        };
        Launch {
            program: agent.program().to_owned(),
            args,
            input,
            // A run ends when the agent says so: background tasks would just be killed.
            defaults: vec![("CLAUDE_CODE_DISABLE_BACKGROUND_TASKS", "1".into())],
            files: Vec::new(),
        }
    }

    /// With its own questions about permissions: a human is there to answer them.
    fn interactive(&self, agent: &Agent, task: &Task) -> Option<Launch> {
        let mut words = vec!["--resume", &task.conversation];
        words.extend(agent.value(MODEL).into_iter().flat_map(|model| ["--model", model]));
        Some(Launch::on_terminal(agent, words.into_iter().map(OsString::from).collect()))
    }

    fn decoder(&self, working_dir: &Path) -> Box<dyn Decoder> {
        Box::new(decode::ClaudeDecoder::new(working_dir.to_string_lossy().into_owned()))
    }

    fn denies(&self, environment: &Environment, working_dir: &Path) -> Option<String> {
        let own = self.manifest().credentials.folder(&environment.iter().cloned().collect());
        let file = permissions::without_bypass(own.as_deref(), &[working_dir.to_owned()])?;
        let file = file.display();
        Some(format!("remove disableBypassPermissionsMode from {file}, or all calls are denied"))
    }

    fn check(&self, agent: &Agent, exam: &Exam<'_>) -> Vec<Finding> {
        if let Some(missing) = no_permissions(agent) {
            let remedy = missing.hint().unwrap_or_default();
            return vec![Finding::new(About::Program, Status::Broken, missing.to_string(), remedy)];
        }
        let cloud = cloud::look(exam);
        if !matches!(agent.value(PERMISSIONS), None | Some(SKIP)) {
            return cloud.into_iter().collect();
        }
        let own = self.manifest().credentials.folder(exam.env);
        let found = permissions::without_bypass(own.as_deref(), exam.folders).map(|file| {
            let file = exam.dirs.short(&file);
            Finding {
                about: About::Program,
                status: Status::Broken,
                what: format!("{file} turns off bypassPermissions, so its calls are denied"),
                remedy: format!("remove disableBypassPermissionsMode from {file}"),
            }
        });
        found.into_iter().chain(cloud).collect()
    }

    fn token(&self, folder: &Path) -> Option<Token> {
        let text = fs::read(folder.join(".credentials.json")).ok()?;
        let login: serde_json::Value = serde_json::from_slice(&text).ok()?;
        let ends =
            Timestamp::from_millisecond(login["claudeAiOauth"]["expiresAt"].as_i64()?).ok()?;
        let lasting =
            "make one that lasts with: claude setup-token, and put CLAUDE_CODE_OAUTH_TOKEN into";
        Some(Token { ends, lasting })
    }

    /// A login ends and has to be refreshed; a token made for unattended use lasts.
    fn log_in(&self, has: &dyn Fn(&str) -> bool) -> String {
        let credentials = &WORDS.credentials;
        match credentials.keys.iter().chain(credentials.switches).find(|name| has(name)) {
            Some(&TOKEN) => {
                format!("make a new token with: claude setup-token, and put it as {TOKEN} into")
            }
            Some(name) => format!("fix {name} in"),
            None => format!(
                "log in with: claude /login, or make a token that lasts with: claude setup-token, and put it as {TOKEN} into"
            ),
        }
    }

    fn transcripts(&self, folder: &Path, working_dir: &Path) -> Option<PathBuf> {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
        let project: String = working_dir.to_str()?.chars().map(plain).collect();
        Some(folder.join("projects").join(project))
    }

    fn kept(&self, folder: &Path, working_dir: &Path, conversation: &str) -> Option<Kept> {
        retention::kept(folder, working_dir, conversation)
    }

    fn tested(&self) -> Option<&'static str> {
        Some("2.1.329")
    }

    /// OAuth, or a helper that prints a key.
    fn logged_in(&self, folder: &Path) -> Option<Login> {
        let oauth = folder.join(".credentials.json");
        if oauth.is_file() {
            return Some(Login { how: "logged in by", file: oauth });
        }
        let settings = folder.join("settings.json");
        has_helper(&settings).then_some(Login { how: "apiKeyHelper in", file: settings })
    }
}

/// The error that the file with the permissions is not there.
fn no_permissions(agent: &Agent) -> Option<AgentError> {
    let file = agent.value(PERMISSIONS).filter(|value| ![SKIP, AUTO].contains(value))?;
    let missing =
        AgentError::NoFile { key: PERMISSIONS, file: file.into(), otherwise: "skip or auto" };
    (!Path::new(file).is_file()).then_some(missing)
}

fn has_helper(settings: &Path) -> bool {
    fs::read(settings)
        .ok()
        .and_then(|text| serde_json::from_slice::<serde_json::Value>(&text).ok())
        .is_some_and(|settings| settings["apiKeyHelper"].is_string())
}

/// A line of the input stream that carries a user's message.
fn user_message(text: &str) -> Vec<u8> {
    let message = json!({"type": "user", "message": {"role": "user", "content": text}});
    let mut line = message.to_string().into_bytes();
    line.push(b'\n');
    line
}

#[cfg(test)]
mod tests;
