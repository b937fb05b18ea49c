//! The verbs, one file each.

mod advance;
mod answer;
mod approve;
mod archive;
mod ask;
mod attach;
mod bot;
mod complete;
pub(super) mod completions;
mod config;
mod confine;
mod convoy;
mod cost;
mod demo;
mod desktop;
mod doctor;
mod due;
mod each;
mod enable;
mod failed;
mod history;
mod inbox;
mod init;
mod lifecycle;
mod logs;
mod man;
mod mcp;
mod merge;
mod notices;
mod notify;
mod outgoing;
mod prompt;
mod remove;
mod report;
mod restore;
mod role;
mod run;
mod send;
mod show;
mod status;
mod stop;
mod tick;
mod top;
mod units;
mod usage;
mod wait;
mod wake;
mod web;
mod why;
mod worker;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::agent::rehearsal;

use super::parse::alone;
use super::ui::{format, input, layout, output, pager, questions, secret};
use super::{Cli, Common, failure, front, log};

pub(super) use status::overview;

#[cfg(test)]
pub(super) use run::code_of;

#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    Init(init::Init),
    Config(config::Config),
    Enable(enable::Enable),
    Disable(lifecycle::Disable),
    Convoy(convoy::Convoy),
    Merge(merge::Merge),
    Remove(remove::Remove),
    Archive(archive::Archive),
    Restore(restore::Restore),
    Start(lifecycle::Start),
    Stop(stop::Stop),
    Restart(lifecycle::Restart),
    Reload(lifecycle::Reload),
    Run(run::Run),
    Status(status::Status),
    Top(top::Top),
    Web(web::Web),
    Show(show::Show),
    Logs(logs::Logs),
    Wait(wait::Wait),
    Answer(answer::Answer),
    Approve(approve::Approve),
    Reject(approve::Reject),
    Send(send::Send),
    Attach(attach::Attach),
    Ask(ask::Ask),
    Inbox(inbox::Inbox),
    Why(why::Why),
    History(history::History),
    Cost(cost::Cost),
    Usage(usage::Usage),
    Report(report::Report),
    Prompt(prompt::Prompt),
    Role(role::Role),
    Confine(confine::Confine),
    Units(units::Units),
    Doctor(doctor::Doctor),
    Notify(notify::Notify),
    Bot(bot::Bot),
    Demo(demo::Demo),
    Completions(completions::Completions),
    Man(man::Man),
    Mcp(mcp::Mcp),
    #[command(hide = true)]
    Worker(worker::Worker),
    #[command(hide = true)]
    Wake(wake::Wake),
    #[command(hide = true)]
    Advance(advance::Advance),
    #[command(hide = true)]
    Due(due::Due),
    #[command(hide = true)]
    Tick(tick::Tick),
    #[command(hide = true)]
    Failed(failed::Failed),
    #[command(hide = true)]
    Notices(notices::Notices),
    #[command(hide = true)]
    Outgoing(outgoing::Outgoing),
    #[command(hide = true)]
    Desktop(desktop::Desktop),
    #[command(hide = true)]
    Rehearsal(Rehearsal),
}

/// Act as the built-in agent, which plays all phases and costs nothing
#[derive(Debug, Args)]
pub(in crate::cli) struct Rehearsal {}

impl Verb {
    /// Reads arguments that begin with one of the verbs that are started often, without the others.
    pub(super) fn read_alone(args: &[OsString]) -> Option<Cli> {
        match args.get(1)?.to_str()? {
            "worker" => alone(args, Self::Worker),
            "wake" => alone(args, Self::Wake),
            "advance" => alone(args, Self::Advance),
            "outgoing" => alone(args, Self::Outgoing),
            "run" => alone(args, Self::Run),
            "start" => alone(args, Self::Start),
            "status" => alone(args, Self::Status),
            "wait" => alone(args, Self::Wait),
            "answer" => alone(args, Self::Answer),
            "approve" => alone(args, Self::Approve),
            "send" => alone(args, Self::Send),
            _ => None,
        }
    }

    /// Runs the verb; returns the program's exit code.
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        match self {
            Self::Init(verb) => verb.exec(common).await,
            Self::Config(verb) => verb.exec(common).await,
            Self::Enable(verb) => verb.exec(common).await,
            Self::Disable(verb) => verb.exec(common).await,
            Self::Convoy(verb) => verb.exec(common).await,
            Self::Advance(verb) => verb.exec(common).await,
            Self::Merge(verb) => verb.exec(common).await,
            Self::Remove(verb) => verb.exec(common).await,
            Self::Archive(verb) => verb.exec(common).await,
            Self::Restore(verb) => verb.exec(common).await,
            Self::Start(verb) => verb.exec(common).await,
            Self::Stop(verb) => verb.exec(common).await,
            Self::Restart(verb) => verb.exec(common).await,
            Self::Reload(verb) => verb.exec(common).await,
            Self::Run(verb) => verb.exec(common).await,
            Self::Status(verb) => verb.exec(common).await,
            Self::Top(verb) => verb.exec(common).await,
            Self::Web(verb) => verb.exec(common).await,
            Self::Show(verb) => verb.exec(common).await,
            Self::Logs(verb) => verb.exec(common).await,
            Self::Wait(verb) => verb.exec(common).await,
            Self::Answer(verb) => verb.exec(common).await,
            Self::Approve(verb) => verb.exec(common).await,
            Self::Reject(verb) => verb.exec(common).await,
            Self::Send(verb) => verb.exec(common).await,
            Self::Attach(verb) => verb.exec(common).await,
            Self::Ask(verb) => verb.exec(common).await,
            Self::Inbox(verb) => verb.exec(common).await,
            Self::Why(verb) => verb.exec(common).await,
            Self::History(verb) => verb.exec(common).await,
            Self::Cost(verb) => verb.exec(common).await,
            Self::Usage(verb) => verb.exec(common).await,
            Self::Report(verb) => verb.exec(common).await,
            Self::Prompt(verb) => verb.exec(common).await,
            Self::Role(verb) => verb.exec(common).await,
            Self::Confine(verb) => verb.exec(common).await,
            Self::Units(verb) => verb.exec(common).await,
            Self::Doctor(verb) => verb.exec(common).await,
            Self::Notify(verb) => verb.exec(common).await,
            Self::Bot(verb) => verb.exec(common).await,
            Self::Demo(verb) => verb.exec(common).await,
            Self::Completions(verb) => Ok(verb.exec()),
            Self::Man(verb) => verb.exec(),
            Self::Mcp(verb) => verb.exec(common).await,
            Self::Worker(verb) => verb.exec().await,
            Self::Wake(verb) => verb.exec(common).await,
            Self::Due(verb) => verb.exec(common).await,
            Self::Tick(verb) => verb.exec(common).await,
            Self::Failed(verb) => verb.exec(common).await,
            Self::Notices(verb) => verb.exec(common).await,
            Self::Outgoing(verb) => verb.exec(common).await,
            Self::Desktop(verb) => verb.exec(common).await,
            Self::Rehearsal(Rehearsal {}) => Ok(rehearsal::main().map(|()| ExitCode::SUCCESS)?),
        }
    }
}
