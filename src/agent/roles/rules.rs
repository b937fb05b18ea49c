//! Which role a session has: by rules on where its folder sits, `roles.toml`. `agents/roles.toml`
//! has the built-in rules and says what a rule may contain.

use std::io;
use std::path::{Path, PathBuf};

use glob::{MatchOptions, Pattern};
use serde::{Deserialize, Serialize};

use super::RoleError;
use crate::session::names::SessionName;
use crate::session::store::Folder;

/// The name of a file of rules.
pub const FILE: &str = "roles.toml";

const BUILT_IN: &str = include_str!("../../../agents/roles.toml");

/// Where a session sits among the sessions of its project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seat {
    /// The plain names of its folders below SESSIONS: `main-task/workers/impl-1`.
    pub place: String,
    /// Whether sessions lie below it, or are meant to.
    pub coordinates: bool,
}

impl Seat {
    /// The seat of the session in `folder`; `None` if that is not below `sessions`.
    #[must_use]
    pub fn of(folder: &Folder, sessions: &Path) -> Option<Self> {
        let place = folder.place_below(sessions)?;
        Some(Self { place, coordinates: folder.coordinates() })
    }
}

/// The rule that fits a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Given {
    /// The role; `None` if the rule gives none.
    pub role: Option<String>,
    /// The rule's pattern.
    pub folder: String,
    /// Whether the rule is for sessions with a `workers/` folder, or for those without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workers: Option<bool>,
    /// The file with the rule; `None` if it is built in.
    pub file: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rules {
    #[serde(default)]
    role: Vec<Rule>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    role: Option<String>,
    folder: String,
    workers: Option<bool>,
}

/// `*` stops at a folder, as people expect of a path.
const OPTIONS: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: false,
};

/// The first rule that fits: of the files in `folders`, in order, then of the built-in ones.
pub(super) fn first(seat: &Seat, folders: &[PathBuf]) -> Result<Option<Given>, RoleError> {
    for folder in folders {
        let file = folder.join(FILE);
        let text = match super::read(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(RoleError { file, why: error.to_string() }),
        };
        let rules = parse(&text).map_err(|why| RoleError { file: file.clone(), why })?;
        if let Some(given) = fitting(rules, seat, Some(&file)) {
            return Ok(Some(given));
        }
    }
    let built_in = |why| RoleError { file: PathBuf::from(FILE), why };
    Ok(fitting(parse(BUILT_IN).map_err(built_in)?, seat, None))
}

fn fitting(rules: Vec<(Pattern, Rule)>, seat: &Seat, file: Option<&Path>) -> Option<Given> {
    let fits = |(pattern, rule): &(Pattern, Rule)| {
        rule.workers.is_none_or(|workers| workers == seat.coordinates)
            && pattern.matches_with(&seat.place, OPTIONS)
    };
    let (_, Rule { role, folder, workers }) = rules.into_iter().find(fits)?;
    Some(Given { role, folder, workers, file: file.map(Path::to_owned) })
}

/// All rules of a file, each one checked: a mistake in one that does not fit is found at once.
fn parse(text: &str) -> Result<Vec<(Pattern, Rule)>, String> {
    let rules: Rules = toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
        format!("line {line}: {}", error.message())
    })?;
    let checked = rules.role.into_iter().map(|rule| {
        let pattern = Pattern::new(&rule.folder)
            .map_err(|error| format!("folder = \"{}\": {}", rule.folder, error.msg))?;
        if let Some(role) = &rule.role
            && !SessionName::new(role).is_ok_and(|name| name.as_str() == role)
        {
            return Err(format!(
                "role = \"{role}\": use lower-case letters, digits and hyphens, as for a session"
            ));
        }
        Ok((pattern, rule))
    });
    checked.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seat(place: &str, coordinates: bool) -> Seat {
        Seat { place: place.to_owned(), coordinates }
    }

    fn role(place: &str, coordinates: bool, folders: &[PathBuf]) -> Option<String> {
        first(&seat(place, coordinates), folders).unwrap().and_then(|given| given.role)
    }

    #[test]
    fn where_a_session_sits_says_what_it_is() {
        for (place, coordinates, expected) in [
            ("main-task", true, Some("coordinator")),
            ("main-task", false, None),
            ("main-task/workers/impl-1", false, Some("implementation-worker")),
            ("main-task/workers/impl-1", true, Some("coordinator")),
            ("main-task/workers/tester", false, Some("tester")),
            ("main-task/workers/impl-1/workers/detail", false, Some("implementation-worker")),
            ("resolve-server", false, Some("merge-resolver")),
            ("main-task/workers/resolve-impl-1", false, Some("merge-resolver")),
            ("workers", false, None),
        ] {
            assert_eq!(role(place, coordinates, &[]).as_deref(), expected, "{place} {coordinates}");
        }
    }

    #[test]
    fn the_projects_rules_count_before_the_users_and_both_before_ours() {
        let (project, user) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let folders = [project.path().to_owned(), user.path().to_owned()];
        let rule = |role: &str, folder: &str| format!("[[role]]\n{role}\nfolder = \"{folder}\"\n");
        let write = |at: &Path, text: String| std::fs::write(at.join(FILE), text).unwrap();
        write(user.path(), rule("role = \"scout\"", "**/workers/*") + &rule("", "quiet-*"));
        assert_eq!(role("a/workers/b", false, &folders).as_deref(), Some("scout"));
        assert_eq!(role("quiet-1", true, &folders), None, "a rule may give no role");
        write(project.path(), rule("role = \"builder\"", "a/workers/*"));
        assert_eq!(role("a/workers/b", false, &folders).as_deref(), Some("builder"));
        assert_eq!(role("c/workers/b", false, &folders).as_deref(), Some("scout"));
        assert_eq!(role("c", true, &folders).as_deref(), Some("coordinator"));
        let given = first(&seat("a/workers/b", false), &folders).unwrap().unwrap();
        assert_eq!(given.file.as_deref(), Some(project.path().join(FILE).as_path()));
    }

    #[test]
    fn a_file_of_rules_with_a_mistake_is_named_with_the_line() {
        let project = tempfile::tempdir().unwrap();
        let folders = [project.path().to_owned()];
        for (text, said) in [
            ("[[role]]\nrole = \"x\"\n", "missing field `folder`"),
            ("[[role]]\nfolder = \"*\"\nroel = \"x\"\n", "line 3: unknown field `roel`"),
            ("[[role]]\nfolder = \"a***\"\n", "folder = \"a***\": "),
            ("[[role]]\nfolder = \"*\"\nrole = \"../x\"\n", "role = \"../x\": "),
            ("[[role]]\nfolder = \"*\"\nrole = \"Tester\"\n", "role = \"Tester\": "),
        ] {
            std::fs::write(project.path().join(FILE), text).unwrap();
            let error = first(&seat("elsewhere/x", false), &folders).unwrap_err().to_string();
            assert!(error.contains(said) && error.contains(FILE), "{text:?}: {error}");
        }
    }
}
