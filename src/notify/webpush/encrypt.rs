//! Messages that only the browser can read: RFC 8291, in the content encoding of RFC 8188.

use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::agreement::{ECDH_P256, EphemeralPrivateKey, UnparsedPublicKey, agree_ephemeral};
use ring::error::Unspecified;
use ring::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use ring::rand::{SecureRandom as _, SystemRandom};

/// The longest text: push services need not take more than 4096 bytes in all.
pub(super) const MOST_BYTES: usize = 3000;

/// The size of a record, of which there is one.
const RECORD: u32 = 4096;

/// What follows the text of the last record.
const END: u8 = 2;

/// What a browser gave to whoever may write to it.
pub(super) struct Recipient<'a> {
    /// Its public key on the curve P-256, uncompressed.
    pub(super) public: &'a [u8],
    /// A secret that proves that a message is from somebody it was given to.
    pub(super) secret: &'a [u8],
}

/// Encrypts a text.
pub(super) fn encrypt(text: &[u8], to: &Recipient<'_>) -> Result<Vec<u8>, Unspecified> {
    let random = SystemRandom::new();
    let mut salt = [0; 16];
    random.fill(&mut salt)?;
    let own = EphemeralPrivateKey::generate(&ECDH_P256, &random)?;
    let public = own.compute_public_key()?;
    let theirs = UnparsedPublicKey::new(&ECDH_P256, to.public);
    agree_ephemeral(own, &theirs, |shared| seal(text, shared, to, public.as_ref(), &salt))?
}

/// The message, from the secret that both have computed.
fn seal(
    text: &[u8],
    shared: &[u8],
    to: &Recipient<'_>,
    own_public: &[u8],
    salt: &[u8; 16],
) -> Result<Vec<u8>, Unspecified> {
    let both = [b"WebPush: info\0".as_slice(), to.public, own_public];
    let key: [u8; 32] = expand(&Salt::new(HKDF_SHA256, to.secret).extract(shared), &both)?;
    let pseudo_random = Salt::new(HKDF_SHA256, salt).extract(&key);
    let key: [u8; 16] = expand(&pseudo_random, &[b"Content-Encoding: aes128gcm\0"])?;
    let nonce: [u8; 12] = expand(&pseudo_random, &[b"Content-Encoding: nonce\0"])?;

    let mut record = text.to_vec();
    record.push(END);
    let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key)?);
    let nonce = Nonce::assume_unique_for_key(nonce);
    key.seal_in_place_append_tag(nonce, Aad::empty(), &mut record)?;

    let id_length = u8::try_from(own_public.len()).map_err(|_| Unspecified)?;
    let head = [salt.as_slice(), &RECORD.to_be_bytes(), &[id_length], own_public].concat();
    Ok([head, record].concat())
}

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

fn expand<const N: usize>(from: &Prk, info: &[&[u8]]) -> Result<[u8; N], Unspecified> {
    let mut key = [0; N];
    from.expand(info, Length(N))?.fill(&mut key)?;
    Ok(key)
}

#[cfg(test)]
pub(super) mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    fn bytes(text: &str) -> Vec<u8> {
        URL_SAFE_NO_PAD.decode(text).unwrap()
    }

    /// A browser that reads one message.
    pub(in crate::notify) struct Browser {
        private: EphemeralPrivateKey,
        pub(in crate::notify) public: Vec<u8>,
        pub(in crate::notify) secret: [u8; 16],
    }

    impl Browser {
        pub(in crate::notify) fn new() -> Self {
            let private = EphemeralPrivateKey::generate(&ECDH_P256, &SystemRandom::new()).unwrap();
            let public = private.compute_public_key().unwrap().as_ref().to_vec();
            Self { private, public, secret: *b"0123456789abcdef" }
        }

        /// Decrypts as RFC 8188 says.
        pub(in crate::notify) fn read(self, message: &[u8]) -> Result<Vec<u8>, Unspecified> {
            let (salt, rest) = message.split_at(16);
            assert_eq!(rest[..5], [0, 0, 16, 0, 65], "the size of a record, and of the key");
            let (sender, record) = rest[5..].split_at(65);
            let theirs = UnparsedPublicKey::new(&ECDH_P256, sender);
            let (key, nonce) = agree_ephemeral(self.private, &theirs, |shared| {
                let both = [b"WebPush: info\0".as_slice(), &self.public, sender];
                let first = Salt::new(HKDF_SHA256, &self.secret).extract(shared);
                let key: [u8; 32] = expand(&first, &both).unwrap();
                let second = Salt::new(HKDF_SHA256, salt).extract(&key);
                let key: [u8; 16] = expand(&second, &[b"Content-Encoding: aes128gcm\0"]).unwrap();
                let nonce: [u8; 12] = expand(&second, &[b"Content-Encoding: nonce\0"]).unwrap();
                (key, nonce)
            })?;
            let key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key)?);
            let mut record = record.to_vec();
            let nonce = Nonce::assume_unique_for_key(nonce);
            let text = key.open_in_place(nonce, Aad::empty(), &mut record)?;
            let (end, text) = text.split_last().unwrap();
            assert_eq!(*end, END);
            Ok(text.to_vec())
        }
    }

    #[test]
    fn the_example_of_rfc_8291_comes_out_byte_for_byte() {
        let public = bytes(
            "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
        );
        let secret = bytes("BTBZMqHH6r4Tts7J_aSIgg");
        let own_public = bytes(
            "BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8",
        );
        let shared = bytes("kyrL1jIIOHEzg3sM2ZWRHDRB62YACZhhSlknJ672kSs");
        let salt = bytes("DGv6ra1nlYgDCS1FRnbzlw").try_into().unwrap();
        let text = b"When I grow up, I want to be a watermelon";
        let to = Recipient { public: &public, secret: &secret };
        let message = seal(text, &shared, &to, &own_public, &salt).unwrap();
        assert_eq!(
            URL_SAFE_NO_PAD.encode(message),
            "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLoc\
             InmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLV\
             WGNWQexSgSxsj_Qulcy4a-fN"
        );
    }

    #[test]
    fn the_browser_reads_what_was_sent_and_another_does_not() {
        let (browser, other) = (Browser::new(), Browser::new());
        let to = Recipient { public: &browser.public, secret: &browser.secret };
        let text = "x".repeat(MOST_BYTES);
        let message = encrypt(text.as_bytes(), &to).unwrap();
        assert!(message.len() <= 4096 && message != encrypt(text.as_bytes(), &to).unwrap());
        assert!(other.read(&message).is_err());
        assert_eq!(browser.read(&message).unwrap(), text.as_bytes());
        let unfit = Recipient { public: b"no key", secret: b"" };
        assert!(encrypt(b"x", &unfit).is_err());
    }
}
