//! Which of the programs that a repository names may run: filters, hooks, and what reaches a remote.
//!
//! Projects need them: git-lfs and git-crypt are filters, set up in the repository's own settings.
//! But an agent can write those settings as well as a human can. So what a repository names when
//! samocode has made its first worktree, before any agent works in it, is recorded:
//!
//! ```text
//! $XDG_STATE_HOME/samocode/programs/HASH.json
//! ```
//!
//! Whatever was added or changed since does not run, and the human learns of it. The user's own
//! settings and those of the system are not looked at: they are no part of the repository. A
//! recorded command is trusted as it is written; a script that it names may change.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use git2::{ObjectType, Oid};
use serde::{Deserialize, Serialize};
use tokio::process::Command;

use super::checks::ASK_LIMIT;
use super::command::{git_command, git_with_hooks, run, setting};
use super::leftovers::{Found, look};
use super::plain;
use super::plan::Start;
use super::reader::{open, tidy};
use super::{Error, quoted};
use crate::session::store::{self, StoreError};

/// The hooks that git runs while it checks out.
const HOOKS: [&str; 3] = ["post-checkout", "post-index-change", "reference-transaction"];

/// Those that it runs while it merges.
const OF_MERGES: [&str; 4] = ["pre-merge-commit", "prepare-commit-msg", "commit-msg", "post-merge"];

/// The option of `git config` for a worktree's own settings.
const PER_WORKTREE: &str = "--worktree";

/// The records of all repositories.
#[derive(Debug, Clone)]
pub struct Programs {
    folder: PathBuf,
}

/// The programs that a repository names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Named {
    /// The repository's path, for notes to people.
    repository: PathBuf,
    /// Settings, with all values of each.
    settings: BTreeMap<String, Vec<String>>,
    /// Hooks, with what git would call their content.
    hooks: BTreeMap<String, String>,
    /// The same for merges. Absent in older records, which have no drivers of merges either.
    #[serde(default)]
    of_merges: Option<BTreeMap<String, String>>,
    /// Whether hooks come from the files of the worktree itself.
    #[serde(skip)]
    hooks_in_worktree: bool,
}

/// What must not run.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Barred {
    filters: Vec<String>,
    hooks: Vec<String>,
    /// Drivers and hooks that count when git merges.
    drivers: Vec<String>,
    merge_hooks: Vec<String>,
    /// Settings that count when a remote is reached.
    network: Vec<String>,
    hooks_in_worktree: bool,
    /// The command that allows the program to run.
    remedy: String,
    /// What is to be recorded once a worktree was made with it, and where.
    first: Option<(PathBuf, Named)>,
}

impl Programs {
    /// The records in `$XDG_STATE_HOME/samocode`.
    #[must_use]
    pub fn of(state_dir: &Path) -> Self {
        Self { folder: state_dir.join("programs") }
    }

    /// What must not run in the repository that contains `folder`: nothing, if there is no record
    /// yet.
    pub(super) async fn barred(&self, folder: &Path) -> Result<Barred, Error> {
        // The reader must be gone before the first wait.
        let common = open(folder)?.map(|reader| reader.place().common.clone());
        let Some(common) = common else { return Ok(Barred::default()) };
        let named = Named::read(folder, &common).await?;
        let record = self.record(&common);
        let known: Named = match store::read(&record).map_err(io)? {
            // A record that cannot be read proves nothing.
            Some(bytes) => serde_json::from_slice(&bytes)
                .unwrap_or_else(|_| Named { of_merges: Some(BTreeMap::new()), ..Named::default() }),
            None => {
                let hooks_in_worktree = named.hooks_in_worktree;
                let first = Some((record, named));
                return Ok(Barred { first, hooks_in_worktree, ..Barred::default() });
            }
        };
        let remedy = format!("rm {}", quoted(&record));
        let first = known.of_merges.is_none().then(|| (record, named.completing(&known)));
        Ok(Barred { remedy, first, ..named.beyond(&known) })
    }

    /// What does not run in the repository that contains `folder`, as a sentence, and the command
    /// that allows it.
    ///
    /// # Errors
    /// git's, or if the record cannot be read.
    pub async fn findings(&self, folder: &Path) -> Result<Option<(String, String)>, Error> {
        let barred = self.barred(folder).await?;
        Ok(barred.what().map(|what| (what, format!("if that was you: {}", barred.remedy))))
    }

    /// Records what the first worktree was made with.
    pub(super) fn keep(&self, barred: &Barred) -> Result<(), Error> {
        let Some((record, named)) = &barred.first else { return Ok(()) };
        store::make_folder(&self.folder).map_err(io)?;
        store::replace(record, &serde_json::to_vec(named).unwrap_or_default()).map_err(io)
    }

    /// Forgets what was recorded of a repository, before another is made in its place.
    pub(super) fn forget(&self, common: &Path) -> Result<(), Error> {
        store::remove(&self.record(&tidy(common))).map_err(io)
    }

    fn record(&self, common: &Path) -> PathBuf {
        self.folder.join(format!("{}.json", id(common.as_os_str().as_encoded_bytes())))
    }
}

