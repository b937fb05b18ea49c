//! Signatures of commits. Keys and the programs that hold them are out of a confined agent's reach, so
//! where git is told to sign, each of its commits would fail.

use std::path::Path;

use crate::agent::{Environment, variable};
use crate::config::confine::Confine;

/// Folders with keys, in the home folder.
const KEYS: [&str; 2] = [".ssh", ".gnupg"];

/// What is said to git, by variables, in place of the settings that it reads.
const UNSIGNED: [(&str, &str); 2] = [("commit.gpgSign", "false"), ("tag.gpgSign", "false")];

/// Whether keys of the project's open a way to sign: to the socket of an agent for ssh or gpg, or to
/// the folder of the key.
#[must_use]
pub fn is_opened(keys: &Confine, home: &Path) -> bool {
    keys.any_socket || KEYS.iter().any(|folder| super::is_opened(keys, &home.join(folder)))
}

/// Has git leave commits unsigned, unless something is opened with which it may sign.
pub fn forgo(environment: &mut Environment, keys: &Confine, home: &Path) {
    let text = variable(environment, COUNT).map(|text| text.to_str().map(str::parse::<usize>));
    let count = match text {
        None => 0,
        Some(Some(Ok(count))) => count,
        // git refuses to work with that, whatever follows.
        Some(_) => return,
    };
    if is_opened(keys, home) {
        return;
    }
    environment.retain(|(name, _)| name != COUNT);
    environment.push((COUNT.into(), (count + UNSIGNED.len()).to_string().into()));
    for (number, (key, value)) in (count..).zip(UNSIGNED) {
        environment.push((format!("GIT_CONFIG_KEY_{number}").into(), key.into()));
        environment.push((format!("GIT_CONFIG_VALUE_{number}").into(), value.into()));
    }
}

/// How many settings git is told by variables.
const COUNT: &str = "GIT_CONFIG_COUNT";

#[cfg(test)]
mod tests {
    use super::*;

    fn told(environment: &[(&str, &str)], keys: &Confine) -> Vec<String> {
        let mut environment: Environment =
            environment.iter().map(|(name, value)| (name.into(), value.into())).collect();
        forgo(&mut environment, keys, Path::new("/home/u"));
        environment.iter().map(|(_, value)| value.to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn git_does_not_sign_unless_a_key_of_the_projects_opens_a_way() {
        let closed = Confine::default();
        assert_eq!(told(&[], &closed), ["2", "commit.gpgSign", "false", "tag.gpgSign", "false"]);
        let durable = [
            ("GIT_CONFIG_KEY_0", "core.fsync"),
            ("GIT_CONFIG_VALUE_0", "all"),
            ("GIT_CONFIG_COUNT", "1"),
        ];
        assert_eq!(
            told(&durable, &closed)[..4],
            ["core.fsync", "all", "3", "commit.gpgSign"],
            "added to what is told already"
        );
        assert_eq!(told(&[("GIT_CONFIG_COUNT", "many")], &closed), ["many"]);
        for opened in ["/home/u/.ssh/id_ed25519", "/home/u/.ssh", "/home/u", "/home/u/.gnupg"] {
            let keys = Confine { read: vec![opened.into()], ..Confine::default() };
            assert_eq!(told(&[], &keys), Vec::<String>::new(), "{opened}");
        }
        let any = Confine { any_socket: true, ..Confine::default() };
        assert!(told(&[], &any).is_empty());
        let other = Confine { write: vec!["/home/u/data".into()], ..Confine::default() };
        assert!(!told(&[], &other).is_empty());
    }
}
