//! Finds an agent's program. The path is absolute, but links in it are kept: updaters swap the
//! version behind the link.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::config::{Env, dirs, shown};

mod machine;

/// The key that chooses an agent, and names the program of one that is a command.
pub(super) const CHOICE: &str = "SAMOCODE_AGENT";

/// A program that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its absolute path, with links left unresolved.
    pub path: PathBuf,
    /// Folders that must be in its PATH: node's, for a script that node runs.
    pub path_additions: Vec<PathBuf>,
}

/// A program that was not found, or could not be run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotFound {
    /// It is nowhere on PATH.
    #[error("cannot find {name}: looked in {looked}")]
    OnPath {
        /// The name that was looked for in the folders of PATH.
        name: String,
        /// The folders of PATH.
        looked: String,
        /// A hint on how to fix it.
        hint: String,
    },
    /// The configured path is not a program.
    #[error("cannot run {path}: {why}")]
    AtPath {
        /// The path as it is configured.
        path: String,
        /// The reason, to follow the path.
        why: String,
        /// A hint on how to fix it.
        hint: String,
    },
    /// It is a node script, and node was not found.
    #[error("{0} needs node, which is neither beside it nor on PATH")]
    NoNode(String),
}

/// Finds a program by its absolute path, or by its name on the environment's PATH. Relative folders
/// on PATH are skipped: their content depends on the current folder. `key` is the setting that
/// names the program, and `before` what its value has before the path.
///
/// # Errors
/// [`NotFound`].
pub fn find_program(name: &str, key: &str, before: &str, env: &Env) -> Result<Found, NotFound> {
    let path = env.get("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> =
        std::env::split_paths(path).filter(|folder| folder.is_absolute()).collect();
    let found = if name.contains('/') {
        let why = why_not_runnable(Path::new(name));
        if let Some(why) = why {
            let path = name.escape_debug().to_string();
            return Err(NotFound::AtPath {
                path,
                why: why.to_owned(),
                hint: path_hint(key, before),
            });
        }
        PathBuf::from(name)
    } else {
        let candidates = folders.iter().map(|folder| folder.join(name));
        candidates.into_iter().find(|path| why_not_runnable(path).is_none()).ok_or_else(|| {
            let looked: Vec<_> = folders.iter().map(|folder| shown(folder)).collect();
            let looked = if looked.is_empty() {
                "no folder, since PATH is empty".to_owned()
            } else {
                looked.join(", ")
            };
            NotFound::OnPath {
                name: name.escape_debug().to_string(),
                looked,
                hint: hint(name, key, before, env),
            }
        })?
    };
    if let Some((why, remedy)) = machine::why_not_startable(&found) {
        let hint = format!("{remedy}, or {}", path_hint(key, before));
        return Err(NotFound::AtPath { path: shown(&found), why, hint });
    }
    let found = without_shell_folder(found);
    let path_additions = node_folder(&found, &folders)?.into_iter().collect();
    Ok(Found { path: found, path_additions })
}

/// How to name another program.
fn path_hint(key: &str, before: &str) -> String {
    if before.is_empty() {
        format!("set {key} to the program, or leave it unset to look on PATH")
    } else {
        format!("set {key}={before}/path/to/it, or only its name to look on PATH")
    }
}

/// `None` for an executable file.
fn why_not_runnable(path: &Path) -> Option<&'static str> {
    use rustix::fs::{Access, access};

    match fs::metadata(path) {
        Err(_) if path.is_symlink() => Some("the link is broken"),
        Err(_) => Some("no such file"),
        Ok(metadata) if !metadata.is_file() => Some("it is not a file"),
        Ok(_) if access(path, Access::EXEC_OK).is_err() => Some("it is not executable"),
        Ok(_) => None,
    }
}

/// The hint for a program that is nowhere on PATH.
fn hint(name: &str, key: &str, before: &str, env: &Env) -> String {
    let nvm = env
        .get("NVM_DIR")
        .map(PathBuf::from)
        .or_else(|| dirs::home(env).map(|home| home.join(".nvm")));
    if let Some(nvm) = nvm.filter(|nvm| nvm.is_dir()) {
        let versions = fs::read_dir(nvm.join("versions/node")).into_iter().flatten().flatten();
        let mut there: Vec<_> =
            versions.map(|version| version.path().join("bin").join(name)).collect();
        there.retain(|path| path.is_file());
        there.sort();
        let at = there.pop().map_or_else(String::new, |path| {
            let path = shown(&path);
            format!(" (there is one at {path})")
        });
        return format!(
            "nvm puts its programs on PATH in interactive shells only{at}: run 'samocode enable' from the shell where {name} works, or set {key}"
        );
    }
    format!(
        "install it, run 'samocode enable' from a shell where {name} works, or set {key}={before}/path/to/it"
    )
}

