//! What a client asks of the proxy: a tunnel to a host, or one request in the clear.

use std::fmt::Write as _;

use super::host_of;

/// The most headers that a request may have.
const HEADERS: usize = 100;

/// What concerns the connection to a proxy and not the host behind it, and the host, which is the one
/// that was let through.
const NOT_SENT_ON: [&str; 5] =
    ["connection", "proxy-connection", "proxy-authorization", "keep-alive", "host"];

/// A request's head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Request {
    /// In lower case, without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) kind: Kind,
    /// How many bytes the head takes.
    pub(super) length: usize,
}

/// The kind of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// `CONNECT`: whatever follows is for the host.
    Tunnel,
    /// Any other method: the head to send on, for the host itself and for a further proxy.
    Plain { to_host: Vec<u8>, to_proxy: Vec<u8> },
}

/// Reads a request's head; `Ok(None)` if more of it is to come. The error is what is wrong with it.
pub(super) fn parse(bytes: &[u8]) -> Result<Option<Request>, &'static str> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut head = httparse::Request::new(&mut headers);
    let length = match head.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err("this is no HTTP request"),
    };
    let (method, target) = (head.method.unwrap_or_default(), head.path.unwrap_or_default());
    if method.eq_ignore_ascii_case("CONNECT") {
        let (host, port) = authority(target, None).ok_or("CONNECT needs a host and a port")?;
        return Ok(Some(Request { host, port, kind: Kind::Tunnel, length }));
    }
    let rest =
        target.strip_prefix("http://").ok_or("a proxy's request needs an http:// address")?;
    let (place, path) = match rest.find(['/', '?']) {
        Some(at) => rest.split_at(at),
        None => (rest, "/"),
    };
    let slash = if path.starts_with('/') { "" } else { "/" };
    let (host, port) = authority(place, Some(80)).ok_or("the address names no host")?;
    let head_for = |address: &str| {
        let mut text = format!("{method} {address} HTTP/1.1\r\n").into_bytes();
        for header in head.headers.iter() {
            if !NOT_SENT_ON.iter().any(|name| header.name.eq_ignore_ascii_case(name)) {
                text.extend([header.name.as_bytes(), b": ", header.value, b"\r\n"].concat());
            }
        }
        let place = place.rsplit_once('@').map_or(place, |(_, place)| place);
        // One request a connection, so that a second one does not pass unread.
        text.extend(format!("Host: {place}\r\nConnection: close\r\n").as_bytes());
        text
    };
    let kind = Kind::Plain {
        to_host: head_for(&format!("{slash}{path}")),
        to_proxy: head_for(&format!("http://{place}{slash}{path}")),
    };
    Ok(Some(Request { host, port, kind, length }))
}

/// A host and its port, without a user's name.
fn authority(text: &str, default: Option<u16>) -> Option<(String, u16)> {
    let text = text.rsplit_once('@').map_or(text, |(_, host)| host);
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
            (host, port.parse().ok()?)
        }
        _ => (text, default?),
    };
    let host = host_of(host);
    (!host.is_empty() && port > 0).then_some((host, port))
}

/// A short answer of the proxy's own. The reason is where programs show it.
pub(super) fn answer(code: u16, reason: &str) -> Vec<u8> {
    let mut text = format!("HTTP/1.1 {code} {reason}\r\n");
    let body = format!("samocode: {reason}\n");
    let _ = write!(
        text,
        "Content-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    text.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Request {
        parse(text.as_bytes()).unwrap().unwrap()
    }

    #[test]
    fn a_tunnel_is_asked_for_by_host_and_port() {
        let head = "CONNECT Example.ORG.:443 HTTP/1.1\r\nHost: x\r\n\r\n";
        let request = read(&format!("{head}rest"));
        assert_eq!((request.host.as_str(), request.port), ("example.org", 443));
        assert_eq!((request.kind, request.length), (Kind::Tunnel, head.len()));
        let request = read("CONNECT [0:0::1]:8443 HTTP/1.1\r\n\r\n");
        assert_eq!((request.host.as_str(), request.port), ("::1", 8443));
        assert_eq!(parse(b"CONNECT example.org:443 HTTP/1.1\r\nHo"), Ok(None));
    }

    #[test]
    fn a_request_in_the_clear_is_sent_on_as_its_host_expects_it_and_alone() {
        let request = read(
            "GET http://u:p@example.org:8080?a=1 HTTP/1.1\r\nHost: elsewhere.example\r\nProxy-Connection: keep-alive\r\n\
             Connection: keep-alive\r\nProxy-Authorization: Basic eA==\r\nAccept: */*\r\n\r\n",
        );
        assert_eq!((request.host.as_str(), request.port), ("example.org", 8080));
        let Kind::Plain { to_host, to_proxy } = request.kind else { panic!("{request:?}") };
        let text = String::from_utf8(to_host).unwrap();
        let rest = "Accept: */*\r\nHost: example.org:8080\r\nConnection: close\r\n";
        assert_eq!(text, format!("GET /?a=1 HTTP/1.1\r\n{rest}"));
        let text = String::from_utf8(to_proxy).unwrap();
        assert_eq!(text, format!("GET http://u:p@example.org:8080/?a=1 HTTP/1.1\r\n{rest}"));
        assert_eq!(read("GET http://example.org HTTP/1.1\r\n\r\n").port, 80);
    }

    #[test]
    fn what_is_no_request_for_a_proxy_is_refused() {
        for text in [
            "GET / HTTP/1.1\r\n\r\n",
            "GET https://example.org/ HTTP/1.1\r\n\r\n",
            "CONNECT example.org HTTP/1.1\r\n\r\n",
            "CONNECT :443 HTTP/1.1\r\n\r\n",
            "CONNECT example.org:0 HTTP/1.1\r\n\r\n",
            "CONNECT example.org:99999 HTTP/1.1\r\n\r\n",
            "GET http:///x HTTP/1.1\r\n\r\n",
            "\u{16}\u{3}\u{1}",
            "SSH-2.0-OpenSSH_9.2\r\n\r\n",
        ] {
            assert!(parse(text.as_bytes()).is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_answer_says_why_where_programs_show_it() {
        let text = String::from_utf8(answer(403, "x is closed")).unwrap();
        assert!(text.starts_with("HTTP/1.1 403 x is closed\r\n"), "{text}");
        assert!(text.ends_with("\r\n\r\nsamocode: x is closed\n"), "{text}");
    }
}
