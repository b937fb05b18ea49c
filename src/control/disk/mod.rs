//! What sessions take on the disk.

pub mod caches;
mod walk;

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use futures_util::{StreamExt as _, stream};
use serde::{Deserialize, Serialize};

use crate::agent::REGISTRY;
use crate::config::Env;
use crate::git;
use crate::platform::threads;
use crate::session::state::StateName;

use super::context::Context;
use super::error::{Class, Error, Result};
use super::operation::{Operation, Perform};
use super::registry;
use super::session::Session;
use super::target::Target;

use walk::extent;

/// Asks what sessions take on the disk. It reads all their folders, which may take a while.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// The sessions, as typed; if empty, all of the project.
    pub sessions: Vec<String>,
}

/// What a session takes, in bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taken {
    /// The session's name, without date and project.
    pub session: String,
    /// The session's state when the call was made.
    pub state: StateName,
    /// Its worktree, without build output. What the repository has of it is not included.
    pub worktree: u64,
    /// What can be made again: build output in its worktree, `SAMOCODE_CACHE_FOLDERS`, and its own
    /// package caches, `SAMOCODE_OWN_CACHES`.
    pub caches: u64,
    /// Its `_logs/`: the agents' raw streams and stderr.
    pub logs: u64,
    /// What agents keep of its conversations in their own folders, as far as that is known.
    pub transcripts: u64,
    /// Everything else in its folder, without the sessions below it.
    pub files: u64,
}

impl Taken {
    /// All bytes that the session takes.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.worktree + self.caches + self.logs + self.transcripts + self.files
    }
}

/// How many sessions are read at the same time.
const SIDE_BY_SIDE: usize = 8;

#[async_trait]
impl Perform for Disk {
    async fn perform(self, on: &Operation<'_>) -> Result<Vec<Taken>> {
        let (context, mut found) = Target::resolve_all(on.caller, &on.warnings, &self.sessions)?;
        if self.sessions.is_empty() {
            found = registry::all(&context)?;
        }
        let readings = found.into_iter().map(|session| {
            let context = context.clone();
            in_a_thread(move || taken(&context, &session))
        });
        let all: Vec<Result<Taken>> = stream::iter(readings).buffered(SIDE_BY_SIDE).collect().await;
        all.into_iter().collect()
    }
}

/// Does what reads many files without holding up anything else.
async fn in_a_thread<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let done = threads::apart_or_here(work).await;
    done.unwrap_or_else(|error| Err(Error::new(Class::Internal, error.to_string())))
}

fn taken(context: &Context, session: &Session) -> Result<Taken> {
    let hook = session.hook()?;
    let root = hook.worktree.as_deref().map(Path::new).and_then(|folder| root_of(context, folder));
    let (mut worktree, mut build) = (0, 0);
    if let Some(root) = &root {
        let checkout = git::Checkout::around(&context.project, root);
        let own = checkout.as_ref().and_then(git::Checkout::own_repository);
        worktree = extent(root).bytes + own.map_or(0, |own| extent(own).bytes);
        // Where git cannot read it, all of it counts as the worktree's.
        let folders = git::ignored_folders(root, &context.settings.cache_folders);
        build = folders.unwrap_or_default().iter().map(|path| extent(&root.join(path)).bytes).sum();
    }
    let folder = &session.folder;
    let logs = extent(&folder.logs()).bytes;
    let own_caches = extent(&folder.own_caches()).bytes;
    // They are listed by themselves.
    let below: u64 = folder.below().iter().map(|below| extent(below.path()).bytes).sum();
    Ok(Taken {
        session: session.name.clone(),
        state: hook.state,
        worktree: worktree.saturating_sub(build),
        caches: build + own_caches,
        logs,
        transcripts: hook
            .worktree
            .iter()
            .flat_map(|place| transcripts(&context.caller.env, Path::new(place)))
            .map(|place| extent(&place).bytes)
            .sum(),
        files: folder
            .roots()
            .iter()
            .map(|root| extent(root).bytes)
            .sum::<u64>()
            .saturating_sub(logs + own_caches + below),
    })
}

/// The worktree that was made for the session and contains this folder.
fn root_of(context: &Context, folder: &Path) -> Option<PathBuf> {
    let checkout = git::Checkout::around(&context.project, folder)?;
    Some(checkout.root().to_owned()).filter(|root| root.is_dir())
}

/// Where the agents keep what was said in a folder.
fn transcripts(env: &Env, working_dir: &Path) -> Vec<PathBuf> {
    let specs = REGISTRY.specs();
    let places = specs.filter_map(|spec| {
        let own = spec.manifest().credentials.folder(env)?;
        spec.transcripts(&own, working_dir)
    });
    places.collect()
}

#[cfg(test)]
mod tests;
