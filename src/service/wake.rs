//! The waker, `samocode wake`: acts on the tokens in the spool.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use notify::{RecursiveMode, Watcher as _};
use tokio::sync::mpsc;

use super::spool::Claim;
use super::{Action, Error, Scope, ServiceManager, Spool, Token};
use crate::platform::watch;

/// The result of one pass, for the waker's log.
#[derive(Debug, Default)]
pub struct Report {
    /// Requests that were carried out.
    pub done: Vec<Token>,
    /// Tokens that were not acted on: the session is stopped or stopping, or the user who left the
    /// token had no right to.
    pub ignored: Vec<Token>,
    /// Failed requests. One failure does not hold up the others.
    pub failed: Vec<Error>,
    /// Unfinished work: tokens that could not be taken, and those during which the manager went
    /// away. If there are any, the caller must fail, so that it is called again a second later.
    pub stuck: Vec<Error>,
}

/// Whether to act on a token that `owner` left.
///
/// A user's spool is the user's alone. Anybody can leave tokens in the system's: only those of root
/// and of the user the unit runs as are valid. `runs_as` returns that user, `None` if there is
/// none.
fn may(scope: Scope, token: &Token, owner: u32, runs_as: impl Fn(&str) -> Option<u32>) -> bool {
    if scope == Scope::User || owner == 0 {
        return true;
    }
    match token.action {
        Action::Start | Action::Disable | Action::Advance | Action::Tick => {
            runs_as(&token.name) == Some(owner)
        }
        Action::StopTarget => false,
    }
}

