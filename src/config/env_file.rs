//! The user's credentials file, `~/.config/samocode/env`. Units do not see the shell's variables,
//! so the secrets that agents need are kept here, readable by the user only. A unit may also be handed
//! them by its service manager, as the credential `samocode.env` with the same lines.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown, fchown};
use std::path::Path;

use zeroize::Zeroizing;

use super::file::{ConfigFile, assignment};
use super::{Dirs, Error, Secret, Warning, is_trusted};

/// The variables set in the file, and warnings about it.
#[derive(Debug, Clone, Default)]
pub struct EnvFile {
    variables: BTreeMap<String, (u32, Secret)>,
    warnings: Vec<Warning>,
}

impl EnvFile {
    /// Reads the user's file, and the credential, which overrides it. What is missing is treated as
    /// empty.
    ///
    /// # Errors
    /// [`Error::StrangersEnv`] when it belongs to someone else, [`Error::Syntax`] with its line,
    /// [`Error::Io`] when it cannot be read.
    pub fn read(dirs: &Dirs) -> Result<Self, Error> {
        let mut read = Self::read_file(dirs)?;
        if let Some(credential) = dirs.env_credential() {
            let credential = Self::of(&ConfigFile::read_if_exists(&credential)?);
            read.variables.extend(credential.variables);
        }
        Ok(read)
    }

    fn read_file(dirs: &Dirs) -> Result<Self, Error> {
        let path = dirs.env_file();
        let mut warnings = Vec::new();
        match fs::metadata(&path) {
            Ok(metadata) => {
                let owner = metadata.uid();
                if !is_trusted(owner, rustix::process::geteuid().as_raw()) {
                    return Err(Error::StrangersEnv { path, owner });
                }
                let mode = metadata.permissions().mode() & 0o7777;
                if mode & 0o077 != 0 {
                    warnings.push(Warning::Readable { path: dirs.short(&path), mode });
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(reason) => return Err(Error::io("read", &path, reason)),
        }
        let file = ConfigFile::read_if_exists(&path)?;
        Ok(Self { warnings, ..Self::of(&file) })
    }

    /// The variables of a parsed file. The [`Vocabulary`](super::Vocabulary) knows whose each is
    /// and who gets it.
    #[must_use]
    pub fn of(file: &ConfigFile) -> Self {
        let variables = file
            .effective()
            .map(|entry| (entry.key.clone(), (entry.line, Secret::new(&entry.value))))
            .collect();
        Self { variables, warnings: Vec::new() }
    }

    /// The value of a variable, if the file sets it.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Secret> {
        self.variables.get(name).map(|(_, value)| value)
    }

    /// All variables, including those that no agent gets, with their line numbers.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u32, &Secret)> {
        self.variables.iter().map(|(name, (line, value))| (name.as_str(), *line, value))
    }

    /// Problems worth reporting that do not keep the file from being used.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// Saves variables in the user's file: replaces the lines that set them, adds the others, and
    /// leaves every other line alone. The file has mode 0600 from its first byte, and is replaced
    /// whole or not at all. When root writes it for a user, it stays the user's.
    ///
    /// # Errors
    /// [`Error::Unwritable`] for a value the file cannot hold, before anything is written;
    /// [`Error::StrangersEnv`], [`Error::Syntax`] for the existing file; [`Error::Io`].
    pub fn save(dirs: &Dirs, variables: &[(String, Secret)]) -> Result<(), Error> {
        let link = dirs.env_file();
        // Follow a link: people who keep their dotfiles in a repository have one here.
        let path = fs::canonicalize(&link).unwrap_or(link);
        Self::read(dirs)?;
        let old = match fs::read_to_string(&path) {
            Ok(text) => Zeroizing::new(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Zeroizing::default(),
            Err(reason) => return Err(Error::io("read", &path, reason)),
        };
        let new = Zeroizing::new(merged(&old, variables)?);
        replace_private(&path, new.as_bytes()).map_err(|reason| Error::io("write", &path, reason))
    }
}

/// Replaces a file of the user's settings as a whole, or creates it, accessible to the user only.
///
/// # Errors
/// Those of the disk.
pub fn replace_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    make_private(folder)?;
    let mut file = tempfile::Builder::new()
        .prefix(".settings.")
        .permissions(fs::Permissions::from_mode(0o600))
        .tempfile_in(folder)?;
    file.write_all(bytes)?;
    if rustix::process::geteuid().is_root() {
        let owner = fs::metadata(path).or_else(|_| fs::metadata(folder))?;
        fchown(file.as_file(), Some(owner.uid()), Some(owner.gid()))?;
    }
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    fs::File::open(folder)?.sync_all()
}

