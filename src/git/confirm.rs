//! Makes sure that git, run in a worktree, works on that worktree and on no other folder.
//!
//! Two things may send it elsewhere. A `.git` that was replaced names another repository. And with
//! `extensions.worktreeConfig` on, a `core.worktree` or `core.bare` in the shared settings counts
//! in every worktree (git-worktree(1), "Configuration file"): `git checkout .` would then discard
//! the changes of the person who works in the main one.
//!
//! git's own files prove that neither is the case where its settings mention no worktree. Otherwise
//! git is asked.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::checks::ASK_LIMIT;
use super::command::{bare_git, first_line, git_command, read, run};
use super::leftovers::{pointed_to, registered_in};
use super::plain;
use super::reader::{open, tidy};
use super::{Error, head, quoted};

/// A worktree in which git works as it should, with what that depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirmed {
    common: PathBuf,
    admin: PathBuf,
    /// The settings shared by all worktrees, and this one's own.
    settings: [Option<Vec<u8>>; 2],
}

/// Confirms that git in the worktree works on it, as a worktree of the repository that contains
/// `source`. Starts no git if nothing has changed since it was last `known` to be so, or if the
/// files alone prove it.
pub(super) async fn confirm(
    worktree: &Path,
    source: &Path,
    known: Option<&Confirmed>,
) -> Result<Confirmed, Error> {
    let common = match known {
        Some(known) => known.common.clone(),
        None => match open(source)? {
            Some(reader) => reader.place().common.clone(),
            None => return Err(Error::NoneThere { folder: source.to_owned() }),
        },
    };
    let found = look(worktree, common)?;
    if known != Some(&found) && found.may_lead_elsewhere() {
        ask(worktree, &found).await?;
    }
    Ok(found)
}

/// Asks git itself, whatever the files say, and for its branch too. For a worktree that was just
/// made.
pub(super) async fn confirm_by_git(
    worktree: &Path,
    common: &Path,
    branch: &str,
) -> Result<(), Error> {
    ask(worktree, &look(worktree, common.to_owned())?).await?;
    let on = head(worktree)?.branch;
    if on.as_deref() == Some(branch) {
        return Ok(());
    }
    let on = on.map_or_else(|| "no branch".to_owned(), |on| format!("branch '{on}'"));
    let what = format!("it was made for branch '{branch}' and is on {on}");
    let remedy = format!("git -C {} switch {branch}", quoted(worktree));
    Err(Error::Astray { worktree: worktree.to_owned(), what, remedy })
}

/// Confirms a worktree before git writes into it for the first time.
pub(super) async fn confirm_unfinished(worktree: &Path, common: &Path) -> Result<(), Error> {
    let found = look(worktree, common.to_owned())?;
    if found.may_lead_elsewhere() { ask(worktree, &found).await } else { Ok(()) }
}

impl Confirmed {
    /// Whether the settings mention worktrees, in which case only git can tell.
    fn may_lead_elsewhere(&self) -> bool {
        const WORD: &[u8] = b"worktree";
        let mentions = |text: &Vec<u8>| {
            text.windows(WORD.len()).any(|window| window.eq_ignore_ascii_case(WORD))
        };
        self.settings[0].as_ref().is_none_or(mentions)
            || self.settings[1].as_ref().is_some_and(mentions)
    }
}

/// Follows the links between a worktree and its registration, in both directions.
fn look(worktree: &Path, common: PathBuf) -> Result<Confirmed, Error> {
    let gitfile = worktree.join(".git");
    let astray = |what: String, remedy: String| {
        let worktree = worktree.to_owned();
        Err(Error::Astray { worktree, what, remedy })
    };
    if !common.is_dir() {
        let remedy = "move it back, or set MAIN_REPO to its new place".to_owned();
        return astray(format!("its repository {} does not exist", common.display()), remedy);
    }
    let moved_away = || {
        if worktree.is_symlink() {
            // What is there may be the repository itself.
            let (link, end) =
                (quoted(worktree), "and the worktree is made again at the next start");
            return format!("remove the link, {end}: rm {link}");
        }
        let (from, to) = (quoted(&gitfile), quoted(&worktree.join(".git.aside")));
        format!("look at it, then: mv {from} {to} && git -C {} worktree repair", quoted(&common))
    };
    let what = match gitfile.symlink_metadata() {
        Ok(meta) if meta.is_file() => None,
        Ok(meta) if meta.is_dir() => Some("its .git is a repository of its own"),
        Ok(_) => Some("its .git is not a regular file"),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let remedy = format!("link it again: git -C {} worktree repair", quoted(&common));
            return astray("it has no .git".to_owned(), remedy);
        }
        Err(source) => return Err(Error::Io { doing: "look at", path: gitfile, source }),
    };
    if let Some(what) = what {
        let link = worktree.read_link().map(|to| format!("it is a link to {}, and ", to.display()));
        return astray(format!("{}{what}", link.unwrap_or_default()), moved_away());
    }
    let bytes = plain::line(&gitfile).unwrap_or_default();
    let named = bytes.strip_prefix(b"gitdir: ").and_then(|rest| pointed_to(rest, worktree));
    let Some(admin) = named.map(|named| tidy(&named)) else {
        return astray("its .git does not name a repository".to_owned(), moved_away());
    };
    if admin.parent() != Some(common.join("worktrees").as_path()) {
        let what = format!("its .git names {}, not {}", admin.display(), common.display());
        let known = admin.file_name().map(|name| common.join("worktrees").join(name));
        if !admin.exists() && known.is_some_and(|known| known.is_dir()) {
            let repair = format!("git -C {} worktree repair", quoted(&common));
            return astray(what, format!("the next start repairs that, or now: {repair}"));
        }
        return astray(what, moved_away());
    }
    if registered_in(&admin).is_none_or(|known| known.folder != tidy(worktree)) {
        let what = format!("{} does not name it", admin.join("gitdir").display());
        let remedy = format!("git -C {} worktree repair {}", quoted(&common), quoted(worktree));
        return astray(what, remedy);
    }
    let file = admin.join("commondir");
    let shared = plain::line(&file).ok().and_then(|bytes| pointed_to(&bytes, &admin));
    if shared.is_none_or(|shared| tidy(&shared) != common) {
        let what = format!("{} does not name {}", file.display(), common.display());
        return astray(what, format!("echo ../.. > {}", quoted(&file)));
    }
    let shared = ["HEAD", "config", "packed-refs"].map(|file| common.join(file));
    let own = ["HEAD", "index"].map(|file| admin.join(file));
    if let Some(odd) = shared.iter().chain(&own).find(|file| plain::is_odd(file)) {
        let (from, to) = (quoted(odd), quoted(&odd.with_extension("aside")));
        return astray(
            format!("{from} is not a regular file"),
            format!("look at it, then: mv {from} {to} && git -C {} fsck", quoted(&common)),
        );
    }
    let settings =
        [common.join("config"), admin.join("config.worktree")].map(|file| plain::read(&file).ok());
    Ok(Confirmed { common, admin, settings })
}

