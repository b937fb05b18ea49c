//! The web page with a real client, on the real service manager.

use std::collections::BTreeMap;
use std::net::TcpListener;

use reqwest::header::{COOKIE, ORIGIN, SET_COOKIE};
use reqwest::{Client, Response, StatusCode};
use rustix::process::Signal;

use crate::lab::{self, LabUser, secs};

/// What a browser does, without a script.
pub(crate) struct Browser<'u> {
    user: &'u LabUser,
    runtime: tokio::runtime::Runtime,
    client: Client,
    base: String,
    cookie: String,
}

impl<'u> Browser<'u> {
    /// Opens a link, as it was printed.
    pub(crate) fn open(user: &'u LabUser, link: &str) -> Self {
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            let _installed = rustls::crypto::ring::default_provider().install_default();
        }
        let (base, token) = link.split_once("/enter?token=").unwrap_or_else(|| panic!("{link}"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let client = Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy();
        // The server may have been restarted in between.
        let client = client.pool_max_idle_per_host(0);
        let client = client.build().unwrap();
        let (base, cookie) = (base.to_owned(), String::new());
        let mut browser = Self { user, runtime, client, base, cookie };
        browser.get(link.strip_prefix(&browser.base).unwrap());
        let entered = browser.send("/enter", &BTreeMap::from([("token".into(), token.into())]));
        assert_eq!(entered.status(), StatusCode::SEE_OTHER, "{}", user.diagnosis());
        let cookie = entered.headers()[SET_COOKIE].to_str().unwrap();
        browser.cookie = cookie.split(';').next().unwrap().to_owned();
        browser
    }

    fn get(&self, path: &str) -> String {
        let request = self.client.get(format!("{}{path}", self.base)).header(COOKIE, &self.cookie);
        self.runtime.block_on(async {
            let sent = request.send().await.unwrap();
            let status = sent.status();
            let text = sent.text().await.unwrap();
            assert_eq!(status, StatusCode::OK, "{path}: {text}\n{}", self.user.diagnosis());
            text
        })
    }

    fn send(&self, path: &str, fields: &BTreeMap<String, String>) -> Response {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = self.client.post(format!("{}{path}", self.base)).body(body);
        let request = request.header(COOKIE, &self.cookie).header(ORIGIN, &self.base);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        self.runtime.block_on(request.send()).unwrap()
    }

    /// Fills in the form of a page that is sent to `action`, and presses its button; the page it
    /// leads to.
    pub(crate) fn submit(&self, page: &str, action: &str, typed: &[(&str, &str)]) -> String {
        let page = self.get(page);
        let form = page.split("<form").find(|form| form.contains(&format!("action=\"{action}\"")));
        let form = form.unwrap_or_else(|| panic!("no form for {action}: {page}"));
        let form = form.split("</form>").next().unwrap();
        let attribute = |tag: &str, name: &str| {
            let value = tag.split(&format!("{name}=\"")).nth(1)?.split('"').next()?;
            Some(
                value
                    .replace("&lt;", "<")
                    .replace("&gt;", ">")
                    .replace("&quot;", "\"")
                    .replace("&amp;", "&"),
            )
        };
        let hidden = form.split("<input").filter(|tag| tag.contains("type=\"hidden\""));
        let mut fields: BTreeMap<String, String> = hidden
            .map(|tag| (attribute(tag, "name").unwrap(), attribute(tag, "value").unwrap()))
            .collect();
        for (name, value) in typed {
            assert!(form.contains(&format!("name=\"{name}\"")), "no field {name}: {form}");
            fields.insert((*name).to_owned(), (*value).to_owned());
        }
        let sent = self.send(action, &fields);
        if sent.status() != StatusCode::SEE_OTHER {
            panic!("{action}: {}", self.runtime.block_on(sent.text()).unwrap());
        }
        self.get(sent.headers()["location"].to_str().unwrap())
    }

    /// Has messages sent to a push service, as the page's script does.
    pub(crate) fn subscribe(&self, endpoint: &str) {
        let page = self.get("/");
        let token = page.split("name=\"form-token\" value=\"").nth(1).expect("a form");
        // A browser's keys, from RFC 8291.
        let fields = [
            ("form-token", &token[..64]),
            ("endpoint", endpoint),
            (
                "p256dh",
                "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
            ),
            ("auth", "BTBZMqHH6r4Tts7J_aSIgg"),
        ];
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(self.send("/push", &BTreeMap::from(fields)).status(), StatusCode::NO_CONTENT);
    }

    pub(crate) fn wait(&self, path: &str, text: &str) -> String {
        let mut page = String::new();
        self.user.wait_until(&format!("{path} shows {text:?}"), secs(60), || {
            page = self.get(path);
            page.contains(text)
        });
        page
    }

    /// Reads a stream of events until one has this text.
    fn event(&self, path: &str, text: &str) {
        let request = self.client.get(format!("{}{path}", self.base)).header(COOKIE, &self.cookie);
        let read = async {
            let (mut stream, mut seen) = (request.send().await.unwrap(), String::new());
            while !seen.contains(text) {
                let chunk = stream.chunk().await.unwrap().expect("the stream continues");
                seen.push_str(&String::from_utf8_lossy(&chunk));
            }
        };
        let read = self.runtime.block_on(async { tokio::time::timeout(secs(60), read).await });
        assert!(read.is_ok(), "no event has {text:?}: {}", self.user.diagnosis());
    }
}

/// The link in what was printed.
pub(crate) fn link(printed: &str) -> &str {
    let found = printed.split_whitespace().find(|word| word.contains("/enter?token="));
    found.unwrap_or_else(|| panic!("no link: {printed}"))
}

#[test]
fn a_session_goes_from_its_beginning_to_done_over_http_alone() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("web");
    let project = user.project("shop").key("SAMOCODE_AGENT", "rehearsal").create();
    let mut server = user.samocode(["web"]).cwd(&project.dir).spawn();
    server.wait_for_stdout("/enter?token=", secs(30));
    let printed = server.stdout();
    assert!(printed.contains("it works once") && printed.contains("--listen"), "{printed}");
    let browser = Browser::open(&user, link(&printed));
    assert!(browser.get("/").contains("No sessions yet."));

