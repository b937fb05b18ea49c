//! The real router behind a real socket, with a real client. What agents write is hostile here.

mod guarded;
mod phone;
mod streams;
mod together;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{COOKIE, HOST, LOCATION, ORIGIN, SET_COOKIE};
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use tempfile::TempDir;

use super::app::App;
use super::place::{Certificate, Listen, Place, Private};
use super::tokens::Tokens;
use super::{Access, form, routes, server};
use crate::config::Env;
use crate::control::Caller;
use crate::control::origin::Origin;
use crate::service::Scope;
use crate::session::store::Folder;

const HOSTILE: &str = "</p><script>alert('x')</script><img src=x onerror=alert(1)>\u{202e}";

/// A server for a project in a folder of its own, and a client of it.
struct Site {
    root: TempDir,
    base: String,
    tokens: Tokens,
    client: Client,
    cookie_name: String,
}

impl Site {
    async fn open() -> Self {
        Self::at(Listen::Private(Private::Loopback(None))).await
    }

    async fn at(listen: Listen) -> Self {
        let root = tempfile::tempdir().unwrap();
        for folder in ["repo", "worktrees", "sessions"] {
            std::fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        let text = "MAIN_REPO=repo\nWORKTREES=worktrees\nSESSIONS=sessions\n";
        std::fs::write(root.path().join(".samocode"), text).unwrap();
        let caller = Caller {
            env: Env::from_iter([("HOME", root.path()), ("XDG_RUNTIME_DIR", root.path())]),
            cwd: root.path().to_owned(),
            config: None,
            scope: Scope::User,
            origin: Origin::Outside("a test".to_owned()),
            binary: "/nowhere/samocode".into(),
        };
        let place = Place::open(listen, root.path()).await.unwrap();
        let tokens = Tokens::of(root.path());
        let (base, cookie) = (place.base.clone(), place.cookie());
        let cookie_name = cookie.name.clone();
        let app = Arc::new(App::new(caller, tokens.clone(), place.names.clone(), cookie));
        app.follow();
        tokio::spawn(server::serve(place.listener, place.tls, routes::router(app), None));
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            let _installed = rustls::crypto::ring::default_provider().install_default();
        }
        let client = Client::builder().redirect(reqwest::redirect::Policy::none());
        // Our own certificate is nobody's to vouch for.
        let client = client.tls_danger_accept_invalid_certs(true);
        Self { root, base, tokens, client: client.build().unwrap(), cookie_name }
    }

    /// A session whose overview has this task, and perhaps questions.
    fn session(&self, name: &str, phase: &str, task: &str) -> Folder {
        let path = self.root.path().join("sessions").join(format!("26-11-20-{name}"));
        std::fs::create_dir_all(&path).unwrap();
        let folder = Folder::new(path);
        let text = format!(
            "# Session: {name}\n\n## Task\n{task}\n\n## Status\nPhase: {phase}\nIteration: 1\n"
        );
        std::fs::write(folder.overview(), text).unwrap();
        folder
    }

    fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("{}{path}", self.base))
    }

    fn post(&self, path: &str, fields: &[(&str, &str)]) -> RequestBuilder {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        self.client
            .post(format!("{}{path}", self.base))
            .header(ORIGIN, &self.base)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body)
    }

    /// Opens a link; the cookie of the visit.
    async fn visit(&self, access: Access) -> String {
        let link = self.tokens.new_link(access, Timestamp::now()).unwrap();
        let entered = self.post("/enter", &[("token", &link)]).send().await.unwrap();
        assert_eq!(entered.status(), StatusCode::SEE_OTHER);
        let cookie = entered.headers()[SET_COOKIE].to_str().unwrap();
        for part in ["HttpOnly", "SameSite=Strict", "Path=/", &self.cookie_name] {
            assert!(cookie.contains(part), "{cookie}");
        }
        cookie.split(';').next().unwrap().to_owned()
    }
}

async fn text(response: Response, status: StatusCode) -> String {
    let found = response.status();
    let text = response.text().await.unwrap();
    assert_eq!(found, status, "{text}");
    text
}

async fn page(site: &Site, cookie: &str, path: &str) -> String {
    let sent = site.get(path).header(COOKIE, cookie).send().await.unwrap();
    text(sent, StatusCode::OK).await
}

fn form_token(page: &str) -> String {
    let at = format!("name=\"{}\" value=\"", form::TOKEN);
    page.split(&at).nth(1).unwrap_or_else(|| panic!("no form: {page}"))[..64].to_owned()
}
