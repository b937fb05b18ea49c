//! The only thing samocode uses git's network access for: finding the remote's current default
//! branch.

use std::path::Path;
use std::time::Instant;

use super::command::{batch_ssh, first_line, git_command, git_for_reading, read, run, setting};
use super::create::again;
use super::plan::{Start, WorktreePlan};
use super::programs::Barred;
use super::reader::{Reader, open};
use super::{Error, FETCH_LIMIT, Plan};

/// The plan after a look at the remote, with notes for a human. One whose branch exists stays as it is.
pub(super) async fn freshened(
    plan: WorktreePlan,
    barred: &Barred,
) -> Result<(WorktreePlan, Vec<String>), Error> {
    if plan.remote.is_none() || matches!(plan.start, Start::Attach(_)) {
        return Ok((plan, Vec::new()));
    }
    let mut notes: Vec<String> = fetch(&plan, barred).await.into_iter().collect();
    let plan = match again(&plan)? {
        Plan::Worktree(fresh) => fresh,
        Plan::Plain { .. } => plan,
    };
    notes.extend(missed(&plan));
    Ok((plan, notes))
}

/// Updates the remote's default branch. Failures become notes.
async fn fetch(plan: &WorktreePlan, barred: &Barred) -> Option<String> {
    let remote = plan.remote.as_deref()?;
    if let Some(why) = barred.no_fetch() {
        return Some(format!("did not fetch from {remote}: {why}; using the commits already here"));
    }
    let until = Instant::now() + FETCH_LIMIT;
    let refs = format!("refs/remotes/{remote}");
    let default = open(&plan.repo)
        .ok()
        .flatten()
        .and_then(|reader| reader.symbolic(&format!("{refs}/HEAD")).ok().flatten());
    let name = default.as_deref().and_then(|name| name.strip_prefix(&format!("{refs}/")));
    let mut command = fetch_command(&plan.repo);
    command.args(["fetch", "--quiet", "--no-recurse-submodules", remote]);
    // One branch is enough; if its name is unknown, fetch everything.
    command.args(name.map(|name| format!("+refs/heads/{name}:{refs}/{name}")));
    let doing = format!("fetch from {remote}");
    let fetched =
        run(command, &doing, FETCH_LIMIT).await.and_then(|finished| finished.checked(&doing));
    if let Err(error) = fetched {
        return Some(format!("{error}; using the commits already here"));
    }
    if name.is_none() {
        let mut command = fetch_command(&plan.repo);
        command.args(["remote", "set-head", remote, "--auto"]);
        // Newer gits do this while fetching; otherwise main and master are tried.
        let _ = run(
            command,
            "ask for the default branch",
            until.saturating_duration_since(Instant::now()),
        )
        .await;
    }
    None
}

/// git for network access: ssh in batch mode, no credential dialogues, no housekeeping.
pub(super) fn fetch_command(repo: &Path) -> tokio::process::Command {
    let configured = || {
        let asked =
            read(git_for_reading(repo).args(["config", "--get", "core.sshCommand"])).ok()?;
        asked.status.success().then(|| first_line(&asked.stdout))
    };
    let given = std::env::var("GIT_SSH_COMMAND").ok().or_else(configured);
    let mut command = git_command(repo);
    if let Some(ssh) = batch_ssh(given.as_deref(), std::env::var("GIT_SSH").ok().as_deref()) {
        command.env("GIT_SSH_COMMAND", ssh);
    }
    for (key, value) in [
        ("credential.interactive", "false"),
        ("gc.auto", "0"),
        ("maintenance.auto", "false"),
        // A remote's address could be a command line.
        ("protocol.ext.allow", "never"),
    ] {
        command.args(setting(key, value));
    }
    command
}

/// Commits and branches that a human might expect in the new branch but that are not in it.
fn missed(plan: &WorktreePlan) -> Vec<String> {
    let (Some(remote), Start::New(base)) = (&plan.remote, &plan.start) else {
        return Vec::new();
    };
    let Ok(Some(reader)) = open(&plan.repo) else {
        return Vec::new();
    };
    let mut notes = Vec::new();
    if let Some(local) = base.name.strip_prefix(&format!("{remote}/"))
        && let Some(ahead) = ahead(&*reader, local, &base.commit)
    {
        notes.push(format!("the local branch '{local}' is ahead of {} by {ahead}; this session starts without those commits", base.name));
    }
    if let Ok(Some(_)) = reader.commit(&format!("refs/remotes/{remote}/{}", plan.branch)) {
        notes.push(format!(
            "{remote} already has a branch '{}'; this one is new, from {} ({})",
            plan.branch, base.name, base.short
        ));
    }
    notes
}

fn ahead(reader: &dyn Reader, local: &str, base: &str) -> Option<usize> {
    let name = format!("refs/heads/{local}");
    reader.commit(&name).ok()??;
    reader.ahead(&name, base).ok().filter(|ahead| *ahead > 0)
}
