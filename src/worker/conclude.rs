//! Carries out what follows from the end of a run, as [`conclusion`](super::conclusion) decides.

use std::ffi::OsStr;
use std::path::Path;

use jiff::Timestamp;

use crate::agent::Outcome;
use crate::agent::price::Prices;
use crate::config::Dirs;
use crate::session::event;
use crate::session::journal::Event;
use crate::session::signal::SignalError;
use crate::session::store::{Folder, StoreError};

use super::account::{Account, ONCE_MORE};
use super::conclusion::{Conclusion, Next, conclude};
use super::iterate::Plan;
use super::rules::{self, Rule};
use super::under_way::Ended;
use super::{Trouble, Worker, notices};

/// The problem with a signal, or where the agent wrote it instead: agents confuse the session's folder
/// with the one they work in.
fn located(problem: SignalError, folder: &Folder, working_dir: Option<&str>) -> SignalError {
    if problem != SignalError::Missing {
        return problem;
    }
    let signal = folder.signal();
    let name = signal.file_name().and_then(OsStr::to_str).unwrap_or_default();
    let names = [name, name.trim_start_matches('_')];
    let there = names.iter().filter_map(|name| Some(Path::new(working_dir?).join(name)));
    let beside = signal.with_file_name(name.trim_start_matches('_'));
    let found = std::iter::once(beside).chain(there).find(|path| path.is_file());
    found.map_or(problem, |path| SignalError::Misplaced(path.display().to_string()))
}

impl Worker<'_> {
    /// Records the end of a run, then applies the rule for its outcome and handles its signal.
    pub(super) async fn conclude(
        &mut self,
        plan: &Plan,
        ended: &Ended,
        account: Option<&Account>,
    ) -> Result<(), Trouble> {
        self.writer.set_aside()?;
        self.note_left()?;
        let signal = self.read_left(&plan.run);
        let (folder, work) = (&self.writer.folder, self.writer.state().working_dir());
        let signal = signal.map_err(|problem| located(problem, folder, work));
        self.writer.take_overview_back()?;
        self.record_refusals(plan, ended)?;
        let rule = self.rule(ended, account)?;
        if let Some(account) = account {
            account.saw(&ended.reported.windows)?;
            account.saw(&ended.records.windows)?;
        }
        let Conclusion { run_ended, next } = conclude(
            self.writer.state(),
            plan,
            ended,
            signal,
            rule,
            &self.redactor,
            &self.prices(),
        );
        let (events, delays) = match next {
            Next::Take(left) => return self.take_left(&plan.run, Some(run_ended), left).await,
            Next::WithoutSignal { events, delays } => (events, delays),
        };
        let moved = self.head_moved().await.into_iter().chain(self.strays().await);
        let recorded = [run_ended].into_iter().chain(moved).chain(events.clone()).collect();
        self.writer.record_all(recorded)?;
        self.tell_of_missing(&events);
        if delays && !self.signals.end {
            self.notify.status(&notices::status_line(self.writer.state(), Some("retrying"), None));
            self.pause(self.setup.settings.retry_delay).await;
        }
        Ok(())
    }

    /// The rule for an outcome. What it says about the account is shared with other sessions.
    fn rule(&self, ended: &Ended, account: Option<&Account>) -> Result<Rule, StoreError> {
        let outcome = &ended.outcome;
        let state = self.writer.state();
        let iteration = state.iteration.as_ref();
        let attempt = iteration.map_or(1, |iteration| iteration.attempt);
        let refusals = iteration.map_or(0, |iteration| iteration.refusals.count);
        let mut rule = rules::rule(outcome, ended.worked(), attempt, refusals, Timestamp::now());
        if let Rule::Pause(event) = &mut rule {
            let words = match event.as_mut() {
                Event::Paused(event::Paused { detail, .. }) => Some(detail),
                Event::Limited(event::Limited { said, .. }) => said.as_mut(),
                _ => None,
            };
            if let Some(words) = words {
                *words = self.redactor.redact(words).into_owned();
                // Whoever has to pay needs no new login.
                let is_advised =
                    ended.reported.finished.as_ref().is_some_and(|f| f.advice.is_some());
                if matches!(outcome, Outcome::Auth { .. }) && !is_advised {
                    *words = format!("{words}: {}", self.log_in());
                }
            }
        }
        if let Some(account) = account {
            let since = state.open_run().map(|run| run.since);
            share(account, &self.setup.instance, outcome, since, &mut rule)?;
        }
        Ok(self.rule_of_round(rule, outcome, attempt))
    }

    /// The prices to estimate costs by: the user's, and the built-in ones.
    fn prices(&self) -> Prices {
        let own = Dirs::user(&self.setup.env).ok().map(|dirs| dirs.prices_file());
        let (prices, problems) = Prices::load(own.as_deref());
        for problem in problems {
            tracing::warn!("{problem}");
        }
        prices
    }
}

/// Shares what a run's end says about the account with the account's other sessions.
fn share(
    account: &Account,
    instance: &str,
    outcome: &Outcome,
    since: Option<Timestamp>,
    rule: &mut Rule,
) -> Result<(), StoreError> {
    match (outcome, rule) {
        (Outcome::Finished, _) => {
            let now = Timestamp::now();
            account.went_well(since.unwrap_or(now), now)
        }
        (Outcome::Limit { .. }, Rule::Pause(event)) => match event.as_ref() {
            Event::Limited(limited) => account.limited(limited, Timestamp::now()),
            _ => Ok(()),
        },
        (Outcome::Auth { .. }, Rule::Pause(event)) => {
            let Event::Paused(paused) = event.as_mut() else { return Ok(()) };
            let now = Timestamp::now();
            if account.may_pass(instance, now)? {
                paused.detail +=
                    "; a run has just worked with the same login, so this is tried again";
                paused.until = now.checked_add(ONCE_MORE).ok();
                paused.quiet = true;
            } else {
                paused.quiet = !account.refused(&paused.detail, now)?;
            }
            Ok(())
        }
        _ => Ok(()),
    }
}
