//! Whose runs are broken, and the project they work in.

use std::time::Duration;

use serde_json::json;

use crate::lab::{Api, LabUser, Project, Reply};

/// The agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cast {
    /// `agent.sh`, which notes what it did beside the session.
    Noting,
    /// The built-in agent, through all phases and both gates.
    Rehearsal,
    /// The real CLI, which does the work of `agent.sh` as one Bash call.
    Claude,
    /// The same with Codex.
    Codex,
    /// The same with Gemini CLI.
    Gemini,
    /// The same with Qwen Code, over the Agent Client Protocol.
    Qwen,
    /// The same with opencode, over that protocol too.
    Opencode,
}

impl Cast {
    /// Each run first creates a file: its time is when the run started.
    const BEGIN: &'static str = r#"#!/bin/sh
notes=$HOME/notes/$SAMOCODE_SESSION
mkdir -p "$notes"
: >"$notes/started.$SAMOCODE_RUN"
"#;

    /// The name the agent's process has once it is at work.
    pub(super) const fn process(self) -> &'static str {
        match self {
            Self::Noting => "agent",
            Self::Rehearsal => "samocode",
            Self::Claude => "claude",
            Self::Codex => "codex",
            Self::Gemini | Self::Qwen => "node",
            Self::Opencode => "opencode",
        }
    }

    /// Its CLI's name in the lab, if it has one.
    pub(super) const fn cli(self) -> Option<&'static str> {
        match self {
            Self::Noting | Self::Rehearsal => None,
            Self::Claude => Some("claude"),
            Self::Codex => Some("codex"),
            Self::Gemini => Some("gemini"),
            Self::Qwen => Some("qwen"),
            Self::Opencode => Some("opencode"),
        }
    }

    /// About how long an iteration takes: faults come within that time.
    pub(super) const fn pace(self) -> Duration {
        match self {
            Self::Noting | Self::Rehearsal => Duration::from_millis(700),
            Self::Claude | Self::Codex | Self::Gemini => Duration::from_millis(2500),
            Self::Qwen | Self::Opencode => Duration::from_secs(5),
        }
    }

    /// How long an agent may be silent, in seconds. The CLI takes one to start, more on a machine
    /// that is busy.
    const fn patience_s(self) -> u64 {
        match self {
            Self::Noting | Self::Rehearsal => 2,
            Self::Claude | Self::Codex | Self::Gemini => 8,
            Self::Qwen | Self::Opencode => 15,
        }
    }

    fn program(self) -> String {
        let rest = match self {
            Self::Noting => "exec ~/bin/agent\n",
            Self::Rehearsal => concat!(
                "setsid sleep 3600 </dev/null >/dev/null 2>&1 &\n",
                "SAMOCODE_REHEARSAL_PACE=100 exec samocode rehearsal\n"
            ),
            Self::Claude => "exec /opt/claude/bin/claude \"$@\"\n",
            // The program itself, as samocode starts it where it finds npm's script.
            Self::Codex => {
                "exec /opt/codex/node_modules/@openai/codex-*/vendor/*/bin/codex \"$@\"\n"
            }
            Self::Gemini => "PATH=/opt/gemini/bin:$PATH exec /opt/gemini/bin/gemini \"$@\"\n",
            Self::Qwen => concat!(
                "export PATH=/opt/qwen/bin:$PATH ANTHROPIC_MODEL=claude-lab\n",
                "exec qwen --acp --yolo --auth-type anthropic\n"
            ),
            Self::Opencode => {
                "OPENCODE_DISABLE_MODELS_FETCH=1 exec /opt/opencode/bin/opencode acp\n"
            }
        };
        format!("{}{rest}", Self::BEGIN)
    }
}

/// What `agent.sh` does, for a program and for the real CLI alike.
const WORK: &str = include_str!("agent.sh");

/// A project whose sessions are to be broken.
pub(super) struct Stage<'u> {
    pub(super) user: &'u LabUser,
    pub(super) cast: Cast,
    pub(super) project: Project<'u>,
    _api: Option<Api>,
}

impl<'u> Stage<'u> {
    pub(super) fn set(user: &'u LabUser, cast: Cast) -> Self {
        user.write_program("begin", cast.program());
        user.write_program("bin/agent", WORK);
        let begin = user.home.join("begin").display().to_string();
        let mut project = user
            .project("shop")
            .key("SAMOCODE_STALL_AFTER", &format!("{} s", cast.patience_s()))
            .key("SAMOCODE_RETRY_DELAY", "0 s");
        let mut api = None;
        if let Some(cli) = cast.cli() {
            project = match cast {
                Cast::Qwen | Cast::Opencode => {
                    project.key("SAMOCODE_AGENT", &format!("acp:{begin}"))
                }
                _ => {
                    let path = format!("{}_PATH", cli.to_ascii_uppercase());
                    project.key("SAMOCODE_AGENT", cli).key(&path, &begin)
                }
            };
            let served = Api::start_with(|request| {
                // One Bash call for each prompt of samocode, and nothing after its result.
                let is_beside = request.says("Managed memory")
                    || request.last_prompt().contains("SUGGESTION MODE");
                if is_beside || request.ends_with_tool_result() {
                    Reply::say("Done.")
                } else {
                    Reply::bash(WORK)
                }
            });
            match cast {
                Cast::Codex => {
                    user.uses_codex(&served, "key");
                    project = project.key("CODEX_MODEL", "gpt-5");
                }
                Cast::Gemini => user.uses_gemini(&served, "key"),
                Cast::Opencode => {
                    let service = json!({"baseURL": format!("{}/v1", served.url()), "apiKey": "k"});
                    let config = json!({
                        "permission": "allow", "autoupdate": false,
                        "provider": {"anthropic": {"options": service}},
                        "model": "anthropic/claude-sonnet-4-5",
                    });
                    user.write(".config/opencode/opencode.json", config.to_string());
                }
                _ => user.uses_claude(&served),
            }
            api = Some(served);
        } else {
            project = project.key("SAMOCODE_AGENT", &format!("command:{begin}"));
        }
        user.write(
            ".config/systemd/user/samocode@.service.d/faults.conf",
            "[Service]\nWatchdogSec=2s\n",
        );
        let mut project = project.create();
        // Sessions and worktrees are on a real disk, where fsync takes time.
        let disk = user.disk();
        let mut text = user.read("shop/.samocode");
        for (folder, name) in
            [(&mut project.sessions, "sessions"), (&mut project.worktrees, "worktrees")]
        {
            let new = disk.join(name);
            text = text.replace(&*folder.to_string_lossy(), &new.to_string_lossy());
            *folder = new;
        }
        user.write("shop/.samocode", text);
        Self { user, cast, project, _api: api }
    }

    /// The watchdog as users have it, and so much patience with a silent agent.
    pub(super) fn has_the_units_own_watchdog(&self, stall_after: Duration) {
        let unit = ".config/systemd/user/samocode@.service.d/faults.conf";
        self.user.write(unit, "");
        let settings = self.user.read("shop/.samocode");
        let ours = format!("SAMOCODE_STALL_AFTER={} s", self.cast.patience_s());
        let new = format!("SAMOCODE_STALL_AFTER={} s", stall_after.as_secs());
        self.user.write("shop/.samocode", settings.replace(&ours, &new));
    }
}
