//! `samocode doctor`: finds what is broken and how to fix it.

use std::process::ExitCode;

use anstyle::AnsiColor;
use clap::Args;
use serde_json::json;

use crate::control::Error;
use crate::control::doctor::live::{Tried, TryAgent};
use crate::control::doctor::{Checked, Examine, Examined, Status};
use crate::platform::memory;

use super::{Common, complete, input, layout, output, pager};

/// Find problems that keep sessions from working, and how to fix them
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  samocode doctor\n  samocode doctor --fix    fix what it can: lingering, units, folders, permissions\n  samocode doctor --agent claude --live    try a tiny real conversation; asks first\n\nOne line per check: ✓ fine, ! worth a look, ✗ broken. Exit code 0 when nothing is broken, else 1. Does not\nuse the network, except with --live."
)]
pub(in crate::cli) struct Doctor {
    /// Fix what can be fixed without asking
    #[arg(long)]
    fix: bool,
    /// Try the agent in a tiny real conversation, which costs a little
    #[arg(long, conflicts_with = "fix")]
    live: bool,
    /// The agent to try [default: the one that implements in the project]
    #[arg(long, value_name = "AGENT", requires = "live", add = complete::agents())]
    agent: Option<String>,
    /// Try it without asking
    #[arg(long, short, requires = "live")]
    yes: bool,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

impl Doctor {
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        // Before the credentials are read.
        memory::seal();
        if self.live {
            return self.try_agent(common).await;
        }
        let examined = common.call(Examine { fix: self.fix }).await?;
        for error in &examined.not_fixed {
            output::error(&error.in_one_line());
        }
        let Examined { healthy, fixed, checks, .. } = &examined;
        let _paged = pager::paged(!self.json);
        let shown = if self.json {
            output::json(&json!({ "healthy": healthy, "fixed": fixed, "checks": checks }))
        } else {
            let fix = (!self.fix).then(|| common.command("samocode doctor --fix"));
            print(&examined, fix.as_deref())
        };
        let verdict = if *healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        output::until_closed(shown.map(|()| verdict))
    }
}

impl Doctor {
    /// Plays a tiny conversation with an agent, once a human has agreed to what it costs.
    async fn try_agent(&self, common: &Common) -> anyhow::Result<ExitCode> {
        let call = |agreed| TryAgent { agent: self.agent.clone(), agreed };
        if !self.yes {
            let Tried { agent, program, price, .. } = common.call(call(false)).await?;
            let about = format!("This tries {agent} ({}): {price}.", program.display());
            for line in layout::wrap(&about, "", "", output::width()) {
                eprintln!("{line}");
            }
            if !input::agrees("Try it?")? {
                return Err(Error::usage("nothing was tried")
                    .hint(common.command(&format!("samocode doctor --agent {agent} --live --yes")))
                    .into());
            }
        }
        let tried = common.call(call(true)).await?;
        let healthy = tried.healthy.unwrap_or(false);
        let shown = if self.json {
            output::json(&tried)
        } else {
            let lines = tried.checks.iter().map(line);
            let lines = lines.flat_map(|text| layout::wrap(&text, "", "    ", output::width()));
            let head = format!("{} ({})", tried.agent, tried.program.display());
            std::iter::once(head).chain(lines).try_for_each(output::line)
        };
        let verdict = if healthy { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        output::until_closed(shown.map(|()| verdict))
    }
}

/// Prints the checks by group, and a verdict that offers to `fix` what can be fixed.
fn print(examined: &Examined, fix: Option<&str>) -> anyhow::Result<()> {
    for done in &examined.fixed {
        output::line(format!("Fixed: {done}."))?;
    }
    let mut group = None;
    for check in &examined.checks {
        if group.replace(check.group) != Some(check.group) {
            output::line(output::painted(output::BOLD, check.group.title()))?;
        }
        for line in layout::wrap(&line(check), "  ", "    ", output::width()) {
            output::line(line)?;
        }
    }
    let count = |status| examined.checks.iter().filter(|check| check.status == status).count();
    let fixable = examined.checks.iter().filter(|check| check.fix.is_some()).count();
    let mut verdict = match (count(Status::Broken), count(Status::Note)) {
        (0, 0) => "All is well.".to_owned(),
        (0, worth) => format!("Nothing is broken; {worth} worth a look."),
        (broken, _) => format!("{broken} broken."),
    };
    if let Some(fix) = fix.filter(|_| fixable > 0) {
        verdict.push_str(&format!(" {fix} fixes {fixable} of these."));
    }
    output::line(verdict)
}

fn line(check: &Checked) -> String {
    let (mark, color) = match check.status {
        Status::Ok => ("✓", AnsiColor::Green),
        Status::Note => ("!", AnsiColor::Yellow),
        Status::Broken => ("✗", AnsiColor::Red),
    };
    let mark = output::painted(color.on_default(), mark);
    match &check.remedy {
        Some(remedy) => format!("{mark} {} → {remedy}", check.what),
        None => format!("{mark} {}", check.what),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::doctor::Group;

    #[test]
    fn a_check_is_one_line_with_its_remedy_that_fits_the_terminal() {
        let check = Checked {
            group: Group::Project,
            status: Status::Note,
            what: "only 512 MiB free on the disk of /srv/projects/shop-sessions: sessions pause below 1 GiB"
                .to_owned(),
            remedy: Some("free some space, or lower SAMOCODE_DISK_FLOOR".to_owned()),
            fix: None,
        };
        for (name, width) in crate::cli::ui::layout::WIDTHS {
            let text = layout::wrap(&line(&check), "  ", "    ", width).join("\n");
            let text = anstream::adapter::strip_str(&text).to_string();
            insta::assert_snapshot!(name, text);
        }
        crate::cli::ui::layout::assert_fits(|width| {
            layout::wrap(&line(&check), "  ", "    ", width).join("\n")
        });
        let well = Checked { status: Status::Ok, remedy: None, ..check };
        let text = anstream::adapter::strip_str(&line(&well)).to_string();
        assert!(text.starts_with("✓ only 512 MiB") && !text.contains('→'), "{text}");
    }
}
