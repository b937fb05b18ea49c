use super::*;
use crate::notify::{About, Delivery, Outbox, outbox::Retry};
use crate::session::Phase;
use crate::session::WaitsFor;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{Request, StatusCode, Uri};
use axum::response::IntoResponse;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Instant;

const TOKEN: &str = "123456:AAH-secret_TOKEN";

/// A request as the server received it.
#[derive(Debug, Clone)]
struct Seen {
    method: String,
    uri: Uri,
    content_type: String,
    body: Value,
}

/// A fake Bot API: a real server on a real socket that answers from a script, then with `ok`.
struct Server {
    url: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    async fn new(answers: Vec<(u16, String)>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let record = Arc::clone(&seen);
        let script = Arc::new(Mutex::new(answers.into_iter()));
        let app = Router::new().fallback(move |request: Request<Body>| {
            let (record, script) = (Arc::clone(&record), Arc::clone(&script));
            async move {
                let (parts, body) = request.into_parts();
                let body: Bytes = axum::body::to_bytes(body, 1 << 20).await.unwrap();
                record.lock().unwrap().push(Seen {
                    method: parts.method.to_string(),
                    uri: parts.uri,
                    content_type: parts.headers["content-type"].to_str().unwrap().to_owned(),
                    body: serde_json::from_slice(&body).unwrap(),
                });
                let fine = || (200, json!({"ok": true, "result": {}}).to_string());
                let (status, text) = script.lock().unwrap().next().unwrap_or_else(fine);
                let location = [("location", "/elsewhere")];
                (StatusCode::from_u16(status).unwrap(), location, text).into_response()
            }
        });
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { url, seen }
    }

    async fn answering(status: u16, body: Value) -> Self {
        Self::new(vec![(status, body.to_string())]).await
    }

    fn telegram(&self) -> Telegram {
        Telegram::new(Secret::new(TOKEN), " -100200 ", Some(&self.url), Proxies::default()).unwrap()
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

fn notice(detail: &str) -> Notice {
    let about = About {
        id: "jwt-login/7".to_owned(),
        session: "jwt-login".to_owned(),
        project: "shop".to_owned(),
        phase: Some(Phase::Requirements),
    };
    let command = "samocode answer jwt-login";
    Notice::waiting(&about, Some(&WaitsFor::QaAnswers), Some(3), Some(detail), command)
}

/// Sends once and returns the error, after checking that it does not contain the token.
async fn error_of(telegram: &Telegram) -> NotifyError {
    let error = telegram.send(&notice("")).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
    assert!(!error.to_string().contains('\n'), "{error}");
    error
}

#[tokio::test]
async fn the_request_is_the_bot_apis_send_message() {
    let server = Server::new(vec![]).await;
    server.telegram().send(&notice("Cookies <b>or</b> headers & why?")).await.unwrap();
    let seen = server.seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].method, "POST");
    assert_eq!(seen[0].uri, *format!("/bot{TOKEN}/sendMessage"));
    assert_eq!(seen[0].content_type, "application/json");
    assert_eq!(
        seen[0].body,
        json!({
            "chat_id": "-100200",
            "text": "<b>jwt-login</b> is waiting for your answers to 3 questions\n\
                     shop · requirements\n\n\
                     Cookies &lt;b&gt;or&lt;/b&gt; headers &amp; why?\n\n\
                     <code>samocode answer jwt-login</code>",
            "parse_mode": "HTML",
            "disable_web_page_preview": true,
        })
    );
}

#[tokio::test]
async fn an_address_with_a_path_is_kept() {
    let server = Server::new(vec![]).await;
    let url = format!("{}/api/", server.url);
    Telegram::new(Secret::new(TOKEN), "5", Some(&url), Proxies::default())
        .unwrap()
        .send(&notice(""))
        .await
        .unwrap();
    assert_eq!(server.seen()[0].uri, *format!("/api/bot{TOKEN}/sendMessage"));
}

#[tokio::test]
async fn too_many_requests_is_retryable_after_the_time_the_server_asks_for() {
    let body = json!({"ok": false, "error_code": 429,
        "description": "Too Many Requests: retry after 17", "parameters": {"retry_after": 17}});
    let error = error_of(&Server::answering(429, body).await.telegram()).await;
    let NotifyError::Retryable { after, .. } = error else { panic!("{error:?}") };
    assert_eq!(after, Some(Duration::from_secs(17)));
}

