//! Live updates, and the server as a whole.

use super::*;

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
        let bytes = next.expect("an event comes").unwrap().expect("the stream continues");
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

    let path = "/events?words=quality%20SEARCH";
    let mut some = site.get(path).header(COOKIE, &cookie).send().await.unwrap();
    let (_, _, data) = event(&mut some, &mut String::new()).await;
    assert_eq!(data["order"].as_array().unwrap().len(), 1, "{data}");
    let filtered = page(&site, &cookie, "/?words=quality%20%22%3E%3Cb%3E").await;
    assert!(filtered.contains("No session has these words") && !filtered.contains("<b>"));

    let mut one = site.get("/events/s/search").header(COOKIE, &cookie).send().await.unwrap();
    let (name, _, data) = event(&mut one, &mut String::new()).await;
    assert_eq!(name, "session");
    assert!(data["html"].as_str().unwrap().contains("quality"), "{data}");
}

#[tokio::test]
async fn a_stream_ends_with_the_visit() {
    let site = Site::open().await;
    let cookie = site.visit(Access::ReadOnly).await;
    let mut stream = site.get("/events").header(COOKIE, &cookie).send().await.unwrap();
    event(&mut stream, &mut String::new()).await;
    site.tokens.forget_all().unwrap();
    site.session("jwt", "planning", "JWT login");
    let mut rest = String::new();
    while let Some(bytes) = stream.chunk().await.unwrap() {
        rest.push_str(std::str::from_utf8(&bytes).unwrap());
    }
    assert!(!rest.contains("jwt"), "{rest}");
}

#[tokio::test]
async fn with_tls_the_cookie_is_for_tls_alone() {
    let site = Site::at(Listen::Tls {
        address: "127.0.0.1:0".parse().unwrap(),
        certificate: Certificate::SelfMade,
        names: vec!["localhost".to_owned()],
    });
    let site = site.await;
    assert!(site.base.starts_with("https://localhost:"), "{}", site.base);
    let cookie = site.visit(Access::Full).await;
    assert!(cookie.starts_with("__Host-samocode="), "{cookie}");
    assert!(page(&site, &cookie, "/").await.contains("Nothing is running"));
    let plain = site.client.get(site.base.replace("https:", "http:")).send().await;
    assert!(plain.is_err(), "nothing is said without TLS");
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
    // It is connected before the server first looks, however slow the machine is.
    let connection = tokio::net::TcpStream::connect(&address).await.unwrap();
    let mut serving = tokio::spawn(server::serve(place.listener, None, axum::Router::new(), idle));
    let while_open = tokio::time::timeout(Duration::from_secs(1), &mut serving).await;
    assert!(while_open.is_err(), "somebody is connected");
    drop(connection);
    tokio::time::timeout(Duration::from_secs(60), serving).await.unwrap().unwrap();
    assert!(std::net::TcpStream::connect(&address).is_err());
}
