//! One HTTP request to a server of notices. Addresses and headers may hold secrets, so no error here
//! contains an address, redirects are not followed, and what a server says is searched for secrets
//! before it is shown.

use std::error::Error;
use std::io;
use std::time::Duration;

use reqwest::{Client, ClientBuilder, RequestBuilder, Response, Url, redirect};
use serde::Deserialize;

use super::text::{clip, tame_line};
use super::{NotifyError, Proxies};
use crate::config::Secret;

/// How much of an answer is read, in bytes; Telegram echoes a sent message in full.
pub(super) const MAX_ANSWER: usize = 64 * 1024;

/// Time limit for one attempt.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Time limit for connecting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A server that takes notices.
pub(crate) struct Http {
    /// What errors begin with.
    label: String,
    url: Url,
    secrets: Vec<Secret>,
    proxies: Proxies,
    timeout: Duration,
}

/// What a server answered.
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    /// The delay that its headers ask for.
    retry_after: Option<Duration>,
}

impl Http {
    /// The server at an address. The secrets are never shown.
    pub(crate) fn new(label: &str, url: Url, secrets: Vec<Secret>, proxies: Proxies) -> Self {
        Self { label: label.to_owned(), url, secrets, proxies, timeout: TIMEOUT }
    }

    pub(crate) const fn url(&self) -> &Url {
        &self.url
    }

