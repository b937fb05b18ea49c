//! The proxy of a strictly confined agent. It has a thread and a runtime of its own, so that it serves
//! whoever started the agent, and however busy that is.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, lookup_host};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;

use super::Network;
use super::address::is_public;
use super::request::{self, Kind, Request, answer};
use super::upstream::Hop;
use crate::config::confine::CONNECT;
use crate::config::peers::Trust;
use crate::platform::handover::Handover;

/// The longest head of a request, in bytes.
const MOST_HEAD: usize = 64 << 10;
/// How long a client may take to send it.
const HEAD_IN: Duration = Duration::from_secs(60);
/// How long a host may take to accept a connection.
const CONNECT_IN: Duration = Duration::from_secs(20);
/// The most connections at once; more wait.
const AT_ONCE: usize = 256;
/// The most different peers that are kept of those that were refused.
const MOST_REFUSED: usize = 20;
/// How long to wait when no further connection can be accepted, as when files run out.
const PAUSE: Duration = Duration::from_millis(100);

/// What was refused, and how often.
type Refused = BTreeMap<(String, u16), u32>;

/// A proxy that serves until this is dropped.
#[derive(Debug)]
pub struct Proxy {
    refused: Arc<Mutex<Refused>>,
    /// Dropped, it ends the thread.
    _serves: oneshot::Sender<()>,
}

