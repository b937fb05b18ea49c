//! Gemini CLI, headless: `gemini -o stream-json`. Flags, events and exit codes as measured with
//! 0.61.0.
//!
//! It depends on settings: sessions that were resumed must not be deleted, and an address of one's
//! own must not choose another login. No flag or variable has them, and it reads a file of settings
//! that a variable names only if root owns it. So with a key it gets a home of its own, which has
//! the user's settings with ours over them. A login lies in the user's home, where it renews its
//! token, so with a login that home is used as it is, and `doctor` says what to set there.

mod decode;
mod home;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};

use super::event::{Decoder, Finished, Limit};
use super::exam::{About, Exam, Finding, Status};
use super::outcome::{Facts, Outcome, ProcessExit, judge};
use super::spec::{AgentSpec, Capabilities, ConversationId, Login, Program};
use super::{Agent, Environment, Input, Launch, Task, quota, variable};
use crate::config::keys::{Key, Kind, key};
use crate::config::{AgentManifest, AgentName, Credentials, Reach, Settings, Variables};

const PATH: &str = "GEMINI_PATH";
const MODEL: &str = "GEMINI_MODEL";
const KEY: &str = "GEMINI_API_KEY";

const KEYS: &[Key] = &[
    key(PATH, "gemini", Kind::Program, "the Gemini CLI program"),
    key(MODEL, "gemini-2.5-pro", Kind::Text, "the model for Gemini CLI").by_phase(),
];

const WORDS: AgentManifest = AgentManifest {
    name: "gemini",
    takes_command: false,
    reach: Reach::Own,
    keys: KEYS,
    variables: Variables {
        prefixes: &["GEMINI_"],
        names: &["GOOGLE_API_KEY"],
        // Those of Google's cloud, which Claude Code needs for Vertex.
        shared: &["GOOGLE_"],
        routes: &["GOOGLE_"],
        of_parent: &["GEMINI_CLI", "GEMINI_CLI_NO_RELAUNCH"],
        ..Variables::NONE
    },
    credentials: Credentials {
        folder: Some(("GEMINI_CONFIG_DIR", ".gemini")),
        base_url: "GOOGLE_GEMINI_BASE_URL",
        hosts: &[
            "generativelanguage.googleapis.com",
            "cloudcode-pa.googleapis.com",
            "oauth2.googleapis.com",
            "www.googleapis.com",
        ],
        keys: &[KEY, "GOOGLE_API_KEY"],
        logins: &["oauth_creds.json"],
        remedy: "log in with: gemini, or put GEMINI_API_KEY into",
        ..Credentials::NONE
    },
};

/// The agent `gemini`: Gemini CLI with `--output-format stream-json`.
#[derive(Debug, Clone, Copy)]
pub struct Gemini;