/// Does for the session with this instance what takes a process of its own: looks after its convoy, or
/// its timer.
pub type Helper<'a> = &'a (dyn Fn(Action, String) -> BoxFuture<'a, Result<(), Error>> + Sync);

/// Carries out claims of the same request, once for all, and returns whether it had an effect. The
/// claims are settled whatever the result, unless the manager has gone away, or the process that did it
/// was killed.
async fn act(
    manager: &dyn ServiceManager,
    helper: Helper<'_>,
    token: Token,
    claims: Vec<Claim>,
) -> (Token, Result<bool, Error>) {
    let name = &token.name;
    let acted = match token.action {
        Action::Start => manager.wake(name).await,
        Action::Disable => manager.disable(name).await.map(|()| true),
        Action::StopTarget => manager.stop_convoy(name).await.map(|()| true),
        Action::Advance | Action::Tick => helper(token.action, name.clone()).await.map(|()| true),
    };
    if !matches!(acted, Err(Error::Gone(_) | Error::Killed(_))) {
        for claim in claims {
            claim.settle();
        }
    }
    (token, acted)
}

/// Claims that wait while the same request is carried out: what they tell of may have come after it
/// began. However many there are, it is carried out once more.
#[derive(Debug, Default)]
struct Waiting {
    under_way: HashSet<Token>,
    claims: HashMap<Token, Vec<Claim>>,
}

impl Waiting {
    fn add(&mut self, claim: Claim) {
        self.claims.entry(claim.token.clone()).or_default().push(claim);
    }

    /// The requests that may be carried out now, each with all of its claims.
    fn take(&mut self) -> Vec<(Token, Vec<Claim>)> {
        let ready = |token: &&Token| !self.under_way.contains(token);
        let ready: Vec<Token> = self.claims.keys().filter(ready).cloned().collect();
        let taken = ready.into_iter().filter_map(|token| self.claims.remove_entry(&token));
        let taken: Vec<_> = taken.collect();
        self.under_way.extend(taken.iter().map(|(token, _)| token.clone()));
        taken
    }
}

/// Reports new tokens in `dir` for as long as the watcher lives. Without a watch, tokens that
/// arrive during a job wait until that is done.
fn changes(dir: &Path) -> (Option<notify::RecommendedWatcher>, mpsc::UnboundedReceiver<()>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let tell = move |event: notify::Result<notify::Event>| {
        // Our own reads cause events as well.
        if !event.is_ok_and(|event| event.kind.is_access() || event.kind.is_remove()) {
            let _ = sender.send(());
        }
    };
    let watcher = watch::watcher(tell).and_then(|mut watcher| {
        watcher.watch(dir, RecursiveMode::NonRecursive)?;
        Ok(watcher)
    });
    (watcher.ok(), receiver)
}

/// Acts on all tokens independently, until the spool is empty and every job has ended. Tokens that
/// arrive in between are not held up.
///
/// # Errors
/// [`Error::File`] if the spool cannot be read. Failures of single tokens are in the report.
pub async fn run(
    manager: &dyn ServiceManager,
    spool: &Spool,
    is_stopped: impl Fn(&str) -> bool,
    helper: Helper<'_>,
) -> Result<Report, Error> {
    let scope = manager.scope();
    let registry = manager.registry().await?;
    let runs_as =
        |instance: &str| registry.recorded(instance).ok().flatten().and_then(|session| session.uid);
    let (_watcher, mut changed) = changes(spool.dir());
    let mut report = Report::default();
    let mut jobs = FuturesUnordered::new();
    let mut waiting = Waiting::default();
    let mut lost = Vec::new();
    let mut claims = spool.owed()?;
    loop {
        let taken = spool.take()?;
        claims.extend(taken.claims);
        report.stuck = taken.stuck;
        for name in taken.garbage {
            tracing::warn!(name, "removed a file that is not a token from the wake spool");
        }
        for claim in claims.drain(..) {
            let token = &claim.token;
            let stopped = token.action == Action::Start && is_stopped(&token.name);
            if stopped || !may(scope, token, claim.owner, runs_as) {
                report.ignored.push(claim.settle());
            } else {
                waiting.add(claim);
            }
        }
        for (token, claims) in waiting.take() {
            jobs.push(act(manager, helper, token, claims));
        }
        if jobs.is_empty() {
            report.stuck.extend(lost);
            return Ok(report);
        }
        tokio::select! {
            Some((token, ended)) = jobs.next() => {
                waiting.under_way.remove(&token);
                match ended {
                    Ok(true) => report.done.push(token),
                    Ok(false) => report.ignored.push(token),
                    Err(error @ (Error::Gone(_) | Error::Killed(_))) => lost.push(error),
                    Err(error) => report.failed.push(error),
                }
            }
            Some(()) = changed.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_requests_are_carried_out_once_and_once_more_for_those_that_came_meanwhile() {
        let dir = tempfile::tempdir().unwrap();
        let spool = Spool::new(dir.path().join("wake"));
        spool.create(Scope::User).unwrap();
        let (a, b) = ("a", "b");
        let claim = |name: &str| {
            spool.leave(&Token::new(Action::Start, name).unwrap()).unwrap();
            spool.take().unwrap().claims.remove(0)
        };
        let mut waiting = Waiting::default();
        (0..1000).for_each(|_| waiting.add(claim(a)));
        let taken = waiting.take();
        assert_eq!((taken.len(), taken[0].1.len()), (1, 1000));
        (0..3).for_each(|_| waiting.add(claim(a)));
        waiting.add(claim(b));
        let others = waiting.take();
        assert_eq!((others.len(), others[0].0.name.as_str()), (1, b), "a is under way");
        waiting.under_way.remove(&taken[0].0);
        assert_eq!(waiting.take().iter().map(|(_, claims)| claims.len()).collect::<Vec<_>>(), [3]);
        assert!(waiting.take().is_empty());
    }

    #[test]
    fn in_system_scope_only_tokens_of_root_and_the_sessions_user_are_valid() {
        let start = Token::new(Action::Start, "a").unwrap();
        let stop = Token::new(Action::StopTarget, "a").unwrap();
        let runs_as = |name: &str| (name == "a").then_some(1000);
        assert!(may(Scope::System, &start, 0, runs_as));
        assert!(may(Scope::System, &start, 1000, runs_as));
        assert!(!may(Scope::System, &start, 1001, runs_as));
        assert!(!may(Scope::System, &start, 1000, |_| None));
        assert!(may(Scope::System, &stop, 0, runs_as));
        assert!(!may(Scope::System, &stop, 1000, runs_as));
        assert!(may(Scope::User, &stop, 1000, runs_as));
    }
}
