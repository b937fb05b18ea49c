//! The command line's side of a call to `control`: who is calling, from where, and what to do with
//! the answer.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::config::Env;
use crate::control::{self, Answer, Call, Caller, Host};
use crate::service::Reader;

use super::ui::progress::Shown;
use super::{Common, origin, output};

impl Common {
    /// The user running this program, in the current folder.
    pub(super) fn caller(&self) -> anyhow::Result<Caller> {
        let env = Env::of_process();
        Ok(Caller {
            origin: origin::of_process(&env),
            env,
            cwd: std::env::current_dir().context(
                "cannot tell the current folder, which may have been deleted: cd to another one",
            )?,
            config: self.config.clone(),
            scope: self.scope(),
            binary: own_binary()?,
        })
    }

    /// This machine, as the user may use it, or a confined agent.
    pub(super) fn host(&self) -> anyhow::Result<Box<dyn Host>> {
        Ok(control::host_of(self.caller()?))
    }

    /// A text of ours in which every command can be pasted as it stands.
    pub(super) fn command(&self, text: &str) -> String {
        let is_root = rustix::process::getuid().is_root();
        let reader = Reader { scope: self.scope(), config: self.config.as_deref(), is_root };
        reader.pasteable(text)
    }

    /// Performs a call; prints its warnings and, while it waits, its progress.
    pub(super) async fn call<C: Call>(&self, call: C) -> anyhow::Result<C::Reply> {
        let shown = Shown::begin();
        let answer = self.call_with(call, &|line| shown.line(line)).await?;
        drop(shown);
        accept(answer)
    }

    /// Performs a call. The caller prints the warnings.
    pub(super) async fn call_with<C: Call>(
        &self,
        call: C,
        progress: crate::service::Progress<'_>,
    ) -> anyhow::Result<Answer<C::Reply>> {
        let host = self.host()?;
        Ok(control::call(host.as_ref(), call, progress).await)
    }
}

/// Prints an answer's warnings and returns its result.
///
/// # Errors
/// The error of the call.
pub(super) fn accept<T>(answer: Answer<T>) -> anyhow::Result<T> {
    answer.warnings.iter().for_each(|warning| output::note(warning));
    Ok(answer.result?)
}

/// The program's own path for unit files: absolute, with symlinks unresolved so that an upgrade
/// replaces it in place.
pub(super) fn own_binary() -> anyhow::Result<PathBuf> {
    let named = std::env::args_os().next().map(PathBuf::from);
    if let Some(path) = named.filter(|path| path.is_absolute() && path.is_file()) {
        return Ok(path);
    }
    let path = std::env::current_exe().context("cannot find the samocode program file")?;
    // After an upgrade the old file is deleted and the new one has the same path.
    let text = path.to_string_lossy();
    Ok(text
        .strip_suffix(" (deleted)")
        .map_or_else(|| path.clone(), |path| Path::new(path).to_owned()))
}