impl Named {
    async fn read(folder: &Path, common: &Path) -> Result<Self, Error> {
        let mut named = Self { repository: common.to_owned(), ..Self::default() };
        let own = match may_name_programs(folder, common) {
            true => own_settings(folder).await?,
            false => Vec::new(),
        };
        let mut hooks = common.join("hooks");
        for (key, value) in own {
            if key == "core.hookspath" {
                named.hooks_in_worktree = !(value.starts_with('/') || value.starts_with('~'));
                hooks = folder.join(&value);
            }
            let counts = is_filter(&key) || is_driver(&key) || reaches_out(&key);
            if key == "core.hookspath" || counts {
                named.settings.entry(key).or_default().push(value);
            }
        }
        let all = |names: &[&str]| {
            let read =
                |hook: &&str| Some(((*hook).to_owned(), id(&plain::read(&hooks.join(hook)).ok()?)));
            names.iter().filter_map(read).collect()
        };
        named.hooks = all(&HOOKS);
        named.of_merges = Some(all(&OF_MERGES));
        Ok(named)
    }

    /// What an older record knows, with what it does not have yet.
    fn completing(&self, known: &Self) -> Self {
        let drivers = self.settings.iter().filter(|(key, _)| is_driver(key));
        let drivers = drivers.map(|(key, values)| (key.clone(), values.clone()));
        Self {
            repository: known.repository.clone(),
            settings: known.settings.clone().into_iter().chain(drivers).collect(),
            hooks: known.hooks.clone(),
            of_merges: self.of_merges.clone(),
            hooks_in_worktree: false,
        }
    }

    /// What is named here and not `known`.
    fn beyond(self, known: &Self) -> Barred {
        let mut barred = Barred { hooks_in_worktree: self.hooks_in_worktree, ..Barred::default() };
        let moved = self.settings.get("core.hookspath") != known.settings.get("core.hookspath");
        let added = |hooks: BTreeMap<String, String>, known: &BTreeMap<String, String>| {
            let is_new =
                |(hook, content): &(String, String)| moved || known.get(hook) != Some(content);
            hooks.into_iter().filter(is_new).map(|(hook, _)| hook).collect()
        };
        barred.hooks = added(self.hooks, &known.hooks);
        if let (Some(hooks), Some(known)) = (self.of_merges, &known.of_merges) {
            barred.merge_hooks = added(hooks, known);
        }
        for (key, values) in self.settings {
            if known.settings.get(&key) == Some(&values) {
                continue;
            }
            if is_filter(&key) {
                let driver = key.rsplit_once('.').map_or(key.as_str(), |(driver, _)| driver);
                if barred.filters.last().map(String::as_str) != Some(driver) {
                    barred.filters.push(driver.to_owned());
                }
            } else if reaches_out(&key) {
                barred.network.push(key);
            } else if is_driver(&key) && known.of_merges.is_some() {
                barred.drivers.push(key);
            }
        }
        barred
    }
}

impl Barred {
    /// Every filter of the repository's own, where no record says which of them may run.
    pub(super) async fn all_filters(folder: &Path) -> Result<Self, Error> {
        let mut settings: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (key, value) in own_settings(folder).await? {
            settings.entry(key).or_default().push(value);
        }
        Ok(Named { settings, ..Named::default() }.beyond(&Named::default()))
    }

    /// Options for git that turn the filters off.
    pub(super) fn without_filters(&self) -> Vec<OsString> {
        let off = [("clean", ""), ("smudge", ""), ("process", ""), ("required", "false")];
        let each = self.filters.iter().flat_map(|driver| {
            off.iter().flat_map(move |(name, value)| setting(&format!("{driver}.{name}"), value))
        });
        each.collect()
    }

    /// git for a checkout of a branch. One that exists may hold an agent's work, and with it an
    /// agent's hooks.
    pub(super) fn git_for_checkout(&self, folder: &Path, start: &Start) -> Command {
        let may_be_agents = self.hooks_in_worktree && matches!(start, Start::Attach(_));
        self.git(folder, !may_be_agents)
    }

    /// git with the hooks of a checkout if none of them is barred.
    pub(super) fn git(&self, folder: &Path, with_hooks: bool) -> Command {
        let with_hooks = with_hooks && self.hooks.is_empty();
        let mut command = if with_hooks { git_with_hooks(folder) } else { git_command(folder) };
        command.args(self.without_filters());
        command
    }

    /// git for a merge of agents' branches, which may bring hooks in the files of the worktree.
    pub(super) fn git_for_merge(&self, folder: &Path) -> Command {
        let mut command = self.git(folder, self.merge_hooks.is_empty() && !self.hooks_in_worktree);
        // A driver that fails is a conflict.
        command.args(self.drivers.iter().flat_map(|driver| setting(driver, "false")));
        command
    }

    /// The filters that must not run, as in `filter.lfs`.
    pub(super) fn filters(&self) -> &[String] {
        &self.filters
    }

    /// Whether a hook must not run.
    pub(super) const fn has_hooks(&self) -> bool {
        !self.hooks.is_empty()
    }