/// Creates a folder and its parents, accessible to the user only. Those that root creates belong to
/// the owner of the parent folder.
fn make_private(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let above = folder.parent().unwrap_or(Path::new("/"));
    make_private(above)?;
    match fs::DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        made => made?,
    }
    if rustix::process::geteuid().is_root() {
        let owner = fs::metadata(above)?;
        chown(folder, Some(owner.uid()), Some(owner.gid()))?;
    }
    Ok(())
}

/// The file's text with the variables set. The last line that sets one is replaced, since that is
/// the one in effect.
fn merged(old: &str, variables: &[(String, Secret)]) -> Result<String, Error> {
    let mut lines: Vec<String> = old.split_inclusive('\n').map(str::to_owned).collect();
    for (name, value) in variables {
        let new = assignment(name, value.expose())?;
        let sets = |line: &String| {
            let bytes = line.trim_start_matches('\u{feff}').as_bytes();
            let parsed = ConfigFile::parse(Path::new(""), bytes);
            parsed.is_ok_and(|file| file.entries().iter().any(|entry| entry.key == *name))
        };
        match lines.iter_mut().rev().find(|line| sets(line)) {
            Some(line) => *line = new + ending(line),
            None => {
                let end = lines.last().map_or("\n", |last| ending(last)).to_owned();
                if let Some(last) = lines.last_mut()
                    && ending(last).is_empty()
                {
                    last.push('\n');
                }
                lines.push(new + &end);
            }
        }
    }
    if old.is_empty() {
        lines.insert(
            0,
            "# Credentials for samocode's agents and notices. Keep this file private (mode 0600).\n"
                .to_owned(),
        );
    }
    let text = lines.concat();
    Ok(if ending(&text).is_empty() { text + "\n" } else { text })
}

