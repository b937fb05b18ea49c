//! Names of sessions, of their dated folders and of their unit instances.

use jiff::civil::Date;

/// The longest session name, in bytes. `samocode@NAME--PROJECT.service` must stay below systemd's
/// `UNIT_NAME_MAX` of 255, and `YY-MM-DD-NAME` below the 255 bytes of a file name.
pub const MAX_NAME: usize = 64;

/// Who is no session, but writes and gets mail under these names. No new session can have one.
pub const OTHERS: [&str; 2] = ["human", "parent"];

/// The word is not a valid session name; the message suggests one that is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{word:?} is not a session name: use letters, digits, '-', '_' and '.', at most {MAX_NAME}{hint}", word = .0, hint = hint(.0))]
pub struct BadName(pub String);

fn hint(word: &str) -> String {
    // A word without these letters would not be the one that was meant.
    if word.chars().any(|c| c.is_alphabetic() && !c.is_ascii()) {
        return String::new();
    }
    let mut near = String::new();
    if let Some(option) = as_option(word) {
        return format!(". Options begin with two hyphens: {option}");
    }
    // Accept a unit name as systemctl shows it.
    let unit = word.strip_prefix("samocode@").unwrap_or(word);
    let word = unit.strip_suffix(".service").unwrap_or(unit);
    for part in word.rsplit(['/', '\\']) {
        near = part.to_lowercase().chars().filter(|c| is_allowed(*c)).take(MAX_NAME).collect();
        for (double, single) in [("--", "-"), ("..", ".")] {
            while near.contains(double) {
                near = near.replace(double, single);
            }
        }
        loop {
            let trimmed = near.trim_matches(['-', '.', '_']).trim_end_matches(".lock");
            if trimmed == near {
                break;
            }
            near = trimmed.to_owned();
        }
        if !near.is_empty() {
            break;
        }
    }
    if near.is_empty() { String::new() } else { format!(". Did you mean '{near}'?") }
}

/// The option that a word was before a web page or an editor made a dash of its hyphens.
#[must_use]
pub fn as_option(typed: &str) -> Option<String> {
    let is_dash = |c: char| matches!(c, '\u{2010}'..='\u{2015}' | '\u{2212}');
    let name = typed.strip_prefix(is_dash)?.trim_start_matches(|c| c == '-' || is_dash(c));
    let is_plain = name.starts_with(|first: char| first.is_ascii_alphabetic());
    (is_plain && name.chars().all(|c| is_allowed(c) || c == '=')).then(|| format!("--{name}"))
}

const fn is_allowed(c: char) -> bool {
    matches!(c, 'a'..='z' | '0'..='9' | '-' | '_' | '.')
}

/// A valid session name: lower case, no spaces, safe as a file name, a branch and a unit instance.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionName(String);

impl SessionName {
    /// Parses a name as a person types it: lower-cased, white space replaced by hyphens.
    ///
    /// # Errors
    /// [`BadName`] for empty names, path tricks, control characters, other letters and names that
    /// are too long; also for what git or systemd would refuse (`..`, a leading or trailing `-` or
    /// `.`, a trailing `.lock`, and `--`, which separates an instance's session from its project).
    pub fn new(typed: &str) -> Result<Self, BadName> {
        let bad = || BadName(typed.to_owned());
        if typed.chars().any(char::is_control) {
            return Err(bad());
        }
        let name = typed.trim().to_lowercase().split_whitespace().collect::<Vec<_>>().join("-");
        let sound = !name.is_empty()
            && name.len() <= MAX_NAME
            && name.chars().all(is_allowed)
            && !name.starts_with(['-', '.'])
            && !name.ends_with(['-', '.'])
            && !name.contains("..")
            && !name.contains("--")
            && !name.ends_with(".lock");
        if sound { Ok(Self(name)) } else { Err(bad()) }
    }

    /// The name as plain text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The folder name for a session started on `day`: `YY-MM-DD-name`.
    #[must_use]
    pub fn folder(&self, day: Date) -> String {
        format!("{}-{}", day.strftime("%y-%m-%d"), self.0)
    }

    /// The unit instance. Pass `project` if another project's session already has the plain name.
    #[must_use]
    pub fn instance(&self, project: Option<&str>) -> String {
        project.map_or_else(|| self.0.clone(), |project| format!("{}--{project}", self.0))
    }
}

impl std::fmt::Display for SessionName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}

/// Extracts the session name from a dated folder name: `jwt-login` from `26-11-20-jwt-login`.
#[must_use]
pub fn name_in_folder(folder: &str) -> Option<&str> {
    let (date, name) = (folder.get(..9)?, folder.get(9..)?);
    let dated = date.bytes().enumerate().all(|(at, byte)| match at {
        2 | 5 | 8 => byte == b'-',
        _ => byte.is_ascii_digit(),
    });
    (dated && !name.is_empty()).then_some(name)
}

/// The known word that was probably meant by a mistyped one, if any comes close: letters missing,
/// doubled or swapped, or one word within the other.
#[must_use]
pub fn nearest<'a>(typed: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let typed = typed.to_lowercase();
    let length = typed.chars().count();
    let far = |word: &str| {
        let distance = strsim::damerau_levenshtein(&typed, word);
        let within =
            length >= 3 && word.len() >= 3 && (word.contains(&typed) || typed.contains(word));
        if distance * 3 <= length.max(word.chars().count()) {
            Some(distance)
        } else {
            within.then_some(distance.max(length))
        }
    };
    let near = known.into_iter().filter_map(|word| Some((far(word)?, word)));
    near.min_by_key(|(distance, _)| *distance).map(|(_, word)| word)
}

