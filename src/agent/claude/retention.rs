//! How long Claude Code keeps conversations: whenever it starts, it deletes those that were not used
//! for `cleanupPeriodDays`.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::agent::spec::Kept;
use crate::session::store;

use super::permissions::MANAGED;

/// The setting, with its default in days.
const SETTING: &str = "cleanupPeriodDays";
const DEFAULT: i64 = 30;

/// How long the conversation is kept; `None` if the program's folder is not there.
pub(super) fn kept(own: &Path, working_dir: &Path, conversation: &str) -> Option<Kept> {
    let projects = own.join("projects");
    let folders: Vec<PathBuf> = fs::read_dir(&projects).ok()?.flatten().map(|e| e.path()).collect();
    let file = format!("{conversation}.jsonl");
    let used = folders.iter().filter_map(|folder| {
        let modified = fs::metadata(folder.join(&file)).ok()?.modified().ok()?;
        Timestamp::try_from(modified).ok()
    });
    let (days, set_in) = days(own, working_dir);
    let set_in =
        set_in.map_or_else(|| "by default".to_owned(), |file| format!("in {}", file.display()));
    let rule = format!(
        "Claude Code deletes conversations that were not used for {days} days ({SETTING} {set_in})"
    );
    let hours = days.saturating_mul(24).min(1_000_000);
    Some(Kept { used: used.max(), unused: SignedDuration::from_hours(hours), rule })
}

/// The days in effect, and the file that sets them. The first that does wins.
fn days(own: &Path, working_dir: &Path) -> (i64, Option<PathBuf>) {
    let local =
        [".claude/settings.local.json", ".claude/settings.json"].map(|f| working_dir.join(f));
    let files = MANAGED.iter().map(PathBuf::from).chain(local).chain([own.join("settings.json")]);
    let mut set = files.filter_map(|file| {
        let text = store::read(&file).ok().flatten()?;
        let days = serde_json::from_slice::<Value>(&text).ok()?.get(SETTING)?.as_i64()?;
        (days >= 1).then_some((days, Some(file)))
    });
    set.next().unwrap_or((DEFAULT, None))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, SystemTime};

    const ID: &str = "7d9f";

    #[test]
    fn a_conversation_is_kept_for_thirty_days_or_as_long_as_the_settings_say() {
        let (own, work) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let kept = || kept(own.path(), work.path(), ID);
        assert_eq!(kept(), None, "nobody knows");
        let project = own.path().join("projects/-srv-work");
        fs::create_dir_all(&project).unwrap();
        let Kept { used, rule, .. } = kept().unwrap();
        assert_eq!(used, None);
        assert!(rule.contains("not used for 30 days (cleanupPeriodDays by default)"), "{rule}");
        let file = fs::File::create(project.join(format!("{ID}.jsonl"))).unwrap();
        let used = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        file.set_modified(used).unwrap();
        assert_eq!(kept().unwrap().used, Timestamp::from_second(1_800_000_000).ok());
        let days = || kept().unwrap().unused.as_hours() / 24;
        assert_eq!(days(), 30);
        for (text, expected) in [
            (r#"{"cleanupPeriodDays": 90}"#, 90),
            (r#"{"cleanupPeriodDays": 0}"#, 30),
            (r#"{"cleanupPeriodDays": "many"}"#, 30),
            ("not JSON", 30),
        ] {
            fs::write(own.path().join("settings.json"), text).unwrap();
            assert_eq!(days(), expected, "{text}");
        }
        fs::write(own.path().join("settings.json"), r#"{"cleanupPeriodDays": 90}"#).unwrap();
        fs::create_dir(work.path().join(".claude")).unwrap();
        let local = work.path().join(".claude/settings.local.json");
        fs::write(&local, r#"{"cleanupPeriodDays": 7}"#).unwrap();
        assert_eq!(days(), 7);
        let rule = kept().unwrap().rule;
        assert!(rule.ends_with("settings.local.json)"), "{rule}");
        fs::write(&local, format!(r#"{{"cleanupPeriodDays": {}}}"#, i64::MAX)).unwrap();
        assert!(days() > 36_500);
    }
}
