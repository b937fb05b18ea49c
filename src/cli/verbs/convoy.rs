//! `samocode convoy`: sessions that work towards one goal.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Subcommand, ValueHint};

use crate::control::convoy::{self, Advanced, Member, Standing};
use crate::control::stop::StopEnd;
use crate::session::describe::harmless;
use crate::session::state::StateName;

use super::format::{about_usd, bar, count, usd};
use super::layout::{Cell, Grid};
use super::output::{self, BOLD, DIM, painted};
use super::{Common, complete};

/// Start sessions in order, watch, stop and merge them together
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  samocode convoy create --file login.toml\n  samocode convoy create login schema server client --budget 20\n  samocode convoy status login\n  samocode merge login\n\nThe file:\n  id = \"login\"\n  budget = 20\n  merge = true\n  [limits]\n  memory_max = \"8G\"\n  [[session]]\n  name = \"schema\"\n  task = \"Add the users table\"\n  [[session]]\n  name = \"server\"\n  task = \"Add login with a password\"\n  agent = \"codex\"\n  after = [\"schema\"]\n\nA session with `after` starts when those are done, on a branch that begins with their work. With `merge`, the branches are merged and tested when all are done. `samocode convoy stop ID` stops all of it. `[limits]` holds for all its sessions together."
)]
pub(in crate::cli) struct Convoy {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Create a convoy from a file or from sessions that exist; new sessions start at once
    #[command(
        after_help = "Examples:\n  samocode convoy create --file login.toml\n  samocode convoy create login schema server --merge"
    )]
    Create(Create),
    /// Start its sessions that were stopped, blocked or failed, and those whose turn has come
    #[command(after_help = "Examples:\n  samocode convoy start login")]
    Start(One),
    /// Stop all its sessions until they are started again
    #[command(after_help = "Examples:\n  samocode convoy stop --now login")]
    Stop(Stop),
    /// Show how it is doing: a line a session, with what it waits for
    #[command(after_help = "Examples:\n  samocode convoy status login")]
    Status(One),
    /// List the project's convoys
    #[command(after_help = "Examples:\n  samocode convoy list")]
    List(List),
    /// Remove a convoy; its sessions stay as they are
    #[command(after_help = "Examples:\n  samocode convoy remove login")]
    Remove(One),
}

