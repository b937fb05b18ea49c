//! A thread for what waits for the disk while the worker does other things.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

type Job = Box<dyn FnOnce() + Send>;

/// One thread, which does its jobs in their order. Without one, as where a limit on processes is
/// reached, jobs are done at once by whoever has them.
#[derive(Debug)]
pub(super) struct Background(Option<Sender<Job>>);

impl Background {
    /// Starts the thread. It ends when this is dropped and its jobs are done.
    pub(super) fn start() -> Self {
        let (jobs, taken) = channel::<Job>();
        let work = move || taken.into_iter().for_each(|job| job());
        let thread = std::thread::Builder::new().name("background".to_owned()).spawn(work);
        Self(thread.is_ok().then_some(jobs))
    }

    /// Hands a job over.
    pub(super) fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Pending<T> {
        let (done, result) = channel();
        let job: Job = Box::new(move || {
            // Nobody may want to know any more.
            let _ = done.send(work());
        });
        match &self.0 {
            Some(jobs) => {
                if let Err(job) = jobs.send(job) {
                    (job.0)();
                }
            }
            None => job(),
        }
        Pending(result)
    }
}

/// The result of a job, once it is done.
#[derive(Debug)]
#[must_use]
pub(super) struct Pending<T>(Receiver<T>);

impl<T> Pending<T> {
    /// Whether it is done, or has panicked, within `limit`.
    pub(super) fn is_done_within(&self, limit: Duration) -> bool {
        !matches!(self.0.recv_timeout(limit), Err(RecvTimeoutError::Timeout))
    }

    /// Waits for it; `None` if the job panicked.
    pub(super) fn wait(self) -> Option<T> {
        self.0.recv().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_are_done_with_or_without_a_thread() {
        for background in [Background::start(), Background(None)] {
            let jobs: Vec<_> = (0..3).map(|number| background.run(move || number)).collect();
            let done: Vec<_> = jobs.into_iter().filter_map(Pending::wait).collect();
            assert_eq!(done, [0, 1, 2]);
        }
    }
}
