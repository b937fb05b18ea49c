//! `notify.toml`: which channels there are, and what each is for.
//!
//! ```text
//! ~/.config/samocode/notify.toml     the user's
//! PROJECT/.samocode.d/notify.toml    the project's; its channels replace the user's of the same name
//! ```
//!
//! Each channel is read by itself: a mistake in one is reported and costs that one.

pub mod quiet;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::civil::Time;
use serde::Deserialize as _;
use toml::{Table, Value};

use super::channel::{Blueprint, Browsers, Built, Routed};
use super::elsewhere::Elsewhere;
use super::fields::{Around, Fields, exposed, table};
use super::hours::{Hours, Quiet};
use super::{LeftOut, NoticeKind, Notifier, Settings};
use crate::config::is_trusted;

/// The name of the file.
pub const FILE: &str = "notify.toml";

/// Where the files are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Files {
    /// The user's file.
    pub user: Option<PathBuf>,
    /// The project's file.
    pub project: Option<PathBuf>,
    /// The home folder, which paths may begin with as `~`.
    pub home: PathBuf,
    /// The user's state folder, where the browsers are that take messages.
    pub state: Option<PathBuf>,
    /// Whether a bot runs that hears presses on buttons.
    pub has_bot: bool,
}

/// A channel that is set up, and what it is for.
#[derive(Clone)]
pub(super) enum Set {
    One(Arc<dyn Notifier>),
    Browsers(Browsers),
}

impl Set {
    /// What there is nothing of yet.
    pub(super) fn missing(&self) -> Option<LeftOut> {
        let Self::Browsers(browsers) = self else { return None };
        browsers.push.missing()
    }
}

/// What the files say.
#[derive(Default)]
pub(super) struct Configured {
    /// The channels by name; `None` for one that is turned off.
    pub(super) channels: BTreeMap<String, Option<Set>>,
    /// Mistakes, one line each.
    pub(super) mistakes: Vec<LeftOut>,
    pub(super) hours: Hours,
}

impl Files {
    /// Reads the files that exist.
    pub(super) fn read(
        &self,
        settings: &Settings,
        look_up: &dyn Fn(&str) -> Option<String>,
    ) -> Configured {
        let mut configured = Configured::default();
        for (path, owner) in [(&self.user, Owner::User), (&self.project, Owner::Project)] {
            let Some(path) = path else { continue };
            let shown = self.short(path);
            let mistake = |name: &str, why: String| LeftOut {
                notifier: name.to_owned(),
                reason: format!("{shown}: {why}"),
                mistaken: true,
            };
            match read(path) {
                Ok(None) => {}
                Ok(Some((table, exposed))) => {
                    let around = Around {
                        folder: path.parent().unwrap_or(Path::new("/")),
                        home: &self.home,
                        exposed: exposed.as_deref(),
                        look_up,
                    };
                    let reader = Reader { around: &around, settings, mistake: &mistake };
                    reader.file(table, owner, &mut configured);
                }
                Err(why) => configured.mistakes.push(mistake(FILE, why)),
            }
        }
        configured
    }

    fn short(&self, path: &Path) -> String {
        match path.strip_prefix(&self.home) {
            Ok(rest) if !self.home.as_os_str().is_empty() => format!("~/{}", rest.display()),
            _ => path.display().to_string(),
        }
    }
}

/// Whose file it is. Only the user sleeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    User,
    Project,
}

/// Reads a file, and why it may not hold secrets; `None` if there is none.
fn read(path: &Path) -> Result<Option<(Table, Option<String>)>, String> {
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("cannot be read: {error}")),
    };
    let owner = metadata.uid();
    if !is_trusted(owner, rustix::process::geteuid().as_raw()) {
        return Err(format!("it belongs to the user with id {owner} and is not used"));
    }
    let text = fs::read_to_string(path).map_err(|error| format!("cannot be read: {error}"))?;
    let table = text.parse::<Table>().map_err(|error| {
        let line = error
            .span()
            .map_or(1, |span| text.get(..span.start).unwrap_or(&text).matches('\n').count() + 1);
        let why = error.message().lines().collect::<Vec<_>>().join(", ");
        format!("line {line}: {why}; none of its channels is used until this is fixed")
    })?;
    Ok(Some((table, exposed(&metadata, path))))
}

struct Reader<'a> {
    around: &'a Around<'a>,
    settings: &'a Settings,
    mistake: &'a dyn Fn(&str, String) -> LeftOut,
}

