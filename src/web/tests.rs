//! The real router behind a real socket, with a real client. What agents write is hostile here.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::{COOKIE, HOST, LOCATION, ORIGIN, SET_COOKIE};
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use tempfile::TempDir;

use super::app::App;
use super::place::{Listen, Place, Private};
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
        let place = Place::open(Listen::Private(Private::Loopback(None)), root.path());
        let place = place.await.unwrap();
        let tokens = Tokens::of(root.path());
        let (base, cookie) = (place.base.clone(), place.cookie());
        let cookie_name = cookie.name.clone();
        let app = Arc::new(App::new(caller, tokens.clone(), place.names.clone(), cookie));
        app.follow();
        tokio::spawn(server::serve(place.listener, None, routes::router(app), None));
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            let _installed = rustls::crypto::ring::default_provider().install_default();
        }
        let client = Client::builder().redirect(reqwest::redirect::Policy::none());
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

#[tokio::test]
async fn only_a_visitor_of_this_host_and_origin_gets_in() {
    let site = Site::open().await;
    site.session("jwt", "planning", "JWT login");
    for path in ["/", "/new", "/s/jwt", "/s/jwt/log", "/events", "/events/s/jwt", "/lines/s/jwt"] {
        let stranger = text(site.get(path).send().await.unwrap(), StatusCode::UNAUTHORIZED).await;
        assert!(
            stranger.contains("samocode web --open") && !stranger.contains("jwt"),
            "{stranger}"
        );
    }
    let link = site.tokens.new_link(Access::Full, Timestamp::now()).unwrap();
    let shown = site.get(&format!("/enter?token={link}")).send().await.unwrap();
    let shown = text(shown, StatusCode::OK).await;
    assert!(shown.contains(&link), "looking at a link does not spend it: {shown}");
    let hostile = site.get("/enter?token=%22%3E%3Cscript%3E").send().await.unwrap();
    assert!(!text(hostile, StatusCode::OK).await.contains("\"><script>"));

    let cookie = site.visit(Access::Full).await;
    assert!(page(&site, &cookie, "/").await.contains("jwt"));
    let wrong = format!("{}0", &cookie[..cookie.len() - 1]);
    for (name, value) in [(COOKIE, wrong.as_str()), (COOKIE, "other=1"), (COOKIE, &link)] {
        let refused = site.get("/").header(name, value).send().await.unwrap();
        text(refused, StatusCode::UNAUTHORIZED).await;
    }

    // A name of another site that leads to this machine, and requests that other sites make.
    for host in ["evil.example", "127.0.0.1", "127.0.0.1:1", "localhost.evil.example"] {
        let refused = site.get("/").header(COOKIE, &cookie).header(HOST, host);
        text(refused.send().await.unwrap(), StatusCode::MISDIRECTED_REQUEST).await;
    }
    for origin in ["http://evil.example", "null", &site.base.replace("127.0.0.1", "127.0.0.2")] {
        let get = site.get("/").header(COOKIE, &cookie).header(ORIGIN, origin);
        text(get.send().await.unwrap(), StatusCode::FORBIDDEN).await;
        let token = form_token(&page(&site, &cookie, "/s/jwt").await);
        let stop = site.client.post(format!("{}/s/jwt/stop", site.base)).header(ORIGIN, origin);
        let stop = stop.header(COOKIE, &cookie).body(format!("{}={token}", form::TOKEN));
        text(stop.send().await.unwrap(), StatusCode::FORBIDDEN).await;
    }
    let blind = site.client.post(format!("{}/leave", site.base)).header(COOKIE, &cookie);
    text(blind.send().await.unwrap(), StatusCode::FORBIDDEN).await;

    let left = site.post("/leave", &[]).header(COOKIE, &cookie).send().await.unwrap();
    assert_eq!(left.status(), StatusCode::SEE_OTHER);
    let after = site.get("/").header(COOKIE, &cookie).send().await.unwrap();
    text(after, StatusCode::UNAUTHORIZED).await;
}

