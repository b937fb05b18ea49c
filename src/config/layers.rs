//! The layers of settings: the value in effect for each key, and where it is set.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::agent_name::program_path;
use super::file::ConfigFile;
use super::keys::{self, Key, Kind};
use super::settings::{Budget, Flags, Origin, Row};
use super::vocabulary::Owner;
use super::{AgentName, Dirs, Env, EnvFile, Error, Vocabulary, Warning, dirs, shown, values};
use crate::session::Phase;

/// A key's value in each phase, where it has one.
pub(super) type ByPhase = [Option<String>; Phase::ALL.len()];

/// The layers in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    Default,
    User,
    Project,
    EnvFile,
    Environment,
    Flag,
}

pub(super) struct Setting {
    pub(super) text: String,
    origin: Origin,
    pub(super) rank: Rank,
    /// Where relative paths start.
    pub(super) base: PathBuf,
}

pub(super) struct Layers<'a> {
    pub(super) dirs: &'a Dirs,
    vocabulary: &'a Vocabulary,
    set: BTreeMap<String, Setting>,
    pub(super) warnings: Vec<Warning>,
}

/// Variables of samocode's own that look like a key and are none.
const OWN: [&str; 2] = ["SAMOCODE_CONFIG", "SAMOCODE_CONFINED"];

impl<'a> Layers<'a> {
    pub(super) const fn new(dirs: &'a Dirs, vocabulary: &'a Vocabulary) -> Self {
        Self { dirs, vocabulary, set: BTreeMap::new(), warnings: Vec::new() }
    }

    pub(super) fn file(&mut self, rank: Rank, file: &ConfigFile) {
        let path = self.dirs.short(&file.path);
        let base = file.path.parent().unwrap_or(Path::new("/"));
        let mut lines: BTreeMap<&str, u32> = BTreeMap::new();
        for entry in file.entries() {
            let (at, key) = (format!("{path}:{}", entry.line), entry.key.clone());
            if let Some(first) = lines.insert(&entry.key, entry.line) {
                self.warnings.push(Warning::Duplicate { at: at.clone(), key: key.clone(), first });
            }
            match self.vocabulary.lookup(&key) {
                Some((known, _)) if known.of_project && rank != Rank::Project => {
                    self.warnings.push(Warning::ForProject { at, key });
                }
                Some(_) => {}
                // A mistyped key may look like a variable of the agent's.
                None if self.vocabulary.misspelt(&key).is_some() => {
                    let near = self.vocabulary.misspelt(&key);
                    self.warnings.push(Warning::UnknownKey { near, at, key });
                }
                // All that concern notices are keys.
                None if self.vocabulary.owner(&key) == Some(Owner::Notices) => {
                    let near = self.vocabulary.nearest(&key);
                    self.warnings.push(Warning::UnknownKey { near, at, key });
                }
                None if self.vocabulary.owner(&key).is_some() => {
                    let env_file = self.dirs.short(&self.dirs.env_file());
                    self.warnings.push(Warning::ForEnvFile { at, key, env_file });
                }
                None => {
                    let near = self.vocabulary.nearest(&key);
                    self.warnings.push(Warning::UnknownKey { near, at, key });
                }
            }
        }
        for entry in file.effective() {
            let wanted = |(key, _): (&Key, _)| !key.of_project || rank == Rank::Project;
            if self.vocabulary.lookup(&entry.key).is_some_and(wanted) {
                let origin = Origin::File { path: path.clone(), line: entry.line };
                let setting =
                    Setting { text: entry.value.clone(), origin, rank, base: base.to_owned() };
                self.set.insert(entry.key.clone(), setting);
            }
        }
    }

    pub(super) fn env_file(&mut self, file: &EnvFile) {
        self.warnings.extend(file.warnings().iter().cloned());
        self.warnings.extend(self.vocabulary.not_handed_on(file, self.dirs));
        let path = self.dirs.short(&self.dirs.env_file());
        // This file is for credentials and related variables; other settings have their own file.
        let words = self.vocabulary;
        let is_key = |name: &str| words.owner(name).is_some() && words.lookup(name).is_some();
        for (name, line, value) in file.iter().filter(|(name, ..)| is_key(name)) {
            let origin = Origin::File { path: path.clone(), line };
            let (text, base) = (value.expose().to_owned(), self.dirs.config.clone());
            self.set.insert(name.to_owned(), Setting { text, origin, rank: Rank::EnvFile, base });
        }
    }

