//! Checks of what went wrong: the last error of each session that has not worked since.

use jiff::{SignedDuration, Timestamp};

use crate::config::Project;
use crate::control::context::Warnings;
use crate::control::format::ago;
use crate::control::registry;
use crate::session::journal::{Entry, Event};
use crate::session::state::StateName;
use crate::session::store::{Folder, read_journal};
use crate::session::{RunOutcome, clock, event, names};

use super::Group;
use super::check::Check;

/// How many sessions are looked at, newest first.
const MOST: usize = 20;

/// Older errors are no longer worth a look.
const RECENT: SignedDuration = SignedDuration::from_hours(7 * 24);

/// The last error of each of the project's newest sessions, unless a later run did its work.
pub(super) fn look(project: &Project, warnings: &Warnings) -> Vec<Check> {
    let now = Timestamp::now();
    let names = registry::dated_folders(&project.sessions, warnings).unwrap_or_default();
    names
        .into_iter()
        .take(MOST)
        .flat_map(|own| {
            let folder = Folder::new(project.sessions.join(own));
            let below = folder.descendants();
            std::iter::once(folder).chain(below)
        })
        .filter_map(|folder| {
            let own = folder.name();
            let name = names::name_in_folder(&own).unwrap_or(&own).to_owned();
            let is_done = folder.read_hook().is_some_and(|hook| hook.state == StateName::Done);
            let mut last = Last::default();
            read_journal(&folder, |entry| last.take(entry)).ok().filter(|_| !is_done)?;
            last.report(&name, now)
        })
        .collect()
}

/// The last run that ended without a signal.
#[derive(Default)]
struct Last(Option<(Timestamp, event::RunEnded)>);

impl Last {
    fn take(&mut self, entry: &Entry) {
        match &entry.event {
            Event::RunEnded(ended) => {
                let failed = !matches!(ended.outcome, RunOutcome::Interrupted | RunOutcome::CutOff);
                if failed {
                    self.0 = Some((entry.at, ended.clone()));
                }
            }
            Event::SignalTaken(_) | Event::Resumed(_) => self.0 = None,
            _ => {}
        }
    }

    fn report(self, session: &str, now: Timestamp) -> Option<Check> {
        let (at, ended) = self.0.filter(|(at, _)| now.duration_since(*at) < RECENT)?;
        let when = ago(at, now, &clock::shown_zone());
        let what = format!("{session}, {when}: {}", event::Occurrence::describe(&ended));
        Some(Check::note(Group::Runs, what, remedy(&ended.outcome, session)))
    }
}

/// What helps after a run that ended like this. Its own description names what only it knows.
fn remedy(outcome: &RunOutcome, session: &str) -> String {
    let advice = match outcome {
        RunOutcome::Auth => "log in again, or fix ~/.config/samocode/env",
        RunOutcome::Denied => "allow the calls with CLAUDE_PERMISSIONS",
        RunOutcome::OutOfMemory => "raise SAMOCODE_MEMORY_MAX",
        RunOutcome::TimedOut => "raise CLAUDE_TIMEOUT",
        RunOutcome::MaxTurns => "raise the limit of its turns",
        RunOutcome::Budget => "raise SAMOCODE_BUDGET_USD_RUN or SAMOCODE_BUDGET_TOKENS_RUN",
        RunOutcome::Limit => return "nothing; it resumes when the limit ends".to_owned(),
        RunOutcome::Transient => return "nothing; it retries on its own".to_owned(),
        RunOutcome::ContextFull => return "nothing; a fresh conversation continues".to_owned(),
        _ => return format!("samocode why {session}"),
    };
    format!("{advice}; then: samocode start {session}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(json: &str) -> Entry {
        serde_json::from_str(&format!(r#"{{"seq":1,"at":"2026-11-20T10:00:00Z",{json}}}"#)).unwrap()
    }

    fn said(events: &[&str], now: &str) -> Option<Check> {
        let mut last = Last::default();
        events.iter().for_each(|event| last.take(&entry(event)));
        last.report("jwt", now.parse().unwrap())
    }

    const REFUSED: &str =
        r#""kind":"run_ended","run":"r","outcome":"auth","detail":"401 · Invalid API key""#;
    const SIGNAL: &str = r#""kind":"signal_taken","run":"r","line":{"timestamp":"2026-11-20 10:00:00","iteration":1,"phase":"testing","status":"continue","summary":"s","reason":null,"needs":null,"for":null},"phase":"testing","status":"continue","fingerprint":"f","step":{"next":"stay"}"#;

    #[test]
    fn the_last_error_is_shown_with_its_remedy_until_a_run_does_its_work() {
        let soon = "2026-11-20T10:05:00Z";
        let check = said(&[SIGNAL, REFUSED], soon).unwrap();
        assert_eq!(check.what, "jwt, 5 min ago: run ended: auth: 401 · Invalid API key");
        let remedy = check.remedy.unwrap();
        assert!(
            remedy.contains("log in again") && remedy.contains("samocode start jwt"),
            "{remedy}"
        );
        assert_eq!(said(&[REFUSED, SIGNAL], soon), None);
        assert_eq!(said(&[REFUSED], "2026-11-28T10:05:00Z"), None, "too old");
        let stopped = r#""kind":"run_ended","run":"r","outcome":"interrupted""#;
        assert!(said(&[REFUSED, stopped], soon).is_some(), "it says nothing of the error");
        assert_eq!(said(&[stopped], soon), None);
    }
}
