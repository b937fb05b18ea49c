//! `samocode report`: a session's work as one page.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use crate::control::report::Story;
use crate::control::{self, Class, Error, convoy};
use crate::report::Form;
use crate::service::quiet;
use crate::session::clock;
use crate::session::store::{self, StoreError};

use super::output;
use super::{Common, complete, front, pager};

/// Write a page about what was done in a session or a convoy
///
/// The page has the task, the summary, time and cost by phase, questions with their answers,
/// decisions, the plan, commits, restarts and waits, history and changes.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  samocode report jwt-login                    as Markdown, on the terminal\n  samocode report jwt-login -o jwt-login.html  one page that needs no other file\n  samocode report login -o login.html          the sessions of a convoy\n\nExit codes: 0 written, 2 no such session, or the file cannot be written."
)]
pub(in crate::cli) struct Report {
    /// A name, a dated folder name, or an instance; or the id of a convoy
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
        let zone = clock::shown_zone();
        let page =
            match front::accept(common.call_with(call, &|line| output::progress(line)).await?) {
                Ok(story) if self.json => return output::json(&story),
                Ok(story) => self.form().render(&story, &zone),
                Err(error) => {
                    // A name that no session has may be a convoy's.
                    let id = self.session.clone();
                    let convoy = common.call_with(convoy::Status { id }, &quiet).await?.result;
                    let Ok(convoy) = convoy else { return Err(error) };
                    let stories = self.of_members(common, &convoy).await?;
                    if self.json {
                        return output::json(&stories);
                    }
                    self.form().render_all(&convoy.id, &stories, &zone)
                }
            };
        if let Some(file) = &self.output {
            written(file, page.as_bytes())?;
            outln!("Wrote {}.", file.display());
            return Ok(());
        }
        let _paged = pager::paged(true);
        page.lines().try_for_each(|line| output::line(line.to_owned()))
    }

    /// The stories of a convoy's sessions, as far as they exist.
    async fn of_members(
        &self,
        common: &Common,
        convoy: &convoy::Standing,
    ) -> anyhow::Result<Vec<Story>> {
        let mut stories = Vec::new();
        for member in convoy.members.iter().filter(|member| member.state.is_some()) {
            let call = control::report::Report { session: member.session.clone() };
            match common.call_with(call, &quiet).await?.result {
                Ok(story) => stories.push(*story),
                Err(error) => output::note(&error.in_one_line()),
            }
        }
        Ok(stories)
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
    // A device, a pipe or a link is written to, not replaced.
    let is_plain = std::fs::symlink_metadata(file).map_or(true, |meta| meta.is_file());
    let done = if is_plain {
        store::replace_derived(file, page)
    } else {
        let failed = |source| StoreError { action: "write", path: file.to_owned(), source };
        std::fs::write(file, page).map_err(failed)
    };
    done.map_err(|error| {
        // An error of the file's name is the caller's, any other the machine's.
        let class = match error.source.kind() {
            ErrorKind::NotFound | ErrorKind::IsADirectory | ErrorKind::NotADirectory => {
                Class::Usage
            }
            _ => Class::Unavailable,
        };
        Error::of(class, &error)
    })
}

/// The form that a file's name asks for.
fn by_name(file: &Path) -> Form {
    match file.extension().and_then(|end| end.to_str()) {
        Some("html" | "htm") => Form::Html,
        _ => Form::Markdown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_written_whole_and_an_error_names_its_file_and_class() {
        let dir = tempfile::tempdir().unwrap();
        let page = dir.path().join("x.html");
        for text in ["first", "second"] {
            written(&page, text.as_bytes()).unwrap();
            assert_eq!(std::fs::read_to_string(&page).unwrap(), text);
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        for (file, class) in [
            (dir.path().join("none/x.html"), Class::Usage),
            (dir.path().to_owned(), Class::Usage),
            (PathBuf::from("/dev/full"), Class::Unavailable),
        ] {
            let error = written(&file, b"page").unwrap_err();
            assert_eq!(error.class, class, "{error:?}");
            assert!(error.message.contains(&file.display().to_string()), "{error:?}");
        }
        let full = written(Path::new("/dev/full"), b"page").unwrap_err();
        assert_eq!(full.hint.as_deref(), Some("the disk is full: free some space"));
    }
}
