//! The manager's own socket, `systemd/private`, which `systemctl` uses without a message bus. It is
//! the only D-Bus access for a user whose system has no user bus.
//!
//! On this socket systemd names itself as the sender of its messages. That is a well-known name,
//! but D-Bus requires a unique one, so zbus rejects such messages; this module replaces the name.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

use async_trait::async_trait;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use zbus::connection::Builder;
use zbus::connection::socket::{ReadHalf, Socket, Split, WriteHalf};

/// The longest message that the D-Bus specification allows, in bytes.
const LONGEST: usize = 128 * 1024 * 1024;

/// Header field SENDER, as systemd sends it: code, signature, length, text.
const SENDER: &[u8] = b"\x07\x01s\0\x18\0\0\0org.freedesktop.systemd1\0";
/// The same field with a unique name of the same length.
const REPLACED: &[u8] = b"\x07\x01s\0\x18\0\0\0:org.freedesktop.system1\0";

/// A connection to the manager's own socket, authenticated.
///
/// # Errors
/// The system's; [`io::ErrorKind::PermissionDenied`] if the manager rejects us.
pub(super) async fn open(socket: &Path) -> io::Result<Builder<'static>> {
    let mut stream = UnixStream::connect(socket).await?;
    let uid = rustix::process::geteuid().as_raw().to_string();
    let name: String = uid.bytes().map(|byte| format!("{byte:02x}")).collect();
    stream.write_all(format!("\0AUTH EXTERNAL {name}\r\nBEGIN\r\n").as_bytes()).await?;
    // Byte by byte: whatever follows the line belongs to the connection.
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") && line.len() < 256 {
        line.push(stream.read_u8().await?);
    }
    let answer = String::from_utf8_lossy(&line);
    let guid = answer
        .trim_end()
        .strip_prefix("OK ")
        .ok_or_else(|| io::Error::new(io::ErrorKind::PermissionDenied, answer.trim_end()))?;
    Ok(Builder::authenticated_socket(Private(stream), guid.to_owned()).p2p())
}

/// The length of the message that begins with `head`.
fn length(head: [u8; 16]) -> Option<usize> {
    let number = |at: usize| {
        let bytes = [head[at], head[at + 1], head[at + 2], head[at + 3]];
        let number =
            if head[0] == b'l' { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) };
        usize::try_from(number).ok()
    };
    let fields = number(12)?.checked_next_multiple_of(8)?;
    let whole = fields.checked_add(number(4)?)?.checked_add(head.len())?;
    (whole <= LONGEST).then_some(whole)
}

/// Replaces the sender in a message. The socket is local, so only systemd on a big-endian machine
/// would send big-endian, and there the bus has to do.
fn replace_sender(message: &mut [u8]) {
    let fields = u32::from_le_bytes([message[12], message[13], message[14], message[15]]);
    let end = usize::try_from(fields).unwrap_or_default().saturating_add(16).min(message.len());
    // Fields are aligned to 8 bytes.
    let at = (16..end).step_by(8).find(|at| message[*at..end].starts_with(SENDER));
    if let Some(at) = at {
        message[at..at + REPLACED.len()].copy_from_slice(REPLACED);
    }
}

#[derive(Debug)]
struct Private(UnixStream);

impl Socket for Private {
    type ReadHalf = Reader;
    type WriteHalf = Writer;

    fn split(self) -> Split<Reader, Writer> {
        let (read, write) = self.0.into_split();
        Split::new(Reader { stream: read, message: Vec::new(), given: 0 }, Writer(write))
    }
}

/// Reads whole messages and hands them out in pieces.
#[derive(Debug)]
struct Reader {
    stream: OwnedReadHalf,
    message: Vec<u8>,
    given: usize,
}

#[async_trait]
impl ReadHalf for Reader {
    async fn recvmsg(&mut self, buffer: &mut [u8]) -> io::Result<(usize, Vec<OwnedFd>)> {
        if self.given == self.message.len() {
            let mut head = [0; 16];
            self.stream.read_exact(&mut head).await?;
            let whole = length(head).ok_or(io::ErrorKind::InvalidData)?;
            self.message.clear();
            self.message.extend_from_slice(&head);
            self.message.resize(whole, 0);
            self.stream.read_exact(&mut self.message[head.len()..]).await?;
            replace_sender(&mut self.message);
            self.given = 0;
        }
        let rest = &self.message[self.given..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.given += count;
        Ok((count, Vec::new()))
    }
}

#[derive(Debug)]
struct Writer(OwnedWriteHalf);

#[async_trait]
impl WriteHalf for Writer {
    async fn sendmsg(&mut self, buffer: &[u8], _: &[BorrowedFd<'_>]) -> io::Result<usize> {
        self.0.write(buffer).await
    }

    async fn close(&mut self) -> io::Result<()> {
        self.0.shutdown().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(fields: &[u8], body: usize) -> Vec<u8> {
        let mut message = vec![b'l', 2, 0, 1];
        for number in [body, 1, fields.len()] {
            message.extend_from_slice(&u32::try_from(number).unwrap().to_le_bytes());
        }
        message.extend_from_slice(fields);
        message.resize(message.len().next_multiple_of(8) + body, 0);
        message
    }

    #[test]
    fn the_sender_is_replaced_by_a_unique_name_of_its_length() {
        assert_eq!(SENDER.len(), REPLACED.len());
        let fields = [b"\x05\x01u\0\x01\0\0\0", SENDER].concat();
        let mut sent = message(&fields, 8);
        assert_eq!(length(sent[..16].try_into().unwrap()), Some(sent.len()));
        replace_sender(&mut sent);
        assert!(sent.windows(REPLACED.len()).any(|part| part == REPLACED));
        let name = REPLACED[8..].strip_suffix(b"\0").unwrap();
        assert!(zbus::names::UniqueName::try_from(str::from_utf8(name).unwrap()).is_ok());
    }

    #[test]
    fn nonsense_and_messages_without_the_name_are_left_alone() {
        for mut sent in [message(b"", 40), message(b"\x05\x01u\0\x01\0\0\0", 0)] {
            let before = sent.clone();
            replace_sender(&mut sent);
            assert_eq!(sent, before);
        }
        assert_eq!(length([0xff; 16]), None);
    }
}
