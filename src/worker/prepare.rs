//! `init`: the worker itself creates session folder, worktree, branch and overview, which costs no
//! tokens. Every step first checks whether it is already done.

use std::path::Path;

use crate::config::{Project, Settings};
use crate::git::{self, Checkout, Finding, Programs, Severity};
use crate::session::Hint as _;
use crate::session::event;
use crate::session::journal::Event;
use crate::session::overview::{NewOverview, Overview};
use crate::session::store::{self, StoreError};
use crate::session::{Phase, clock, names, stamp};

use super::confine;
use super::preparing::{Shown, provide, show};
use super::provision::{Ground, Provided};
use super::unready::Unready;
use super::writer::Writer;

/// Creates whatever a session still lacks, so that the agent can start, and journals that it is prepared.
pub(super) async fn prepare(
    writer: &mut Writer,
    project: &Project,
    settings: &Settings,
    programs: &Programs,
    ground: Ground<'_>,
    shown: Shown<'_>,
) -> Result<Result<(), Unready>, StoreError> {
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
            let branch = branch(writer, settings);
            let folder = writer.folder.name();
            let made = show(writer, shown, |teller| async move {
                let told = |progress: &str| teller.say(progress.to_owned());
                let made = make_worktree((&folder, &branch), project, settings, programs, &told);
                tokio::join!(made, git::commits_work(&project.main_repo))
            });
            let (made, commits_work) = made.await;
            match made {
                Ok(place) => (place, commits_work),
                Err(unready) => return Ok(Err(unready)),
            }
        }
    };
    if !commits_work {
        let unsigned = confine::forgoes_signing(ground.confine(), ground.home());
        match findings(&place.working_dir, unsigned).await {
            Ok(notes) => place.notes.extend(notes),
            Err(unready) => return Ok(Err(unready)),
        }
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
            Err(unready) => return Ok(Err(unready)),
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
    Ok(Ok(()))
}

/// Creates the worktree again if someone removed it, or locates it if the project was moved.
pub(super) async fn restore_worktree(
    writer: &mut Writer,
    project: &Project,
    settings: &Settings,
    programs: &Programs,
    shown: Shown<'_>,
) -> Result<Result<(), Unready>, StoreError> {
    let (folder, branch) = (writer.folder.name(), branch(writer, settings));
    let made = show(writer, shown, |teller| async move {
        let told = |progress: &str| teller.say(progress.to_owned());
        make_worktree((&folder, &branch), project, settings, programs, &told).await
    });
    let place = match made.await {
        Ok(place) => place,
        Err(unready) => return Ok(Err(unready)),
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

/// The session's branch.
fn branch(writer: &Writer, settings: &Settings) -> String {
    let folder = writer.folder.name();
    settings.branch_of(names::name_in_folder(&folder).unwrap_or(&writer.state().name))
}

/// Makes the worktree, or says why that cannot be done now. `told` hears how far git is.
async fn make_worktree(
    (folder, branch): (&str, &str),
    project: &Project,
    settings: &Settings,
    programs: &Programs,
    told: &(dyn Fn(&str) + Send + Sync),
) -> Result<Place, Unready> {
    if let Err(error) = project.check_places() {
        return Err(Unready::Blocked(error.in_one_line()));
    }
    let checkout = Checkout::of_session(project, folder);
    let repository = confine::repository(settings);
    let made = match checkout.make_and_tell(branch, programs, repository, told).await {
        Ok(made) => made,
        Err(error) => return Err(Unready::of(&error, checkout.root())),
    };
    Ok(Place {
        working_dir: made.working_dir.to_string_lossy().into_owned(),
        base: made.base().map(str::to_owned),
        branch: made.branch,
        notes: made.notes,
        copied: Vec::new(),
    })
}

/// A problem that would prevent the agent's first commit, found before any money is spent; otherwise
/// what a human should know.
async fn findings(working_dir: &str, unsigned: bool) -> Result<Vec<String>, Unready> {
    let folder = Path::new(working_dir);
    let found = if unsigned { git::check_unsigned(folder).await } else { git::check(folder).await };
    let found = found.map_err(|error| Unready::of(&error, folder))?;
    let said = |finding: &Finding| format!("{}: {}", finding.what, finding.remedy);
    if let Some(finding) = found.iter().find(|found| found.severity == Severity::Blocking) {
        return Err(Unready::Blocked(said(finding)));
    }
    let unsigned = found.iter().filter(|finding| finding.what == git::UNSIGNED);
    Ok(unsigned.map(|finding| format!("{}; {}", finding.what, finding.remedy)).collect())
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