impl AgentSpec for Gemini {
    fn manifest(&self) -> &'static AgentManifest {
        &WORDS
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            resumes: true,
            conversation: ConversationId::Ours,
            // It has no lock: the turns of two processes would interleave.
            one_writer: true,
            live_input: false,
            reports_end: true,
            cost: false,
            limits: false,
            day_quota: true,
            max_turns: None,
            partial_messages: true,
            tells_version: true,
            wants_identity: true,
        }
    }

    fn program(&self, _name: &AgentName, settings: &Settings) -> Program {
        let program = settings.of_agents(PATH).unwrap_or(WORDS.name).to_owned();
        Program::Named { program, key: PATH, before: "" }
    }

    fn launch(&self, agent: &Agent, task: &Task) -> Launch {
        let mut args: Vec<OsString> = Vec::new();
        let mut add = |words: &[&str]| args.extend(words.iter().map(OsString::from));
        add(&["-o", "stream-json", "--yolo", "--skip-trust"]);
        if let Some(model) = agent.value(MODEL) {
            add(&["-m", model]);
        }
        add(&[if task.resume { "--resume" } else { "--session-id" }, &task.conversation]);
        args.extend(session_folder(task));
        // It has no flag for instructions that leaves its own in place; the conversation remembers.
        let prompt = if task.resume { task.prompt.clone() } else { task.whole_prompt() };
        Launch {
            program: agent.program().to_owned(),
            args,
            input: Input::Text(prompt.into_bytes()),
            defaults: defaults(task),
            files: files(task),
        }
    }

    fn interactive(&self, agent: &Agent, task: &Task) -> Option<Launch> {
        let mut args: Vec<OsString> = vec!["--skip-trust".into()];
        args.extend(agent.value(MODEL).into_iter().flat_map(|model| ["-m", model]).map(Into::into));
        args.extend(["--resume".into(), (&task.conversation).into()]);
        args.extend(session_folder(task));
        let launch = Launch::on_terminal(agent, args);
        Some(Launch { defaults: defaults(task), files: files(task), ..launch })
    }

    fn own_folders(&self, environment: &Environment) -> Vec<PathBuf> {
        // Not the folder above: settings of ours are put into this one.
        home::own(environment).map(|own| own.join(home::FOLDER)).into_iter().collect()
    }

    fn decoder(&self, working_dir: &Path) -> Box<dyn Decoder> {
        Box::new(decode::GeminiDecoder::new(working_dir))
    }

    fn tested(&self) -> Option<&'static str> {
        Some("0.61.0")
    }

    fn outcome(&self, facts: &Facts<'_>) -> Outcome {
        let mut reported = facts.reported.clone();
        let Some(finished) = reported.finished.as_mut().filter(|finished| finished.is_error) else {
            return judge(facts);
        };
        explain(finished, facts);
        let now = Timestamp::now();
        if let Some(delay) = delay_in(facts.stderr_tail) {
            let resets_at = now.checked_add(delay).ok();
            let (kind, windows) = (String::new(), Vec::new());
            reported.limit = Some(Limit { reached: true, kind, resets_at, windows });
        } else if let Some(limit) = quota::of_day(&finished.text, now) {
            // Also where standard error does not name it.
            finished.error_kind = vec!["usage_limit_reached".to_owned()];
            finished.advice = Some(quota::ADVICE.to_owned());
            reported.limit = Some(limit);
        }
        judge(&Facts { reported: &reported, ..*facts })
    }

    fn logged_in(&self, folder: &Path) -> Option<Login> {
        let file = folder.join("oauth_creds.json");
        file.is_file().then_some(Login { how: "logged in by", file })
    }

    fn check(&self, _agent: &Agent, exam: &Exam<'_>) -> Vec<Finding> {
        let has_key = exam.units.text(KEY).is_some() || exam.file.get(KEY).is_some();
        let users = exam.dirs.home.join(home::SETTINGS);
        if has_key || home::keeps_sessions(&users) {
            return Vec::new();
        }
        vec![Finding {
            about: About::Program,
            status: Status::Note,
            what: "gemini may delete conversations that a session resumes".to_owned(),
            remedy: format!(
                "add \"general\": {{\"sessionRetention\": {{\"enabled\": false}}}} to {}",
                exam.dirs.short(&users)
            ),
        }]
    }
}

/// The session's folder is outside of its working folder.
fn session_folder(task: &Task) -> impl Iterator<Item = OsString> {
    let folder = variable(&task.environment, "SAMOCODE_SESSION_DIR").map(OsStr::to_owned);
    folder.into_iter().flat_map(|folder| ["--include-directories".into(), folder])
}

/// The settings that it reads from its own home, where it has one.
fn files(task: &Task) -> Vec<(PathBuf, Vec<u8>)> {
    let own = home::own(&task.environment);
    own.map(|own| home::settings(&own, &task.environment)).into_iter().collect()
}