    /// Why nothing may be fetched.
    pub(super) fn no_fetch(&self) -> Option<String> {
        let key = self.network.first()?;
        Some(format!("{key} in the repository's settings is not one that was there at first"))
    }

    /// Whether a filter of this name, as `.gitattributes` has it, is turned off.
    pub(super) fn has_filter(&self, name: &str) -> bool {
        self.filters.iter().any(|driver| driver.strip_prefix("filter.") == Some(name))
    }

    pub(super) const fn has_filters(&self) -> bool {
        !self.filters.is_empty()
    }

    /// A note for the human.
    pub(super) fn note(&self) -> Option<String> {
        Some(format!("{}. If that was you: {}", self.what()?, self.remedy))
    }

    fn what(&self) -> Option<String> {
        let hooks = self.hooks.iter().chain(&self.merge_hooks);
        let hooks = hooks.map(|hook| format!("the hook {hook}"));
        let settings = self.filters.iter().chain(&self.drivers).chain(&self.network);
        let all: Vec<String> = settings.cloned().chain(hooks).collect();
        (!all.is_empty()).then(|| {
            format!(
                "samocode does not run programs that were added to this repository's settings \
                 after it first worked here: {}",
                all.join(", ")
            )
        })
    }
}

/// Whether the repository's files have any word of a setting that counts here. If not, git need not
/// be asked.
fn may_name_programs(folder: &Path, common: &Path) -> bool {
    const WORDS: [&str; 10] = [
        "include",
        "filter",
        "driver",
        "hookspath",
        "sshcommand",
        "gitproxy",
        "alternaterefs",
        "helper",
        "uploadpack",
        "vcs",
    ];
    let mut files = vec![common.join("config"), common.join("config.worktree")];
    if let Ok(Found::Worktree(admin)) = look(folder) {
        files.push(admin.join("config.worktree"));
    }
    files.iter().any(|file| match plain::read(file) {
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes).to_lowercase();
            WORDS.iter().any(|word| text.contains(word))
        }
        Err(error) => error.kind() != std::io::ErrorKind::NotFound,
    })
}

fn is_filter(key: &str) -> bool {
    let names = [".clean", ".smudge", ".process"];
    key.starts_with("filter.") && names.iter().any(|name| key.ends_with(name))
}

/// Whether a setting names a program that merges files.
fn is_driver(key: &str) -> bool {
    key.starts_with("merge.") && key.ends_with(".driver")
}

/// Whether a setting names a program that git starts to reach a remote.
fn reaches_out(key: &str) -> bool {
    matches!(key, "core.sshcommand" | "core.gitproxy" | "core.alternaterefscommand")
        || (key.starts_with("credential.") && key.ends_with(".helper"))
        || (key.starts_with("remote.") && (key.ends_with(".uploadpack") || key.ends_with(".vcs")))
}

/// A setting in the repository's own files that names the program which signs.
pub(super) async fn own_signer(folder: &Path) -> Result<Option<String>, Error> {
    let own = own_settings(folder).await?;
    let is_one = |key: &str| {
        key == "gpg.ssh.defaultkeycommand" || (key.starts_with("gpg.") && key.ends_with(".program"))
    };
    Ok(own.into_iter().map(|(key, _)| key).find(|key| is_one(key)))
}

/// The settings of the repository's own files, and of what they include, in git's order.
pub(super) async fn own_settings(folder: &Path) -> Result<Vec<(String, String)>, Error> {
    let mut settings = settings_in(folder, "--local").await?;
    // Without that extension git would read the same file again, and before 2.20 it knows neither.
    if settings.iter().any(|(key, _)| key == "extensions.worktreeconfig") {
        settings.extend(settings_in(folder, PER_WORKTREE).await?);
    }
    Ok(settings)
}

/// What git says where no settings of a worktree count: the extension is on, and nothing was set yet;
/// it is off, as by the value `false` or in an included file.
const NONE_PER_WORKTREE: [&str; 2] =
    ["No such file or directory", "cannot be used with multiple working trees"];

async fn settings_in(folder: &Path, file: &str) -> Result<Vec<(String, String)>, Error> {
    let mut command = git_command(folder);
    command.args(["config", file, "--includes", "-z", "--list"]);
    let doing = format!("read the git settings of {}", folder.display());
    let finished = run(command, &doing, ASK_LIMIT).await?;
    if file == PER_WORKTREE && NONE_PER_WORKTREE.iter().any(|words| finished.said.contains(words)) {
        return Ok(Vec::new());
    }
    let listed = finished.checked(doing)?.stdout;
    let entries = listed.split(|byte| *byte == 0).filter(|entry| !entry.is_empty());
    Ok(entries
        .map(|entry| {
            let entry = String::from_utf8_lossy(entry);
            let (key, value) = entry.split_once('\n').unwrap_or((&entry, ""));
            (key.to_owned(), value.to_owned())
        })
        .collect())
}

fn io(StoreError { action, path, source }: StoreError) -> Error {
    Error::Io { doing: action, path, source }
}

/// What git would call these bytes.
fn id(bytes: &[u8]) -> String {
    Oid::hash_object(ObjectType::Blob, bytes).map(|id| id.to_string()).unwrap_or_default()
}
