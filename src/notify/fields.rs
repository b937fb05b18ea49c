//! Reading one table of `notify.toml`, key by key, so that a mistake is named with its key.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::elsewhere;
use crate::config::Secret;

/// What a table is read with.
pub(super) struct Around<'a> {
    /// The folder of the file, for relative paths.
    pub(super) folder: &'a Path,
    /// The home folder, for `~`.
    pub(super) home: &'a Path,
    /// Why the file may not hold secrets, if it may not.
    pub(super) exposed: Option<&'a str>,
    /// Variables of the env file and the environment.
    pub(super) look_up: &'a dyn Fn(&str) -> Option<String>,
}

/// What follows a secret's key where its value is the name of a credential.
const CREDENTIAL: &str = "_credential";

/// A table, from which keys are taken until none is left.
pub(super) struct Fields<'a> {
    table: Table,
    around: &'a Around<'a>,
    known: Vec<String>,
}

impl<'a> Fields<'a> {
    pub(super) const fn new(table: Table, around: &'a Around<'a>) -> Self {
        Self { table, around, known: Vec::new() }
    }

    /// The value of a key; `None` if it is missing. `form` says how to write it.
    pub(super) fn take<T: DeserializeOwned>(
        &mut self,
        key: &str,
        form: &str,
    ) -> Result<Option<T>, String> {
        self.known.push(key.to_owned());
        let Some(value) = self.table.remove(key) else { return Ok(None) };
        let unfit = |error: toml::de::Error| {
            let why = error.message().lines().next().unwrap_or_default().to_owned();
            format!("{key} cannot be used: {why}; write it like {key} = {form}")
        };
        value.try_into().map(Some).map_err(unfit)
    }

    /// The same for a key that must be there.
    pub(super) fn need<T: DeserializeOwned>(&mut self, key: &str, form: &str) -> Result<T, String> {
        self.take(key, form)?.ok_or_else(|| format!("{key} is missing; add {key} = {form}"))
    }

    /// A secret: `KEY` itself in a file that only its owner can read, `KEY_file` with such a file,
    /// `KEY_env` with the name of a variable, or `KEY_credential` with that of a credential that the
    /// service manager hands to a unit.
    pub(super) fn secret(&mut self, key: &str) -> Result<Option<Secret>, String> {
        let (in_file, in_env) = (format!("{key}_file"), format!("{key}_env"));
        let credential: Option<String> = self.take(&format!("{key}{CREDENTIAL}"), "\"NAME\"")?;
        let inline: Option<String> = self.take(key, "\"…\"")?;
        let file: Option<String> = self.take(&in_file, "\"~/.config/samocode/FILE\"")?;
        let variable: Option<String> = self.take(&in_env, "\"NAME\"")?;
        let found = match (inline, file, variable, credential) {
            (None, None, None, None) => return Ok(None),
            (None, None, None, Some(name)) => {
                let path = self.credential(&name)?;
                let path = path.ok_or_else(|| format!("there is no credential {name} here"))?;
                // Its folder is private to the unit.
                fs::read_to_string(&path).map(Secret::new).map_err(|error| {
                    format!("{key}{CREDENTIAL}: {}: {}", path.display(), in_words(&error))
                })?
            }
            (Some(text), None, None, None) => match self.around.exposed {
                Some(why) => return Err(format!("{key} is a secret, and {why}")),
                None => Secret::new(text),
            },
            (None, Some(file), None, None) => {
                let path = self.path(&file);
                read_secret(&path).map_err(|why| format!("{in_file}: {}: {why}", path.display()))?
            }
            (None, None, Some(name), None) => {
                (self.around.look_up)(&name).map(Secret::new).ok_or_else(|| {
                    format!("{in_env}: {name} is not set; put it into ~/.config/samocode/env")
                })?
            }
            _ => {
                return Err(format!(
                    "{key}, {in_file}, {in_env} and {key}{CREDENTIAL} exclude each other; keep one"
                ));
            }
        };
        if found.expose().is_empty() {
            return Err(format!("{key} is empty"));
        }
        Ok(Some(found))
    }

    /// A credential that the table names and that this process does not have, if there is one.
    pub(super) fn absent_credential(&self) -> Result<Option<String>, String> {
        for (key, value) in &self.table {
            if let (true, Value::String(name)) = (key.ends_with(CREDENTIAL), value)
                && self.credential(name)?.is_none()
            {
                return Ok(Some(name.clone()));
            }
        }
        Ok(None)
    }

    /// The file of a credential; `None` if this process does not have it.
    fn credential(&self, name: &str) -> Result<Option<PathBuf>, String> {
        if name.is_empty() || name.starts_with('.') || name.contains('/') {
            return Err(format!("{name:?} cannot be the name of a credential"));
        }
        let folder = (self.around.look_up)(elsewhere::FOLDER).map(PathBuf::from);
        let path = folder.filter(|folder| folder.is_absolute()).map(|folder| folder.join(name));
        Ok(path.filter(|path| path.is_file()))
    }

    /// A path, with `~` for the home folder; a relative one is relative to the file.
    pub(super) fn path(&self, text: &str) -> PathBuf {
        match text.strip_prefix("~/") {
            Some(rest) => self.around.home.join(rest),
            None => self.around.folder.join(text),
        }
    }

    /// Checks that no key is left.
    pub(super) fn finish(self) -> Result<(), String> {
        let Some(unknown) = self.table.keys().next() else { return Ok(()) };
        let near = self.known.iter().max_by(|a, b| {
            let likeness = |known: &str| strsim::jaro_winkler(known, unknown);
            likeness(a).total_cmp(&likeness(b))
        });
        let near = near.filter(|known| strsim::jaro_winkler(known, unknown) > 0.8);
        Err(match near {
            Some(near) => format!("{unknown} is not a key here; did you mean {near}?"),
            None => format!("{unknown} is not a key here; known are {}", self.known.join(", ")),
        })
    }
}

/// Turns a value into a table's fields.
pub(super) fn table(value: Value) -> Result<Table, String> {
    match value {
        Value::Table(table) => Ok(table),
        other => Err(format!("it is of the type {}, not a table", other.type_str())),
    }
}

fn read_secret(path: &Path) -> Result<Secret, String> {
    let metadata = fs::metadata(path).map_err(|error| in_words(&error))?;
    if let Some(why) = exposed(&metadata, path) {
        return Err(why);
    }
    fs::read_to_string(path).map(Secret::new).map_err(|error| in_words(&error))
}

fn in_words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".to_owned(),
        io::ErrorKind::InvalidData => "it is not UTF-8".to_owned(),
        _ => error.to_string(),
    }
}

/// Why a file may not hold secrets, with the remedy; `None` if it may.
pub(super) fn exposed(metadata: &fs::Metadata, path: &Path) -> Option<String> {
    let mode = metadata.mode() & 0o7777;
    (mode & 0o077 != 0).then(|| {
        format!("others can read the file (mode {mode:04o}); run: chmod 600 {}", path.display())
    })
}
