//! Leaves out of a release what only a stack trace needs.

use std::{env, fs, path::Path};

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
    }
    Ok(())
}
