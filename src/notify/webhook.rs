//! Any server that takes a notice as JSON, signed so that it knows who sent it.

use async_trait::async_trait;
use reqwest::Url;
use ring::hmac;

use super::envelope::Envelope;
use super::http::Http;
use super::{Notice, Notifier, NotifyError, Proxies};
use crate::config::Secret;

/// The header with the signature: `sha256=` and the HMAC-SHA256 of the body in hexadecimal digits.
const SIGNATURE: &str = "X-Samocode-Signature-256";

/// The header with the notice's id, by which a server recognizes one that arrives twice.
const ID: &str = "X-Samocode-Delivery";

/// Posts notices to an address.
pub(super) struct Webhook {
    name: String,
    secret: Option<Secret>,
    http: Http,
}

impl Webhook {
    /// The server at this address, which may contain a secret.
    pub(super) fn new(name: &str, url: Url, secret: Option<Secret>, proxies: Proxies) -> Self {
        let secrets = secret.iter().cloned().chain([Secret::new(url.as_str())]).collect();
        Self { name: name.to_owned(), secret, http: Http::new(name, url, secrets, proxies) }
    }
}

fn signature(secret: &Secret, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
    let tag = hmac::sign(&key, body);
    let digits: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256={digits}")
}

#[async_trait]
impl Notifier for Webhook {
    fn name(&self) -> &str {
        &self.name
    }

    async fn send(&self, notice: &Notice) -> Result<(), NotifyError> {
        let unfit =
            |error| NotifyError::Final(format!("{}: cannot write JSON: {error}", self.name));
        let body = serde_json::to_vec(&Envelope::of(notice)).map_err(unfit)?;
        // A header takes visible ASCII only.
        let id: String = notice.id.chars().filter(char::is_ascii_graphic).collect();
        let answered = self.http.post(self.http.url().clone(), |request| {
            let request = request.header("Content-Type", "application/json").header(ID, id);
            let request = match &self.secret {
                Some(secret) => request.header(SIGNATURE, signature(secret, &body)),
                None => request,
            };
            request.body(body)
        });
        self.http.judge(&answered.await?, "check url and secret of this channel")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_rfc_4231() {
        let secret = Secret::new("Jefe");
        assert_eq!(
            signature(&secret, b"what do ya want for nothing?"),
            "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }
}
