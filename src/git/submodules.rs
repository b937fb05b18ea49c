//! Checking out the submodules of a new worktree.

use std::path::Path;

use super::command::run;
use super::fetch::fetch_command;
use super::{CHECKOUT_LIMIT, Error};

/// A note about a worktree whose submodules were not checked out.
pub const NO_SUBMODULES: &str = "the repository has submodules; they are not checked out. Set SAMOCODE_SUBMODULES=yes, or run: git submodule update --init --recursive";

/// Checks out all submodules of the worktree at `root`, and theirs. What is there already stays.
///
/// # Errors
/// git's, as without a network.
pub async fn update_submodules(root: &Path) -> Result<(), Error> {
    if !root.join(".gitmodules").exists() {
        return Ok(());
    }
    let doing = format!("check out the submodules in {}", root.display());
    let mut command = fetch_command(root);
    command.args(["submodule", "--quiet", "update", "--init", "--recursive"]);
    run(command, &doing, CHECKOUT_LIMIT).await?.checked(doing)?;
    Ok(())
}
