//! What the terminal tells `control`: who asks, from where; and what it does with the answer.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::config::Env;
use crate::control::context::Warnings;
use crate::control::target::Target;
use crate::control::{self, Answer, Call, Caller, Local};

use super::{Common, output};

impl Common {
    /// Whoever runs this program, in the current folder.
    pub(super) fn caller(&self) -> anyhow::Result<Caller> {
        Ok(Caller {
            env: Env::of_process(),
            cwd: std::env::current_dir().context("cannot tell the current folder")?,
            config: self.config.clone(),
            scope: self.scope(),
            binary: own_binary()?,
        })
    }

    /// Performs a call, and prints its warnings and what it waits for.
    pub(super) async fn call<C: Call>(&self, call: C) -> anyhow::Result<C::Reply> {
        let answer = self.call_with(call, &|line| output::note(line)).await?;
        accept(answer)
    }

    /// Performs a call and leaves it to the caller to print its warnings.
    pub(super) async fn call_with<C: Call>(
        &self,
        call: C,
        progress: crate::service::Progress<'_>,
    ) -> anyhow::Result<Answer<C::Reply>> {
        let host = Local::new(self.caller()?);
        Ok(control::call(&host, call, progress).await)
    }
}

impl Common {
    /// The session that was typed, for verbs that read its files themselves.
    pub(super) fn target(&self, typed: &str) -> anyhow::Result<Target> {
        let warnings = Warnings::default();
        let result = Target::resolve(&self.caller()?, &warnings, typed);
        accept(Answer { result, warnings: warnings.take() })
    }
}

/// Prints an answer's warnings.
///
/// # Errors
/// The answer's.
pub(super) fn accept<T>(answer: Answer<T>) -> anyhow::Result<T> {
    answer.warnings.iter().for_each(|warning| output::note(warning));
    Ok(answer.result?)
}

/// The program's own path, as units execute it: absolute, links not resolved away from where an
/// upgrade puts the next version.
pub(super) fn own_binary() -> anyhow::Result<PathBuf> {
    let named = std::env::args_os().next().map(PathBuf::from);
    if let Some(path) = named.filter(|path| path.is_absolute() && path.is_file()) {
        return Ok(path);
    }
    let path = std::env::current_exe().context("cannot tell where samocode itself is")?;
    // After an upgrade the running image's file is gone, and the new one has its place.
    let text = path.to_string_lossy();
    Ok(text
        .strip_suffix(" (deleted)")
        .map_or_else(|| path.clone(), |path| Path::new(path).to_owned()))
}
