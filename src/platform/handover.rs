//! The listeners of a process's own network, as its starter receives them.

use std::io;
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::os::fd::OwnedFd;

use rustix::io::IoSliceMut;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

/// Our end of the handover.
#[derive(Debug)]
pub struct Handover {
    end: OwnedFd,
    count: usize,
}

impl Handover {
    /// Receives so many listeners through this socket.
    #[must_use]
    pub const fn new(end: OwnedFd, count: usize) -> Self {
        Self { end, count }
    }

    /// Waits for the process to open its listeners. They do not block, and are in the order of their
    /// ports.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] if the process ended before that.
    pub fn receive(self) -> io::Result<Vec<TcpListener>> {
        (0..self.count).map(|_| self.next()).collect()
    }

    fn next(&self) -> io::Result<TcpListener> {
        let mut byte = [0];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut buffer = RecvAncillaryBuffer::new(&mut space);
        let mut into = [IoSliceMut::new(&mut byte)];
        loop {
            match recvmsg(&self.end, &mut into, &mut buffer, RecvFlags::empty()) {
                Ok(_) => break,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let received = buffer.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut sockets) => sockets.next(),
            _ => None,
        });
        let socket: OwnedFd = received.ok_or(io::ErrorKind::UnexpectedEof)?;
        rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC)?;
        Ok(TcpListener::from(socket))
    }
}
