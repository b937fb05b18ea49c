use std::mem::MaybeUninit;
use std::os::fd::AsFd as _;

use rustix::io::IoSlice;
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketFlags, SocketType,
    sendmsg, socketpair,
};

use super::*;
use crate::agent::Environment;
use crate::config::peers::Peer;

/// A proxy for this list on real sockets, and its address. Listeners for ports of this machine are
/// left out.
fn proxy(connect: &str, environment: &Environment) -> (Proxy, SocketAddr) {
    let network = Network::of(&Peer::parse_list(connect).unwrap(), Vec::new(), environment);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let kind = (AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC);
    let (ours, theirs) = socketpair(kind.0, kind.1, kind.2, None).unwrap();
    let proxy = Proxy::serve(network, Handover::new(ours, 1)).unwrap();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut buffer = SendAncillaryBuffer::new(&mut space);
    let sent = [listener.as_fd()];
    buffer.push(SendAncillaryMessage::ScmRights(&sent));
    sendmsg(&theirs, &[IoSlice::new(b"1")], &mut buffer, SendFlags::empty()).unwrap();
    (proxy, address)
}

/// A host that reads until this, then sends its word and ends the connection; what it got.
async fn host(
    word: &'static [u8],
    until: &'static [u8],
) -> (u16, tokio::task::JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let task = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut got = Vec::new();
        while !got.ends_with(until) && stream.read_buf(&mut got).await.unwrap() > 0 {}
        stream.write_all(word).await.unwrap();
        got
    });
    (port, task)
}

/// Sends this to the proxy; all that comes back until the connection ends.
async fn asked(address: SocketAddr, text: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut back = Vec::new();
    stream.read_to_end(&mut back).await.unwrap();
    String::from_utf8(back).unwrap()
}

#[tokio::test]
async fn a_host_that_is_named_is_reached_through_a_tunnel() {
    let (port, host) = host(b"hello", b"first").await;
    let (proxy, address) = proxy(&format!("127.0.0.1:{port}"), &Environment::new());
    let text = asked(address, &format!("CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\nfirst")).await;
    assert_eq!(text, "HTTP/1.1 200 Connection established\r\n\r\nhello");
    assert_eq!(host.await.unwrap(), b"first");
    assert!(proxy.refused().is_empty());
}

#[tokio::test]
async fn a_request_in_the_clear_reaches_its_host_as_one_of_its_own() {
    let (port, host) = host(b"HTTP/1.1 200 OK\r\n\r\nhello", b"\r\n\r\n").await;
    let (_proxy, address) = proxy(&format!("localhost:{port}"), &Environment::new());
    let head = format!("GET http://localhost:{port}/a HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(asked(address, &head).await.ends_with("hello"));
    let got = String::from_utf8(host.await.unwrap()).unwrap();
    assert!(got.starts_with("GET /a HTTP/1.1\r\n"), "{got}");
}

#[tokio::test]
async fn whoever_is_not_named_is_refused_in_words_and_counted() {
    let (port, host) = host(b"secret", b"\n").await;
    // A port alone stands for hosts of the internet, not for this machine.
    let (proxy, address) = proxy(&format!("{port}, example.org"), &Environment::new());
    for _ in 0..2 {
        let text = asked(address, &format!("CONNECT localhost:{port} HTTP/1.1\r\n\r\n")).await;
        let wanted =
            format!("403 localhost:{port} is not public and not by name in SAMOCODE_ALLOW_CONNECT");
        assert!(text.starts_with(&format!("HTTP/1.1 {wanted}\r\n")), "{text}");
    }
    let text = asked(address, "CONNECT evil.example:443 HTTP/1.1\r\n\r\n").await;
    assert!(text.contains("evil.example:443 is not in SAMOCODE_ALLOW_CONNECT"), "{text}");
    let text = asked(address, "GET /etc/passwd HTTP/1.1\r\n\r\n").await;
    assert!(text.starts_with("HTTP/1.1 400 "), "{text}");
    let refused = proxy.refused();
    assert_eq!(refused[&("localhost".to_owned(), port)], 2);
    assert_eq!(refused[&("evil.example".to_owned(), 443)], 1);
    assert!(!host.is_finished(), "the host was reached");
}

#[tokio::test]
async fn the_humans_own_proxy_is_gone_through() {
    let (port, upstream) = host(b"HTTP/1.1 200 yes\r\n\r\nhello", b"\r\n\r\n").await;
    let variable = format!("http://bob:pass@127.0.0.1:{port}");
    let environment = vec![("HTTPS_PROXY".into(), variable.into())];
    let (_proxy, address) = proxy("example.org", &environment);
    let text = asked(address, "CONNECT example.org:443 HTTP/1.1\r\n\r\n").await;
    assert_eq!(text, "HTTP/1.1 200 Connection established\r\n\r\nhello");
    let got = String::from_utf8(upstream.await.unwrap()).unwrap();
    assert!(got.starts_with("CONNECT example.org:443 HTTP/1.1\r\n"), "{got}");
    assert!(got.contains("Proxy-Authorization: Basic Ym9iOnBhc3M=\r\n"), "{got}");
}

#[tokio::test]
async fn it_ends_with_its_guard_and_its_open_connections_with_it() {
    let (port, _host) = host(b"never", b"\n").await;
    let (proxy, address) = proxy(&format!("127.0.0.1:{port}"), &Environment::new());
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!("CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut line = [0; 12];
    stream.read_exact(&mut line).await.unwrap();
    assert_eq!(&line, b"HTTP/1.1 200");
    drop(proxy);
    let mut rest = Vec::new();
    // It ends, with or without a reset.
    let _ = timeout(Duration::from_secs(60), stream.read_to_end(&mut rest)).await.unwrap();
}
