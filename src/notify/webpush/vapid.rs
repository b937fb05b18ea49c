//! Who sends: RFC 8292. A browser that subscribes is given our public key, and its push service takes
//! messages only with a signature by the key that belongs to it.

use std::fs;
use std::io::{self, ErrorKind, Write as _};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::json;

/// How long a signature is valid. A day is the most.
const VALID: SignedDuration = SignedDuration::from_hours(12);

/// The user's key. It is made once: with another, every browser would have to subscribe again.
pub(super) struct Vapid {
    pair: EcdsaKeyPair,
}

impl Vapid {
    /// The key in this file, which is made if it is missing and which only its owner can read.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let bytes = match fs::read(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Self::make(path)?,
            read => read?,
        };
        let unfit = |why| io::Error::other(format!("{} is not a key: {why}", path.display()));
        let pair = EcdsaKeyPair::from_pkcs8(
            &ECDSA_P256_SHA256_FIXED_SIGNING,
            &bytes,
            &SystemRandom::new(),
        );
        Ok(Self { pair: pair.map_err(unfit)? })
    }

    fn make(path: &Path) -> io::Result<Vec<u8>> {
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)
            .map_err(|_| io::Error::other("the system has no random numbers"))?;
        let folder = super::subscriptions::make_folder(path)?;
        // A temporary file can be read by its owner alone.
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(key.as_ref())?;
        file.as_file().sync_all()?;
        match file.persist_noclobber(path) {
            Ok(_) => fs::File::open(folder)?.sync_all()?,
            // Another process was faster: its key counts.
            Err(error) if error.error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error.error),
        }
        fs::read(path)
    }

    /// The public key, as a browser takes it.
    pub(super) fn public(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.pair.public_key())
    }

    /// The header `Authorization` for a push service with this origin. `contact` is whom its operator
    /// can reach.
    pub(super) fn authorization(
        &self,
        origin: &str,
        contact: &str,
        now: Timestamp,
    ) -> io::Result<String> {
        let head = json!({ "typ": "JWT", "alg": "ES256" }).to_string();
        let until = (now + VALID).as_second();
        let claims = json!({ "aud": origin, "exp": until, "sub": contact }).to_string();
        let text = format!("{}.{}", URL_SAFE_NO_PAD.encode(head), URL_SAFE_NO_PAD.encode(claims));
        let signature = self
            .pair
            .sign(&SystemRandom::new(), text.as_bytes())
            .map_err(|_| io::Error::other("the system has no random numbers"))?;
        let signature = URL_SAFE_NO_PAD.encode(signature);
        Ok(format!("vapid t={text}.{signature}, k={}", self.public()))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

    use super::*;

    #[test]
    fn the_key_is_made_once_for_its_owner_alone_and_signs_as_rfc_8292_says() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("push/key");
        let first = Vapid::open(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let vapid = Vapid::open(&path).unwrap();
        assert_eq!(first.public(), vapid.public());

        let now: Timestamp = "2026-11-20T10:00:00Z".parse().unwrap();
        let text = vapid.authorization("https://push.example.net", "mailto:a@b.c", now).unwrap();
        let (token, key) =
            text.strip_prefix("vapid t=").and_then(|rest| rest.split_once(", k=")).unwrap();
        let key = URL_SAFE_NO_PAD.decode(key).unwrap();
        assert_eq!((key.len(), key[0]), (65, 4), "an uncompressed point");
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let public = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key);
        public.verify(signed.as_bytes(), &signature).unwrap();
        let claims = URL_SAFE_NO_PAD.decode(signed.split_once('.').unwrap().1).unwrap();
        let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
        let expected =
            json!({"aud": "https://push.example.net", "exp": 1_795_212_000, "sub": "mailto:a@b.c"});
        assert_eq!(claims, expected);

        fs::write(&path, "no key").unwrap();
        assert!(Vapid::open(&path).is_err(), "what is damaged is not replaced in silence");
    }
}