/// fnm gives each shell its own folder, a link that is removed with the shell. Its target stays.
fn without_shell_folder(path: PathBuf) -> PathBuf {
    let is_of_shell = path.components().any(|part| part.as_os_str() == "fnm_multishells");
    let lasting = || Some(path.parent()?.canonicalize().ok()?.join(path.file_name()?));
    if is_of_shell { lasting().unwrap_or(path) } else { path }
}

/// The folder of the node that runs a program, if it is a node script.
fn node_folder(program: &Path, path: &[PathBuf]) -> Result<Option<PathBuf>, NotFound> {
    let has_node = |folder: &Path| why_not_runnable(&folder.join("node")).is_none();
    let beside = homes(program).into_iter().find(|folder| has_node(folder));
    if !is_run_by_node(program) {
        // A program installed by nvm may start node later, even if it is a native binary.
        let is_nvms = |folder: &PathBuf| folder.to_string_lossy().contains("/versions/node/");
        return Ok(beside.filter(is_nvms));
    }
    beside
        .or_else(|| path.iter().find(|folder| has_node(folder)).cloned())
        .map(Some)
        .ok_or_else(|| NotFound::NoNode(shown(program)))
}

/// Every folder that contains a program: its own, those of the links it leads through, and the
/// `bin` of the node installation if it is a global module there.
fn homes(program: &Path) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    let mut at = program.to_owned();
    // As many links as Linux follows (path_resolution(7)).
    for _ in 0..40 {
        let Some(folder) = at.parent().map(Path::to_owned) else { break };
        let Ok(target) = fs::read_link(&at) else {
            folders.push(folder);
            break;
        };
        at = folder.join(target);
        folders.push(folder);
    }
    let real = program.canonicalize().unwrap_or_default();
    let installation = real.ancestors().find(|folder| folder.ends_with("lib/node_modules"));
    folders.extend(
        installation.and_then(|modules| modules.parent()?.parent()).map(|root| root.join("bin")),
    );
    folders
}

