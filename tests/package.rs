//! The package that `cargo package` makes: a build from it finds every file that it embeds.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files of the package, as cargo lists them.
fn packaged() -> BTreeSet<PathBuf> {
    let listed = Command::new(env!("CARGO"))
        .args(["package", "--list", "--allow-dirty", "--offline", "--locked"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    String::from_utf8(listed.stdout).unwrap().lines().map(PathBuf::from).collect()
}

/// The arguments of `include_str!` and `include_bytes!`.
fn included(source: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for marker in ["include_str!(", "include_bytes!("] {
        for (at, _) in source.match_indices(marker) {
            let argument = source[at + marker.len()..].trim_start();
            let path = argument.strip_prefix('"').and_then(|rest| rest.split('"').next());
            found.extend(path);
        }
    }
    found
}

/// Whether only a test compiles this.
fn is_of_tests(file: &Path, argument: &str) -> bool {
    file.ends_with("tests.rs") || argument.contains("/tests/")
}

/// The path without `..`, as cargo lists it.
fn plain(path: &Path) -> PathBuf {
    fs::canonicalize(path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        .strip_prefix(fs::canonicalize(root()).unwrap())
        .unwrap()
        .to_owned()
}

#[test]
fn a_build_from_the_package_finds_all_that_it_embeds_and_no_lab() {
    let packaged = packaged();
    let sources = packaged.iter().filter(|file| file.extension().is_some_and(|end| end == "rs"));
    let mut embedded = BTreeSet::new();
    for file in sources {
        let path = root().join(file);
        let source = fs::read_to_string(&path).unwrap();
        for argument in included(&source).into_iter().filter(|it| !is_of_tests(file, it)) {
            embedded.insert(plain(&path.parent().unwrap().join(argument)));
        }
    }
    assert!(embedded.len() > 35, "{embedded:?}");
    let missing: Vec<_> = embedded.difference(&packaged).collect();
    assert!(missing.is_empty(), "not in the package: {missing:?}");
    for needed in ["build.rs", "Cargo.lock", "LICENSE", "README.md", "src/main.rs", "install.sh"] {
        assert!(packaged.contains(Path::new(needed)), "{needed}");
    }
    let lab: Vec<_> = packaged.iter().filter(|file| file.starts_with("tests")).collect();
    assert!(lab.is_empty(), "{lab:?}");
}

#[test]
fn what_a_release_consists_of_is_listed_without_what_only_tests_need() {
    let list = |what: &str| {
        let listed = Command::new(root().join("sbom.py"))
            .arg(what)
            .env("CARGO", env!("CARGO"))
            .env("CARGO_NET_OFFLINE", "true")
            .output()
            .expect("python3");
        assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
        listed.stdout
    };
    let text = list("bom");
    assert!(text == list("bom"), "the same sources have another list");
    let bom: serde_json::Value = serde_json::from_slice(&text).unwrap();
    assert_eq!(bom["metadata"]["component"]["name"], "samocode");
    let components = bom["components"].as_array().unwrap();
    let of = |name: &str| components.iter().find(|component| component["name"] == name);
    let tokio = of("tokio").expect("tokio");
    assert_eq!(tokio["scope"], "required");
    assert_eq!(tokio["hashes"][0]["content"].as_str().map(str::len), Some(64));
    assert_eq!(of("clap_derive").expect("clap's macro")["scope"], "excluded");
    assert!(of("insta").is_none() && of("proptest").is_none(), "only tests need them");
    // zlib, as cargo-auditable has it, and small enough to be in the program.
    let section = list("section");
    assert!(section.starts_with(&[0x78]) && section.len() < 16 << 10, "{}", section.len());
}