/// Turns a project's folder name into a form that is valid in an instance.
#[must_use]
pub fn project_slug(folder: &str) -> String {
    let mut slug = String::new();
    for c in folder.to_lowercase().chars() {
        let c = if is_allowed(c) { c } else { '-' };
        if !(c == '-' && slug.ends_with('-')) {
            slug.push(c);
        }
    }
    let slug: String = slug.trim_matches(['-', '.']).chars().take(MAX_NAME).collect();
    let slug = slug.trim_end_matches(['-', '.']);
    if slug.is_empty() { "project".to_owned() } else { slug.to_owned() }
}

/// Whether `word` can be one of our unit instances. Programs run by units check this before they
/// use a name from outside.
#[must_use]
pub fn is_instance(word: &str) -> bool {
    let (name, project) = word.split_once("--").map_or((word, None), |(n, p)| (n, Some(p)));
    SessionName::new(name).is_ok_and(|n| n.as_str() == name)
        && project.is_none_or(|project| project_slug(project) == project)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_nearest_word_is_meant_and_none_that_is_like_another() {
        let known = ["greet", "jwt-login", "search-index", "csv"];
        for (typed, meant) in [
            ("greeet", Some("greet")),
            ("gret", Some("greet")),
            ("Greet", Some("greet")),
            ("jwt-lgoin", Some("jwt-login")),
            ("jwt", Some("jwt-login")),
            ("search", Some("search-index")),
            ("csb", Some("csv")),
            ("payments", None),
            ("x", None),
        ] {
            assert_eq!(nearest(typed, known), meant, "{typed}");
        }
    }

    #[test]
    fn names_are_lower_cased_and_spaces_become_hyphens() {
        assert_eq!(SessionName::new("  JWT  Login ").unwrap().as_str(), "jwt-login");
    }

    #[test]
    fn path_tricks_and_the_like_are_refused_with_a_hint() {
        for bad in [
            "",
            " ",
            "../../etc",
            "a/b",
            "..",
            ".",
            "-x",
            "x-",
            "a\nb",
            "a..b",
            "a--b",
            "ü",
            "x.lock",
        ] {
            assert!(SessionName::new(bad).is_err(), "{bad:?}");
        }
        assert!(SessionName::new(&"x".repeat(65)).is_err());
        let told = SessionName::new("../../etc").unwrap_err().to_string();
        assert!(told.ends_with("Did you mean 'etc'?"), "{told}");
        let dash = SessionName::new("–json").unwrap_err().to_string();
        assert!(dash.ends_with(". Options begin with two hyphens: --json"), "{dash}");
        assert_eq!(as_option("— a list"), None);
        let letters = SessionName::new("Schöne Grüße").unwrap_err().to_string();
        assert!(letters.ends_with("at most 64"), "{letters}");
    }

    #[test]
    fn a_folder_is_dated_and_read_back() {
        let name = SessionName::new("jwt-login").unwrap();
        let folder = name.folder(jiff::civil::date(2026, 11, 20));
        assert_eq!(folder, "26-11-20-jwt-login");
        assert_eq!(name_in_folder(&folder), Some("jwt-login"));
        assert_eq!(name_in_folder("_archive"), None);
        assert_eq!(name_in_folder("26-11-20-"), None);
    }

    #[test]
    fn a_slug_that_is_cut_makes_an_instance_too() {
        for end in ["-", ".", "-.", ".-.", "_"] {
            let folder = format!("{}{end}{}", "x".repeat(MAX_NAME - end.len()), "y".repeat(20));
            let slug = project_slug(&folder);
            assert!(is_instance(&format!("jwt--{slug}")), "{slug}");
        }
    }

    proptest! {
        #[test]
        fn a_name_that_is_suggested_is_one(typed in "[a-zA-Z.:_ /-]{0,9}(\\.lock){0,2}[a-z.-]{0,70}") {
            if let Err(error) = SessionName::new(&typed)
                && let Some((_, near)) = error.to_string().split_once("Did you mean '")
            {
                prop_assert!(SessionName::new(near.trim_end_matches("'?")).is_ok(), "{}", near);
            }
        }

        #[test]
        fn what_is_accepted_is_safe_everywhere(typed in "\\PC{0,80}") {
            if let Ok(name) = SessionName::new(&typed) {
                let name = name.as_str();
                prop_assert!(!name.contains('/') && !name.starts_with('.') && name.len() <= MAX_NAME);
                prop_assert!(is_instance(name));
                prop_assert!(SessionName::new(name).is_ok_and(|again| again.as_str() == name));
            }
        }

        #[test]
        fn a_slug_makes_an_instance(folder in "(\\PC|[a-z.-]){0,100}") {
            let name = SessionName::new("x").unwrap();
            let instance = name.instance(Some(&project_slug(&folder)));
            prop_assert!(is_instance(&instance), "{}", instance);
            let unit = format!("samocode@{instance}.service");
            prop_assert!(unit.len() < 255);
        }
    }
}
