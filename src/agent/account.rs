//! Which account an agent uses, known by a hash and never by its key.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::config::{AgentName, Env, Reach, Vocabulary};

/// An account. Sessions of the same account share usage limits and refused credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The name of its file in the accounts folder.
    pub hash: String,
    /// Files that a new login writes.
    pub logins: Vec<PathBuf>,
}

/// The name of an account's file: 16 hex digits of a SHA-256 over all four arguments.
#[must_use]
fn hash(agent: &str, config_folder: &Path, base_url: &str, key: &str) -> String {
    use std::os::unix::ffi::OsStrExt;

    let mut hash = ring::digest::Context::new(&ring::digest::SHA256);
    for part in [
        agent.as_bytes(),
        config_folder.as_os_str().as_bytes(),
        base_url.as_bytes(),
        key.as_bytes(),
    ] {
        // The length keeps different lists of parts from joining to the same bytes.
        hash.update(&(part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let digest = hash.finish();
    digest.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// The account of an agent with this environment. An agent that may wrap any other is identified by
/// the credentials of all.
pub(super) fn of(vocabulary: &Vocabulary, name: &AgentName, env: &Env) -> Option<Account> {
    let agent = vocabulary.agent(name.word())?;
    let agents = match agent.reach {
        Reach::Own => vec![agent],
        Reach::All => vocabulary.agents().to_vec(),
        Reach::Nothing => return None,
    };
    let text = |name: &str| env.text(name).unwrap_or_default();
    let of_all = agents.iter().map(|agent| &agent.credentials);
    let folders: Vec<OsString> =
        of_all.clone().filter_map(|all| Some(all.folder(env)?.into_os_string())).collect();
    let urls: Vec<&str> =
        of_all.clone().map(|all| text(all.base_url).trim_end_matches('/')).collect();
    // An unset key is hashed too: the same text under another name is another account.
    let of_program = super::environment::of_program(vocabulary, name);
    let keys = of_all.clone().flat_map(|all| all.keys).chain(of_program);
    let keys: Vec<&str> = keys.map(|key| text(key)).collect();
    let folder = folders.join(OsStr::new("\0"));
    let (url, key) = (urls.join("\0"), keys.join("\0"));
    let logins = agent.credentials.logins.iter();
    let own = agent.credentials.folder(env);
    let logins = own.map(|own| logins.map(|file| own.join(file)).collect()).unwrap_or_default();
    Some(Account { hash: hash(&name.to_string(), Path::new(&folder), &url, &key), logins })
}

#[cfg(test)]
mod tests;