/// The line ending of a line; empty if it has none.
fn ending(line: &str) -> &'static str {
    match line {
        _ if line.ends_with("\r\n") => "\r\n",
        _ if line.ends_with('\n') => "\n",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dirs() -> (tempfile::TempDir, Dirs) {
        let home = tempfile::tempdir().unwrap();
        let dirs = Dirs::of_home(home.path());
        (home, dirs)
    }

    fn write(dirs: &Dirs, text: &str, mode: u32) {
        fs::create_dir_all(&dirs.config).unwrap();
        fs::write(dirs.env_file(), text).unwrap();
        fs::set_permissions(dirs.env_file(), fs::Permissions::from_mode(mode)).unwrap();
    }

    fn secret(name: &str, value: &str) -> (String, Secret) {
        (name.to_owned(), Secret::new(value))
    }

    #[test]
    fn a_missing_file_is_treated_as_empty() {
        let (_home, dirs) = dirs();
        let file = EnvFile::read(&dirs).unwrap();
        assert_eq!(file.iter().count() + file.warnings().len(), 0);
    }

    #[test]
    fn a_file_others_can_read_causes_a_warning() {
        let (_home, dirs) = dirs();
        write(&dirs, "ANTHROPIC_API_KEY=sk-1\n", 0o644);
        let file = EnvFile::read(&dirs).unwrap();
        let told: Vec<_> = file.warnings().iter().map(ToString::to_string).collect();
        assert_eq!(
            told[0],
            "~/.config/samocode/env can be read by others (mode 0644): chmod 600 ~/.config/samocode/env"
        );
        assert_eq!(file.get("ANTHROPIC_API_KEY").map(Secret::expose), Some("sk-1"));
        assert!(!format!("{file:?}").contains("sk-1"));
        fs::set_permissions(dirs.env_file(), fs::Permissions::from_mode(0o600)).unwrap();
        assert!(EnvFile::read(&dirs).unwrap().warnings().is_empty());
    }

    #[test]
    fn a_credential_of_the_unit_overrides_the_file_and_is_never_saved_to_it() {
        let (home, mut dirs) = dirs();
        write(&dirs, "ANTHROPIC_API_KEY=sk-file\nHTTPS_PROXY=p\n", 0o600);
        let folder = home.path().join("credentials");
        dirs.credentials = Some(folder.clone());
        let value = |name: &str| {
            let file = EnvFile::read(&dirs).unwrap();
            file.get(name).map(|value| value.expose().to_owned()).unwrap_or_default()
        };
        assert_eq!(value("ANTHROPIC_API_KEY"), "sk-file", "the unit has no such credential");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("samocode.env"), "ANTHROPIC_API_KEY=sk-unit\nGEMINI_API_KEY=g\n")
            .unwrap();
        assert_eq!(value("ANTHROPIC_API_KEY"), "sk-unit");
        assert_eq!((value("HTTPS_PROXY"), value("GEMINI_API_KEY")), ("p".into(), "g".into()));
        EnvFile::save(&dirs, &[secret("OPENAI_API_KEY", "o")]).unwrap();
        let file = fs::read_to_string(dirs.env_file()).unwrap();
        assert_eq!(file, "ANTHROPIC_API_KEY=sk-file\nHTTPS_PROXY=p\nOPENAI_API_KEY=o\n");
        let variables = [("HOME", "/h"), ("CREDENTIALS_DIRECTORY", "/run/credentials/x")];
        let unit = Dirs::user(&variables.into_iter().collect::<crate::config::Env>()).unwrap();
        let path = unit.env_credential().unwrap();
        assert_eq!(path, Path::new("/run/credentials/x/samocode.env"));
    }

    #[test]
    fn saving_makes_a_private_file_and_folder() {
        let (_home, dirs) = dirs();
        EnvFile::save(&dirs, &[secret("ANTHROPIC_CUSTOM_HEADERS", "A: 1\nB: \"2\" # no")]).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&dirs.env_file()), mode(&dirs.config)), (0o600, 0o700));
        let file = EnvFile::read(&dirs).unwrap();
        assert_eq!(
            file.get("ANTHROPIC_CUSTOM_HEADERS").map(Secret::expose),
            Some("A: 1\nB: \"2\" # no")
        );
        assert_eq!(fs::read_dir(&dirs.config).unwrap().count(), 1, "no temporary file is left");
    }

    #[test]
    fn saving_keeps_other_lines_and_fixes_the_mode() {
        let (_home, dirs) = dirs();
        write(
            &dirs,
            "# mine\nOPENAI_API_KEY=o\n\nANTHROPIC_API_KEY=old\nexport ANTHROPIC_API_KEY = 'older'\n# end",
            0o644,
        );
        let new = [secret("ANTHROPIC_API_KEY", "new"), secret("HTTPS_PROXY", "http://u:p@h")];
        EnvFile::save(&dirs, &new).unwrap();
        let expected = "# mine\nOPENAI_API_KEY=o\n\nANTHROPIC_API_KEY=old\nANTHROPIC_API_KEY=new\n# end\nHTTPS_PROXY=http://u:p@h\n";
        assert_eq!(fs::read_to_string(dirs.env_file()).unwrap(), expected);
        assert!(EnvFile::read(&dirs).unwrap().warnings().is_empty());
        EnvFile::save(&dirs, &new).unwrap();
        assert_eq!(
            fs::read_to_string(dirs.env_file()).unwrap(),
            expected,
            "a second time changes nothing"
        );
    }

    #[test]
    fn saving_changes_no_other_line_of_a_file_with_mixed_line_endings() {
        let old = "# a\r\nOPENAI_API_KEY=o\nGEMINI_API_KEY=old\r\n\r# b\n\nHTTPS_PROXY=p";
        let new = merged(old, &[secret("GEMINI_API_KEY", "g"), secret("HTTP_PROXY", "q")]).unwrap();
        let expected =
            "# a\r\nOPENAI_API_KEY=o\nGEMINI_API_KEY=g\r\n\r# b\n\nHTTPS_PROXY=p\nHTTP_PROXY=q\n";
        assert_eq!(new, expected);
        let new = merged("A=1\nB=2", &[secret("B", "3")]).unwrap();
        assert_eq!(new, "A=1\nB=3\n");
    }

    #[test]
    fn saving_keeps_the_line_endings() {
        let new = merged("# a\r\nOPENAI_API_KEY=o\r\n", &[secret("GEMINI_API_KEY", "g")]).unwrap();
        assert_eq!(new, "# a\r\nOPENAI_API_KEY=o\r\nGEMINI_API_KEY=g\r\n");
    }

    #[test]
    fn saving_follows_a_link_and_refuses_what_it_could_not_read_back() {
        let (home, dirs) = dirs();
        let real = home.path().join("dotfiles-env");
        fs::write(&real, "").unwrap();
        fs::create_dir_all(&dirs.config).unwrap();
        std::os::unix::fs::symlink(&real, dirs.env_file()).unwrap();
        EnvFile::save(&dirs, &[secret("OPENAI_API_KEY", "o")]).unwrap();
        assert!(dirs.env_file().is_symlink());
        assert!(fs::read_to_string(&real).unwrap().contains("OPENAI_API_KEY=o"));
        let error = EnvFile::save(&dirs, &[secret("OPENAI_API_KEY", "o\u{1}secret")]).unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}