#[tokio::test]
async fn the_outbox_sends_again_after_a_server_error() {
    let server = Server::new(vec![(502, "<html>bad gateway</html>".to_owned())]).await;
    let retry = Retry { pause: Duration::from_millis(1), ..Retry::default() };
    let outbox = Outbox::with_retry(vec![Arc::new(server.telegram())], retry);
    outbox.post(notice(""));
    let got: Vec<Delivery> = outbox.drain(Duration::from_secs(60)).await;
    assert_eq!((got[0].tries, &got[0].result), (2, &Ok(())));
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn errors_that_need_a_human_are_final_and_name_the_remedy() {
    let said = |text: &str| json!({"ok": false, "description": text});
    let moved = json!({"ok": false, "description": "Bad Request: group chat was upgraded",
        "parameters": {"migrate_to_chat_id": -100_987}});
    for (status, body, advice) in [
        (401, said("Unauthorized"), "check TELEGRAM_BOT_TOKEN"),
        (404, said("Not Found"), "check TELEGRAM_BOT_TOKEN"),
        (404, json!("nothing here"), "check TELEGRAM_API_URL"),
        (400, said("Bad Request: chat not found"), "check TELEGRAM_CHAT_ID"),
        (400, moved, "set TELEGRAM_CHAT_ID=-100987"),
        (403, said("Forbidden: bot was blocked by the user"), "unblock it"),
        (302, json!({}), "check TELEGRAM_API_URL"),
        (200, said("no"), "check TELEGRAM_API_URL"),
        (200, json!("<html>log in to this network</html>"), "check TELEGRAM_API_URL"),
    ] {
        let server = Server::answering(status, body).await;
        let error = error_of(&server.telegram()).await;
        assert!(matches!(error, NotifyError::Final(_)), "{status}: {error:?}");
        assert!(error.to_string().contains(advice), "{status}: {error}");
        assert_eq!(server.seen().len(), 1, "a redirect must not be followed");
    }
}

#[tokio::test]
async fn a_server_that_echoes_the_token_does_not_get_it_into_an_error() {
    let body = json!({"ok": false, "description": format!("no bot\n{TOKEN}\u{202e} here")});
    let error = error_of(&Server::answering(401, body).await.telegram()).await;
    assert!(error.to_string().contains("no bot [hidden] here"), "{error}");
}

#[tokio::test]
async fn a_server_that_hangs_is_abandoned_at_the_time_limit() {
    // The kernel accepts the connection, but nobody answers.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let telegram = Telegram::new(Secret::new(TOKEN), "5", Some(&url), Proxies::default())
        .unwrap()
        .with_timeout(Duration::from_millis(200));
    let start = Instant::now();
    let error = error_of(&telegram).await;
    assert!(start.elapsed() < Duration::from_secs(5));
    assert!(error.is_retryable());
    assert!(error.to_string().contains("did not answer within 0.2 s"), "{error}");
}

#[tokio::test]
async fn an_unreachable_server_is_worth_a_retry() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let telegram = Telegram::new(Secret::new(TOKEN), "5", Some(&url), Proxies::default()).unwrap();
    let error = error_of(&telegram).await;
    assert!(error.is_retryable());
    assert!(error.to_string().contains("cannot reach 127.0.0.1"), "{error}");
    assert!(error.to_string().contains("refused"), "{error}");
}

#[tokio::test]
async fn an_endless_answer_is_read_only_in_part() {
    let endless = format!("{{\"ok\": true, \"result\": \"{}\"}}", "x".repeat(10 * MAX_ANSWER));
    let server = Server::new(vec![(200, endless)]).await;
    let error = error_of(&server.telegram()).await;
    assert!(matches!(error, NotifyError::Final(_)), "{error:?}");
}

#[tokio::test]
async fn a_proxy_is_used_except_for_the_hosts_it_is_not_for() {
    let proxy = Server::new(vec![]).await;
    let variables = |name: &str| match name {
        "HTTP_PROXY" => Some(proxy.url.clone()),
        "NO_PROXY" => Some("direct.invalid".to_owned()),
        _ => None,
    };
    let proxies = Proxies::from_variables(variables);
    let to = |url| Telegram::new(Secret::new(TOKEN), "5", Some(url), proxies.clone()).unwrap();
    // The name cannot be resolved here, so only the proxy can have taken it.
    to("http://telegram.invalid").send(&notice("")).await.unwrap();
    assert_eq!(proxy.seen()[0].uri.host(), Some("telegram.invalid"));
    assert!(error_of(&to("http://direct.invalid")).await.is_retryable());
    assert_eq!(proxy.seen().len(), 1);
}