    pub(super) fn environment(&mut self, env: &Env) -> Result<(), Error> {
        for key in self.vocabulary.keys().filter(|key| !key.of_project) {
            for name in keys::names(key) {
                let Some(value) = env.get(&name) else { continue };
                let Some(text) = value.to_str() else {
                    let value = if key.secret {
                        "set".into()
                    } else {
                        value.to_string_lossy().into_owned()
                    };
                    let allowed = "the value is not UTF-8 text".to_owned();
                    return Err(Error::Value {
                        key: name,
                        value,
                        origin: Origin::Environment,
                        allowed,
                    });
                };
                self.here(name, text, Origin::Environment, Rank::Environment);
            }
        }
        self.mistyped(env);
        Ok(())
    }

    /// Reports variables that are a key but for a letter or two.
    fn mistyped(&mut self, env: &Env) {
        let names = env.iter().filter_map(|(name, _)| name.to_str());
        let ours = names.filter(|name| name.starts_with("SAMOCODE_") && !OWN.contains(name));
        for key in ours.filter(|name| self.vocabulary.lookup(name).is_none()) {
            if let Some(near) = self.vocabulary.misspelt(key) {
                let (at, key) = (Origin::Environment.to_string(), key.to_owned());
                self.warnings.push(Warning::UnknownKey { at, key, near: Some(near) });
            }
        }
    }

    pub(super) fn flags(&mut self, flags: &Flags) {
        for (flag, key, value) in &flags.0 {
            self.here(key.clone(), value, Origin::Flag(flag), Rank::Flag);
        }
    }

    /// Adds a value that comes from no file: relative paths start at the current folder.
    fn here(&mut self, name: String, text: &str, origin: Origin, rank: Rank) {
        if !text.trim().is_empty() {
            let base = std::env::current_dir().unwrap_or_else(|_| self.dirs.home.clone());
            self.set.insert(name, Setting { text: text.trim().to_owned(), origin, rank, base });
        }
    }

    /// The value in effect for a name, which may be the default.
    fn get(&self, name: &str) -> (Kind, Setting) {
        let (kind, default) = self
            .vocabulary
            .lookup(name)
            .map_or((Kind::Text, ""), |(key, _)| (key.kind, key.default));
        let setting = self.set.get(name).map_or_else(
            || Setting {
                text: default.to_owned(),
                origin: Origin::Default,
                rank: Rank::Default,
                base: self.dirs.home.clone(),
            },
            |set| Setting {
                text: set.text.clone(),
                origin: set.origin.clone(),
                rank: set.rank,
                base: set.base.clone(),
            },
        );
        (kind, setting)
    }

    pub(super) fn read<T>(
        &self,
        name: &str,
        parse: impl FnOnce(&Setting) -> Result<T, String>,
    ) -> Result<T, Error> {
        let (_, setting) = self.get(name);
        let parsed = if setting.text.chars().any(char::is_control) {
            Err(Kind::Text.allowed())
        } else {
            parse(&setting)
        };
        parsed.map_err(|allowed| {
            let is_secret = self.vocabulary.lookup(name).is_some_and(|(key, _)| key.secret);
            let value =
                if is_secret { "(secret)".to_owned() } else { shown(Path::new(&setting.text)) };
            Error::Value { key: name.to_owned(), value, origin: setting.origin, allowed }
        })
    }

