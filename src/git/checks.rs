//! Finds whatever would make an agent's first commit fail, before the first run costs anything.

use std::path::Path;
use std::time::Duration;

use super::command::{Finished, first_line, git_command, run};
use super::confirm::misdirection;
use super::programs::own_signer;
use super::reader::open;
use super::settings::Settings;
use super::{Error, quoted};
use crate::config::confine::{READ, SOCKETS, WRITE};

/// Time limit for one question about configuration.
pub(super) const ASK_LIMIT: Duration = Duration::from_secs(10);
/// A signature that takes longer is waiting for someone to type.
const SIGN_LIMIT: Duration = Duration::from_secs(10);

/// How bad a [`Finding`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Works now, but may fail later or do something the user does not expect.
    Warning,
    /// Commits will fail, so the session must not start.
    Blocking,
}

/// A problem with git's configuration that a human should fix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Whether commits fail or merely may.
    pub severity: Severity,
    /// The problem, as a sentence without a full stop.
    pub what: String,
    /// The command or setting that fixes it.
    pub remedy: String,
}

/// Checks whether commits will work in this repository or worktree, as this process is configured:
/// owner, identity, signing. Empty if they will.
///
/// Makes a real signature, of an empty tree in a temporary object folder, within 10 s. Fails only
/// if git cannot be run.
pub async fn check(folder: &Path) -> Result<Vec<Finding>, Error> {
    if Settings::read(folder).await.is_some_and(|settings| settings.are_enough()) {
        return Ok(Vec::new());
    }
    look_closely(folder, Signing::Tried).await
}

/// The same for commits that are left unsigned, whatever the settings say.
///
/// # Errors
/// If git cannot be run.
pub async fn check_unsigned(folder: &Path) -> Result<Vec<Finding>, Error> {
    if Settings::read(folder).await.is_some_and(|settings| settings.are_enough()) {
        return Ok(Vec::new());
    }
    look_closely(folder, Signing::Forgone).await
}

/// What [`check_unsigned`] finds where git is told to sign.
pub const UNSIGNED: &str = "commit.gpgSign is on, but commits of confined agents are not signed: your keys are closed to them";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Signing {
    Tried,
    Forgone,
}

/// Whether a repository's settings alone prove that commits will work in it and in all its
/// worktrees. Safe to call while a worktree is being made. Returns false when in doubt; then
/// [`check`] finds out more.
pub async fn commits_work(repo: &Path) -> bool {
    let settings = Settings::read(repo).await;
    settings.is_some_and(|settings| settings.are_enough() && !settings.depend_on_worktree())
}

async fn look_closely(folder: &Path, signing: Signing) -> Result<Vec<Finding>, Error> {
    let at = quoted(folder);
    // The questions are independent and each is a process, so ask them concurrently.
    let (opened, identity, signs) = tokio::join!(
        ask(folder, &["rev-parse", "--git-dir"]),
        identity(folder, &at),
        ask(folder, &["config", "--type=bool", "--get", "commit.gpgSign"])
    );
    let opened = opened?;
    if opened.said.contains("safe.directory") || opened.said.contains("dubious ownership") {
        let what = format!("git refuses to use {}: it belongs to another user", folder.display());
        let remedy = format!("git config --global --add safe.directory {at}");
        return Ok(vec![Finding { severity: Severity::Blocking, what, remedy }]);
    }
    if !opened.status.success() {
        return Ok(Vec::new());
    }
    let (identity, signs) = (identity?, signs?);
    let elsewhere = open(folder)?.map(|reader| misdirection(&reader.place().common, None));
    let elsewhere = elsewhere.transpose()?.flatten().map(|(cause, remedy)| Finding {
        severity: Severity::Blocking,
        what: format!("git in a session's worktree would work on another folder: {cause}"),
        remedy,
    });
    // Without an identity, signing would fail for that reason alone.
    let blocked = identity.iter().any(|finding| finding.severity == Severity::Blocking);
    let signature = match signing {
        _ if first_line(&signs.stdout) != "true" || blocked => None,
        Signing::Tried => try_to_sign(folder, &at).await?,
        Signing::Forgone => Some(Finding {
            severity: Severity::Warning,
            what: UNSIGNED.to_owned(),
            remedy: format!(
                "sign them when you merge, or open the key: {READ}=~/.ssh, or {SOCKETS}=any and {WRITE}=~/.gnupg"
            ),
        }),
    };
    Ok(elsewhere.into_iter().chain(identity).chain(signature).collect())
}

