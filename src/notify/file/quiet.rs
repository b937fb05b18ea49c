//! Setting the quiet hours in the user's `notify.toml`, whose other lines stay as they are.

use std::fs;
use std::io;
use std::path::Path;

use toml::Table;

use super::super::NoticeKind;
use super::super::fields::Around;
use super::super::hours::Hours;
use super::Owner;
use crate::config::replace_private;

/// The quiet hours that somebody wants, by the local clock: `22:00`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Their begin.
    pub from: String,
    /// Their end.
    pub to: String,
    /// What is sent all the same.
    pub except: Vec<NoticeKind>,
    /// When one message tells of what was held back.
    pub digest: Option<String>,
}

/// Writes the quiet hours into the file at `path`, or removes them, and returns what holds now.
///
/// # Errors
/// Why it cannot: times that fit no clock, or a file that cannot be read or written.
pub fn set(path: &Path, wanted: Option<&Wanted>) -> Result<Hours, String> {
    // People who keep their dotfiles in a repository have a link here.
    let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let shown = path.display();
    let old = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(format!("cannot read {shown}: {error}")),
    };
    let (new, hours) = edited(&old, wanted).map_err(|why| format!("{shown}: {why}"))?;
    if new != old {
        replace_private(path, new.as_bytes())
            .map_err(|error| format!("cannot write {shown}: {error}"))?;
    }
    Ok(hours)
}

const QUIET: &str = "quiet";
const DIGEST: &str = "digest";

/// The text with these quiet hours, and what the reader of the file makes of them.
fn edited(old: &str, wanted: Option<&Wanted>) -> Result<(String, Hours), String> {
    let others = |text: &str| {
        let mut table = text.parse::<Table>().map_err(|error| error.message().to_owned())?;
        let own = [QUIET, DIGEST].map(|key| table.remove(key).map(|value| (key.to_owned(), value)));
        Ok::<_, String>((own.into_iter().flatten().collect::<Table>(), table))
    };
    let new = match wanted {
        None => without(old),
        Some(wanted) => with(&without(old), wanted),
    };
    let own_way = "; set [quiet] in an editor";
    let (_, before) = others(old)?;
    let (own, after) = others(&new).map_err(|why| why + own_way)?;
    if before != after || own.is_empty() != wanted.is_none() {
        return Err(format!("the quiet hours cannot be told from its other lines{own_way}"));
    }
    let around =
        Around { folder: Path::new("/"), home: Path::new("/"), exposed: None, look_up: &|_| None };
    let hours = super::hours(&around, own, Owner::User)?;
    Ok((new, hours.unwrap_or_default()))
}

/// The text without its quiet hours.
fn without(text: &str) -> String {
    let mut kept = String::new();
    let mut section = "";
    for line in text.split_inclusive('\n') {
        let trimmed = line.trim();
        if trimmed.starts_with('[') {
            section = trimmed.trim_start_matches('[').split([']', '.']).next().unwrap_or_default();
        }
        let key = trimmed.split(['=', '.']).next().unwrap_or_default().trim();
        let is_own = match section.trim() {
            "" => matches!(key, QUIET | DIGEST),
            section => section == QUIET,
        };
        if !is_own {
            kept.push_str(line);
        }
    }
    kept
}

/// The text, which has none, with these.
fn with(text: &str, wanted: &Wanted) -> String {
    // What JSON quotes, TOML reads.
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let mut new = String::new();
    if let Some(digest) = &wanted.digest {
        // What follows a table's head belongs to the table.
        new.push_str(&format!("{DIGEST} = {}\n", quoted(digest)));
    }
    new.push_str(text);
    if !new.is_empty() && !new.ends_with('\n') {
        new.push('\n');
    }
    if !new.is_empty() && !new.ends_with("\n\n") {
        new.push('\n');
    }
    let (from, to) = (quoted(&wanted.from), quoted(&wanted.to));
    new.push_str(&format!("[{QUIET}]\nfrom = {from}\nto = {to}\n"));
    if !wanted.except.is_empty() {
        let kinds = wanted.except.iter().map(|kind| quoted(kind.as_str()));
        new.push_str(&format!("except = [{}]\n", kinds.collect::<Vec<_>>().join(", ")));
    }
    new
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use jiff::civil::time;

    use super::*;

    fn wanted(digest: Option<&str>) -> Wanted {
        Wanted {
            from: "22:00".into(),
            to: "07:00".into(),
            except: vec![NoticeKind::Blocked],
            digest: digest.map(str::to_owned),
        }
    }

    const PHONE: &str = "# mine\n[channel.phone]\ntype = \"ntfy\"\nurl = \"https://ntfy.sh/x\"\n";

    #[test]
    fn quiet_hours_are_added_changed_and_removed_and_the_rest_stays() {
        let (text, hours) = edited(PHONE, Some(&wanted(Some("08:00")))).unwrap();
        assert_eq!(
            text,
            format!(
                "digest = \"08:00\"\n{PHONE}\n[quiet]\nfrom = \"22:00\"\nto = \"07:00\"\nexcept = \
                 [\"blocked\"]\n"
            )
        );
        assert_eq!(hours.digest, Some(time(8, 0, 0, 0)));
        let later = Wanted { from: "23:30".into(), except: Vec::new(), ..wanted(None) };
        let (changed, hours) = edited(&text, Some(&later)).unwrap();
        assert_eq!(changed, format!("{PHONE}\n[quiet]\nfrom = \"23:30\"\nto = \"07:00\"\n"));
        assert_eq!(hours.digest, None);
        assert_eq!(edited(&changed, Some(&later)).unwrap().0, changed, "again: the same");
        let (off, hours) = edited(&changed, None).unwrap();
        assert_eq!((off.trim_end(), hours), (PHONE.trim_end(), Hours::default()));
        assert_eq!(edited("", None).unwrap().0, "");
    }

    #[test]
    fn whatever_form_they_had_before() {
        for old in [
            "quiet = { from = \"21:00\", to = \"06:00\" }\n",
            "quiet.from = \"21:00\"\nquiet.to = \"06:00\"\ndigest=\"06:30\"",
            "[quiet]\nfrom = \"21:00\"\nto = \"06:00\"\nexcept = [\n  \"done\",\n]\n[channel.desktop]\n",
            "[ quiet ] # night\nfrom = \"21:00\"\nto = \"06:00\"\n",
        ] {
            let (text, hours) = edited(old, Some(&wanted(None))).unwrap();
            assert_eq!(hours.quiet.unwrap().from, time(22, 0, 0, 0), "{text}");
            assert!(!text.contains("21:00"), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_done_is_said_and_nothing_is_written() {
        let within = edited("", Some(&wanted(Some("23:00")))).unwrap_err();
        assert!(within.contains("digest is within the quiet hours"), "{within}");
        let no_time = Wanted { to: "7".into(), ..wanted(None) };
        assert!(edited("", Some(&no_time)).unwrap_err().contains("to is not a time"));
        assert!(edited("[channel.x\n", Some(&wanted(None))).is_err());
        // A line within a text looks like one of ours.
        let text = "note = \"\"\"\ndigest = 1\n\"\"\"\n";
        let refused = edited(text, Some(&wanted(None))).unwrap_err();
        assert!(refused.contains("in an editor"), "{refused}");
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("notify.toml");
        fs::write(&file, text).unwrap();
        assert!(set(&file, Some(&wanted(None))).is_err());
        assert_eq!(fs::read_to_string(&file).unwrap(), text);
    }

    #[test]
    fn a_file_that_may_hold_secrets_is_private() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("samocode/notify.toml");
        set(&file, Some(&wanted(None))).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
