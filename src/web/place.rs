//! Where the pages are served: the socket, and the names that a browser may use for it.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use tokio::net::{TcpListener, UnixListener};
use tokio_rustls::TlsAcceptor;

use crate::control::{Class, Error, Result};

use super::access::Access;
use super::served::{self, Published};
use super::server::Listener;
use super::tls;

/// Where to listen, and how a browser is protected from what is in between.
#[derive(Debug, Clone)]
pub enum Listen {
    /// Only this machine's programs can connect, so nothing is encrypted.
    Private(Private),
    /// Others can connect, by TLS.
    Tls {
        /// The address and the port.
        address: SocketAddr,
        /// What proves to a browser that it is us.
        certificate: Certificate,
        /// The names in links to us; may be empty.
        names: Vec<String>,
    },
    /// A proxy that does TLS passes requests on.
    Proxied {
        /// Where the proxy connects.
        at: Reach,
        /// The host, with a port unless it is 443, that browsers know the proxy by.
        host: String,
    },
}

/// A socket that only this machine's programs can connect to.
#[derive(Debug, Clone)]
pub enum Private {
    /// The one that the service manager listens on for us.
    Inherited,
    /// On the loopback interface; a free port unless one is given.
    Loopback(Option<u16>),
    /// A file, which only the user can connect to.
    Socket(PathBuf),
}

/// Where a proxy connects.
#[derive(Debug, Clone)]
pub enum Reach {
    /// From this machine.
    Private(Private),
    /// From elsewhere.
    Address(SocketAddr),
}

/// The certificate for TLS.
#[derive(Debug, Clone)]
pub enum Certificate {
    /// One of the user's, in PEM files.
    Given {
        /// The certificate, followed by those that vouch for it.
        chain: PathBuf,
        /// Its private key.
        key: PathBuf,
    },
    /// Our own, kept between calls. The browser asks once whether to trust it.
    SelfMade,
}

/// The names that requests may come by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Names {
    /// Values of the header `Host`.
    pub(super) hosts: Vec<String>,
    /// Values of the header `Origin`.
    pub(super) origins: Vec<String>,
}

impl Names {
    fn new(scheme: &str, hosts: Vec<String>) -> Self {
        let hosts: Vec<String> = hosts.into_iter().map(|host| host.to_ascii_lowercase()).collect();
        let origins = hosts.iter().map(|host| format!("{scheme}://{host}")).collect();
        Self { hosts, origins }
    }

    fn loopback(port: u16) -> Self {
        Self::new("http", vec![format!("127.0.0.1:{port}"), format!("localhost:{port}")])
    }
}

/// An open socket, with all that is known about it.
pub(super) struct Place {
    pub(super) listener: Listener,
    pub(super) tls: Option<TlsAcceptor>,
    pub(super) names: Names,
    /// The beginning of links, such as `http://127.0.0.1:7266`.
    pub(super) base: String,
    is_inherited: bool,
    fingerprint: Option<String>,
}

impl Place {
    /// Listens.
    pub(super) async fn open(listen: Listen, state: &Path) -> Result<Self> {
        match listen {
            Listen::Private(private) => {
                let is_inherited = matches!(private, Private::Inherited);
                let listener = bind_private(private).await?;
                let names = match &listener {
                    Listener::Tcp(tcp) => Names::loopback(local(tcp)?.port()),
                    Listener::Unix(_) => Names::new("http", vec!["localhost".to_owned()]),
                };
                Ok(Self::of(listener, names, is_inherited))
            }
            Listen::Tls { address, certificate, names } => {
                let tcp = bind(address).await?;
                let port = local(&tcp)?.port();
                let names = if names.is_empty() { own_names(address.ip()) } else { names };
                let (acceptor, fingerprint) = tls::acceptor(&certificate, &names, state)?;
                let hosts = names.iter().map(|name| match port {
                    443 => name.clone(),
                    _ => format!("{}:{port}", bracketed(name)),
                });
                let names = Names::new("https", hosts.collect());
                let place = Self::of(Listener::Tcp(tcp), names, false);
                Ok(Self { tls: Some(acceptor), fingerprint, ..place })
            }
            Listen::Proxied { at, host } => {
                let is_inherited = matches!(at, Reach::Private(Private::Inherited));
                let listener = match at {
                    Reach::Private(private) => bind_private(private).await?,
                    Reach::Address(address) => Listener::Tcp(bind(address).await?),
                };
                Ok(Self::of(listener, Names::new("https", vec![host]), is_inherited))
            }
        }
    }

