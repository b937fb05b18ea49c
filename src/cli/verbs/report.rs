//! `samocode report`: a session's work as one page.

use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use crate::control::{self, Class, Error};
use crate::report::Form;
use crate::session::clock;

use super::output;
use super::{Common, complete, pager};

/// Write a page about what was done in a session
///
/// The page has the task, the summary, time and cost by phase, questions with their answers, the
/// plan, commits, history and changes.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  samocode report jwt-login                    as Markdown, on the terminal\n  samocode report jwt-login -o jwt-login.html  one page that needs no other file\n\nExit codes: 0 written, 2 no such session, or the file cannot be written."
)]
pub(in crate::cli) struct Report {
    /// A name, a dated folder name, or an instance
    #[arg(add = complete::sessions())]
    session: String,
    /// The file to write, instead of printing; .html or .htm makes it HTML, anything else Markdown
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The form of the page, whatever the file is called
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Print what the page is made from as JSON
    #[arg(long, conflicts_with_all = ["output", "format"])]
    json: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    Html,
    Markdown,
}

impl Report {
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        output::until_closed(self.write(common).await.map(|()| ExitCode::SUCCESS))
    }

    async fn write(self, common: &Common) -> anyhow::Result<()> {
        let call = control::report::Report { session: self.session.clone() };
        let story = common.call(call).await?;
        if self.json {
            return output::json(&story);
        }
        let page = self.form().render(&story, &clock::local_zone());
        if let Some(file) = &self.output {
            written(file, page.as_bytes())?;
            return output::line(format!("Wrote {}.", file.display()));
        }
        let _paged = pager::paged(true);
        page.lines().try_for_each(|line| output::line(line.to_owned()))
    }

    fn form(&self) -> Form {
        match self.format {
            Some(Format::Html) => Form::Html,
            Some(Format::Markdown) => Form::Markdown,
            None => self.output.as_deref().map_or(Form::Markdown, by_name),
        }
    }
}

/// Writes the page. What cannot be written whole replaces nothing.
fn written(file: &Path, page: &[u8]) -> Result<(), Error> {
    let is_plain = std::fs::symlink_metadata(file).map_or(true, |meta| meta.is_file());
    let write = || {
        if !is_plain {
            // A device, a pipe, a link.
            return std::fs::write(file, page);
        }
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
        let mut new = tempfile::Builder::new();
        let readable = std::fs::Permissions::from_mode(0o644);
        let new = new.prefix(".samocode-").permissions(readable);
        let mut new = new.tempfile_in(folder.unwrap_or(Path::new(".")))?;
        new.write_all(page)?;
        new.persist(file).map(drop).map_err(|error| error.error)
    };
    write().map_err(|error| {
        // An error of the file's name is the caller's, any other the machine's.
        let class = match error.kind() {
            ErrorKind::NotFound | ErrorKind::IsADirectory | ErrorKind::NotADirectory => {
                Class::Usage
            }
            _ => Class::Unavailable,
        };
        let Error { message, hint, .. } = Error::of(class, &error);
        let error = Error::new(class, format!("cannot write {}: {message}", file.display()));
        Error { hint, ..error }
    })
}

/// The form that a file's name asks for.
fn by_name(file: &Path) -> Form {
    match file.extension().and_then(|end| end.to_str()) {
        Some("html" | "htm") => Form::Html,
        _ => Form::Markdown,
    }
}
