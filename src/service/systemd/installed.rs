//! Compares installed unit files with the wanted ones.

use std::path::Path;

use crate::service::{Installed, UnitFile, unit_files};

/// Compares `wanted` with the files in `dir`.
pub(super) fn compare(wanted: &[UnitFile], dir: &Path) -> Installed {
    unit_files::compare(wanted, dir, program)
}

/// Reads the program of the first `ExecStart=`.
fn program(text: &str) -> Option<String> {
    let line = text.lines().find_map(|line| line.strip_prefix("ExecStart="))?;
    let program = shlex::split(line)?.into_iter().next()?;
    Some(program.replace("%%", "%").replace("$$", "$"))
}

#[cfg(test)]
mod tests {
    use std::fs;
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
