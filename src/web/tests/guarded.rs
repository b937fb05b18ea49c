//! Who gets in, and what nobody gets past.

use super::*;

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
    let wrong = format!("{cookie}0");
    for (name, value) in [(COOKIE, wrong.as_str()), (COOKIE, "other=1"), (COOKIE, &link)] {
        let refused = site.get("/").header(name, value).send().await.unwrap();
        text(refused, StatusCode::UNAUTHORIZED).await;
    }

    // A link in a chat: the browser keeps the cookie back until our page asks.
    let linked =
        site.get("/s/jwt/plan").header("sec-fetch-site", "cross-site").send().await.unwrap();
    let linked = text(linked, StatusCode::UNAUTHORIZED).await;
    assert!(linked.contains("content=\"0; url=/s/jwt/plan\""), "{linked}");
    let asked =
        site.get("/s/jwt/plan").header("sec-fetch-site", "same-origin").send().await.unwrap();
    assert!(!text(asked, StatusCode::UNAUTHORIZED).await.contains("http-equiv=\"refresh\""));

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
    for path in ["/", "/s/jwt", "/s/jwt/plan", "/s/jwt/timeline", "/s/jwt/mail"] {
        let shown = page(&site, &reader, path).await;
        assert_eq!(shown.matches("method=\"post\"").count(), 1, "signing out alone: {shown}");
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
