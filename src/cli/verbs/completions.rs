//! `samocode completions`: shell completion scripts, which ask this program what there is.

use std::io::{ErrorKind, Write as _};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use clap_complete::env::{Bash, Elvish, EnvCompleter, Fish, Powershell, Zsh};

use super::output;

/// Print a shell completion script
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  samocode completions bash > ~/.local/share/bash-completion/completions/samocode\n  samocode completions zsh  > ~/.zfunc/_samocode\n  samocode completions fish > ~/.config/fish/completions/samocode.fish\n\nCompletes names of sessions, too. zsh looks only in folders on its fpath: put this line into\n~/.zshrc, above compinit:\n  fpath=(~/.zfunc $fpath)"
)]
pub(in crate::cli) struct Completions {
    /// The shell to complete in
    shell: Shell,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Shell {
    Bash,
    Elvish,
    Fish,
    Powershell,
    Zsh,
}

/// The variable by which a shell says that it wants completions.
pub(in crate::cli) const VARIABLE: &str = "SAMOCODE_COMPLETE";

const NAME: &str = "samocode";

impl Completions {
    pub(super) fn exec(self) -> ExitCode {
        let shell: &dyn EnvCompleter = match self.shell {
            Shell::Bash => &Bash,
            Shell::Elvish => &Elvish,
            Shell::Fish => &Fish,
            Shell::Powershell => &Powershell,
            Shell::Zsh => &Zsh,
        };
        let mut script = Vec::new();
        let made = shell.write_registration(VARIABLE, NAME, NAME, NAME, &mut script);
        match made
            .and_then(|()| std::io::stdout().write_all(&script))
            .and_then(|()| std::io::stdout().flush())
        {
            Ok(()) => ExitCode::SUCCESS,
            // A reader such as head may stop early.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
            Err(error) => {
                output::error(&format!("cannot print the completions: {error}"));
                ExitCode::FAILURE
            }
        }
    }
}
