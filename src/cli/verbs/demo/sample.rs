//! The sample repository, and the checks of it after the demo.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use git2::{IndexAddOption, Repository, RepositoryInitOptions, Signature, Sort};

const FILES: [(&str, &str); 3] = [
    ("README.md", "# A small shop\n\n    sh price.sh 3    what three of them cost\n"),
    ("price.sh", "#!/bin/sh\n# Seven a piece.\necho $((7 * ${1:-1}))\n"),
    (
        "test.sh",
        "#!/bin/sh\nset -eu\ncd \"$(dirname \"$0\")\"\ntest \"$(sh price.sh 3)\" = 21\necho '1 test passed'\n",
    ),
];

/// Creates the repository below `root`, with one commit on `main`, and returns its path.
pub(super) fn make(root: &Path) -> anyhow::Result<PathBuf> {
    let folder = root.join("shop");
    build(&folder).with_context(|| format!("cannot make a repository in {}", folder.display()))?;
    Ok(folder)
}

fn build(folder: &Path) -> anyhow::Result<()> {
    let mut options = RepositoryInitOptions::new();
    let repository =
        Repository::init_opts(folder, options.initial_head("main").external_template(false))?;
    let mut config = repository.config()?.open_level(git2::ConfigLevel::Local)?;
    config.set_str("user.name", "samocode demo")?;
    config.set_str("user.email", "demo@localhost")?;
    // Keep the user's own signing keys and hooks out of the sample.
    config.set_bool("commit.gpgsign", false)?;
    config.set_str("core.hooksPath", ".git/hooks")?;
    for (name, text) in FILES {
        fs::write(folder.join(name), text)?;
    }
    let mut index = repository.index()?;
    index.add_all(["*"], IndexAddOption::DEFAULT, None)?;
    index.write()?;
    let tree = repository.find_tree(index.write_tree()?)?;
    let author = Signature::now("samocode demo", "demo@localhost")?;
    repository.commit(Some("HEAD"), &author, &author, "Open a small shop", &tree, &[])?;
    Ok(())
}

/// The commits of `main..branch`, newest first, as `git log --oneline` shows them.
pub(super) fn commits(folder: &Path, branch: &str) -> anyhow::Result<Vec<String>> {
    let list = || -> Result<Vec<String>, git2::Error> {
        let repository = Repository::open(folder)?;
        let mut walk = repository.revwalk()?;
        walk.set_sorting(Sort::TOPOLOGICAL)?;
        walk.push_ref(&format!("refs/heads/{branch}"))?;
        walk.hide_ref("refs/heads/main")?;
        walk.map(|id| {
            let commit = repository.find_commit(id?)?;
            let object = commit.as_object().short_id()?;
            let short = String::from_utf8_lossy(&object).into_owned();
            let summary = commit.summary_bytes().unwrap_or_default();
            Ok(format!("{short} {}", String::from_utf8_lossy(summary)))
        })
        .collect()
    };
    list().with_context(|| format!("cannot read the branch {branch} in {}", folder.display()))
}

/// Whether the branch merges into `main` without a conflict; tried in memory.
pub(super) fn merges(folder: &Path, branch: &str) -> anyhow::Result<bool> {
    let merge = || -> Result<bool, git2::Error> {
        let repository = Repository::open(folder)?;
        let tip =
            |name: &str| repository.find_reference(&format!("refs/heads/{name}"))?.peel_to_commit();
        Ok(!repository.merge_commits(&tip("main")?, &tip(branch)?, None)?.has_conflicts())
    };
    merge().with_context(|| format!("cannot try to merge {branch} in {}", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(folder: &Path, branch: &str, text: &str) {
        let repository = Repository::open(folder).unwrap();
        let main = repository.find_reference("refs/heads/main").unwrap().peel_to_commit().unwrap();
        let blob = repository.blob(text.as_bytes()).unwrap();
        let mut tree = repository.treebuilder(Some(&main.tree().unwrap())).unwrap();
        tree.insert("price.sh", blob, 0o100_644).unwrap();
        let tree = repository.find_tree(tree.write().unwrap()).unwrap();
        let me = Signature::now("Test", "test@localhost").unwrap();
        let name = format!("refs/heads/{branch}");
        let id = repository.commit(None, &me, &me, text, &tree, &[&main]).unwrap();
        repository.reference(&name, id, true, "test").unwrap();
    }

    #[test]
    fn the_sample_has_one_commit_and_nothing_uncommitted() {
        let base = tempfile::tempdir().unwrap();
        let folder = make(base.path()).unwrap();
        let repository = Repository::open(&folder).unwrap();
        assert!(repository.statuses(None).unwrap().is_empty());
        assert_eq!(repository.head().unwrap().shorthand().unwrap(), "main");
        let test = std::process::Command::new("sh").arg(folder.join("test.sh")).output().unwrap();
        assert!(test.status.success(), "{test:?}");
    }

    #[test]
    fn a_branch_that_conflicts_is_told_from_one_that_merges() {
        let base = tempfile::tempdir().unwrap();
        let folder = make(base.path()).unwrap();
        commit(&folder, "work", "echo 7");
        assert!(merges(&folder, "work").unwrap());
        let commits = commits(&folder, "work").unwrap();
        assert_eq!(commits.len(), 1);
        assert!(commits[0].ends_with(" echo 7"), "{commits:?}");
        commit(&folder, "main", "echo 8");
        assert!(!merges(&folder, "work").unwrap());
    }
}
