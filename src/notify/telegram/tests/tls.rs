//! HTTPS: which certificates are trusted.

use super::*;

/// Runs one test of this binary again in its own process, with these variables set.
fn run_apart(test: &str, variables: &[(&str, &str)]) {
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("notify::telegram::tests::tls::{test}"), "--nocapture"])
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
