//! A network of a process's own: an empty one, whose listeners it hands to whoever started it, before
//! its program starts. What connects to them speaks with somebody outside, and nothing else leaves.
#![allow(unsafe_code)]

use std::io;
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};

use rustix::io::IoSlice;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
    bind, listen, sendmsg, socket_with, socketpair, sockopt,
};

use crate::platform::handover::Handover;

/// How many connections may wait to be accepted.
const WAITING: i32 = 128;

/// Listeners that are yet to be opened, at these ports, and the process's end of their handover.
#[derive(Debug)]
pub(super) struct Listeners {
    ports: Vec<u16>,
    handover: OwnedFd,
}

impl Listeners {
    /// Prepares them; returns our end of the handover besides.
    pub(super) fn at(ports: &[u16]) -> io::Result<(Self, Handover)> {
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        let listeners = Self { ports: ports.to_vec(), handover: theirs };
        Ok((listeners, Handover::new(ours, ports.len())))
    }

    /// Opens them in this process's network, and hands each over by a message of its own.
    /// Async-signal-safe.
    pub(super) fn open(&self) -> io::Result<()> {
        bring_up_loopback()?;
        for port in &self.ports {
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
            sockopt::set_socket_reuseaddr(&socket, true)?;
            bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, *port))?;
            listen(&socket, WAITING)?;
            let sent = [socket.as_fd()];
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut buffer = SendAncillaryBuffer::new(&mut space);
            buffer.push(SendAncillaryMessage::ScmRights(&sent));
            sendmsg(&self.handover, &[IoSlice::new(b"1")], &mut buffer, SendFlags::NOSIGNAL)?;
        }
        Ok(())
    }
}

/// A new network's only interface is down at first (netdevice(7)).
fn bring_up_loopback() -> io::Result<()> {
    let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    // SAFETY: all of its fields may be zero.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = from.cast_signed();
    }
    let up = libc::IFF_UP | libc::IFF_RUNNING;
    request.ifr_ifru.ifru_flags = libc::c_short::try_from(up).unwrap_or_default();
    // SAFETY: the request is initialised, and the call only reads it.
    let done = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