    let shop = project.dir.to_str().unwrap();
    let begun = browser.submit(
        "/new",
        "/new",
        &[("project", shop), ("name", "jwt"), ("task", "JWT <login>")],
    );
    assert!(begun.contains("Begun: jwt") && begun.contains("JWT &lt;login&gt;"), "{begun}");
    browser.event("/events", "1 needs you");
    browser.wait("/", "needs 2 answers");
    // One question after the other.
    let saved = browser.submit("/s/jwt", "/s/jwt/answer", &[("option-Q1", "B")]);
    assert!(saved.contains("Saved. Still open: 1") && saved.contains("Question 1 of 1"), "{saved}");
    let answered = browser.submit("/s/jwt", "/s/jwt/answer", &[("suggestions", "yes")]);
    assert!(answered.contains("Answered: jwt"), "{answered}");

    browser.wait("/", "needs your approval of its plan");
    assert!(browser.get("/s/jwt/plan").contains("<h3>"), "the plan is read as a document");
    let rejected = browser.submit("/s/jwt", "/s/jwt/reject", &[("reason", "Use RS256.")]);
    assert!(rejected.contains("Rejected: jwt"), "{rejected}");
    browser.wait("/", "Plan revised after it was rejected");
    browser.wait("/", "needs your approval of its plan");
    let approved = browser.submit("/s/jwt/plan", "/s/jwt/approve", &[("message", "Good.")]);
    assert!(approved.contains("Approved: jwt"), "{approved}");
    browser.event("/events/s/jwt", "state-done");
    browser.event("/lines/s/jwt", "done");
    assert!(browser.get("/s/jwt/questions").contains("class=\"answer\""));
    let changes = browser.get("/s/jwt/changes");
    assert!(changes.contains("Commits") && changes.contains("class=\"added\""), "{changes}");
    let overview = browser.get("/s/jwt");
    assert!(overview.contains("Time and cost by phase"), "{overview}");
    assert_eq!(overview.matches(">Summary<").count(), 1, "{overview}");
    let why = user.samocode(["history", "jwt"]).cwd(&project.dir).ok().stdout;
    assert!(why.contains("in a browser"), "who opened the gates: {why}");

