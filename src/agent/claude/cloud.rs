//! Logins of clouds through which Claude may be reached. They open far more than a model, so they are
//! closed to confined agents unless somebody opens them.

use std::path::Path;

use crate::agent::confine::{is_opened, level, support};
use crate::agent::exam::{About, Exam, Finding, Status};
use crate::config::confine::{Confine, Level, READ};
use crate::session::Phase;

/// A cloud, the variable that chooses it, those that replace its login, and the folder of that.
const CLOUDS: [(&str, &str, &[&str], &str); 2] = [
    (
        "Bedrock",
        "CLAUDE_CODE_USE_BEDROCK",
        &["AWS_BEARER_TOKEN_BEDROCK", "AWS_ACCESS_KEY_ID"],
        ".aws",
    ),
    ("Vertex", "CLAUDE_CODE_USE_VERTEX", &[], ".config/gcloud"),
];

/// The login that units would use and a cage closes.
pub(super) fn look(exam: &Exam<'_>) -> Option<Finding> {
    let has = |name: &str| exam.file.get(name).is_some() || exam.units.get(name).is_some();
    let keys = exam.settings.confine(Phase::Implementation);
    let is_confined = level(keys, &support(keys.level)) != Level::Off;
    is_confined.then(|| closed(keys, &exam.dirs.home, &has)).flatten()
}

/// What a confined agent cannot log in with, though it is told to.
fn closed(keys: &Confine, home: &Path, has: &dyn Fn(&str) -> bool) -> Option<Finding> {
    let (cloud, _, _, folder) = CLOUDS.into_iter().find(|(_, switch, instead, folder)| {
        let folder = home.join(folder);
        has(switch)
            && !instead.iter().any(|name| has(name))
            && folder.exists()
            && !is_opened(keys, &folder)
    })?;
    Some(Finding {
        about: About::Credentials,
        status: Status::Note,
        what: format!("claude reaches {cloud} by ~/{folder}, which is closed to confined agents"),
        remedy: format!("put {READ}=~/{folder} into .samocode"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_of_a_cloud_is_named_unless_it_is_opened_or_replaced() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path();
        let look = |keys: &Confine, set: &[&str]| {
            closed(keys, home, &|name| set.contains(&name)).map(|found| found.what)
        };
        let (keys, bedrock) = (Confine::default(), "CLAUDE_CODE_USE_BEDROCK");
        assert_eq!(look(&keys, &[bedrock]), None, "there is no such login");
        std::fs::create_dir(home.join(".aws")).unwrap();
        assert!(look(&keys, &[bedrock]).unwrap().contains("Bedrock by ~/.aws"));
        assert_eq!(look(&keys, &[]), None);
        assert_eq!(look(&keys, &[bedrock, "AWS_BEARER_TOKEN_BEDROCK"]), None);
        let opened = Confine { read: vec![home.join(".aws")], ..Confine::default() };
        assert_eq!(look(&opened, &[bedrock]), None);
    }
}