    fn of(listener: Listener, names: Names, is_inherited: bool) -> Self {
        let base = names.origins.first().cloned().unwrap_or_default();
        Self { listener, tls: None, names, base, is_inherited, fingerprint: None }
    }

    /// The name of the cookie. Browsers share cookies between the ports of a host, so that it has the
    /// port; with TLS a prefix keeps other hosts from setting it.
    pub(super) fn cookie(&self) -> Cookie {
        if self.base.starts_with("https:") {
            return Cookie { name: "__Host-samocode".to_owned(), is_secure: true };
        }
        let port = self.base.rsplit_once(':').map_or("", |(_, port)| port);
        let port: String = port.chars().filter(char::is_ascii_digit).collect();
        Cookie { name: format!("samocode-{port}"), is_secure: false }
    }

    /// What a human should know about the link, if anything.
    pub(super) fn remark(&self, access: &Access) -> Option<String> {
        let mut remarks = Vec::new();
        if *access == Access::ReadOnly {
            remarks.push("Whoever opens it can look, and change nothing.".to_owned());
        }
        if let Some(fingerprint) = &self.fingerprint {
            remarks.push(format!(
                "The browser will ask about our own certificate. Its SHA-256 fingerprint is\n  {fingerprint}"
            ));
        }
        if self.names.hosts.iter().any(|host| host.starts_with("127.0.0.1:")) {
            remarks.push(
                "Only this machine can open it. For a phone: samocode web --open --listen 0.0.0.0:8443"
                    .to_owned(),
            );
        }
        if let Listener::Unix(socket) = &self.listener
            && let Ok(address) = socket.local_addr()
            && let Some(path) = address.as_pathname()
        {
            remarks.push(format!("It is served on the socket {}.", path.display()));
        }
        Some(remarks.join("\n")).filter(|text| !text.is_empty())
    }

    /// Notes where the pages are, for later calls that print a link. What is returned removes the
    /// note.
    pub(super) fn publish(&self, state: &Path) -> Result<Published> {
        let at = match &self.listener {
            Listener::Tcp(tcp) => local(tcp)?.to_string(),
            Listener::Unix(unix) => {
                let address = unix.local_addr().ok();
                let path = address.as_ref().and_then(|address| address.as_pathname());
                path.map(|path| path.display().to_string()).unwrap_or_default()
            }
        };
        served::publish(state, &self.base, at, self.is_inherited)
    }
}

/// A cookie's name, and whether it needs TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cookie {
    pub(super) name: String,
    pub(super) is_secure: bool,
}

async fn bind_private(private: Private) -> Result<Listener> {
    match private {
        Private::Loopback(port) => {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port.unwrap_or(0)));
            Ok(Listener::Tcp(bind(address).await?))
        }
        Private::Socket(path) => bind_file(&path),
        Private::Inherited => inherited(),
    }
}

async fn bind(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        Error::new(Class::Unavailable, format!("cannot listen on {address}: {error}"))
            .hint("use another port, or stop what uses it")
    })
}

fn bind_file(path: &Path) -> Result<Listener> {
    let failed = |error: &dyn std::fmt::Display| {
        Error::unavailable(format!("cannot listen on {}: {error}", path.display()))
    };
    if UnixStream::connect(path).is_ok() {
        return Err(failed(&"another program listens there").hint("use another path"));
    }
    match fs::symlink_metadata(path) {
        // Left behind by a process that was killed.
        Ok(found) if std::os::unix::fs::FileTypeExt::is_socket(&found.file_type()) => {
            fs::remove_file(path).map_err(|error| failed(&error))?;
        }
        _ => {}
    }
    let socket = UnixListener::bind(path).map_err(|error| failed(&error))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(|error| failed(&error))?;
    Ok(Listener::Unix(socket))
}

/// The socket that the service manager passed on.
fn inherited() -> Result<Listener> {
    let failed = |error: io::Error| {
        Error::unavailable(format!("cannot use the service manager's socket: {error}"))
    };
    let mut passed = listenfd::ListenFd::from_env();
    if let Ok(Some(tcp)) = passed.take_tcp_listener(0) {
        let address = tcp.local_addr().map_err(failed)?;
        tcp.set_nonblocking(true).map_err(failed)?;
        if !address.ip().is_loopback() {
            let why = format!("the socket unit listens on {address}, where others can connect");
            return Err(Error::new(Class::Configuration, why)
                .hint("let it listen on 127.0.0.1, and others use samocode web --listen"));
        }
        return Ok(Listener::Tcp(TcpListener::from_std(tcp).map_err(failed)?));
    }
    if let Ok(Some(unix)) = passed.take_unix_listener(0) {
        unix.set_nonblocking(true).map_err(failed)?;
        return Ok(Listener::Unix(UnixListener::from_std(unix).map_err(failed)?));
    }
    Err(Error::usage("no socket was passed by the service manager")
        .hint("start samocode-web.socket, or use: samocode web"))
}

