//! Sends what is kept for one channel of a project, in order. One process at a time does that.
//!
//! The first notice that cannot be sent for now stops the rest, which would fail as well. One that
//! the channel refuses for good is passed over, since the reason may be that notice.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;

use super::hours::Hours;
use super::outbox::{Delivery, Due, Retry, Shelf, locked};
use super::unsent::{Claim, Lane, Unsent};
use super::{Notice, Notifier, NotifyError};
use crate::session::clock;

/// After as many refusals it is the channel, not the notice.
const MOST_REFUSALS: usize = 2;

/// One pass over what is kept for a channel.
pub(super) struct Pass {
    pub(super) notifier: Arc<dyn Notifier>,
    pub(super) shelf: Shelf,
    pub(super) retry: Retry,
    pub(super) hours: Hours,
    pub(super) due: Due,
    pub(super) report: Arc<Mutex<Report>>,
    pub(super) sent: Arc<Mutex<HashSet<(String, String)>>>,
}

/// What a task has done so far.
pub(super) struct Report {
    done: Vec<Delivery>,
    /// The notice that was posted, until something has become of it.
    own: Option<Delivery>,
}

impl Report {
    pub(super) const fn new(own: Option<Delivery>) -> Self {
        Self { done: Vec::new(), own }
    }

    /// Notes a failed attempt, in case there is no other.
    pub(super) fn progress(&mut self, delivery: &Delivery) {
        if let Some(own) = self.own.as_mut().filter(|own| own.notice == delivery.notice) {
            own.clone_from(delivery);
        }
    }

    pub(super) fn finish(&mut self, delivery: Delivery) {
        self.own.take_if(|own| own.notice == delivery.notice);
        self.done.push(delivery);
    }

    /// Leaves the notice that was posted to another process; `false` if none was.
    fn leave(&mut self) -> bool {
        let Some(mut own) = self.own.take() else { return false };
        let why = "left to the unit that has the channel's credential";
        own.result = Err(NotifyError::Held(why.to_owned()));
        self.done.push(own);
        true
    }

    /// What has been done since the last call.
    pub(super) fn take(&mut self) -> Vec<Delivery> {
        std::mem::take(&mut self.done)
    }

    /// The same of a task that has ended before its time.
    pub(super) fn abandon(&mut self, why: &str) -> Vec<Delivery> {
        if let Some(mut own) = self.own.take() {
            let reason = |last: &dyn std::fmt::Display| format!("{why}: {last}");
            own.result = own.result.map_err(|error| match error {
                NotifyError::Retryable { reason: last, after } => {
                    NotifyError::Retryable { reason: reason(&last), after }
                }
                last => NotifyError::Final(reason(&last)),
            });
            self.done.push(own);
        }
        self.take()
    }
}

/// Sends once, and records how that went.
pub(super) async fn attempt(
    notifier: &dyn Notifier,
    notice: &Notice,
    tries: u32,
    delivery: &mut Delivery,
) {
    delivery.result = notifier.send(notice).await;
    delivery.tries = tries;
    delivery.remark = notifier.remark();
}

impl Pass {
    pub(super) async fn run(self) {
        let lane = self.shelf.folder.lane(self.notifier.name(), &self.shelf.config).await;
        if !self.notifier.sends_here() && locked(&self.report).leave() {
            return;
        }
        lane.release(Timestamp::now());
        let mut refused: HashSet<PathBuf> = HashSet::new();
        let mut stopped_by = None;
        loop {
            self.hold_back(&lane);
            lane.make_digest(self.hours.digest.is_some());
            let queue = lane.queue();
            let next = queue.into_iter().find(|(path, _)| !refused.contains(path));
            let Some((path, unsent)) = next else { break };
            if !self.is_due(&unsent) {
                stopped_by =
                    unsent.error.map(|reason| NotifyError::Retryable { reason, after: None });
                break;
            }
            let Some(claim) = lane.claim(&path) else {
                // An older samocode is sending it.
                refused.insert(path);
                continue;
            };
            match self.send(claim).await {
                Ok(()) => {}
                Err(error) if error.is_retryable() => {
                    stopped_by = Some(error);
                    break;
                }
                Err(error) => {
                    stopped_by = Some(error);
                    refused.insert(path);
                    if refused.len() >= MOST_REFUSALS {
                        break;
                    }
                }
            }
        }
        self.account_for_own(&lane, stopped_by);
    }

    fn is_due(&self, unsent: &Unsent) -> bool {
        let is_posting = locked(&self.report).own.is_some() && !unsent.asked;
        self.due == Due::Now
            || is_posting
            || unsent.not_before.is_none_or(|at| at <= Timestamp::now())
    }

    /// Sends a notice, with retries if it is the first time. The error is the last one; a notice
    /// that nobody can be shown is forgotten.
    async fn send(&self, mut claim: Claim) -> Result<(), NotifyError> {
        let is_first = claim.unsent.tries == 0 || self.due == Due::Now;
        let most = if is_first { self.retry.tries.max(1) } else { 1 };
        let mut delivery = Delivery::unfinished(&claim.unsent.notice, self.notifier.name());
        let mut tries = 1;
        loop {
            let notice = claim.notice(Timestamp::now());
            attempt(self.notifier.as_ref(), &notice, tries, &mut delivery).await;
            let error = match &delivery.result {
                Err(error) if !error.is_quiet() => error.clone(),
                _ => {
                    claim.done();
                    let key = (delivery.notifier.clone(), delivery.notice.clone());
                    locked(&self.sent).insert(key);
                    locked(&self.report).finish(delivery);
                    return Ok(());
                }
            };
            if !claim.is_current() {
                // A later notice has made it void.
                return Ok(());
            }
            claim.failed(&error);
            locked(&self.report).progress(&delivery);
            match self.retry.pause_after(tries, &error).filter(|_| tries < most) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => {
                    locked(&self.report).finish(delivery);
                    return Err(error);
                }
            }
            tries += 1;
        }
    }

    /// Puts away what is not to be sent in quiet hours.
    fn hold_back(&self, lane: &Lane) {
        let now = Timestamp::now().to_zoned(clock::local_zone());
        for (path, unsent) in lane.queue() {
            let Some(until) = self.hours.hold(unsent.notice.kind, &now) else { continue };
            let mut delivery = Delivery::unfinished(&unsent.notice, self.notifier.name());
            if let Err(error) = lane.hold(&path, unsent, until) {
                tracing::warn!("cannot hold a notice back: {error}");
                continue;
            }
            delivery.result = Err(NotifyError::Held("held back by the quiet hours".to_owned()));
            locked(&self.report).finish(delivery);
        }
    }

    /// Says what has become of the notice that was posted, if this pass did not get to it.
    fn account_for_own(&self, lane: &Lane, stopped_by: Option<NotifyError>) {
        let mut report = locked(&self.report);
        let Some(mut own) = report.own.take() else { return };
        if lane.has(&own.notice) {
            own.result = Err(stopped_by
                .unwrap_or_else(|| NotifyError::retryable("an earlier message has not been sent")));
        } else if locked(&self.sent).contains(&(own.notifier.clone(), own.notice.clone())) {
            // It has been reported.
            return;
        } else {
            // Another process has sent it, or a later notice has made it void.
            own.result = Ok(());
        }
        report.done.push(own);
    }
}

#[cfg(test)]
mod tests;
