//! `samocode outgoing`, run by a worker: sends what its confined agent left in its outbox.

use std::process::ExitCode;

use clap::Args;

use crate::control::mail;

use super::{Common, output};

/// Send the messages in the session's outbox; run by its worker
#[derive(Debug, Args)]
pub(in crate::cli) struct Outgoing {}

impl Outgoing {
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        let progress = |_: &str| {};
        for why in mail::send_outgoing(&common.caller()?, &progress).await? {
            output::line(why)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
