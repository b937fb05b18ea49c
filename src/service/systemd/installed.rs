//! Compares installed unit files with the wanted ones.

use std::fs;
use std::path::Path;

use crate::service::{Installed, UnitFile};

/// Compares `wanted` with the files in `dir`.
pub(super) fn compare(wanted: &[UnitFile], dir: &Path) -> Installed {
    let mut different = Vec::new();
    let mut found = 0;
    for file in wanted {
        let text = fs::read_to_string(dir.join(&file.path)).unwrap_or_default();
        if text == file.text {
            found += 1;
            continue;
        }
        found += usize::from(!text.is_empty());
        if let (Some(own), Some(other)) = (program(&file.text), program(&text)) {
            if !Path::new(&other).is_file() {
                return Installed::Gone(other);
            }
            if own != other {
                return Installed::Other(other);
            }
        }
        different.push(file.path.display().to_string());
    }
    match (found, different.is_empty()) {
        (0, _) => Installed::No,
        (_, true) => Installed::Current,
        (_, false) => Installed::Outdated(different),
    }
}

/// Reads the program of the first `ExecStart=`.
fn program(text: &str) -> Option<String> {
    let line = text.lines().find_map(|line| line.strip_prefix("ExecStart="))?;
    let program = shlex::split(line)?.into_iter().next()?;
    Some(program.replace("%%", "%").replace("$$", "$"))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn set(text: &str) -> Vec<UnitFile> {
        let file =
            |path: &str, text: &str| UnitFile { path: PathBuf::from(path), text: text.to_owned() };
        vec![file("a.service", text), file("b.path", "[Path]\n")]
    }

    #[test]
    fn installed_units_are_compared_with_the_wanted_ones() {
        let dir = tempfile::tempdir().unwrap();
        let own = format!("ExecStart=\"{}/my samocode\" worker %i\n", dir.path().display());
        fs::write(dir.path().join("my samocode"), "").unwrap();
        assert_eq!(compare(&set(&own), dir.path()), Installed::No);

        fs::write(dir.path().join("a.service"), &own).unwrap();
        let missing = Installed::Outdated(vec!["b.path".to_owned()]);
        assert_eq!(compare(&set(&own), dir.path()), missing);
        fs::write(dir.path().join("b.path"), "[Path]\n").unwrap();
        assert_eq!(compare(&set(&own), dir.path()), Installed::Current);

        let other = dir.path().join("other");
        fs::write(
            dir.path().join("a.service"),
            format!("ExecStart={} worker %i\n", other.display()),
        )
        .unwrap();
        let other = other.display().to_string();
        assert_eq!(compare(&set(&own), dir.path()), Installed::Gone(other.clone()));
        fs::write(&other, "").unwrap();
        assert_eq!(compare(&set(&own), dir.path()), Installed::Other(other));
    }
}