    // Another link to the same page, which is not served twice.
    let again = user.samocode(["web", "--open", "--read-only"]).ok().stdout;
    assert!(link(&again).starts_with(&browser.base) && again.contains('█'), "{again}");
    let reader = Browser::open(&user, link(&again));
    assert!(!reader.get("/s/jwt").contains("Send a message"));
    server.signal(Signal::INT);
    assert_eq!(server.wait(secs(30)).code, 0);
}

#[test]
fn the_service_manager_starts_it_on_the_first_request() {
    let Some(lab) = lab::get() else { return };
    let user = lab.user("web-unit");
    let project = user.project("shop").key("SAMOCODE_AGENT", "rehearsal").create();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let installed = user.samocode(["web", "--install", "--port", &port]).ok().stdout;
    assert!(installed.contains(&format!("http://127.0.0.1:{port}")), "{installed}");
    let state = |unit: &str| user.unit_property(unit, "ActiveState");
    assert_eq!(state("samocode-web.socket"), "active");
    assert_eq!(state("samocode-web.service"), "inactive", "nothing runs before a request");

    user.samocode(["enable", "jwt", "--task", "JWT login"]).cwd(&project.dir).ok();
    let printed = user.samocode(["web", "--open"]).ok().stdout;
    let browser = Browser::open(&user, link(&printed));
    browser.wait("/", "needs 2 answers");
    assert_eq!(state("samocode-web.service"), "active");
    // Answers that a person wrote into the file.
    let file = project.session("jwt").expect("a session").join("_qa.md");
    user.write(&file, user.read(&file).replace("_waiting_", "A"));
    let sent = browser.submit("/s/jwt", "/s/jwt/answer", &[]);
    assert!(sent.contains("Answered: jwt"), "{sent}");

    // A restart below an open page: the visit continues.
    user.systemctl(["stop", "samocode-web.service"]).ok();
    browser.wait("/", "needs your approval of its plan");

    let revoked = user.samocode(["web", "--revoke"]).ok().stdout;
    assert!(revoked.contains("Signed out everywhere"), "{revoked}");
    let agent = user.samocode(["web", "--open"]).env("SAMOCODE_RUN", "r1").output();
    assert!(agent.code != 0 && agent.stderr.contains("an agent in a run"), "{agent}");

    // Behind a proxy it takes what comes by the proxy's name, and nothing else.
    let host = "samo.example.org";
    user.samocode(["web", "--install", "--port", &port, "--behind-proxy", host]).ok();
    let printed = user.samocode(["web", "--open"]).ok().stdout;
    assert!(link(&printed).starts_with("https://samo.example.org/enter?token="), "{printed}");
    let status = |host: &str| {
        let request = browser.client.get(&browser.base).header("host", host);
        browser.runtime.block_on(request.send()).unwrap().status()
    };
    assert_eq!(status(host), StatusCode::UNAUTHORIZED);
    assert_eq!(status(&format!("127.0.0.1:{port}")), StatusCode::MISDIRECTED_REQUEST);

    user.samocode(["web", "--remove"]).ok();
    assert_eq!(state("samocode-web.socket"), "inactive");
    assert_eq!(state("samocode-web.service"), "inactive");
}