/// The variables that it gets unless they are set.
fn defaults(task: &Task) -> Vec<(&'static str, OsString)> {
    let mut defaults = vec![
        // Otherwise a parent swallows signals, and outlives nothing but itself when killed.
        ("GEMINI_CLI_NO_RELAUNCH", "true".into()),
        ("GIT_CONFIG_PARAMETERS", git_settings(&task.environment).into()),
    ];
    let own = home::own(&task.environment);
    defaults.extend(own.map(|home| ("GEMINI_CLI_HOME", home.into())));
    if let Some(identity) = &task.identity {
        // Its shell hides the user's git configuration.
        for (name, value) in [
            ("GIT_AUTHOR_NAME", &identity.name),
            ("GIT_AUTHOR_EMAIL", &identity.email),
            ("GIT_COMMITTER_NAME", &identity.name),
            ("GIT_COMMITTER_EMAIL", &identity.email),
        ] {
            defaults.push((name, value.into()));
        }
    }
    defaults
}

/// What git is told in a variable that its shell leaves alone: it replaces the numbered ones.
fn git_settings(environment: &Environment) -> String {
    let mut told = vec!["'core.fsync=all'"];
    let unsigned = |value: &OsString| value == "commit.gpgSign";
    if environment.iter().any(|(_, value)| unsigned(value)) {
        told.extend(["'commit.gpgSign=false'", "'tag.gpgSign=false'"]);
    }
    told.join(" ")
}

/// Adds what its exit code and its last words on standard error say about an error, in the names
/// that [`Remedy`](super::remedy::Remedy) knows.
fn explain(finished: &mut Finished, facts: &Facts<'_>) {
    let known = status_in(facts.stderr_tail).or_else(|| status_of(facts.exit));
    finished.api_status = known.or(finished.api_status);
    let has = |class: &str| facts.stderr_tail.contains(class);
    // The day's quota, or a delay that is too long for it to wait.
    if has("TerminalQuotaError") {
        finished.error_kind = vec!["usage_limit_reached".to_owned()];
    } else if has("ModelNotFoundError") {
        finished.error_kind = vec!["model_not_found".to_owned()];
        finished.advice = Some("set GEMINI_MODEL to a model that the account may use".to_owned());
    }
    match facts.exit {
        ProcessExit::Code(53) => finished.subtype = "error_max_turns".to_owned(),
        ProcessExit::Code(41) => finished.error_kind = vec!["authentication_failed".to_owned()],
        // A reply that was cut off, empty or malformed, four times.
        ProcessExit::Code(0) if finished.api_status.is_none() => {
            finished.error_kind = vec!["no_response".to_owned()];
        }
        _ => {}
    }
}

/// The status in the error that it prints as an object: `  status: 401`.
fn status_in(stderr: &str) -> Option<u16> {
    let field = |line: &str| {
        let (name, value) = line.trim().trim_end_matches(',').split_once(": ")?;
        let is_status = name == "status" || name == "code";
        is_status.then(|| value.parse::<u16>().ok())?.filter(|status| (400..600).contains(status))
    };
    stderr.lines().rev().find_map(field)
}

/// How long the service wants no request, in the error that it gave up at: `  retryDelayMs: 3600000,`.
fn delay_in(stderr: &str) -> Option<SignedDuration> {
    let error = stderr.rsplit_once("TerminalQuotaError")?.1;
    let field = error.lines().find_map(|line| line.trim().strip_prefix("retryDelayMs: "))?;
    field.trim_end_matches(',').parse().ok().map(SignedDuration::from_millis)
}

/// The status that it exits with, modulo 256.
const fn status_of(exit: ProcessExit) -> Option<u16> {
    Some(match exit {
        ProcessExit::Code(144) => 400,
        ProcessExit::Code(145) => 401,
        ProcessExit::Code(147) => 403,
        ProcessExit::Code(148) => 404,
        ProcessExit::Code(157) => 413,
        ProcessExit::Code(173) => 429,
        ProcessExit::Code(244) => 500,
        ProcessExit::Code(246) => 502,
        ProcessExit::Code(247) => 503,
        ProcessExit::Code(248) => 504,
        ProcessExit::Code(17) => 529,
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
