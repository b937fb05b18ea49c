//! What a visitor may do.

use serde::{Deserialize, Serialize};

/// What a link, and the visit it begins, permits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// Look at sessions, and act.
    Full,
    /// Look only.
    ReadOnly,
}

/// Somebody with a valid cookie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Visitor {
    pub(super) access: Access,
    /// The value of the cookie.
    pub(super) token: String,
}

impl Visitor {
    pub(super) fn may_act(&self) -> bool {
        self.access == Access::Full
    }

    /// What every form of this visitor carries. Another site cannot know it.
    pub(super) fn form_token(&self) -> String {
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, self.token.as_bytes());
        super::tokens::hex(ring::hmac::sign(&key, b"form").as_ref())
    }

    /// The visit's name where its cookie must not be.
    pub(super) fn name(&self) -> String {
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, self.token.as_bytes());
        super::tokens::hex(&ring::hmac::sign(&key, b"name").as_ref()[..16])
    }

    /// Whether a form is this visitor's. Takes equally long for every wrong value.
    pub(super) fn owns_form(&self, token: &str) -> bool {
        let own = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, b"compare");
        let tag = ring::hmac::sign(&own, self.form_token().as_bytes());
        ring::hmac::verify(&own, token.as_bytes(), tag.as_ref()).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_belongs_to_one_visitor() {
        let visitor = |token: &str| Visitor { access: Access::Full, token: token.to_owned() };
        let form = visitor("a").form_token();
        assert!(visitor("a").owns_form(&form));
        assert!(!visitor("b").owns_form(&form));
        assert!(!visitor("a").owns_form(""));
        assert_ne!(form, "a", "the cookie is not in the page");
    }
}
