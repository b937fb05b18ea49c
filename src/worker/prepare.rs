//! `init`: the worker itself creates session folder, worktree, branch and overview, which costs no
//! tokens. Every step first checks whether it is already done.

use std::path::Path;

use crate::config::{Project, Settings};
use crate::git::{self, Checkout, Programs, Severity};
use crate::platform::limits::Limit;
use crate::session::Hint as _;
use crate::session::event;
use crate::session::journal::Event;
use crate::session::overview::{NewOverview, Overview};
use crate::session::store::{self, StoreError};
use crate::session::{Phase, clock, names, stamp};

use super::confine;
use super::preparing::{Shown, provide};
use super::provision::{Ground, Provided};
use super::writer::Writer;

/// The result of preparing a session.
#[derive(Debug)]
pub(super) enum Prepared {
    /// Worktree and overview exist, so the agent can start.
    Ready,
    /// A human has to fix something first; holds the reason.
    Blocked(String),
}

/// Creates whatever a session still lacks, and journals that it is prepared.
pub(super) async fn prepare(
    writer: &mut Writer,
    project: &Project,
    settings: &Settings,
    programs: &Programs,
    ground: Ground<'_>,
    shown: Shown<'_>,
) -> Result<Prepared, StoreError> {
    writer.folder.make_subfolders()?;
    // An imported session already has its working folder; any other gets a worktree.
    let known = writer.overview()?.as_ref().and_then(Overview::working_dir).map(str::to_owned);
    let is_ours = |dir: &str| Path::new(dir).starts_with(Checkout::place(project));
    let known = known.filter(|dir| Path::new(dir).is_dir() && !is_ours(dir));
    let (mut place, commits_work) = match known {
        Some(dir) => {
            let (notes, copied) = (Vec::new(), Vec::new());
            (Place { working_dir: dir, branch: None, base: None, notes, copied }, false)
        }
        None => {
            // Check git's settings while git checks out.
            let made = make_worktree(writer, project, settings, programs);
            let (made, commits_work) = tokio::join!(made, git::commits_work(&project.main_repo));
            match made? {
                Ok(place) => (place, commits_work),
                Err(reason) => return Ok(Prepared::Blocked(reason)),
            }
        }
    };
    if !commits_work && let Some(reason) = blocking_finding(&place.working_dir).await {
        return Ok(Prepared::Blocked(reason));
    }
    store::crash_point("the worktree is made");
    if place.branch.is_some() {
        let root = Checkout::of_session(project, &writer.folder.name()).root().to_owned();
        match provide(writer, shown, ground, &root, Path::new(&place.working_dir)).await {
            Ok(Provided { copied, notes }) => {
                place.copied = copied;
                if settings.provision.submodules {
                    place.notes.retain(|note| note != git::NO_SUBMODULES);
                }
                place.notes.extend(notes);
            }
            Err(reason) => return Ok(Prepared::Blocked(reason)),
        }
        store::crash_point("the worktree is ready");
    }
    write_overview(writer, &place)?;
    writer.record(Event::Prepared(event::Prepared {
        working_dir: place.working_dir,
        branch: place.branch,
        base: place.base,
        notes: place.notes,
        copied: place.copied,
    }))?;
    Ok(Prepared::Ready)
}

/// Creates the worktree again if someone removed it, or locates it if the project was moved.
pub(super) async fn restore_worktree(
    writer: &mut Writer,
    project: &Project,
    settings: &Settings,
    programs: &Programs,
) -> Result<Result<(), String>, StoreError> {
    let place = match make_worktree(writer, project, settings, programs).await? {
        Ok(place) => place,
        Err(why) => return Ok(Err(why)),
    };
    if writer.state().working_dir() != Some(&place.working_dir) {
        let base = writer.state().base().map(str::to_owned);
        let Place { working_dir, branch, notes, copied, .. } = place;
        let prepared = event::Prepared { working_dir, branch, base, notes, copied };
        writer.record(Event::Prepared(prepared))?;
    }
    Ok(Ok(()))
}

struct Place {
    working_dir: String,
    branch: Option<String>,
    base: Option<String>,
    notes: Vec<String>,
    copied: Vec<String>,
}

/// Makes the worktree, or says why a human has to do something first. A limit of the machine, such as a
/// full or read-only disk, is an error: it is waited out like any other.
async fn make_worktree(
    writer: &Writer,
    project: &Project,
    settings: &Settings,
    programs: &Programs,
) -> Result<Result<Place, String>, StoreError> {
    let folder = writer.folder.name();
    let name = names::name_in_folder(&folder).unwrap_or(&writer.state().name);
    let branch = settings.branch_of(name);
    if let Err(error) = project.check_places() {
        return Ok(Err(error.in_one_line()));
    }
    let checkout = Checkout::of_session(project, &folder);
    let made = match checkout.make(&branch, programs, confine::repository(settings)).await {
        Ok(made) => made,
        Err(git::Error::Io { doing: action, path, source }) if Limit::of(&source).is_some() => {
            return Err(StoreError { action, path, source });
        }
        Err(error) => return Ok(Err(error.in_one_line())),
    };
    Ok(Ok(Place {
        working_dir: made.working_dir.to_string_lossy().into_owned(),
        base: made.base().map(str::to_owned),
        branch: made.branch,
        notes: made.notes,
        copied: Vec::new(),
    }))
}

/// A problem that would prevent the agent's first commit, found before any money is spent.
async fn blocking_finding(working_dir: &str) -> Option<String> {
    match git::check(Path::new(working_dir)).await {
        Ok(findings) => findings
            .into_iter()
            .find(|finding| finding.severity == Severity::Blocking)
            .map(|finding| format!("{}: {}", finding.what, finding.remedy)),
        Err(error) => Some(error.in_one_line()),
    }
}

fn write_overview(writer: &Writer, place: &Place) -> Result<(), StoreError> {
    let path = writer.folder.overview();
    if store::read(&path)?.is_some_and(|bytes| !bytes.is_empty()) {
        return Ok(());
    }
    let state = writer.state();
    let overview = Overview::new(&NewOverview {
        name: &state.name,
        started: &stamp::log(&clock::local_now()),
        working_dir: &place.working_dir,
        task: &state.task,
        dive: state.dive.as_deref(),
        phase: if state.phase() == Phase::Init { Phase::Investigation } else { state.phase() },
        iteration: state.total,
    });
    // A missing overview is rewritten from the journal.
    store::replace_again(&path, overview.as_bytes())
}