fn local(listener: &TcpListener) -> Result<SocketAddr> {
    listener
        .local_addr()
        .map_err(|error| Error::unavailable(format!("cannot read the socket's address: {error}")))
}

/// The names that others know an address of this machine by.
fn own_names(address: IpAddr) -> Vec<String> {
    if !address.is_unspecified() {
        return vec![address.to_string()];
    }
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let mut names: Vec<String> = outward().iter().map(IpAddr::to_string).collect();
    names.push(format!("{host}.local"));
    names.push(host);
    names.push("localhost".to_owned());
    names
}

/// The address of the interface that leads outside. Nothing is sent.
fn outward() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    socket.local_addr().ok().map(|address| address.ip()).filter(|ip| !ip.is_unspecified())
}

/// A name as it is in a URL.
fn bracketed(name: &str) -> String {
    if name.contains(':') { format!("[{name}]") } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn open(listen: Listen, state: &Path) -> Place {
        Place::open(listen, state).await.unwrap()
    }

    #[tokio::test]
    async fn a_running_page_is_found_until_it_ends() {
        let dir = tempfile::tempdir().unwrap();
        let place = open(Listen::Private(Private::Loopback(None)), dir.path()).await;
        assert_eq!(served::running(dir.path()), None);
        let published = place.publish(dir.path()).unwrap();
        assert_eq!(served::running(dir.path()).as_ref(), Some(&place.base));
        assert!(place.base.starts_with("http://127.0.0.1:"), "{}", place.base);
        assert!(place.remark(&Access::Full).unwrap().contains("--listen"));
        // As after a crash: the note is there, and somebody listens, but it is not us.
        let note = dir.path().join("web/running");
        let left = fs::read(&note).unwrap();
        drop(published);
        assert_eq!(served::running(dir.path()), None);
        fs::write(&note, left).unwrap();
        assert_eq!(served::running(dir.path()), None);
    }

    #[tokio::test]
    async fn a_socket_file_is_the_users_and_replaces_one_that_was_left_behind() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("web.sock");
        let listen = || Listen::Private(Private::Socket(path.clone()));
        let place = open(listen(), dir.path()).await;
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let Err(taken) = Place::open(listen(), dir.path()).await else { panic!("it is in use") };
        assert!(taken.message.contains("another program"), "{taken}");
        drop(place);
        open(listen(), dir.path()).await;
        fs::write(dir.path().join("file"), "x").unwrap();
        let file = Listen::Private(Private::Socket(dir.path().join("file")));
        assert!(Place::open(file, dir.path()).await.is_err(), "a file is not removed");
    }

    #[tokio::test]
    async fn names_and_cookie_fit_what_is_in_between() {
        let dir = tempfile::tempdir().unwrap();
        let host = "Samo.Example.org".to_owned();
        let at = Reach::Private(Private::Loopback(None));
        let place = open(Listen::Proxied { at, host }, dir.path()).await;
        assert_eq!(place.names.hosts, ["samo.example.org"]);
        assert_eq!(place.names.origins, ["https://samo.example.org"]);
        assert_eq!(place.cookie().name, "__Host-samocode");
        served::note_unit(dir.path(), Some(7266), None).unwrap();
        assert_eq!(served::proxy_of_unit(dir.path()), None);
        served::note_unit(dir.path(), Some(7266), Some("samo.example.org")).unwrap();
        assert_eq!(served::proxy_of_unit(dir.path()).as_deref(), Some("samo.example.org"));
        let tls = Listen::Tls {
            address: "127.0.0.1:0".parse().unwrap(),
            certificate: Certificate::SelfMade,
            names: vec!["::1".to_owned()],
        };
        let place = open(tls, dir.path()).await;
        assert!(place.base.starts_with("https://[::1]:"), "{}", place.base);
        assert!(place.remark(&Access::ReadOnly).unwrap().contains("fingerprint"));
        assert!(own_names(Ipv4Addr::UNSPECIFIED.into()).len() >= 3);
    }
}
