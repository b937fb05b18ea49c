//! `samocode mcp`: the same abilities for an agent that is a parent, as tools over standard input
//! and output.

use std::io::IsTerminal as _;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;

use crate::control::origin::Origin;
use crate::control::{Error, host_of};
use crate::mcp::{self, Audience};

use super::Common;

/// Serve sessions to an agent as MCP tools, on standard input and output
///
/// An MCP client starts this. The plugin for Claude Code does so. Only the human decides at gates:
/// the tools tell the agent to ask. An agent inside a session gets only the tools that look, and
/// the one that sends mail; a coordinator also those for the sessions below its own.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  samocode mcp                             as a client starts it\n  claude mcp add samocode -- samocode mcp\n  npx @modelcontextprotocol/inspector --cli samocode mcp --method tools/list\n\nOther clients: the command is samocode, its argument mcp, its working folder the project."
)]
pub(in crate::cli) struct Mcp {}

impl Mcp {
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        if std::io::stdin().is_terminal() {
            let why = "cannot serve MCP on a terminal: an MCP client starts this";
            return Err(Error::usage(why).hint("claude mcp add samocode -- samocode mcp").into());
        }
        let mut caller = common.caller()?;
        let audience = match caller.voucher() {
            Some(_) => Audience::Parent,
            None if caller.coordinates() => Audience::Coordinator,
            None => Audience::Run,
        };
        if let Origin::Outside(by) = &mut caller.origin {
            by.push_str(", through an agent");
        }
        mcp::serve(Arc::from(host_of(caller)), audience).await?;
        Ok(ExitCode::SUCCESS)
    }
}
