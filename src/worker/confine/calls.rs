//! Performing the calls that a confined agent's samocode makes: each in a process of its own, outside of
//! the cage, as the agent. What it may do there is decided in `control`.

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::net::unix::pipe;
use tokio::time::Instant;

use crate::agent::Environment;
use crate::agent::confine::calls::{CALLS, Calls, OwnWork};
use crate::config::confine::is_of_confinement;
use crate::git::merge::Tips;
use crate::git::{self, Repository};
use crate::worker::Worker;

use super::outbox::outside;

/// How many are performed at the same time. Many of them only wait.
const TOGETHER: usize = 16;

/// The shortest time between two looks.
const SHORTEST: Duration = Duration::from_millis(20);

/// The calls of a run; those of one that is not confined never come.
#[derive(Default)]
pub(in crate::worker) struct Served(Option<Open>);

struct Open {
    calls: Calls,
    bell: Bell,
    /// Whether it coordinated others when it was confined: since then it cannot write to those below it.
    coordinates: bool,
    under_way: FuturesUnordered<BoxFuture<'static, (String, bool)>>,
    ids: HashSet<String>,
}

/// The worker's end of the pipe that says that there is a call.
struct Bell {
    rung: pipe::Receiver,
    /// The pipe has a writer at any time: without one it would always be readable.
    _own: pipe::Sender,
    looked: Instant,
}

impl Bell {
    fn of(calls: &Calls) -> std::io::Result<Self> {
        let rung = pipe::OpenOptions::new().open_receiver(calls.bell())?;
        let own = pipe::OpenOptions::new().open_sender(calls.bell())?;
        Ok(Self { rung, _own: own, looked: Instant::now() })
    }

    /// Waits until it rings. It does not ring again at once, however often it is pulled.
    async fn rings(&mut self) {
        tokio::time::sleep_until(self.looked + SHORTEST).await;
        if let Err(error) = self.rung.readable().await {
            tracing::warn!("cannot wait for the agent's calls: {error}");
            std::future::pending::<()>().await;
        }
        let mut pulled = [0; 512];
        while matches!(self.rung.try_read(&mut pulled), Ok(1..)) {}
        self.looked = Instant::now();
    }
}

/// Where the agent's commits are, if its repository is its own.
fn own_work(worker: &Worker<'_>) -> Option<OwnWork> {
    let checkout = worker.checkout().filter(|it| it.repository() == Repository::Own)?;
    let repo = git::root(&worker.setup.project.main_repo).ok()??;
    let branch = worker.writer.state().branch()?.to_owned();
    let base = Tips(&repo).of(&branch).ok()??.commit;
    Some(OwnWork { worktree: checkout.root().to_owned(), branch, base })
}

impl Served {
    /// Takes calls from a run that begins, and names their folder in its environment.
    pub(in crate::worker) fn open(
        worker: &Worker<'_>,
        temporary: &Path,
        environment: &mut Environment,
    ) -> Self {
        let opened = Calls::make(temporary).and_then(|calls| Ok((Bell::of(&calls)?, calls)));
        match opened {
            Ok((bell, calls)) => {
                environment.push((CALLS.into(), calls.path().into()));
                let (under_way, ids) = (FuturesUnordered::new(), HashSet::new());
                let coordinates = worker.writer.folder.coordinates();
                if let Some(work) = own_work(worker).filter(|_| coordinates)
                    && let Err(error) = calls.note_work(&work)
                {
                    tracing::warn!("those below it begin where its last run ended: {error}");
                }
                Self(Some(Open { calls, bell, coordinates, under_way, ids }))
            }
            Err(error) => {
                tracing::warn!("the agent's samocode can make no calls: {error}");
                Self(None)
            }
        }
    }

    /// Waits until there may be something to do.
    pub(in crate::worker) async fn next(&mut self) {
        let Some(open) = &mut self.0 else { return std::future::pending().await };
        tokio::select! {
            Some((id, is_well)) = open.under_way.next() => {
                open.ids.remove(&id);
                open.calls.discard(&id);
                if !is_well && let Err(error) = open.calls.reply(&id, b"") {
                    tracing::info!("a call of the agent's has no reply: {error}");
                }
            }
            () = open.bell.rings() => {}
        }
    }

    /// Has those performed that wait, as far as there is room.
    pub(in crate::worker) fn serve(&mut self, worker: &Worker<'_>, environment: &Environment) {
        let Some(open) = &mut self.0 else { return };
        for id in open.calls.waiting() {
            if open.ids.len() >= TOGETHER {
                return;
            }
            if open.ids.contains(&id) {
                continue;
            }
            if !open.calls.is_wanted(&id) {
                open.calls.discard(&id);
                continue;
            }
            let mut command = outside(worker, environment);
            // A session that it begins is confined as this one is.
            let own = worker.setup.env.iter();
            let own = own.filter(|(name, _)| name.to_str().is_some_and(is_of_confinement));
            command.envs(own.map(|(name, value)| (name.to_owned(), value.to_owned())));
            command.args(["outgoing", "--call", &id]);
            if open.coordinates {
                command.arg("--coordinates");
            }
            let mut child = match command.spawn() {
                Ok(child) => child,
                Err(error) => {
                    tracing::warn!("cannot perform the agent's calls: {error}");
                    return;
                }
            };
            open.ids.insert(id.clone());
            let ended = async move {
                let ended = child.wait().await;
                (id, ended.is_ok_and(|status| status.success()))
            };
            open.under_way.push(ended.boxed());
        }
    }
}