async fn ask(folder: &Path, args: &[&str]) -> Result<Finished, Error> {
    let mut command = git_command(folder);
    command.args(args);
    run(command, &format!("ask git about {}", folder.display()), ASK_LIMIT).await
}

async fn identity(folder: &Path, at: &str) -> Result<Option<Finding>, Error> {
    let remedy =
        format!("git -C {at} config user.name 'NAME' && git -C {at} config user.email 'MAIL'");
    let (author, committer, name, email) = tokio::join!(
        ask(folder, &["var", "GIT_AUTHOR_IDENT"]),
        ask(folder, &["var", "GIT_COMMITTER_IDENT"]),
        ask(folder, &["config", "--get-regexp", "^(user|author)\\.name$"]),
        ask(folder, &["config", "--get-regexp", "^(user|author)\\.email$"])
    );
    let author = author?;
    let guess = first_line(&author.stdout);
    for asked in [author, committer?] {
        if !asked.status.success() {
            let what = format!("git has no author identity for commits ({})", asked.said);
            return Ok(Some(Finding { severity: Severity::Blocking, what, remedy }));
        }
    }
    // git may have made up a name and an address from the account and the host.
    for (key, variable, asked) in
        [("name", "GIT_AUTHOR_NAME", name?), ("email", "GIT_AUTHOR_EMAIL", email?)]
    {
        let given =
            std::env::var(variable).is_ok() || (key == "email" && std::env::var("EMAIL").is_ok());
        if !given && !asked.status.success() {
            let who = guess.rsplit_once('>').map_or(guess.as_str(), |(who, _)| who);
            let what = format!("user.{key} is not set; git would commit as {who}>");
            return Ok(Some(Finding { severity: Severity::Warning, what, remedy }));
        }
    }
    Ok(None)
}

/// Tries to sign, without anyone to type a passphrase.
async fn try_to_sign(folder: &Path, at: &str) -> Result<Option<Finding>, Error> {
    let off = format!("git -C {at} config commit.gpgSign false");
    if let Some(key) = own_signer(folder).await? {
        let what = format!(
            "commit.gpgSign is on, and {key} in the repository's own settings names the program. \
             samocode does not run that, so it does not know whether signing works"
        );
        let remedy = format!(
            "if it is yours, move it to your own settings: git config --global {key} \
             \"$(git -C {at} config --local {key})\" && git -C {at} config --local --unset-all {key}"
        );
        return Ok(Some(Finding { severity: Severity::Warning, what, remedy }));
    }
    let format = first_line(&ask(folder, &["config", "--get", "gpg.format"]).await?.stdout);
    let said = match sign(folder).await {
        Ok(signed) if signed.status.success() => {
            if !matches!(format.as_str(), "" | "openpgp") {
                return Ok(None);
            }
            let what = "commit.gpgSign is on: gpg signed without a prompt this time, but will fail once its agent forgets the passphrase".to_owned();
            let remedy = format!("use a key without a passphrase, or: {off}");
            return Ok(Some(Finding { severity: Severity::Warning, what, remedy }));
        }
        Ok(failed) => failed.said,
        Err(Error::TimedOut { seconds, .. }) => format!("no signature after {seconds} s"),
        Err(error) => return Err(error),
    };
    let what = format!(
        "commit.gpgSign is on, but signing fails when nobody can type a passphrase ({said})"
    );
    let remedy = format!("{off} (or use a key that needs no passphrase)");
    Ok(Some(Finding { severity: Severity::Blocking, what, remedy }))
}

async fn sign(folder: &Path) -> Result<Finished, Error> {
    let io =
        |source| Error::Io { doing: "create a folder in", path: tempfile::env::temp_dir(), source };
    let scratch = tempfile::tempdir().map_err(io)?;
    let git = |args: &[&str]| {
        let mut command = git_command(folder);
        command.env("GIT_OBJECT_DIRECTORY", scratch.path()).args(args);
        command
    };
    let doing = "sign a commit";
    let tree = run(git(&["mktree"]), doing, ASK_LIMIT).await?.line(doing)?;
    run(git(&["commit-tree", "-S", "-m", "probe", &tree]), doing, SIGN_LIMIT).await
}