impl Reader<'_> {
    fn file(&self, mut file: Table, owner: Owner, into: &mut Configured) {
        if let Some(channels) = file.remove("channel") {
            match table(channels) {
                Ok(channels) => channels.into_iter().for_each(|(name, channel)| {
                    match self.channel(&name, channel) {
                        Ok(channel) => drop(into.channels.insert(name, channel)),
                        Err(why) => {
                            // One that the user's file has is better than none.
                            let why = format!("[channel.{name}]: {why}");
                            into.mistakes.push((self.mistake)(&name, why));
                        }
                    }
                }),
                Err(why) => {
                    let why = format!("channel: {why}; write [channel.NAME]");
                    into.mistakes.push((self.mistake)(FILE, why));
                }
            }
        }
        match hours(self.around, file, owner) {
            Ok(Some(hours)) => into.hours = hours,
            Ok(None) => {}
            Err(why) => into.mistakes.push((self.mistake)(FILE, why)),
        }
    }

    fn channel(&self, name: &str, value: Value) -> Result<Option<Set>, String> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c);
        if name.is_empty() || name.len() > 40 || !name.chars().all(allowed) {
            return Err("a channel's name has lower-case letters, digits, _ and - only".to_owned());
        }
        let mut fields = Fields::new(table(value)?, self.around);
        if !fields.take("enabled", "false")?.unwrap_or(true) {
            return Ok(None);
        }
        let only: Option<Vec<NoticeKind>> = fields.take("events", KINDS)?;
        let except: Vec<NoticeKind> = fields.take("except", KINDS)?.unwrap_or_default();
        let kind = match fields.take("type", TYPES)? {
            Some(kind) => kind,
            None => Blueprint::deserialize(Value::from(name))
                .map_err(|_| format!("type is missing; add type = one of {TYPES}"))?,
        };
        if let Some(credential) = fields.absent_credential()? {
            let elsewhere = Arc::new(Elsewhere::new(name.to_owned(), credential));
            return Ok(Some(Set::One(Routed::around(elsewhere, only, except))));
        }
        let built = kind.build(name, &mut fields, self.settings)?;
        fields.finish()?;
        Ok(match built {
            Built::Ready(notifier) => Some(Set::One(Routed::around(notifier, only, except))),
            Built::Browsers(push) => Some(Set::Browsers(Browsers::new(push, only, except))),
            Built::Unavailable => None,
        })
    }
}

/// The hours, from what is left of the file.
fn hours(around: &Around<'_>, file: Table, owner: Owner) -> Result<Option<Hours>, String> {
    let mut fields = Fields::new(file, around);
    let quiet: Option<Value> = fields.take("quiet", "{ from = \"22:00\", to = \"07:00\" }")?;
    let digest: Option<String> = fields.take("digest", "\"08:00\"")?;
    fields.finish()?;
    let mine = "belongs into ~/.config/samocode/notify.toml: it holds for all projects";
    if owner == Owner::Project && (quiet.is_some() || digest.is_some()) {
        return Err(format!("{} {mine}", if quiet.is_some() { "[quiet]" } else { "digest" }));
    }
    let digest = digest.map(|text| time("digest", &text)).transpose()?;
    let Some(quiet) = quiet else {
        return match digest {
            Some(_) => Err("digest tells of quiet hours and there are none; add [quiet] with \
                            from = \"22:00\" and to = \"07:00\""
                .to_owned()),
            None => Ok(None),
        };
    };
    let within = |why: String| format!("[quiet]: {why}");
    let quiet = quiet_hours(around, quiet).map_err(within)?;
    if digest.is_some_and(|digest| quiet.includes(digest)) {
        return Err(format!(
            "digest is within the quiet hours; set it to {} or later",
            quiet.to.strftime("%H:%M")
        ));
    }
    Ok(Some(Hours { quiet: Some(quiet), digest }))
}

fn quiet_hours(around: &Around<'_>, value: Value) -> Result<Quiet, String> {
    let mut fields = Fields::new(table(value)?, around);
    let from = fields.need::<String>("from", "\"22:00\"")?;
    let to = fields.need::<String>("to", "\"07:00\"")?;
    let except = fields.take("except", KINDS)?.unwrap_or_default();
    fields.finish()?;
    let (from, to) = (time("from", &from)?, time("to", &to)?);
    if from == to {
        return Err("from and to are the same time".to_owned());
    }
    Ok(Quiet { from, to, except })
}

const KINDS: &str = "[\"waiting\", \"blocked\", \"done\"]";
const TYPES: &str = "\"telegram\", \"desktop\", \"ntfy\", \"slack\", \"discord\", \"webhook\", \"webpush\", \"mail\" or \"command\"";

fn time(key: &str, text: &str) -> Result<Time, String> {
    Time::strptime("%H:%M", text.trim())
        .map_err(|_| format!("{key} is not a time; write it like {key} = \"07:30\""))
}

#[cfg(test)]
mod tests;