/// Why a host was not reached.
enum Failure {
    /// The list does not name it.
    Refused(String),
    Io(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

struct Server {
    network: Network,
    refused: Arc<Mutex<Refused>>,
    places: Arc<Semaphore>,
}

impl Proxy {
    /// Begins to serve what the process hands over when it enters its cage.
    ///
    /// # Errors
    /// If no thread can be started.
    pub fn serve(network: Network, handover: Handover) -> io::Result<Self> {
        let refused = Arc::<Mutex<Refused>>::default();
        let (serves, ended) = oneshot::channel::<()>();
        let server = Arc::new(Server {
            network,
            refused: refused.clone(),
            places: Arc::new(Semaphore::new(AT_ONCE)),
        });
        std::thread::Builder::new().name("proxy".to_owned()).spawn(move || {
            // The process ended before it had a network: there is nothing to serve.
            let Ok(listeners) = handover.receive() else { return };
            if let Err(error) = run(&server, listeners, ended) {
                tracing::warn!("the agent's network has no way out: {error}");
            }
        })?;
        Ok(Self { refused, _serves: serves })
    }

    /// The peers that were refused so far, and how often.
    #[must_use]
    pub fn refused(&self) -> BTreeMap<(String, u16), u32> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn run(
    server: &Arc<Server>,
    listeners: Vec<std::net::TcpListener>,
    ended: oneshot::Receiver<()>,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .max_blocking_threads(4)
        .build()?;
    runtime.block_on(async {
        for (listener, port) in listeners.into_iter().zip(server.network.listeners()) {
            let listener = TcpListener::from_std(listener)?;
            let is_proxy = port == server.network.listeners()[0];
            let to = (!is_proxy).then_some(port);
            tokio::spawn(server.clone().accept(listener, to));
        }
        let _ = ended.await;
        io::Result::Ok(())
    })?;
    // Do not wait for a name that is still being looked up.
    runtime.shutdown_background();
    Ok(())
}

impl Server {
    /// Accepts connections: to the proxy, or to this port of the machine.
    async fn accept(self: Arc<Self>, listener: TcpListener, to: Option<u16>) {
        loop {
            let Ok(place) = self.places.clone().acquire_owned().await else { return };
            let Ok((client, _)) = listener.accept().await else {
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            let server = self.clone();
            tokio::spawn(async move {
                // The client learns of a failure as its connection ends.
                let _ = match to {
                    Some(port) => forward(client, port).await,
                    None => server.serve(client).await,
                };
                drop(place);
            });
        }
    }

    async fn serve(&self, mut client: TcpStream) -> io::Result<()> {
        let (request, rest) = match timeout(HEAD_IN, head(&mut client)).await {
            Ok(Ok(Ok(read))) => read,
            Ok(Ok(Err(wrong))) => return client.write_all(&answer(400, wrong)).await,
            Ok(Err(error)) => return Err(error),
            Err(_) => return Ok(()),
        };
        let reached = match self.reach(&request).await {
            Ok(reached) => reached,
            Err(Failure::Refused(why)) => return client.write_all(&answer(403, &why)).await,
            Err(Failure::Io(error)) => {
                let why = format!("cannot reach {}: {error}", peer(&request));
                return client.write_all(&answer(502, &why)).await;
            }
        };
        let (mut host, hop) = reached;
        match (&request.kind, &hop) {
            (Kind::Tunnel, _) => {
                client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
            }
            (Kind::Plain { to_proxy, .. }, Some(hop)) => {
                host.write_all(to_proxy).await?;
                host.write_all(authorization(hop).as_bytes()).await?;
                host.write_all(b"\r\n").await?;
            }
            (Kind::Plain { to_host, .. }, None) => {
                host.write_all(to_host).await?;
                host.write_all(b"\r\n").await?;
            }
        }
        host.write_all(&rest).await?;
        copy_bidirectional(&mut client, &mut host).await.map(drop)
    }

    /// Connects to the host that a request is for, or to the proxy on the way to it.
    async fn reach(&self, request: &Request) -> Result<(TcpStream, Option<Hop>), Failure> {
        let Request { host, port, .. } = request;
        let Some(trust) = self.network.trust(host, *port) else {
            return Err(self.refuse(request, "is not in"));
        };
        let is_tunnel = request.kind == Kind::Tunnel;
        if let Some(hop) = self.network.upstream.hop(host, is_tunnel)? {
            let is_private = host.parse().is_ok_and(|address| !is_public(address));
            if trust == Trust::Public && is_private {
                return Err(self.refuse(request, "is not public and not by name in"));
            }
            let addresses = lookup_host((hop.host.as_str(), hop.port)).await?;
            let mut stream = connect(addresses).await?;
            if is_tunnel {
                ask(&mut stream, &hop, &peer(request)).await?;
            }
            return Ok((stream, Some(hop)));
        }
        let found: Vec<SocketAddr> = lookup_host((host.as_str(), *port)).await?.collect();
        let open = |address: &SocketAddr| trust == Trust::Named || is_public(address.ip());
        let open: Vec<SocketAddr> = found.iter().copied().filter(open).collect();
        if open.is_empty() && !found.is_empty() {
            return Err(self.refuse(request, "is not public and not by name in"));
        }
        Ok((connect(open.into_iter()).await?, None))
    }

    fn refuse(&self, request: &Request, how: &str) -> Failure {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (request.host.clone(), request.port);
        if refused.len() < MOST_REFUSED || refused.contains_key(&key) {
            *refused.entry(key).or_insert(0) += 1;
        }
        Failure::Refused(format!("{} {how} {CONNECT}", peer(request)))
    }
}

/// The host and port of a request, as a person writes them.
fn peer(request: &Request) -> String {
    let Request { host, port, .. } = request;
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// Reads a request's head, and what was read beyond it. The inner error is what is wrong with it.
async fn head(client: &mut TcpStream) -> io::Result<Result<(Request, Vec<u8>), &'static str>> {
    let mut bytes = Vec::new();
    loop {
        if client.read_buf(&mut bytes).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match request::parse(&bytes) {
            Ok(Some(request)) => {
                let rest = bytes.split_off(request.length);
                return Ok(Ok((request, rest)));
            }
            Ok(None) if bytes.len() > MOST_HEAD => {
                return Ok(Err("the request's head is too long"));
            }
            Ok(None) => {}
            Err(wrong) => return Ok(Err(wrong)),
        }
    }
}

/// Connects to the first of these addresses that accepts.
async fn connect(addresses: impl Iterator<Item = SocketAddr>) -> io::Result<TcpStream> {
    let mut last = io::Error::other("the name has no address");
    for address in addresses {
        match timeout(CONNECT_IN, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = error,
            Err(_) => last = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(last)
}

/// Asks a further proxy for a tunnel.
async fn ask(stream: &mut TcpStream, hop: &Hop, peer: &str) -> io::Result<()> {
    let head = format!("CONNECT {peer} HTTP/1.1\r\nHost: {peer}\r\n{}\r\n", authorization(hop));
    stream.write_all(head.as_bytes()).await?;
    // Byte by byte: what follows the answer is the host's.
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        if answer.len() > MOST_HEAD {
            return Err(io::Error::other("the proxy of HTTPS_PROXY speaks no HTTP"));
        }
        answer.push(timeout(CONNECT_IN, stream.read_u8()).await??);
    }
    let text = String::from_utf8_lossy(&answer);
    let line = text.lines().next().unwrap_or_default();
    let is_open = line.split(' ').nth(1).is_some_and(|code| code.starts_with('2'));
    if is_open {
        Ok(())
    } else {
        Err(io::Error::other(format!("the proxy of HTTPS_PROXY says {line}")))
    }
}

fn authorization(hop: &Hop) -> String {
    let line = |value: &String| format!("Proxy-Authorization: {value}\r\n");
    hop.authorization.as_ref().map(line).unwrap_or_default()
}

/// Connects a client to a port of this machine.
async fn forward(mut client: TcpStream, port: u16) -> io::Result<()> {
    let mut host = connect(lookup_host(("localhost", port)).await?).await?;
    copy_bidirectional(&mut client, &mut host).await.map(drop)
}

#[cfg(test)]
mod tests;