#[tokio::test]
async fn a_form_needs_its_token_and_an_access_that_may_act() {
    let site = Site::open().await;
    site.session("jwt", "planning", "JWT login");
    let (full, other) = (site.visit(Access::Full).await, site.visit(Access::Full).await);
    let shown = page(&site, &full, "/s/jwt").await;
    let own = form_token(&shown);
    let foreign = form_token(&page(&site, &other, "/s/jwt").await);
    assert!(!shown.contains(full.split_once('=').unwrap().1), "the cookie is not in the page");
    for token in ["", "0", &foreign] {
        let fields = [(form::TOKEN, token), ("text", "use RS256")];
        let sent = site.post("/s/jwt/send", &fields).header(COOKIE, &full).send().await.unwrap();
        let refused = text(sent, StatusCode::FORBIDDEN).await;
        assert!(refused.contains("Nothing was done"), "{refused}");
    }
    let folder = Folder::new(site.root.path().join("sessions/26-11-20-jwt"));
    assert!(folder.unread().unwrap().messages.is_empty());
    let fields = [(form::TOKEN, own.as_str()), ("text", "use RS256\r\nplease")];
    let sent = site.post("/s/jwt/send", &fields).header(COOKIE, &full).send().await.unwrap();
    assert_eq!(sent.status(), StatusCode::SEE_OTHER);
    let next = sent.headers()[LOCATION].to_str().unwrap();
    assert!(page(&site, &full, next).await.contains("Sent: jwt"));
    assert!(!page(&site, &full, next).await.contains("Sent: jwt"), "it is said once");
    let unread = folder.unread().unwrap().messages;
    assert_eq!(unread[0].1.body, "use RS256\nplease");

    // Wrong in itself: said at once, with what was typed.
    let fields = [(form::TOKEN, own.as_str()), ("subject", "old"), ("message", "Good <b>work</b>")];
    let stale = site.post("/s/jwt/approve", &fields).header(COOKIE, &full).send().await.unwrap();
    let stale = text(stale, StatusCode::CONFLICT).await;
    assert!(stale.contains("has changed") && stale.contains("Good &lt;b&gt;work"), "{stale}");
    let fields = [(form::TOKEN, own.as_str()), ("project", "/etc"), ("name", "x"), ("task", "y")];
    let begun = site.post("/new", &fields).header(COOKIE, &full).send().await.unwrap();
    text(begun, StatusCode::BAD_REQUEST).await;

    let reader = site.visit(Access::ReadOnly).await;
    for path in ["/", "/s/jwt", "/s/jwt/plan", "/s/jwt/timeline"] {
        let shown = page(&site, &reader, path).await;
        assert_eq!(shown.matches("<form").count(), 1, "signing out alone: {shown}");
    }
    for action in ["answer", "approve", "reject", "send", "start", "stop"] {
        let sent = site.post(&format!("/s/jwt/{action}"), &[(form::TOKEN, &own)]);
        let sent = sent.header(COOKIE, &reader).send().await.unwrap();
        text(sent, StatusCode::FORBIDDEN).await;
    }
}

