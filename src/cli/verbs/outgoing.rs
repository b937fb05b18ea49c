//! `samocode outgoing`, run by a worker: does outside of the cage what its confined agent left to be done.

use std::process::ExitCode;

use clap::Args;

use crate::control::calls::Outside;
use crate::control::mail;

use super::{Common, output};

/// Send the messages in the session's outbox, or perform a call of its agent's; run by its worker
#[derive(Debug, Args)]
pub(in crate::cli) struct Outgoing {
    /// The call to perform
    #[arg(long, value_name = "ID")]
    call: Option<String>,
    /// The session coordinated others when the run began
    #[arg(long, requires = "call")]
    coordinates: bool,
}

impl Outgoing {
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        let caller = common.caller()?;
        if let Some(id) = &self.call {
            let Some((call, taken)) = Outside::take(caller, id, self.coordinates)? else {
                return Ok(ExitCode::SUCCESS);
            };
            let bytes = taken.bytes.clone();
            // Whoever made it may be killed, as by a time limit: then this ends like any verb that is.
            std::thread::spawn(move || {
                taken.until_unwanted();
                std::process::exit(0);
            });
            call.perform(&bytes).await?;
            return Ok(ExitCode::SUCCESS);
        }
        let progress = |_: &str| {};
        for why in mail::send_outgoing(&caller, &progress).await? {
            output::line(why)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
