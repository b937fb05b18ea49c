//! Incoming webhooks, as chat programs have them: an address, which is a secret, takes messages as
//! JSON. [`slack`](super::slack) and [`discord`](super::discord) say what a message looks like.

use async_trait::async_trait;
use reqwest::Url;
use serde_json::Value;

use super::http::Http;
use super::{Notice, Notifier, NotifyError, Proxies};
use crate::config::Secret;

/// Sends notices to a channel of a chat program.
pub(super) struct Incoming {
    name: String,
    http: Http,
    compose: fn(&Notice) -> Value,
}

impl Incoming {
    /// The channel behind this webhook, which takes messages in the form that `compose` gives them.
    pub(super) fn new(
        name: &str,
        url: Url,
        proxies: Proxies,
        compose: fn(&Notice) -> Value,
    ) -> Self {
        let secrets = vec![Secret::new(url.as_str()), Secret::new(url.path())];
        Self { name: name.to_owned(), http: Http::new(name, url, secrets, proxies), compose }
    }
}

#[async_trait]
impl Notifier for Incoming {
    fn name(&self) -> &str {
        &self.name
    }

    async fn send(&self, notice: &Notice) -> Result<(), NotifyError> {
        let message = (self.compose)(notice);
        let url = self.http.url().clone();
        let answered = self.http.post(url, |request| request.json(&message)).await?;
        self.http.judge(&answered, "check the url of this channel, or make a new webhook")
    }
}
