//! `samocode approve` and `samocode reject`: a human's decision at a gate.

use std::process::ExitCode;

use clap::Args;

use crate::control::post::{self, Posted};

use super::{Common, complete, output, questions};

/// Approve what a session is waiting for; accepts the suggestions for open questions
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  samocode approve jwt-login\n  samocode approve jwt-login -m \"but keep the old endpoint for a release\"\n\nIf the session is waiting for you to do something, approve means that you have done it.\n\nExit codes: 0 sent, now or earlier; 1 the session is not waiting, nothing done;\n2 usage or no such session."
)]
pub(in crate::cli) struct Approve {
    /// A name, a dated folder name, or an instance
    #[arg(add = complete::sessions())]
    session: String,
    /// A message for the agent
    #[arg(short, long, value_name = "TEXT")]
    message: Option<String>,
    /// Print what was done as JSON
    #[arg(long)]
    json: bool,
}

/// Reject what a session wants approved, and say why
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  samocode reject jwt-login -m \"no new dependency for this: use the one we have\"\n\nExit codes: 0 sent, 1 the session is not waiting, nothing done, 2 usage or no such session."
)]
pub(in crate::cli) struct Reject {
    /// A name, a dated folder name, or an instance
    #[arg(add = complete::sessions())]
    session: String,
    /// What to do differently
    #[arg(short, long, value_name = "TEXT")]
    message: String,
    /// Print what was done as JSON
    #[arg(long)]
    json: bool,
}

impl Approve {
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        let message = self.message.unwrap_or_default();
        let call = post::Approve { session: self.session, message };
        tell(&common.call(call).await?, self.json, "Approved.")
    }
}

impl Reject {
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        let call = post::Reject { session: self.session, reason: self.message };
        tell(&common.call(call).await?, self.json, "Sent back.")
    }
}

fn tell(posted: &Posted, json: bool, done: &str) -> anyhow::Result<ExitCode> {
    if json {
        output::json(posted)?;
    } else {
        questions::tell_saved(&posted.answers);
        questions::tell_sent(&posted.sent, done);
    }
    Ok(ExitCode::SUCCESS)
}
