//! TLS: certificate and key, the user's or our own.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::control::{Class, Error, Result};

use super::place::Certificate;
use super::tokens::hex;

/// What does the handshakes, and the fingerprint of a certificate that browsers will ask about.
pub(super) fn acceptor(
    certificate: &Certificate,
    names: &[String],
    state: &Path,
) -> Result<(TlsAcceptor, Option<String>)> {
    match certificate {
        Certificate::Given { chain, key } => Ok((from_files(chain, key)?, None)),
        Certificate::SelfMade => {
            let file = self_made(names, state)?;
            let fingerprint = CertificateDer::from_pem_file(&file).ok().as_deref().map(fingerprint);
            Ok((from_files(&file, &file)?, fingerprint))
        }
    }
}

fn from_files(chain: &Path, key: &Path) -> Result<TlsAcceptor> {
    let failed = |path: &Path, error: &dyn std::fmt::Display| {
        let why = format!("cannot use {} for TLS: {error}", path.display());
        Error::new(Class::Configuration, why)
    };
    let certificates = CertificateDer::pem_file_iter(chain)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| failed(chain, &error))?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| failed(key, &error))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(chain, &error))?
        .with_no_client_auth()
        .with_single_cert(certificates, private)
        .map_err(|error| failed(chain, &error))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// The file with our own certificate for these names, and its key. It is made once: a browser that
/// trusts it asks no more.
fn self_made(names: &[String], state: &Path) -> Result<std::path::PathBuf> {
    let dir = state.join("web/certificates");
    let named = ring::digest::digest(&ring::digest::SHA256, names.join(" ").as_bytes());
    let path = dir.join(format!("{}.pem", hex(&named.as_ref()[..8])));
    if path.is_file() {
        return Ok(path);
    }
    let made = rcgen::generate_simple_self_signed(names.to_vec()).map_err(|error| {
        Error::usage(format!("cannot make a certificate for {}: {error}", names.join(", ")))
    })?;
    let text = format!("{}{}", made.cert.pem(), made.signing_key.serialize_pem());
    let saved = (|| {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
        // A temporary file can be read by its owner alone.
        let mut file = tempfile::NamedTempFile::new_in(&dir)?;
        file.write_all(text.as_bytes())?;
        file.persist(&path).map_err(|error| error.error)
    })();
    saved.map_err(|error| {
        Error::unavailable(format!("cannot save a certificate in {}: {error}", dir.display()))
    })?;
    Ok(path)
}

/// As browsers show it.
fn fingerprint(certificate: &[u8]) -> String {
    let hash = ring::digest::digest(&ring::digest::SHA256, certificate);
    hash.as_ref().iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_certificate_is_made_once_for_the_same_names() {
        let dir = tempfile::tempdir().unwrap();
        let names =
            |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let print = |named: &[&str]| {
            acceptor(&Certificate::SelfMade, &names(named), dir.path()).unwrap().1.unwrap()
        };
        let first = print(&["192.0.2.7", "desk.local"]);
        assert_eq!(first.len(), 32 * 3 - 1);
        assert_eq!(print(&["192.0.2.7", "desk.local"]), first);
        assert_ne!(print(&["desk.local"]), first);
        let missing = Certificate::Given { chain: "/none.pem".into(), key: "/none.key".into() };
        let Err(error) = acceptor(&missing, &[], dir.path()) else { panic!("it is missing") };
        assert!(error.message.contains("/none.pem"), "{error}");
    }
}
