//! Leaves out of a release what only a stack trace needs, writes its relocations short, keeps one of equal
//! functions, and keeps its front ends apart from what a worker runs.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// Unwind tables: an eleventh of a release. GNU ld and LLD both read it beside their own script.
const WITHOUT_UNWIND_TABLES: &str = "SECTIONS { /DISCARD/ : { *(.eh_frame) *(.gcc_except_table .gcc_except_table.*) } } INSERT AFTER .text;\n";

/// LLD's option to keep one of several functions that have the same code.
const JOIN: &str = "--icf=all";

/// The modules that no worker needs, from above it in the list of `src/lib.rs`, or as others call
/// service managers.
const FRONT_ENDS: [&[&str]; 9] = [
    &["control"],
    &["tui"],
    &["bot"],
    &["report"],
    &["mcp"],
    &["web"],
    &["cli"],
    &["service", "systemd"],
    &["service", "launchd"],
];

/// The crates that only these use.
const OF_FRONT_ENDS: [&str; 31] = [
    "axum",
    "clap_complete",
    "clap_mangen",
    "crossterm",
    "http",
    "httparse",
    "hyper",
    "idna",
    "kasuari",
    "matchit",
    "maud",
    "ordered_stream",
    "plist",
    "pulldown_cmark",
    "qrcode",
    "ratatui",
    "rcgen",
    "reqwest",
    "ring_core",
    "rmcp",
    "rustls",
    "schemars",
    "serde_path_to_error",
    "toml",
    "tower",
    "tui_input",
    "untrusted",
    "url",
    "webpki",
    "yasna",
    "zbus",
];

fn main() -> std::io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|known| known == value);
    // A panic aborts a release: nobody looks up the frames above it.
    if is("PROFILE", "release") && is("CARGO_CFG_TARGET_OS", "linux") {
        let script = Path::new(&env::var("OUT_DIR").unwrap_or_default()).join("release.ld");
        fs::write(&script, WITHOUT_UNWIND_TABLES.to_owned() + &front_ends_apart())?;
        println!("cargo::rustc-link-arg-bins=-Wl,--no-eh-frame-hdr");
        for argument in ["-Xlinker", "-T", "-Xlinker", &script.to_string_lossy()] {
            println!("cargo::rustc-link-arg-bins={argument}");
        }
        let is_of_this_machine = env::var("HOST") == env::var("TARGET");
        if is_of_this_machine && is("CARGO_CFG_TARGET_ENV", "gnu") && loads_short_relocations() {
            println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
        }
        if joins_equal_functions() {
            println!("cargo::rustc-link-arg-bins=-Wl,{JOIN}");
        }
    }
    Ok(())
}

/// Puts the code of front ends behind all other. The kernel maps code in pieces of 64 KiB: a worker
/// that runs something of each has all of them in memory, most of it code that it never runs.
fn front_ends_apart() -> String {
    // A function's section has its name, where a path is samocode::web or 8samocode3web.
    let named = |path: &[&str]| format!("samocode..{}..", path.join(".."));
    let counted = |path: &[&str]| {
        let counted = path.iter().map(|name| format!("{}{name}", name.len()));
        format!("8samocode{}", counted.collect::<String>())
    };
    let modules = FRONT_ENDS.iter().flat_map(|path| [named(path), counted(path)]);
    let words = modules.chain(OF_FRONT_ENDS.map(str::to_owned));
    let sections = words.map(|word| format!("*(.text.*{word}*)")).collect::<Vec<_>>();
    let sections = sections.join(" ");
    format!("SECTIONS {{ .text.front_ends : {{ {sections} }} }} INSERT AFTER .text;\n")
}

/// Whether the linker can keep one of several functions that have the same code, as LLD can. It is asked to
/// link a program.
fn joins_equal_functions() -> bool {
    let Ok(out) = env::var("OUT_DIR").map(PathBuf::from) else { return false };
    let source = out.join("empty.rs");
    if fs::write(&source, "fn main() {}\n").is_err() {
        return false;
    }
    let mut rustc = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    rustc.args(flags.split('\u{1f}').filter(|flag| !flag.is_empty()));
    if let Ok(linker) = env::var("RUSTC_LINKER") {
        rustc.args(["-C", &format!("linker={linker}")]);
    }
    rustc.args(["-C", &format!("link-arg=-Wl,{JOIN}"), "--target"]).args(env::var_os("TARGET"));
    let output = rustc.arg("-o").arg(out.join("empty")).arg(&source).output();
    output.is_ok_and(|output| output.status.success())
}

/// Whether the C library of this machine is of the first version that loads them, 2.36, or later. A
/// program that has them starts with no earlier one.
fn loads_short_relocations() -> bool {
    let Ok(output) = Command::new("getconf").arg("GNU_LIBC_VERSION").output() else { return false };
    let text = String::from_utf8_lossy(&output.stdout);
    let version = text.trim().rsplit(' ').next().and_then(|version| version.split_once('.'));
    let number = |text: &str| text.parse::<u32>().ok();
    let version = version.and_then(|(major, minor)| Some((number(major)?, number(minor)?)));
    version.is_some_and(|version| version >= (2, 36))
}
