//! When notices are held back: the quiet hours, and the digest of the night.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::notify::file::quiet::{Wanted, set};
use crate::notify::{Hours, NoticeKind};

use super::error::{Error, Result};
use super::notify::{clock, hours_now};
use super::operation::{Operation, Perform};

/// Sets the quiet hours in the user's `notify.toml`, or removes them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetQuiet {
    /// `None` for no quiet hours.
    pub hours: Option<QuietHours>,
}

/// Quiet hours, by the local clock: `22:00`. What is missing stays as it was.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct QuietHours {
    /// Their begin; 22:00 if there was none.
    pub from: Option<String>,
    /// Their end; 07:00 if there was none.
    pub to: Option<String>,
    /// What is sent all the same.
    pub except: Option<Vec<NoticeKind>>,
    /// When one message tells of what was held back.
    pub digest: Option<String>,
}

/// The quiet hours that hold now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuietNow {
    /// Their begin and end; `None` if there are none.
    pub quiet: Option<(String, String)>,
    /// What is sent all the same.
    pub except: Vec<NoticeKind>,
    /// When one message tells of what was held back.
    pub digest: Option<String>,
    /// The file, with `~` for the home folder.
    pub file: String,
}

#[async_trait]
impl Perform for SetQuiet {
    async fn perform(self, on: &Operation<'_>) -> Result<QuietNow> {
        if on.caller.session().is_some() {
            return Err(Error::refused("quiet hours are set by humans, not by agents"));
        }
        let (path, file, before) = hours_now(on.caller)?;
        let wanted = self.hours.map(|hours| hours.over(&before));
        let hours = set(&path, wanted.as_ref()).map_err(|why| {
            Error::usage(format!("cannot set the quiet hours: {why}"))
                .hint("samocode notify quiet --from 22:00 --to 07:00 --digest 08:00")
        })?;
        let except = hours.quiet.as_ref().map(|quiet| quiet.except.clone());
        Ok(QuietNow {
            quiet: hours.quiet.as_ref().map(|quiet| (clock(quiet.from), clock(quiet.to))),
            except: except.unwrap_or_default(),
            digest: hours.digest.map(clock),
            file,
        })
    }
}

impl QuietHours {
    /// These, with what is missing from those before.
    fn over(self, before: &Hours) -> Wanted {
        let (quiet, digest) = (before.quiet.as_ref(), before.digest);
        let kept = |time: Option<String>, before: Option<String>, usual: &str| {
            time.or(before).unwrap_or_else(|| usual.to_owned())
        };
        let except = quiet.map(|quiet| quiet.except.clone());
        Wanted {
            from: kept(self.from, quiet.map(|quiet| clock(quiet.from)), "22:00"),
            to: kept(self.to, quiet.map(|quiet| clock(quiet.to)), "07:00"),
            except: self.except.or(except).unwrap_or_default(),
            digest: self.digest.or_else(|| digest.map(clock)),
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::time;

    use super::*;
    use crate::notify::Quiet;

    #[test]
    fn what_is_not_said_stays_as_it_was() {
        let digest = || QuietHours { digest: Some("08:00".into()), ..QuietHours::default() };
        let usual = digest().over(&Hours::default());
        assert_eq!((usual.from.as_str(), usual.to.as_str()), ("22:00", "07:00"));
        let quiet = Quiet {
            from: time(23, 30, 0, 0),
            to: time(6, 0, 0, 0),
            except: vec![NoticeKind::Blocked],
        };
        let known = Hours { quiet: Some(quiet), digest: Some(time(6, 30, 0, 0)) };
        let kept = QuietHours { to: Some("08:00".into()), ..digest() }.over(&known);
        assert_eq!((kept.from.as_str(), kept.to.as_str()), ("23:30", "08:00"));
        assert_eq!(
            (kept.except, kept.digest.as_deref()),
            (vec![NoticeKind::Blocked], Some("08:00"))
        );
        let none = QuietHours { except: Some(Vec::new()), ..QuietHours::default() }.over(&known);
        assert!(none.except.is_empty());
    }
}
