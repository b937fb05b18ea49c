//! `samocode web`: the dashboard as pages for a browser.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use crate::config::Env;
use crate::control::origin::Origin;
use crate::control::web::{Install, PORT, Remove};
use crate::control::{Caller, Error};
use crate::service::Scope;
use crate::web::{self, Access, Certificate, Listen, Options, Private, Reach};

use super::{Common, output};

/// Watch all sessions, and answer them, in a browser
///
/// It prints a link that works once; the browser that opens it stays signed in for 30 days. Only
/// this machine can connect, unless you say otherwise.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  samocode web                                 on this machine, until Ctrl-C\n  samocode web --open                          a link to it, and a QR code\n  samocode web --open --listen 0.0.0.0:8443    for a phone in the same network, by TLS\n  samocode web --open --read-only              a link to look and change nothing\n  samocode web --socket ~/web.sock --behind-proxy samo.example.org\n  samocode web --install                       always, at http://127.0.0.1:7266\n  samocode web --install --behind-proxy samo.example.org\n\nThe pages show what samocode top shows. `sudo samocode --system web` shows the system's sessions. Forms work without JavaScript."
)]
pub(in crate::cli) struct Web {
    /// Print a link to the pages, and as a QR code; serve them unless they are served already
    #[arg(long)]
    open: bool,
    /// The printed link is for looking only
    #[arg(long)]
    read_only: bool,
    /// Listen on this port of the loopback interface [default: a free one]
    #[arg(long, value_name = "PORT", conflicts_with_all = ["socket", "listen"])]
    port: Option<u16>,
    /// Listen on a socket file that only you can connect to
    #[arg(long, value_name = "PATH", conflicts_with = "listen")]
    socket: Option<PathBuf>,
    /// Listen where others can connect, by TLS or behind a proxy
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = address)]
    listen: Option<SocketAddr>,
    /// Your certificate for TLS, in PEM [default: a self-made one]
    #[arg(long, value_name = "FILE", requires_all = ["key", "listen"], conflicts_with = "behind_proxy")]
    cert: Option<PathBuf>,
    /// The key of the certificate, in PEM
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
    /// A name that browsers use for this machine; may be given several times
    #[arg(long, value_name = "NAME", requires = "listen", conflicts_with = "behind_proxy")]
    name: Vec<String>,
    /// The host that browsers know the proxy by; the proxy does TLS
    #[arg(long, value_name = "HOST")]
    behind_proxy: Option<String>,
    /// End after this many seconds without a connection
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    idle: Option<u64>,
    /// Use the socket that the service manager passed on, and print nothing
    #[arg(long, conflicts_with_all = ["open", "port", "socket", "listen", "read_only"], hide = true)]
    activated: bool,
    /// Serve the pages on demand, now and at boot, by a unit that ends when nobody is connected
    #[arg(long, conflicts_with_all = ["open", "socket", "listen", "read_only", "idle"])]
    install: bool,
    /// Serve them on demand no longer
    #[arg(long, exclusive = true)]
    remove: bool,
    /// Sign out all browsers, and make all links invalid
    #[arg(long, exclusive = true)]
    revoke: bool,
}

impl Web {
    pub(super) async fn exec(self, common: &Common) -> anyhow::Result<ExitCode> {
        let caller = caller(common)?;
        if self.revoke {
            let count = web::revoke_all(&caller)?;
            outln!("Signed out everywhere: {count} links and browsers.");
            return Ok(ExitCode::SUCCESS);
        }
        if self.install || self.remove {
            check_scope(&caller)?;
        }
        if self.install {
            let port = self.port.unwrap_or(PORT);
            return install(common, &caller, port, self.behind_proxy.as_deref()).await;
        }
        if self.remove {
            return remove(common, &caller).await;
        }
        let access = if self.read_only { Access::ReadOnly } else { Access::Full };
        if self.open
            && !self.says_where()
            && let Some(link) = web::link_to_running(&caller, access)?
        {
            output::line(web::link_text(&link, true))?;
            return Ok(ExitCode::SUCCESS);
        }
        let options = Options {
            idle: self.idle.map(Duration::from_secs),
            quiet: self.activated,
            access,
            with_qr_code: self.open,
            listen: self.place()?,
        };
        web::serve(caller, options).await?;
        Ok(ExitCode::SUCCESS)
    }

    /// Whether it asks for a certain place, rather than for any that is served.
    fn says_where(&self) -> bool {
        self.port.is_some() || self.socket.is_some() || self.listen.is_some()
    }

    fn place(self) -> anyhow::Result<Listen> {
        let private = match (self.activated, self.socket) {
            (true, _) => Private::Inherited,
            (false, Some(path)) => Private::Socket(std::path::absolute(path)?),
            (false, None) => Private::Loopback(self.port),
        };
        Ok(match (self.listen, self.behind_proxy) {
            (Some(address), Some(host)) => Listen::Proxied { at: Reach::Address(address), host },
            (None, Some(host)) => Listen::Proxied { at: Reach::Private(private), host },
            (Some(address), None) => {
                let certificate = match (self.cert, self.key) {
                    (Some(chain), Some(key)) => Certificate::Given { chain, key },
                    _ => Certificate::SelfMade,
                };
                Listen::Tls { address, certificate, names: self.name }
            }
            (None, None) => Listen::Private(private),
        })
    }
}

async fn install(
    common: &Common,
    caller: &Caller,
    port: u16,
    proxy: Option<&str>,
) -> anyhow::Result<ExitCode> {
    let listening = common.call(Install { port }).await?;
    web::note_unit(caller, Some(port), proxy)?;
    let unit = listening.unit;
    let at = format!("http://127.0.0.1:{port}");
    let serves = match proxy {
        Some(host) => {
            format!("{unit} serves https://{host} on demand, from a proxy that asks {at}")
        }
        None => format!("{unit} serves {at} on demand"),
    };
    output::line(format!("{serves}. For a link: samocode web --open"))?;
    Ok(ExitCode::SUCCESS)
}

async fn remove(common: &Common, caller: &Caller) -> anyhow::Result<ExitCode> {
    let listening = common.call(Remove {}).await?;
    web::note_unit(caller, None, None)?;
    output::line(format!("{} no longer listens.", listening.unit))?;
    Ok(ExitCode::SUCCESS)
}

/// Units serve the page of a user.
fn check_scope(caller: &Caller) -> anyhow::Result<()> {
    if caller.scope == Scope::System {
        let why = "a unit serves the web page of a user, not of the system's sessions";
        return Err(Error::usage(why).hint("for as long as it runs: samocode --system web").into());
    }
    Ok(())
}

/// Parses an address that a person typed.
fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| "not an address with a port, such as 0.0.0.0:8443".to_owned())
}

/// The user, through a browser.
fn caller(common: &Common) -> anyhow::Result<Caller> {
    let mut caller = common.caller()?;
    if caller.scope == Scope::System && !rustix::process::geteuid().is_root() {
        let why = "only root can serve the web page of the system's sessions";
        return Err(Error::refused(why).hint("sudo samocode --system web").into());
    }
    if let Origin::Outside(by) = &mut caller.origin {
        let user = Env::of_process();
        *by = format!("{} in a browser", user.text("USER").unwrap_or("someone"));
    }
    Ok(caller)
}
