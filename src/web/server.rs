//! Connections: at most so many, each with a limit on how long a request may take to arrive.

use std::future::pending;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

/// More connections wait until another ends.
const MOST_CONNECTIONS: usize = 512;

/// The longest time for a handshake, for the head of a request, and between two requests.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long requests that are under way may take when the server ends.
const LAST: Duration = Duration::from_secs(2);

/// An open socket.
pub(super) enum Listener {
    /// On an address.
    Tcp(TcpListener),
    /// At a path.
    Unix(UnixListener),
}

/// A connection.
trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

impl Listener {
    async fn accept(&self) -> io::Result<Box<dyn Wire>> {
        match self {
            Self::Tcp(tcp) => {
                let (stream, _) = tcp.accept().await?;
                // Events are small, and a person waits for them.
                let _ = stream.set_nodelay(true);
                Ok(Box::new(stream))
            }
            Self::Unix(unix) => Ok(Box::new(unix.accept().await?.0)),
        }
    }
}

/// Serves until the process is asked to end, or has had no connection for as long as `idle`.
pub(super) async fn serve(
    listener: Listener,
    tls: Option<TlsAcceptor>,
    pages: Router,
    idle: Option<Duration>,
) {
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    // Each connection holds a receiver, so that the number of them is known.
    let (open, _) = watch::channel(());
    let mut ended = ended_from_outside();
    loop {
        let connection = tokio::select! {
            connection = next(&listener, &places) => connection,
            () = quiet(&open, idle) => return,
            _ = ended.recv() => break,
        };
        let (stream, place) = match connection {
            Ok(connection) => connection,
            Err(error) => {
                // Out of files, most likely: others end meanwhile.
                tracing::warn!("cannot take a connection: {error}");
                sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (pages, tls, counted) = (pages.clone(), tls.clone(), open.subscribe());
        tokio::spawn(async move {
            match tls {
                None => answer(stream, pages, counted).await,
                Some(tls) => {
                    if let Ok(Ok(stream)) = timeout(PATIENCE, tls.accept(stream)).await {
                        answer(Box::new(stream), pages, counted).await;
                    }
                }
            }
            drop(place);
        });
    }
    drop(listener);
    // Each connection ends after its request. A page that is open connects again later.
    let _ = open.send(());
    let _ = timeout(LAST, open.closed()).await;
}

/// The next connection, once there is a place for it.
async fn next(
    listener: &Listener,
    places: &Arc<Semaphore>,
) -> io::Result<(Box<dyn Wire>, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.map_err(io::Error::other)?;
    Ok((listener.accept().await?, place))
}

/// Answers the requests of one connection, until the server ends.
async fn answer(stream: Box<dyn Wire>, pages: Router, mut counted: watch::Receiver<()>) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE)
        .max_buf_size(64 * 1024)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(pages));
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        // A browser that goes away is no error.
        _ = connection.as_mut() => return,
        _ = counted.changed() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

/// Ends when there has been no connection for as long as `idle`.
async fn quiet(open: &watch::Sender<()>, idle: Option<Duration>) {
    let Some(idle) = idle else { return pending().await };
    open.closed().await;
    sleep(idle).await;
}

/// A request to end, from the terminal or the service manager.
fn ended_from_outside() -> mpsc::Receiver<()> {
    let (sender, receiver) = mpsc::channel(1);
    for kind in [SignalKind::interrupt(), SignalKind::hangup(), SignalKind::terminate()] {
        let sender = sender.clone();
        match signal(kind) {
            Ok(mut signal) => drop(tokio::spawn(async move {
                signal.recv().await;
                let _ = sender.send(()).await;
            })),
            // Then the signal ends the process, which loses nothing.
            Err(error) => tracing::warn!("cannot watch for a signal: {error}"),
        }
    }
    receiver
}
