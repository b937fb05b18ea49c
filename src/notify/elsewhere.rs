//! A channel whose secret is a credential that the service manager hands to some units only
//! (`LoadCredential=`, systemd.exec(5)). Every other process leaves its notices to those.

use async_trait::async_trait;

use super::{Notice, Notifier, NotifyError};

/// The variable with the folder of this process's credentials.
pub(super) const FOLDER: &str = "CREDENTIALS_DIRECTORY";

/// Keeps a channel's notices for a process that has its credential.
pub(super) struct Elsewhere {
    name: String,
    credential: String,
}

impl Elsewhere {
    pub(super) const fn new(name: String, credential: String) -> Self {
        Self { name, credential }
    }
}

#[async_trait]
impl Notifier for Elsewhere {
    fn name(&self) -> &str {
        &self.name
    }

    fn sends_here(&self) -> bool {
        false
    }

    async fn send(&self, _: &Notice) -> Result<(), NotifyError> {
        Err(NotifyError::Final(format!(
            "{}: this process does not have the credential {}; samocode-notices.service needs \
             LoadCredential={}:/path/of/file, see: samocode notify --help",
            self.name, self.credential, self.credential
        )))
    }
}
