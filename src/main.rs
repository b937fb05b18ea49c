//! The samocode program.

use std::process::ExitCode;

fn main() -> ExitCode {
    samocode::cli::main(std::env::args_os())
}
