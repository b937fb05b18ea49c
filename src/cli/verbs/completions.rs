//! `samocode completions`: shell completion scripts.

use std::io::Write as _;
use std::process::ExitCode;

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::cli::Cli;

/// Print a shell completion script
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  samocode completions bash > ~/.local/share/bash-completion/completions/samocode\n  samocode completions zsh  > ~/.zfunc/_samocode\n  samocode completions fish > ~/.config/fish/completions/samocode.fish"
)]
pub(in crate::cli) struct Completions {
    /// The shell to complete in
    shell: Shell,
}

impl Completions {
    pub(super) fn exec(self) -> ExitCode {
        // Buffered, because the generator panics when its output is closed.
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "samocode", &mut script);
        match std::io::stdout().write_all(&script) {
            Ok(()) => ExitCode::SUCCESS,
            Err(_) => ExitCode::FAILURE,
        }
    }
}
