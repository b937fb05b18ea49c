//! Bringing rescued files back into a worktree that was made again.

use std::fs;
use std::path::Path;

use jiff::Timestamp;

use super::super::Error;
use super::super::command::{git_command, git_for_reading, read, run};
use super::{LIMIT, RESCUED, Worktree, component};

/// The form of the time in a reference's name.
pub(super) const TIME: &str = "%Y%m%dT%H%M%SZ";

/// Puts the files that were last saved for `session` on the commit that the worktree at `root` is
/// at back into it, uncommitted as they were. Returns the reference they came from; `None` if
/// nothing was saved on that commit. The reference stays.
///
/// # Errors
/// git's, as when a file in the worktree would be overwritten. Nothing was changed then.
pub async fn bring_back(root: &Path, session: &str) -> Result<Option<String>, Error> {
    let doing = format!("bring the saved files back into {}", root.display());
    let mut command = git_for_reading(root);
    command.args(["rev-parse", "--verify", "--quiet", "HEAD"]);
    let head = read(&mut command)?.line(&doing).ok();
    let mut command = git_for_reading(root);
    // By name, which is by time.
    command.args(["for-each-ref", "--sort=-refname", "--format=%(refname) %(parent)"]);
    command.arg(format!("{RESCUED}{}/", component(session)));
    let listed = read(&mut command)?.checked(&doing)?;
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let saved = listed.lines().find_map(|line| {
        let mut words = line.split(' ');
        let (name, parent) = (words.next()?, words.next()?);
        (Some(parent) == head.as_deref()).then(|| name.to_owned())
    });
    let Some(saved) = saved else { return Ok(None) };
    // Files and index to what was saved, as in a change of branch; then the index back. One that was
    // killed may have done that already.
    if !has_files_of(root, &saved).await? {
        let mut command = git_command(root);
        command.args(["read-tree", "-m", "-u", "HEAD", &saved]);
        run(command, &doing, LIMIT).await?.checked(&doing)?;
    }
    let mut command = git_command(root);
    command.args(["read-tree", "HEAD"]);
    run(command, &doing, LIMIT).await?.checked(&doing)?;
    Ok(Some(saved))
}

/// The reference of what was saved last for `session`, if that was at this time or later.
///
/// # Errors
/// git's.
pub fn saved_since(root: &Path, session: &str, since: Timestamp) -> Result<Option<String>, Error> {
    let mut command = git_for_reading(root);
    command.args(["for-each-ref", "--sort=-refname", "--count=1", "--format=%(refname)"]);
    command.arg(format!("{RESCUED}{}/", component(session)));
    let name = read(&mut command)?.line(format!("read references of {}", root.display()))?;
    let time = name.rsplit('/').next().unwrap_or_default();
    Ok((time >= since.strftime(TIME).to_string().as_str()).then_some(name))
}

/// Whether the worktree has exactly the files of a commit.
async fn has_files_of(root: &Path, commit: &str) -> Result<bool, Error> {
    let work = Worktree::open(root).await?;
    let found = async {
        let wanted = work.line(work.git(&["rev-parse", &format!("{commit}^{{tree}}")])).await?;
        Ok(work.contents().await?.tree == wanted)
    };
    let found = found.await;
    let _ = fs::remove_dir_all(&work.scratch);
    found
}