    pub(crate) fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    pub(crate) fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }

    /// Posts to an address of the server; `fill` adds headers and the body.
    pub(crate) async fn post(
        &self,
        url: Url,
        fill: impl FnOnce(RequestBuilder) -> RequestBuilder,
    ) -> Result<Answered, NotifyError> {
        self.exchange(fill(self.client()?.post(url))).await
    }

    /// Gets an address of the server; its own if none is given.
    pub(super) async fn get(&self, url: Option<Url>) -> Result<Answered, NotifyError> {
        let url = url.unwrap_or_else(|| self.url.clone());
        self.exchange(self.client()?.get(url)).await
    }

    async fn exchange(&self, request: RequestBuilder) -> Result<Answered, NotifyError> {
        let response = request.send().await.map_err(|error| self.failed(error))?;
        let status = response.status().as_u16();
        let header = response.headers().get("retry-after");
        let seconds = header.and_then(|value| value.to_str().ok()?.trim().parse::<f64>().ok());
        let retry_after = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let body = read_some(response).await.map_err(|error| self.failed(error))?;
        Ok(Answered { status, body, retry_after })
    }

    /// Interprets the answer of a server that has no form of its own for failures. `remedy` says
    /// what to check if it refuses.
    pub(super) fn judge(&self, answered: &Answered, remedy: &str) -> Result<(), NotifyError> {
        let Answered { status, body, .. } = answered;
        let said = self.safe(&String::from_utf8_lossy(body));
        let said =
            if said.is_empty() { status.to_string() } else { format!("{status}, \"{said}\"") };
        let (label, host) = (&self.label, self.host());
        Err(match status {
            200..=299 => return Ok(()),
            429 => NotifyError::Retryable {
                reason: format!("{label}: too many messages ({said})"),
                after: answered.asks_for(),
            },
            408 | 421 | 425 | 500..=599 => {
                NotifyError::retryable(format!("{label}: {host} has an internal problem ({said})"))
            }
            _ => NotifyError::Final(format!(
                "{label}: {host} refused the message ({said}); {remedy}"
            )),
        })
    }

    /// A client for one attempt. Notices are rare and a worker's memory is small, so it is not
    /// kept; a new one also picks up newly installed certificates.
    fn client(&self) -> Result<Client, NotifyError> {
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            // It fails if another thread was faster, which is fine.
            let _installed = rustls::crypto::ring::default_provider().install_default();
        }
        let error = match self.builder()?.build() {
            Ok(client) => return Ok(client),
            Err(error) => error,
        };
        if self.url.scheme() == "http"
            && let Ok(client) = self.builder()?.tls_certs_only([]).build()
        {
            // A server without TLS works on a machine without CA certificates.
            return Ok(client);
        }
        let label = &self.label;
        Err(NotifyError::Final(match find::<rustls::Error>(&error) {
            // rustls-platform-verifier uses the system's roots, and has no other error of this
            // type.
            Some(_) => format!(
                "{label}: this machine has no CA certificates to check {} with; \
                 install them: apt install ca-certificates",
                self.host()
            ),
            None => format!("{label}: cannot prepare HTTPS: {}", self.cause(&error)),
        }))
    }

    fn builder(&self) -> Result<ClientBuilder, NotifyError> {
        let builder = Client::builder()
            .user_agent(concat!("samocode/", env!("CARGO_PKG_VERSION")))
            .timeout(self.timeout)
            .connect_timeout(CONNECT_TIMEOUT.min(self.timeout))
            .redirect(redirect::Policy::none())
            .no_proxy();
        self.proxies.apply(builder, self.url.scheme(), &self.label)
    }

    /// Turns a failed exchange into a message with a remedy.
    fn failed(&self, error: reqwest::Error) -> NotifyError {
        let error = error.without_url();
        let (label, host) = (&self.label, self.host());
        if let Some(rustls::Error::InvalidCertificate(why)) = find::<rustls::Error>(&error) {
            return NotifyError::Final(format!(
                "{label}: this machine does not trust the certificate of {host} ({why}); \
                 check the clock and the CA certificates"
            ));
        }
        NotifyError::retryable(if error.is_timeout() {
            format!("{label}: {host} did not answer within {} s", self.timeout.as_secs_f64())
        } else if error.is_connect() {
            format!("{label}: cannot reach {host}: {}", self.cause(&error))
        } else {
            format!("{label}: the connection to {host} was lost: {}", self.cause(&error))
        })
    }

    /// The cause of an error in one line, without secrets. The outer layers say only "error sending
    /// request".
    fn cause(&self, error: &dyn Error) -> String {
        let mut cause = error;
        while let Some(source) = cause.source() {
            cause = source;
        }
        self.safe(&cause.to_string())
    }

    /// Sanitizes text from elsewhere for display.
    pub(crate) fn safe(&self, text: &str) -> String {
        let proxies = [&self.proxies.http, &self.proxies.https].into_iter().flatten();
        let secrets = self.secrets.iter().chain(proxies);
        let text = secrets.fold(text.to_owned(), |text, secret| secret.redact(&text));
        clip(&tame_line(&text), 200)
    }
}

impl Answered {
    /// The delay that the server asks for, in its headers or as Discord says it.
    fn asks_for(&self) -> Option<Duration> {
        #[derive(Deserialize)]
        struct Later {
            retry_after: f64,
        }
        let said = serde_json::from_slice::<Later>(&self.body).ok();
        let said = said.and_then(|later| Duration::try_from_secs_f64(later.retry_after).ok());
        said.max(self.retry_after)
    }
}

/// Reads an address from a settings file.
pub(crate) fn address(text: &str) -> Option<Url> {
    let url = Url::parse(text.trim()).ok()?;
    (matches!(url.scheme(), "http" | "https") && url.host().is_some()).then_some(url)
}

async fn read_some(mut response: Response) -> reqwest::Result<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        let room = MAX_ANSWER - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if body.len() == MAX_ANSWER {
            break;
        }
    }
    Ok(body)
}

/// Finds an error of this type among the causes of another. An `io::Error` does not name the error
/// it wraps as its source, so look inside it as well.
fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    if let Some(found) = error.downcast_ref::<E>() {
        return Some(found);
    }
    let wrapped = error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref)
        .and_then(|inner| find::<E>(inner));
    wrapped.or_else(|| error.source().and_then(find::<E>))
}
