//! The native program behind the one that npm installs.
//!
//! npm's `codex` is a script for node. Under an older node it starts the native program as a child
//! and waits: killing the script leaves the agent working, with its conversation locked.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// The native program that the script `found` would start; `None` if it is no such script, or its
/// package is incomplete.
pub(super) fn behind(found: &Path) -> Option<PathBuf> {
    let script = found.canonicalize().ok()?;
    let package = script.parent()?.parent()?;
    if !is_script(&script) || !package.ends_with("@openai/codex") {
        return None;
    }
    let (cpu, triple) = machine()?;
    let platform = format!("codex-{cpu}");
    // Beside the package, within it, or, in earlier versions, in it.
    let beside = package.parent()?.join(&platform);
    let within = package.join("node_modules/@openai").join(&platform);
    let places = [beside, within, package.to_owned()];
    places.into_iter().flat_map(|place| programs(&place.join("vendor").join(triple))).next()
}

fn programs(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let all = [folder.join("bin/codex"), folder.join("codex/codex")];
    all.into_iter().filter(|path| path.is_file())
}

/// The machine in npm's words and in the compiler's.
fn machine() -> Option<(&'static str, &'static str)> {
    match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => Some(("linux-x64", "x86_64-unknown-linux-musl")),
        ("linux", "aarch64") => Some(("linux-arm64", "aarch64-unknown-linux-musl")),
        ("macos", "x86_64") => Some(("darwin-x64", "x86_64-apple-darwin")),
        ("macos", "aarch64") => Some(("darwin-arm64", "aarch64-apple-darwin")),
        _ => None,
    }
}

fn is_script(path: &Path) -> bool {
    let mut start = [0; 2];
    File::open(path).and_then(|mut file| file.read_exact(&mut start)).is_ok() && start == *b"#!"
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn file(path: &Path, text: &str) -> PathBuf {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        path.to_owned()
    }

    #[test]
    fn the_program_behind_npms_script_is_found_wherever_npm_put_it() {
        let home = tempfile::tempdir().unwrap();
        let modules = home.path().join("lib/node_modules/@openai");
        let script = file(&modules.join("codex/bin/codex.js"), "#!/usr/bin/env node\n");
        let link = home.path().join("bin/codex");
        fs::create_dir(home.path().join("bin")).unwrap();
        symlink(&script, &link).unwrap();
        assert_eq!(behind(&link), None, "an incomplete package");
        let Some((cpu, triple)) = machine() else { return };
        for place in ["codex", &format!("codex/node_modules/@openai/codex-{cpu}")] {
            let native = modules.join(place).join("vendor").join(triple).join("bin/codex");
            let native = file(&native, "\u{7f}ELF");
            assert_eq!(behind(&link), native.canonicalize().ok(), "{place}");
            fs::remove_file(native).unwrap();
        }
    }

    #[test]
    fn any_other_program_is_started_as_it_is() {
        let home = tempfile::tempdir().unwrap();
        let native = file(&home.path().join("@openai/codex/bin/codex"), "\u{7f}ELF");
        assert_eq!(behind(&native), None);
        assert_eq!(behind(&file(&home.path().join("bin/codex"), "#!/bin/sh\n")), None);
        assert_eq!(behind(&home.path().join("nothing")), None);
    }
}