/// Whether the first line is `#!/usr/bin/env node` or similar.
fn is_run_by_node(program: &Path) -> bool {
    let mut start = Vec::new();
    let read = File::open(program).and_then(|file| file.take(128).read_to_end(&mut start));
    if read.is_err() || !start.starts_with(b"#!") {
        return false;
    }
    let text = String::from_utf8_lossy(&start);
    let words: Vec<_> = text.lines().next().unwrap_or_default().split_whitespace().collect();
    let interpreter = words.first().unwrap_or(&"");
    interpreter.ends_with("/env") && words.iter().skip(1).any(|word| *word == "node")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::Hint as _;
    use std::os::unix::fs::symlink;

    /// No format that this machine could refuse.
    const NATIVE: &str = "\0native";
    const SCRIPT: &str = "#!/usr/bin/env node\n";

    fn program(path: &Path, text: &str) -> PathBuf {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        crate::write_program(path, text);
        path.to_owned()
    }

    fn env(home: &Path, path: &[PathBuf]) -> Env {
        let path = std::env::join_paths(path).unwrap();
        Env::from_iter([("HOME", home.as_os_str()), ("PATH", path.as_os_str())])
    }

    fn find(name: &str, env: &Env) -> Result<Found, NotFound> {
        find_program(name, "CLAUDE_PATH", "", env)
    }

    #[test]
    fn the_hint_names_the_setting_as_it_has_to_be_written() {
        let home = tempfile::tempdir().unwrap();
        let env = env(home.path(), &[]);
        for (key, before, setting) in [
            (CHOICE, "acp:", "SAMOCODE_AGENT=acp:/path/to/it"),
            (CHOICE, "command:", "SAMOCODE_AGENT=command:/path/to/it"),
            ("CLAUDE_PATH", "", "CLAUDE_PATH=/path/to/it"),
        ] {
            let hint = find_program("qwen", key, before, &env).unwrap_err().hint().unwrap();
            assert!(hint.ends_with(&format!("or set {setting}")), "{hint}");
        }
        let hint = find_program("/no/qwen", CHOICE, "acp:", &env).unwrap_err().hint().unwrap();
        assert!(hint.starts_with("set SAMOCODE_AGENT=acp:/path/to/it, or only its name"), "{hint}");
    }

    #[test]
    fn links_are_not_resolved_since_updaters_swap_them() {
        let home = tempfile::tempdir().unwrap();
        let (bin, empty) = (home.path().join("bin"), home.path().join("empty"));
        let real = program(&home.path().join("versions/1"), NATIVE);
        fs::create_dir(&bin).unwrap();
        symlink(real, bin.join("claude")).unwrap();
        let found = find("claude", &env(home.path(), &[empty, "rel".into(), bin.clone()])).unwrap();
        assert_eq!(found, Found { path: bin.join("claude"), path_additions: vec![] });
    }

    #[test]
    fn with_nvm_nodes_folder_is_added_whatever_link_leads_there() {
        let home = tempfile::tempdir().unwrap();
        let node = home.path().join(".nvm/versions/node/v22.1.0");
        let cli = program(&node.join("lib/node_modules/@anthropic-ai/claude-code/cli.js"), SCRIPT);
        program(&node.join("bin/node"), NATIVE);
        symlink(&cli, node.join("bin/claude")).unwrap();
        let bin = home.path().join("bin");
        fs::create_dir(&bin).unwrap();
        symlink(node.join("bin/claude"), bin.join("claude")).unwrap();
        for folder in [node.join("bin"), bin] {
            let found = find("claude", &env(home.path(), std::slice::from_ref(&folder))).unwrap();
            assert_eq!(found.path, folder.join("claude"));
            assert_eq!(found.path_additions, [node.join("bin")]);
        }
        program(&cli, NATIVE);
        let native =
            find(&node.join("bin/claude").to_string_lossy(), &env(home.path(), &[])).unwrap();
        assert_eq!(native.path_additions, [node.join("bin")], "a native binary under nvm too");
    }

    #[test]
    fn a_script_for_node_takes_node_from_path_or_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let (bin, other) = (home.path().join("bin"), home.path().join("other"));
        program(&bin.join("claude"), SCRIPT);
        let error = find("claude", &env(home.path(), std::slice::from_ref(&bin))).unwrap_err();
        assert!(matches!(error, NotFound::NoNode(_)), "{error}");
        program(&other.join("node"), NATIVE);
        let found = find("claude", &env(home.path(), &[bin, other.clone()])).unwrap();
        assert_eq!(found.path_additions, [other]);
    }

    #[test]
    fn fnms_folder_of_one_shell_is_replaced_by_what_it_leads_to() {
        let home = tempfile::tempdir().unwrap();
        let real = home.path().canonicalize().unwrap().join("fnm/v22/bin");
        program(&real.join("claude"), SCRIPT);
        program(&real.join("node"), NATIVE);
        let shells = home.path().join("fnm_multishells");
        fs::create_dir(&shells).unwrap();
        symlink(home.path().join("fnm/v22"), shells.join("1_2")).unwrap();
        let found = find("claude", &env(home.path(), &[shells.join("1_2/bin")])).unwrap();
        assert_eq!(found, Found { path: real.join("claude"), path_additions: vec![real] });
    }

    #[test]
    fn what_is_not_found_is_told_with_where_and_what_to_do() {
        let home = tempfile::tempdir().unwrap();
        let bin = home.path().join("bin");
        fs::create_dir(&bin).unwrap();
        fs::write(bin.join("claude"), "not executable").unwrap();
        let env = env(home.path(), std::slice::from_ref(&bin));
        let told = find("claude", &env).unwrap_err().in_one_line();
        let looked = format!("cannot find claude: looked in {}: install it", bin.display());
        assert!(
            told.starts_with(&looked) && told.ends_with("set CLAUDE_PATH=/path/to/it"),
            "{told}"
        );

        let nvm = program(&home.path().join(".nvm/versions/node/v1/bin/claude"), SCRIPT);
        let told = find("claude", &env).unwrap_err().in_one_line();
        assert!(
            told.contains("interactive shells only") && told.contains(&*nvm.to_string_lossy()),
            "{told}"
        );
        assert!(!told.contains('\n'));

        let told = find(&bin.join("claude").to_string_lossy(), &env).unwrap_err().in_one_line();
        assert!(told.contains("it is not executable: set CLAUDE_PATH"), "{told}");

        // What is there and cannot be started is not looked past.
        program(&bin.join("claude"), "#!/no/such/interpreter\n");
        let told = find("claude", &env).unwrap_err().in_one_line();
        let why = "claude: its first line names /no/such/interpreter, which does not exist: install that one, or ";
        assert!(told.contains(why) && told.contains("set CLAUDE_PATH"), "{told}");
    }
}