#[tokio::test]
async fn a_proxy_that_cannot_be_used_is_named_by_its_key_only() {
    let variables =
        |name: &str| (name == "all_proxy").then(|| "socks5://me:secret@127.0.0.1:1080".to_owned());
    let proxies = Proxies::from_variables(variables);
    assert!(!format!("{proxies:?}").contains("secret"));
    let telegram = Telegram::new(Secret::new(TOKEN), "5", None, proxies).unwrap();
    let error = error_of(&telegram).await;
    assert!(matches!(error, NotifyError::Final(_)));
    assert!(
        error.to_string().contains("HTTPS_PROXY or ALL_PROXY is not a usable proxy"),
        "{error}"
    );
}

#[test]
fn invalid_values_are_refused_before_anything_is_sent() {
    let new = |token, chat, url| {
        Telegram::new(Secret::new(token), chat, url, Proxies::default())
            .map(drop)
            .unwrap_err()
            .to_string()
    };
    assert!(new("1:a/../b", "5", None).contains("TELEGRAM_BOT_TOKEN"));
    assert!(new("", "5", None).contains("TELEGRAM_BOT_TOKEN"));
    assert!(new("1:a", "5 6", None).contains("TELEGRAM_CHAT_ID"));
    assert!(new("1:a", "5", Some("ftp://x")).contains("TELEGRAM_API_URL"));
    assert!(new("1:a", "5", Some("api.telegram.org")).contains("TELEGRAM_API_URL"));
}

/// Runs one test of this binary again in its own process, with these variables set.
fn run_apart(test: &str, variables: &[(&str, &str)]) {
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("notify::telegram::tests::{test}"), "--nocapture"])
        .envs(variables.iter().copied())
        .env(APART, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("1 passed"), "{said}");
}

/// Set in the process that [`run_apart`] starts.
const APART: &str = "SAMOCODE_TEST_APART";

#[tokio::test]
async fn without_ca_certificates_the_error_says_what_to_install() {
    if std::env::var_os(APART).is_none() {
        return run_apart(
            "without_ca_certificates_the_error_says_what_to_install",
            &[("SSL_CERT_FILE", "/dev/null"), ("SSL_CERT_DIR", "/dev/null")],
        );
    }
    let telegram = Telegram::new(Secret::new(TOKEN), "5", None, Proxies::default()).unwrap();
    let error = error_of(&telegram).await;
    assert!(matches!(error, NotifyError::Final(_)));
    assert!(error.to_string().contains("apt install ca-certificates"), "{error}");
    // A server without TLS can still be reached.
    let server = Server::new(vec![]).await;
    server.telegram().send(&notice("")).await.unwrap();
}

/// Serves one HTTPS request with the certificate and key in this file; returns the address.
fn serve_tls(pem: &std::path::Path) -> String {
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
    use std::io::{Read, Write};
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_file(pem).unwrap()],
            PrivateKeyDer::from_pem_file(pem).unwrap(),
        )
        .unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let connection = rustls::ServerConnection::new(Arc::new(config)).unwrap();
        let mut tls = rustls::StreamOwned::new(connection, stream);
        let mut request = Vec::new();
        let mut chunk = [0; 4096];
        while !String::from_utf8_lossy(&request).contains("disable_web_page_preview") {
            // A client that does not trust us says so and disconnects.
            let Ok(read @ 1..) = tls.read(&mut chunk) else { return };
            request.extend_from_slice(&chunk[..read]);
        }
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n{\"ok\":true}";
        tls.write_all(answer).unwrap();
    });
    url
}

