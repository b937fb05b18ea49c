//! Threads for work that waits for the disk or for other processes, where a limit on processes may
//! allow none. (tokio's `spawn_blocking` panics then.)

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{broadcast, oneshot};

/// Does `work` in a thread of its own.
///
/// # Errors
/// If the thread cannot be started, or the work panics.
pub async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    let (done, result) = oneshot::channel();
    std::thread::Builder::new().spawn(move || {
        // Nobody may want to know any more.
        let _ = done.send(work());
    })?;
    result.await.map_err(io::Error::other)
}

/// Does `work` in a thread of its own, or in this one if no thread can be started.
///
/// # Errors
/// If the work panics.
pub async fn apart_or_here<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<T> {
    let work = Arc::new(Mutex::new(Some(work)));
    let theirs = Arc::clone(&work);
    let tried = apart(move || take(&theirs).map(|work| work())).await;
    match take(&work) {
        Some(work) => Ok(work()),
        None => tried?.ok_or_else(|| io::Error::other("the work was done already")),
    }
}

fn take<T>(slot: &Mutex<Option<T>>) -> Option<T> {
    slot.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// Whether that many threads can run at once now. A limit on processes counts threads too.
///
/// # Errors
/// That of starting one.
pub fn try_some(count: usize) -> io::Result<()> {
    let (end, _) = broadcast::channel::<()>(1);
    let wait = |mut ended: broadcast::Receiver<()>| move || drop(ended.blocking_recv());
    let start = |_| std::thread::Builder::new().spawn(wait(end.subscribe()));
    let started: Vec<_> = (0..count).map(start).collect();
    // Ends them.
    drop(end);
    started.into_iter().try_for_each(|thread| thread.map(drop))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_is_done_once_and_its_panic_is_an_error() {
        let count = Arc::new(Mutex::new(0));
        for _ in 0..2 {
            let count = Arc::clone(&count);
            let add = move || {
                *count.lock().unwrap() += 1;
                std::thread::current().id()
            };
            assert_ne!(apart_or_here(add).await.unwrap(), std::thread::current().id());
        }
        assert_eq!(*count.lock().unwrap(), 2);
        assert!(apart_or_here(|| -> () { panic!("on purpose") }).await.is_err());
        try_some(3).unwrap();
    }
}
