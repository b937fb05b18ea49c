//! What a worker is given.

use std::path::PathBuf;

use crate::config::{Env, EnvFile, Project, Settings};
use crate::notify::Channels;
use crate::service::{Scope, Spool};
use crate::session::store::Folder;

/// Everything a worker needs: its session, settings and environment.
#[derive(Debug)]
pub struct Setup {
    /// The unit instance, which identifies the session on this machine.
    pub instance: String,
    /// The session's folder, which must exist.
    pub folder: Folder,
    /// The project that the session belongs to.
    pub project: Project,
    /// Settings from all layers, as they apply to this session.
    pub settings: Settings,
    /// The worker's own environment variables.
    pub env: Env,
    /// The user's env file, with its secrets.
    pub env_file: EnvFile,
    /// The channels through which the human is notified.
    pub channels: Channels,
    /// Whose service manager the session belongs to.
    pub scope: Scope,
    /// The waker's spool; `None` if no service manager runs the worker.
    pub spool: Option<Spool>,
    /// `$XDG_STATE_HOME/samocode`, for data that sessions share.
    pub state_dir: PathBuf,
    /// Folders that may hold a project's or a user's own agent instructions.
    pub role_folders: Vec<PathBuf>,
    /// Whether a person started the worker in the foreground.
    pub foreground: bool,
    /// The unit's binary, re-executed by a reload.
    pub binary: PathBuf,
}