#[tokio::test]
async fn https_works_with_the_systems_certificates_and_with_no_others() {
    const PEM: &str = "SAMOCODE_TEST_PEM";
    let send = async |pem: &std::path::Path| {
        let url = serve_tls(pem);
        let telegram = Telegram::new(Secret::new(TOKEN), "5", Some(&url), Proxies::default());
        telegram.unwrap().send(&notice("")).await
    };
    if let Some(pem) = std::env::var_os(PEM) {
        return send(pem.as_ref()).await.unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    let pem = folder.path().join("both.pem");
    let made = std::process::Command::new("openssl")
        .args("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1".split(' '))
        .args("-subj /CN=test -addext subjectAltName=IP:127.0.0.1".split(' '))
        .args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout"])
        .args([&pem, std::path::Path::new("-out"), &folder.path().join("cert.pem")])
        .output();
    match made {
        Err(error) => {
            return crate::skipped(&format!("no certificate to test with: openssl: {error}"));
        }
        Ok(made) => {
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        }
    }
    let mut both = std::fs::read(&pem).unwrap();
    both.extend(std::fs::read(folder.path().join("cert.pem")).unwrap());
    std::fs::write(&pem, both).unwrap();

    let error = send(&pem).await.unwrap_err();
    assert!(matches!(error, NotifyError::Final(_)), "{error:?}");
    assert!(error.to_string().contains("does not trust the certificate of 127.0.0.1"), "{error}");

    let pem = pem.to_str().unwrap();
    run_apart(
        "https_works_with_the_systems_certificates_and_with_no_others",
        &[(PEM, pem), ("SSL_CERT_FILE", pem)],
    );
}

/// Reads a message as the Bot API does: the plain text and the tags, or `None` if the API would
/// reject it ("can't parse entities").
fn parse(html: &str) -> Option<(String, Vec<String>)> {
    let (mut plain, mut tags, mut open) = (String::new(), Vec::new(), Vec::new());
    let mut rest = html;
    while let Some(c) = rest.chars().next() {
        match c {
            '<' => {
                let end = rest.find('>')?;
                let tag = &rest[1..end];
                match tag.strip_prefix('/') {
                    Some(name) => (open.pop()? == name).then_some(())?,
                    None => open.push(tag),
                }
                tags.push(tag.to_owned());
                rest = &rest[end + 1..];
            }
            '>' => return None,
            '&' => {
                let end = rest.find(';')?;
                plain.push(match &rest[1..end] {
                    "amp" => '&',
                    "lt" => '<',
                    "gt" => '>',
                    _ => return None,
                });
                rest = &rest[end + 1..];
            }
            c => {
                plain.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    open.is_empty().then_some((plain, tags))
}

#[test]
fn hostile_text_of_an_agent_stays_text() {
    let text =
        "</code><b>x</b> ]]> <a href=\"tg://x\">y</a> &lt; \u{202e}evil\u{2066} \0\u{1b}[31m";
    let (plain, tags) = parse(&compose(&notice(text))).unwrap();
    assert_eq!(tags, ["b", "/b", "code", "/code"]);
    assert!(
        plain.contains("</code><b>x</b> ]]> <a href=\"tg://x\">y</a> &lt; evil\n\n"),
        "{plain}"
    );
}

#[test]
fn ten_thousand_characters_are_cut_and_the_command_stays() {
    for text in ["word ".repeat(2000), "😀".repeat(10_000), "<&>".repeat(5000)] {
        let message = compose(&notice(&text));
        let units = message.encode_utf16().count();
        assert!((MAX_UNITS - 6..=MAX_UNITS).contains(&units), "{units}");
        let (plain, _) = parse(&message).unwrap();
        assert!(plain.ends_with("…\n\nsamocode answer jwt-login"), "{plain}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn every_message_is_well_formed_and_short_enough(
        texts in proptest::collection::vec("(\\PC|[<>&/;\u{202e}\n\r\0]|😀|<b>|&amp;){0,400}", 5)
    ) {
        let [session, project, text, detail, command] = &texts[..] else { unreachable!() };
        let message = compose(&Notice {
            session: session.clone(),
            project: project.clone(),
            text: text.clone(),
            detail: Some(detail.clone()),
            command: Some(command.clone()),
            ..notice("")
        });
        prop_assert!(message.encode_utf16().count() <= MAX_UNITS);
        let parsed = parse(&message);
        prop_assert!(parsed.is_some(), "{message}");
        let (plain, tags) = parsed.unwrap_or_default();
        prop_assert_eq!(tags, ["b", "/b", "code", "/code"]);
        let hidden = |c: char| c == '\u{202e}' || (c.is_control() && c != '\n');
        let clean = !plain.chars().any(hidden);
        prop_assert!(clean, "{plain:?}");
    }
}