async fn ask(worktree: &Path, found: &Confirmed) -> Result<(), Error> {
    let mut command = git_command(worktree);
    command.args(["rev-parse", "--show-toplevel", "--absolute-git-dir"]);
    let doing = format!("ask git about {}", worktree.display());
    let asked = run(command, &doing, ASK_LIMIT).await?;
    let here = tidy(worktree);
    let expected = [&here, &found.admin].map(|path| path.as_os_str().as_bytes());
    let right = [expected[0], b"\n", expected[1], b"\n"].concat();
    if asked.status.success() && asked.stdout == right {
        return Ok(());
    }
    let mut lines = asked.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let answers = if asked.status.success() {
        let path = |line: Option<&[u8]>| tidy(Path::new(OsStr::from_bytes(line.unwrap_or(b"?"))));
        let (top, admin) = (path(lines.next()), path(lines.next()));
        if top == here && admin == found.admin {
            return Ok(());
        }
        format!("git there works on {} with {}", top.display(), admin.display())
    } else {
        format!("git says: {}", asked.said)
    };
    let (cause, remedy) = misdirection(&found.common, Some(&found.admin))?.unwrap_or_else(|| {
        let look = format!("find out why: git -C {} rev-parse --show-toplevel", quoted(worktree));
        ("for a reason that its settings do not show".to_owned(), look)
    });
    let what = format!("{answers}, because {cause}");
    Err(Error::Astray { worktree: worktree.to_owned(), what, remedy })
}

/// A setting that sends git in a worktree somewhere else, with the command that fixes it. `admin`
/// is the registration of the worktree in question; without one, only settings that all worktrees
/// share are looked at.
pub(super) fn misdirection(
    common: &Path,
    admin: Option<&Path>,
) -> Result<Option<(String, String)>, Error> {
    let shared = common.join("config");
    let get = |file: &Path, options: &[&str]| -> Result<Option<String>, Error> {
        let asked = read(bare_git().arg("config").arg("--file").arg(file).args(options))?;
        Ok(asked.status.success().then(|| first_line(&asked.stdout)))
    };
    let is_on = |key| {
        get(&shared, &["--type=bool", "--get", key]).map(|value| value.as_deref() == Some("true"))
    };
    if !is_on("extensions.worktreeConfig")? {
        return Ok(None);
    }
    if let Some(own) = admin.map(|admin| admin.join("config.worktree"))
        && let Some(elsewhere) = get(&own, &["--get", "core.worktree"])?
    {
        let cause = format!("core.worktree in {} is {elsewhere}", own.display());
        let remedy = format!("git config --file {} --unset-all core.worktree", quoted(&own));
        return Ok(Some((cause, remedy)));
    }
    let misplaced = match get(&shared, &["--get", "core.worktree"])? {
        Some(value) => Some(("core.worktree", value)),
        None => is_on("core.bare")?.then(|| ("core.bare", "true".to_owned())),
    };
    Ok(misplaced.map(|(key, value)| {
        let cause = format!(
            "extensions.worktreeConfig makes {key} = {value} in {} apply to every worktree",
            shared.display()
        );
        let main = quoted(&common.join("config.worktree"));
        let (value, shared) = (quoted(Path::new(&value)), quoted(&shared));
        let remedy = format!(
            "To apply it to the main one only: git config --file {main} {key} {value} && \
             git config --file {shared} --unset-all {key}"
        );
        (cause, remedy)
    }))
}
