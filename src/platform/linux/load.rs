//! What units use now, from the files of their cgroups. Nothing is asked of the service manager: a
//! directory per running unit, and two small files in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::cgroup::{keyed, number, root};
use crate::platform::Load;

/// The slices below the one of all sessions are convoys, whose names nest at most this deep.
const DEEPEST: usize = 4;

/// What each service below a slice uses: of the system's manager, or of a user's.
#[must_use]
pub fn of_services(slice: &str, user: Option<u32>) -> Vec<Load> {
    let mut loads = Vec::new();
    if let Some(manager) = manager(user) {
        collect(&manager.join(slice), DEEPEST, &mut loads);
    }
    loads
}

/// The cgroup of a service manager. That of process 1 begins the tree, in a container too.
fn manager(user: Option<u32>) -> Option<PathBuf> {
    let first = fs::read_to_string("/proc/1/cgroup").ok()?;
    let path = first.lines().find_map(|line| line.strip_prefix("0::"))?;
    let path = path.strip_suffix("/init.scope").unwrap_or(path).trim_start_matches('/');
    let system = root()?.join(path);
    Some(match user {
        Some(uid) => system.join(format!("user.slice/user-{uid}.slice/user@{uid}.service")),
        None => system,
    })
}

fn collect(slice: &Path, depth: usize, loads: &mut Vec<Load>) {
    let entries = fs::read_dir(slice).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
        if name.ends_with(".slice") && depth > 0 {
            collect(&path, depth - 1, loads);
        } else if name.ends_with(".service") {
            loads.push(Load {
                memory: number(&path.join("memory.current")),
                cpu: keyed(&path.join("cpu.stat"), "usage_usec").map(Duration::from_micros),
                unit: name,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_found_in_the_slice_and_in_those_below_it_with_what_they_use() {
        let folder = tempfile::tempdir().unwrap();
        let unit = |path: &str, memory: Option<&str>, cpu: Option<&str>| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.join("run-1")).unwrap();
            memory
                .into_iter()
                .for_each(|text| fs::write(path.join("memory.current"), text).unwrap());
            cpu.into_iter().for_each(|text| fs::write(path.join("cpu.stat"), text).unwrap());
        };
        unit("samocode@jwt.service", Some("1048576\n"), Some("usage_usec 2500\nuser_usec 1\n"));
        unit("samocode-convoy.slice/samocode-convoy-a.slice/samocode@b.service", None, None);
        let mut loads = Vec::new();
        collect(folder.path(), DEEPEST, &mut loads);
        loads.sort_by(|one, other| one.unit.cmp(&other.unit));
        let cpu = Some(Duration::from_micros(2500));
        let jwt = Load { unit: "samocode@jwt.service".into(), memory: Some(1 << 20), cpu };
        let bare = Load { unit: "samocode@b.service".into(), memory: None, cpu: None };
        assert_eq!(loads, [bare, jwt]);
        assert_eq!(of_services("no-such.slice", Some(0)), []);
    }
}
