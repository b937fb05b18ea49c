use std::fs;
use std::process::Command;

use super::caches::{ClearCaches, Cleared};
use super::*;
use crate::control::host::tests::caller;
use crate::control::{Local, call};
use crate::service::quiet;
use crate::session::hook::Hook;
use crate::session::state::State;
use crate::session::store::{Folder, Lock, replace};

struct Shop {
    root: tempfile::TempDir,
}

impl Shop {
    /// A project whose repository ignores `target` and `notes`.
    fn new() -> Self {
        let shop = Self { root: tempfile::tempdir().unwrap() };
        let repo = shop.at("repo");
        let _ = caller(shop.root.path());
        shop.git(&repo, &["init", "-q", "-b", "main"]);
        fs::write(repo.join(".gitignore"), "target\nnode_modules\nnotes\n").unwrap();
        shop.git(&repo, &["add", "."]);
        shop.git(
            &repo,
            &["-c", "user.name=T", "-c", "user.email=t@example.org", "commit", "-qm", "a"],
        );
        shop
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.path().canonicalize().unwrap().join(path)
    }

    fn git(&self, folder: &Path, args: &[&str]) {
        let done = Command::new("git").arg("-C").arg(folder).args(args).status().unwrap();
        assert!(done.success(), "git {args:?}");
    }

    fn folder(&self, name: &str) -> Folder {
        Folder::new(self.at(&format!("sessions/26-11-20-{name}")))
    }

    /// A session with a worktree in which something was built.
    fn session(&self, name: &str) -> PathBuf {
        let worktree = self.at(&format!("worktrees/26-11-20-{name}"));
        let place = worktree.display().to_string();
        self.git(&self.at("repo"), &["worktree", "add", "-q", "-b", name, &place]);
        for (file, size) in [
            ("target/debug/program", 3 << 20),
            ("sub/node_modules/a.js", 1 << 20),
            ("notes/mine", 1 << 16),
            ("src/target.rs", 10),
        ] {
            fs::create_dir_all(worktree.join(file).parent().unwrap()).unwrap();
            fs::write(worktree.join(file), vec![b'x'; size]).unwrap();
        }
        let folder = self.folder(name);
        fs::create_dir_all(folder.logs()).unwrap();
        fs::write(folder.logs().join("1.jsonl"), vec![b'x'; 1 << 17]).unwrap();
        fs::create_dir_all(folder.own_caches()).unwrap();
        fs::write(folder.own_caches().join("package"), vec![b'x'; 1 << 18]).unwrap();
        let hook = Hook { worktree: Some(place), ..Hook::of(&State::default()) };
        replace(&folder.hook(), &serde_json::to_vec(&hook).unwrap()).unwrap();
        worktree
    }

    async fn clear(&self, sessions: &[&str]) -> Result<Vec<Cleared>> {
        let sessions = sessions.iter().map(|name| (*name).to_owned()).collect();
        let mut caller = caller(self.root.path());
        caller.env.set("PATH", std::env::var_os("PATH").unwrap());
        call(&Local::new(caller), ClearCaches { sessions }, &quiet).await.result
    }
}

#[tokio::test]
async fn each_part_of_a_session_is_told_and_only_build_output_is_removed() {
    let shop = Shop::new();
    let worktree = shop.session("jwt");
    let disk = || async {
        let mut caller = caller(shop.root.path());
        caller.env.set("PATH", std::env::var_os("PATH").unwrap());
        let all = call(&Local::new(caller), Disk::default(), &quiet).await.result.unwrap();
        assert_eq!(all.len(), 1);
        all.into_iter().next().unwrap()
    };
    let before = disk().await;
    assert!((4 << 20..5 << 20).contains(&before.caches), "{before:?}");
    assert!((1 << 16..1 << 20).contains(&before.worktree), "{before:?}");
    assert!((1 << 17..1 << 18).contains(&before.logs), "{before:?}");
    assert!(before.total() > before.caches + before.logs);

    assert!(before.files < 1 << 17, "{before:?}");

    let cleared = shop.clear(&[]).await.unwrap();
    let own = shop.folder("jwt").own_caches();
    assert_eq!(cleared[0].folders, [Path::new("sub/node_modules"), Path::new("target"), &own]);
    assert!(!own.exists());
    assert!(cleared[0].bytes == before.caches && cleared[0].kept.is_empty());
    assert!(!worktree.join("target").exists() && worktree.join("notes/mine").exists());
    assert!(
        worktree.join("src/target.rs").exists() && !shop.at("worktrees/.samocode-trash").exists()
    );
    assert!(shop.folder("jwt").is_unready(), "the setup command may have made them");
    assert_eq!(disk().await.caches, 0);
    assert_eq!(shop.clear(&["jwt"]).await.unwrap(), []);
}

#[tokio::test]
async fn what_runs_is_tracked_or_holds_a_repository_stays() {
    let shop = Shop::new();
    let (running, tracked) = (shop.session("running"), shop.session("tracked"));
    shop.git(&tracked, &["add", "-f", "target"]);
    let inside = tracked.join("sub/node_modules");
    shop.git(&inside, &["init", "-q"]);
    let lock = Lock::take(&shop.folder("running")).unwrap();
    let refused = shop.clear(&["tracked", "running"]).await.unwrap_err().in_one_line();
    assert!(
        refused.contains("running: it is running") && refused.contains("samocode stop"),
        "{refused}"
    );
    let cleared = shop.clear(&[]).await.unwrap();
    assert_eq!(cleared.len(), 1);
    assert_eq!(
        (cleared[0].folders.len(), &*cleared[0].kept),
        (1, &[PathBuf::from("sub/node_modules")][..])
    );
    assert!(running.join("target").exists() && tracked.join("target").exists());
    assert!(!shop.folder("tracked").is_unready());
    drop(lock);
    assert_eq!(shop.clear(&["running"]).await.unwrap()[0].folders.len(), 3);
}

#[tokio::test]
async fn workers_are_listed_by_themselves_and_not_as_files_of_their_coordinator() {
    let shop = Shop::new();
    shop.session("lead");
    let worktree = shop.session("impl-1");
    let lead = shop.folder("lead");
    fs::create_dir_all(lead.workers()).unwrap();
    fs::rename(shop.folder("impl-1").path(), lead.workers().join("impl-1")).unwrap();
    let mut caller = caller(shop.root.path());
    caller.env.set("PATH", std::env::var_os("PATH").unwrap());
    let all = call(&Local::new(caller), Disk::default(), &quiet).await.result.unwrap();
    let names: Vec<&str> = all.iter().map(|taken| taken.session.as_str()).collect();
    assert_eq!(names, ["lead", "impl-1"]);
    for taken in &all {
        assert!(taken.files < 1 << 17 && (1 << 17..1 << 18).contains(&taken.logs), "{taken:?}");
        assert!((4 << 20..5 << 20).contains(&taken.caches), "{taken:?}");
    }
    assert_eq!(shop.clear(&["impl-1"]).await.unwrap()[0].folders.len(), 3);
    assert!(!worktree.join("target").exists());
}
