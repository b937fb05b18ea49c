//! Who the commits of a repository are by.

use std::path::Path;

use super::reader::open;

/// The name and the address that git's configuration has for commits in this folder.
#[must_use]
pub fn identity(folder: &Path) -> Option<(String, String)> {
    let reader = open(folder).ok()??;
    let value = |key: &str| reader.config(key).filter(|value| !value.trim().is_empty());
    Some((value("user.name")?, value("user.email")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_identity_is_the_repositorys_and_a_plain_folder_has_none() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(identity(folder.path()), None);
        let repository = git2::Repository::init(folder.path()).unwrap();
        let mut config = repository.config().unwrap();
        config.set_str("user.name", "Ann").unwrap();
        config.set_str("user.email", "ann@example.org").unwrap();
        assert_eq!(identity(folder.path()), Some(("Ann".into(), "ann@example.org".into())));
    }
}
