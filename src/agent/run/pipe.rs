//! The reading ends of a process's output.

use std::io;
use std::os::fd::AsFd;

use tokio::net::unix::pipe::Receiver;

/// How many bytes are in a pipe.
pub(super) fn lying_in(pipe: impl AsFd) -> u64 {
    rustix::io::ioctl_fionread(pipe).unwrap_or(0)
}

pub(super) fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}

/// Treat an error as ready too: the next read reports it.
pub(super) async fn readable(pipe: Option<&Receiver>) {
    match pipe {
        Some(pipe) => drop(pipe.readable().await),
        None => std::future::pending().await,
    }
}
