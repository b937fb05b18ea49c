//! Leaves out of a release what only a stack trace needs, and writes its relocations short.

use std::{env, fs, path::Path, process::Command};

/// Unwind tables: an eleventh of a release. GNU ld and LLD both read it beside their own script.
const WITHOUT_UNWIND_TABLES: &str = "SECTIONS { /DISCARD/ : { *(.eh_frame) *(.gcc_except_table .gcc_except_table.*) } } INSERT AFTER .text;\n";

fn main() -> std::io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|known| known == value);
    // A panic aborts a release: nobody looks up the frames above it.
    if is("PROFILE", "release") && is("CARGO_CFG_TARGET_OS", "linux") {
        let script = Path::new(&env::var("OUT_DIR").unwrap_or_default()).join("unwind-tables.ld");
        fs::write(&script, WITHOUT_UNWIND_TABLES)?;
        println!("cargo::rustc-link-arg-bins=-Wl,--no-eh-frame-hdr");
        for argument in ["-Xlinker", "-T", "-Xlinker", &script.to_string_lossy()] {
            println!("cargo::rustc-link-arg-bins={argument}");
        }
        let is_of_this_machine = env::var("HOST") == env::var("TARGET");
        if is_of_this_machine && is("CARGO_CFG_TARGET_ENV", "gnu") && loads_short_relocations() {
            println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
        }
    }
    Ok(())
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