#[derive(Debug, Args)]
struct Create {
    /// The convoy's id, then its sessions; the file's id if left out with --file
    #[arg(required_unless_present = "file")]
    id: Option<String>,
    /// Names, dated folder names, or instances
    #[arg(add = complete::sessions())]
    sessions: Vec<String>,
    /// A TOML file that lists its sessions with task, agent, budget and after
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    file: Option<std::path::PathBuf>,
    /// Merge and test their branches when all are done
    #[arg(long)]
    merge: bool,
    /// What all of them may cost together, in US dollars; then no other one starts
    #[arg(long, value_name = "USD")]
    budget: Option<f64>,
    /// How many of them may run at once
    #[arg(long, value_name = "N")]
    cap: Option<usize>,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct One {
    /// The convoy's id, as in its file
    #[arg(add = complete::convoys())]
    id: String,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Stop {
    /// The convoy's id, as in its file
    #[arg(add = complete::convoys())]
    id: String,
    /// Interrupt the runs instead of waiting for the end of iterations
    #[arg(long)]
    now: bool,
    /// Print what was done as JSON, a line for each session
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct List {
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

impl Convoy {
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        output::until_closed(self.run(common).await.map(|()| ExitCode::SUCCESS))
    }

    async fn run(self, common: &Common) -> anyhow::Result<()> {
        match self.verb {
            Verb::Create(create) => create.exec(common).await,
            Verb::Start(One { id, json }) => {
                let advanced = common.call(convoy::Start { id: id.clone() }).await?;
                if json {
                    return output::json(&advanced);
                }
                report(&advanced, &id);
                Ok(())
            }
            Verb::Stop(Stop { id, now, json }) => {
                for stopped in common.call(convoy::Stop { id, now }).await? {
                    let name = painted(BOLD, &stopped.session);
                    match &stopped.end {
                        _ if json => output::json(&stopped)?,
                        StopEnd::Stopped => outln!("{name} stopped."),
                        StopEnd::WasDone | StopEnd::Done => outln!("{name} is done."),
                        StopEnd::CalledOff => outln!("{name} was started again."),
                        StopEnd::Gone { what } => outln!("{name}: {what}"),
                    }
                }
                Ok(())
            }
            Verb::Status(One { id, json }) => {
                let standing = common.call(convoy::Status { id }).await?;
                if json { output::json(&standing) } else { show(&standing) }
            }
            Verb::Remove(One { id, json }) => {
                let removed = common.call(convoy::Remove { id }).await?;
                if json {
                    return output::json(&removed);
                }
                outln!("{} removed; its sessions stay.", painted(BOLD, &removed.id));
                let held = removed.held.join(" ");
                if held.is_empty() {
                    return Ok(());
                }
                let start = common.command(&format!("samocode start {held}"));
                outln!("Not started yet. Start it with: {start}");
                Ok(())
            }
            Verb::List(List { json }) => {
                let all = common.call(convoy::List {}).await?;
                if json {
                    return output::json(&serde_json::json!({ "convoys": all }));
                }
                if all.is_empty() {
                    return output::line(
                        "There are no convoys: samocode convoy create ID SESSION…",
                    );
                }
                all.iter().try_for_each(|standing| output::line(summary(standing)))
            }
        }
    }
}

impl Create {
    async fn exec(self, common: &Common) -> anyhow::Result<()> {
        let toml = self.file.as_ref().map(|file| {
            std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
        });
        let call = convoy::Create {
            id: self.id,
            sessions: self.sessions,
            planned: Vec::new(),
            toml: toml.transpose()?,
            budget: self.budget,
            cap: self.cap,
            merge: self.merge,
        };
        let standing = common.call(call).await?;
        if self.json {
            return output::json(&standing);
        }
        show(&standing)
    }
}

fn report(advanced: &Advanced, id: &str) {
    for name in &advanced.started {
        outln!("{} started.", painted(BOLD, name));
    }
    for text in &advanced.announced {
        outln!("{}", harmless(text));
    }
    if advanced.started.is_empty() {
        outln!("Nothing to start now: samocode convoy status {id}");
    }
}

fn summary(standing: &Standing) -> String {
    let done =
        standing.members.iter().filter(|member| member.state == Some(StateName::Done)).count();
    let of = count(standing.members.len(), "session", "sessions");
    let budget = standing.budget.map_or_else(String::new, |budget| format!(" of {}", usd(budget)));
    // The verbs take the ID.
    let id = painted(BOLD, harmless(&standing.id));
    let is_named = !standing.name.is_empty() && standing.name != standing.id;
    let name = if is_named { format!("  {}", harmless(&standing.name)) } else { String::new() };
    let cost = about_usd(standing.cost_usd, standing.cost_estimated);
    format!("{id}{name}  {done} of {of} done  {cost}{budget}")
}

fn show(standing: &Standing) -> anyhow::Result<()> {
    output::line(summary(standing))?;
    picture(standing).lines(output::width()).into_iter().try_for_each(output::line)?;
    if !standing.next.is_empty() {
        output::line(format!("Next: {}", standing.next.join(", ")))?;
    }
    match &standing.outcome {
        Some(outcome) => output::line(harmless(outcome)),
        None => Ok(()),
    }
}

/// A line a member: its way through the phases, its state, and what it depends on.
fn picture(standing: &Standing) -> Grid {
    let mut grid = Grid::new(&[]);
    for member in &standing.members {
        let Member { session, state, phase, after, waits_for, holds_up, reason, .. } = member;
        let way = phase.map_or_else(|| "□".repeat(8), bar);
        let word = state.map_or_else(|| "does not exist".to_owned(), |state| state.to_string());
        let mut beside = Vec::new();
        if !waits_for.is_empty() {
            beside.push(format!("waits for {}", waits_for.join(", ")));
        } else if !after.is_empty() {
            beside.push(format!("after {}", after.join(", ")));
        }
        if matches!(state, Some(StateName::Blocked | StateName::Failed | StateName::Stopped)) {
            beside.extend(reason.as_ref().map(|reason| harmless(reason).into_owned()));
            if !holds_up.is_empty() {
                beside.push(format!("holds up {}", holds_up.join(", ")));
            }
        }
        let style = if *state == Some(StateName::Done) { DIM } else { BOLD };
        let cells = vec![Cell::new(way), Cell::new(session).style(style), Cell::new(word)];
        grid.row(cells, Cell::new(beside.join("; ")));
    }
    grid
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Phase;

    #[test]
    fn a_line_a_member_with_what_it_depends_on_beside_it() {
        let member =
            |session: &str, state: Option<StateName>, phase: Option<Phase>, after: &[&str]| {
                let after: Vec<String> = after.iter().map(|name| (*name).to_owned()).collect();
                Member {
                    session: session.into(),
                    state,
                    phase,
                    waits_for: after.iter().filter(|name| *name != "schema").cloned().collect(),
                    after,
                    holds_up: if session == "server" { vec!["client".into()] } else { Vec::new() },
                    reason: Some("no port".into()),
                    cost_usd: 1.5,
                    cost_estimated: false,
                }
            };
        let standing = Standing {
            id: "login".into(),
            name: String::new(),
            members: vec![
                member("schema", Some(StateName::Done), Some(Phase::Done), &[]),
                member("server", Some(StateName::Blocked), Some(Phase::Planning), &["schema"]),
                member("client", Some(StateName::Queued), None, &["schema", "server"]),
            ],
            cost_usd: 3.0,
            cost_estimated: false,
            budget: Some(20.0),
            next: vec!["client".into()],
            complete: false,
            outcome: None,
        };
        let plain = |text: String| anstream::adapter::strip_str(&text).to_string();
        let lines: Vec<String> = picture(&standing).lines(None).into_iter().map(plain).collect();
        assert_eq!(plain(summary(&standing)), "login  1 of 3 sessions done  $3.00 of $20.00");
        let named = Standing { name: "The login".into(), ..standing.clone() };
        let summed = plain(summary(&named));
        assert_eq!(summed, "login  The login  1 of 3 sessions done  $3.00 of $20.00");
        assert_eq!(
            lines.join("\n"),
            "■■■■■■■■  schema  done\n\
             ■■■■□□□□  server  blocked  after schema; no port; holds up client\n\
             □□□□□□□□  client  queued   waits for server"
        );
    }
}