#[tokio::test]
async fn what_agents_wrote_is_text_and_nothing_but_our_script_may_run() {
    let site = Site::open().await;
    let folder = site.session("jwt", "planning", HOSTILE);
    let path = |name: &str| folder.path().join(name);
    std::fs::write(
        path("20-11-plan-x.md"),
        format!("# Plan\n\n{HOSTILE}\n\n[x](javascript:alert(1))"),
    )
    .unwrap();
    let qa = format!(
        "### Q1: {HOSTILE}\nA) {HOSTILE}\nB) two\n\n**Suggestion:** A - {HOSTILE}\n\n**Answer:** _waiting_\n"
    );
    std::fs::write(folder.qa(), qa).unwrap();
    let cookie = site.visit(Access::Full).await;
    for path in
        ["/", "/s/jwt", "/s/jwt/plan", "/s/jwt/questions", "/s/jwt/log", "/s/jwt/timeline", "/new"]
    {
        let sent = site.get(path).header(COOKIE, &cookie).send().await.unwrap();
        let headers = sent.headers().clone();
        let shown = text(sent, StatusCode::OK).await;
        assert_eq!(shown.matches("<script").count(), 1, "{path}: {shown}");
        assert!(!shown.contains("<img src=x") && !shown.contains("href=\"javascript"), "{shown}");
        assert!(!shown.contains('\u{202e}') && !shown.contains(" style="), "{path}: {shown}");
        for part in ["<html lang=\"en\"", "<main", "<h1", "Skip to content", "viewport"] {
            assert!(shown.contains(part), "{path}: {part}");
        }
        let header = |name: &str| headers.get(name).map_or("", |value| value.to_str().unwrap());
        let policy = header("content-security-policy");
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"));
        assert!(!policy.contains("unsafe") && !policy.contains('*') && !policy.contains("http"));
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(header("cache-control"), "no-store");
        assert_eq!(header("referrer-policy"), "same-origin");
    }
    for path in ["/s/jwt/plan", "/s/jwt/questions"] {
        assert!(page(&site, &cookie, path).await.contains("&lt;script&gt;"), "it is shown");
    }
    let script = site.get("/assets/app.js").send().await.unwrap();
    assert!(script.headers()["cache-control"].to_str().unwrap().contains("immutable"));
    let manifest = site.get("/manifest.webmanifest").send().await.unwrap();
    let manifest: serde_json::Value =
        serde_json::from_str(&manifest.text().await.unwrap()).unwrap();
    for icon in manifest["icons"].as_array().unwrap() {
        let sent = site.get(icon["src"].as_str().unwrap()).send().await.unwrap();
        assert_eq!(sent.headers()["content-type"], icon["type"].as_str().unwrap());
    }
    let none = site.get("/s/nobody").header(COOKIE, &cookie).send().await.unwrap();
    text(none, StatusCode::NOT_FOUND).await;
}

#[tokio::test]
async fn requests_are_limited_in_size_and_rate() {
    let site = Site::open().await;
    site.session("jwt", "planning", "JWT login");
    let cookie = site.visit(Access::Full).await;
    let own = form_token(&page(&site, &cookie, "/s/jwt").await);
    let long = "x".repeat(form::MOST_BYTES);
    let fields = [(form::TOKEN, own.as_str()), ("text", &long)];
    let sent = site.post("/s/jwt/send", &fields).header(COOKIE, &cookie).send().await.unwrap();
    text(sent, StatusCode::PAYLOAD_TOO_LARGE).await;

    let mut refused = 0;
    for _ in 0..80 {
        let sent = site.get("/").send().await.unwrap();
        refused += usize::from(sent.status() == StatusCode::TOO_MANY_REQUESTS);
    }
    assert!(refused > 0, "a stranger is held back");
    page(&site, &cookie, "/").await;
    let mut answers = Vec::new();
    for _ in 0..40 {
        let sent = site.post("/s/jwt/start", &[]).header(COOKIE, &cookie).send().await.unwrap();
        answers.push(sent.status());
    }
    assert_eq!(answers[0], StatusCode::FORBIDDEN);
    assert!(answers.contains(&StatusCode::TOO_MANY_REQUESTS), "{answers:?}");
}

/// The next event of a stream: its name, its number and its data.
async fn event(stream: &mut Response, buffer: &mut String) -> (String, String, serde_json::Value) {
    loop {
        if let Some((whole, rest)) = buffer.split_once("\n\n") {
            let field = |name: &str| {
                let lines = whole.lines().filter_map(|line| line.strip_prefix(name));
                lines.map(|value| value.trim_start_matches([':', ' '])).collect::<String>()
            };
            let found = (field("event"), field("id"), field("data"));
            *buffer = rest.to_owned();
            if !found.0.is_empty() {
                return (found.0, found.1, serde_json::from_str(&found.2).unwrap());
            }
            continue;
        }
        let next = tokio::time::timeout(Duration::from_secs(60), stream.chunk()).await;
        let bytes = next.expect("an event comes").unwrap().expect("the stream goes on");
        buffer.push_str(std::str::from_utf8(&bytes).unwrap());
    }
}