    pub(super) fn value<T>(
        &self,
        name: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, Error> {
        let (kind, _) = self.get(name);
        self.read(name, |setting| parse(&setting.text).ok_or_else(|| kind.allowed()))
    }

    /// A value that may be set to `none`.
    pub(super) fn unless_none<T>(
        &self,
        name: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Error> {
        self.value(name, |text| {
            if text.eq_ignore_ascii_case("none") { Some(None) } else { parse(text).map(Some) }
        })
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<String>, Error> {
        self.read(name, |setting| Ok((setting.rank != Rank::Default).then(|| setting.text.clone())))
    }

    pub(super) fn number(&self, name: &str) -> Result<u32, Error> {
        let (kind, _) = self.get(name);
        self.value(name, |text| {
            let number = u32::try_from(values::whole(text)?).ok()?;
            match kind {
                Kind::Number(low, high) => (low..=high).contains(&number).then_some(number),
                _ => Some(number),
            }
        })
    }

    /// Reads a key's value for every phase.
    pub(super) fn by_phase<T>(
        &self,
        name: &str,
        read: impl Fn(&str) -> Result<T, Error>,
    ) -> Result<[T; 8], Error>
    where
        T: Clone,
    {
        let general = read(name)?;
        let (_, setting) = self.get(name);
        let mut all: [T; 8] = std::array::from_fn(|_| general.clone());
        for (phase, value) in Phase::ALL.into_iter().zip(&mut all) {
            let own = format!("{name}_{}", phase.as_str().to_ascii_uppercase());
            if self.set.get(&own).is_some_and(|own| own.rank >= setting.rank) {
                *value = read(&own)?;
            }
        }
        Ok(all)
    }

    pub(super) fn agent(&self, name: &str) -> Result<AgentName, Error> {
        self.read(name, |setting| {
            let home = Some(self.dirs.home.as_path());
            AgentName::parse(&setting.text, &setting.base, home, self.vocabulary)
        })
    }

    pub(super) fn agents(&self, name: &str) -> Result<Vec<AgentName>, Error> {
        self.read(name, |setting| {
            let home = Some(self.dirs.home.as_path());
            AgentName::parse_list(&setting.text, &setting.base, home, self.vocabulary)
        })
    }

    /// The values of the keys that agents declare, by phase, each checked by its kind: a program's
    /// path is absolute. There is none where a key has neither a value nor a default.
    pub(super) fn of_agents(&self) -> Result<BTreeMap<&'static str, ByPhase>, Error> {
        let mut checked = BTreeMap::new();
        for key in self.vocabulary.agents_keys() {
            let values = if key.by_phase {
                self.by_phase(key.name, |name| self.checked(key, name))?
            } else {
                let value = self.checked(key, key.name)?;
                std::array::from_fn(|_| value.clone())
            };
            checked.insert(key.name, values);
        }
        Ok(checked)
    }

    fn checked(&self, key: &Key, name: &str) -> Result<Option<String>, Error> {
        if key.default == "none" && !self.set.contains_key(name) {
            return Ok(None);
        }
        let home = Some(self.dirs.home.as_path());
        let path = |set: &Setting| {
            let path = dirs::expand(&set.text, &set.base, home)?;
            path.into_os_string().into_string().map_err(|_| key.kind.allowed())
        };
        match key.kind {
            Kind::Program => self.read(name, |set| program_path(&set.text, &set.base, home)),
            Kind::Folder => self.read(name, path),
            Kind::WordOrFile(words) => self.read(name, |set| {
                let word = words.iter().find(|word| set.text.eq_ignore_ascii_case(word));
                word.map_or_else(|| path(set), |word| Ok((*word).to_owned()))
            }),
            Kind::Number(..) => self.number(name).map(|number| number.to_string()),
            Kind::Duration => {
                self.value(name, |text| values::duration(text).map(|_| text.to_owned()))
            }
            Kind::Timeout => self.value(name, |text| {
                values::duration(text).filter(|time| !time.is_zero()).map(|_| text.to_owned())
            }),
            Kind::Url => self.value(name, values::url),
            _ => self.value(name, |text| Some(text.to_owned())),
        }
        .map(Some)
    }

    pub(super) fn budget(&self, suffix: &str) -> Result<Budget, Error> {
        Ok(Budget {
            usd: self.unless_none(&format!("SAMOCODE_BUDGET_USD{suffix}"), values::money)?,
            tokens: self.unless_none(&format!("SAMOCODE_BUDGET_TOKENS{suffix}"), values::tokens)?,
        })
    }

    pub(super) fn branch_prefix(&self) -> Result<Option<String>, Error> {
        self.read("GIT_BRANCH_PREFIX", |setting| {
            if setting.rank == Rank::Default {
                return Ok(None);
            }
            let prefix = setting.text.trim_end_matches('/');
            let is_sound = git2::Reference::is_valid_name(&format!("refs/heads/{prefix}/x"));
            if is_sound && !prefix.starts_with('-') {
                Ok(Some(prefix.to_owned()))
            } else {
                Err(Kind::BranchPrefix.allowed())
            }
        })
    }

    pub(super) fn rows(&self) -> Vec<Row> {
        let named = self
            .vocabulary
            .keys()
            .flat_map(|key| keys::names(key).into_iter().map(move |name| (key, name)));
        named
            .filter(|(key, name)| key.name == name || self.set.contains_key(name))
            .map(|(key, name)| {
                let (_, setting) = self.get(&name);
                let hidden = key.secret && setting.rank != Rank::Default;
                let value = if hidden { "set".to_owned() } else { setting.text };
                Row { key: name, value, origin: setting.origin, doc: key.doc }
            })
            .collect()
    }
}