#[tokio::test]
async fn a_change_arrives_once_and_a_page_that_was_away_catches_up() {
    let site = Site::open().await;
    site.session("jwt", "planning", "JWT login");
    let cookie = site.visit(Access::ReadOnly).await;
    let shown = page(&site, &cookie, "/").await;
    let since = shown.split("data-since=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let open =
        |since: String| site.get(&format!("/events?since={since}")).header(COOKIE, &cookie).send();
    let ids = |data: &serde_json::Value| -> Vec<String> {
        let cards = data["cards"].as_array().unwrap().iter();
        cards.map(|card| card["id"].as_str().unwrap().to_owned()).collect()
    };
    let (mut stream, mut buffer) = (open(since).await.unwrap(), String::new());
    let (name, _, data) = event(&mut stream, &mut buffer).await;
    assert_eq!((name.as_str(), ids(&data).len()), ("sessions", 0), "the page has it: {data}");

    site.session("jwt", "testing", "JWT login");
    let (_, seen, data) = loop {
        let next = event(&mut stream, &mut buffer).await;
        if next.2["cards"][0]["html"].as_str().is_some_and(|html| html.contains("testing")) {
            break next;
        }
    };
    assert_eq!(ids(&data), ["session-jwt"]);
    drop(stream);

    site.session("search", "quality", HOSTILE);
    let (mut stream, mut buffer) = (open(seen).await.unwrap(), String::new());
    let mut new = Vec::new();
    while !new.contains(&"session-search".to_owned()) {
        let (_, _, data) = event(&mut stream, &mut buffer).await;
        assert!(!data.to_string().contains("<script"), "{data}");
        new.extend(ids(&data));
    }
    assert!(!new.contains(&"session-jwt".to_owned()), "nothing is repeated: {new:?}");

    // As after a restart of the server: everything is sent, since numbers begin again.
    let mut again = open("another-7".to_owned()).await.unwrap();
    let (_, _, data) = event(&mut again, &mut String::new()).await;
    assert_eq!(ids(&data).len(), 2);
    assert_eq!(data["order"].as_array().unwrap().len(), 2);

    let mut one = site.get("/events/s/search").header(COOKIE, &cookie).send().await.unwrap();
    let (name, _, data) = event(&mut one, &mut String::new()).await;
    assert_eq!(name, "session");
    assert!(data["html"].as_str().unwrap().contains("quality"), "{data}");
}

#[tokio::test]
async fn streams_are_bounded_and_give_their_place_back() {
    let site = Site::open().await;
    let cookie = site.visit(Access::ReadOnly).await;
    let open = || site.get("/events").header(COOKIE, &cookie).send();
    let mut streams = Vec::new();
    let full = loop {
        let sent = open().await.unwrap();
        match sent.status() {
            StatusCode::OK => streams.push(sent),
            _ => break sent,
        }
    };
    assert_eq!((streams.len(), full.status()), (256, StatusCode::SERVICE_UNAVAILABLE));
    drop(streams);
    let bound = tokio::time::Instant::now() + Duration::from_secs(60);
    while open().await.unwrap().status() != StatusCode::OK {
        assert!(tokio::time::Instant::now() < bound, "places come back");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn it_ends_when_idle_and_not_while_a_page_is_open() {
    let root = tempfile::tempdir().unwrap();
    let place = Place::open(Listen::Private(Private::Loopback(None)), root.path()).await.unwrap();
    let address = place.base.trim_start_matches("http://").to_owned();
    let idle = Some(Duration::from_millis(300));
    let mut serving = tokio::spawn(server::serve(place.listener, None, axum::Router::new(), idle));
    let connection = tokio::net::TcpStream::connect(&address).await.unwrap();
    let while_open = tokio::time::timeout(Duration::from_secs(1), &mut serving).await;
    assert!(while_open.is_err(), "somebody is connected");
    drop(connection);
    tokio::time::timeout(Duration::from_secs(60), serving).await.unwrap().unwrap();
    assert!(std::net::TcpStream::connect(&address).is_err());
}
