//! Whether this machine can start a program's file, by its first bytes: it may be built for another
//! processor or another system, have no first line, or one that names nothing.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use crate::platform::machine;

/// Why this machine cannot start the program, if that is so, and what to do about it. One that cannot
/// be read is not judged.
pub(super) fn why_not_startable(program: &Path) -> Option<(String, String)> {
    let mut start = Vec::new();
    File::open(program).and_then(|file| file.take(256).read_to_end(&mut start)).ok()?;
    if let Some(line) = start.strip_prefix(b"#!") {
        return missing_interpreter(line)
            .map(|why| (why, "install that one, or the agent again".to_owned()));
    }
    let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    let why = built_for(&start, os, arch)?;
    let remedy = match start.contains(&0) {
        true => format!("install the one for {arch} {os}"),
        false => "install it again".to_owned(),
    };
    (!machine::runs_foreign_programs()).then_some((why, remedy))
}

/// The interpreter of a script's first line, if it is not there.
fn missing_interpreter(line: &[u8]) -> Option<String> {
    let line = String::from_utf8_lossy(line.split(|byte| *byte == b'\n').next()?);
    let interpreter = line.split_whitespace().next()?.to_owned();
    let is_missing = interpreter.starts_with('/') && !Path::new(&interpreter).exists();
    let shown = interpreter.escape_debug();
    is_missing.then(|| format!("its first line names {shown}, which does not exist"))
}

/// What a program was built for, if that is neither this system nor a format that is unknown here.
fn built_for(start: &[u8], os: &str, arch: &str) -> Option<String> {
    let other = |what: &str| Some(format!("it was built for {what}, and this is {arch} {os}"));
    match *start {
        [0x7f, b'E', b'L', b'F', _, order, ..] => {
            let number = [*start.get(18)?, *start.get(19)?];
            let number =
                if order == 2 { u16::from_be_bytes(number) } else { u16::from_le_bytes(number) };
            let processor = processor(number);
            match (os == "macos", processor) {
                (true, _) => other("Linux"),
                (false, Some((name, runs_on))) if !runs_on.contains(&arch) => other(name),
                _ => None,
            }
        }
        [0xcf | 0xce, 0xfa, 0xed, 0xfe, ..] | [0xca, 0xfe, 0xba, 0xbe, ..] if os != "macos" => {
            other("macOS")
        }
        [b'M', b'Z', ..] if start.contains(&0) => other("Windows"),
        [] => Some("it is empty".to_owned()),
        _ if !start.contains(&0) => {
            Some("it is neither a program for this machine nor a script with a #! line".to_owned())
        }
        _ => None,
    }
}

/// The name of a processor by its number in ELF files, and the processors that run its programs;
/// `None` for one that is not known here.
const fn processor(number: u16) -> Option<(&'static str, &'static [&'static str])> {
    Some(match number {
        3 => ("32-bit x86", &["x86", "x86_64"]),
        8 => ("MIPS", &["mips", "mips64"]),
        21 => ("64-bit PowerPC", &["powerpc64"]),
        22 => ("s390x", &["s390x"]),
        40 => ("32-bit ARM", &["arm", "aarch64"]),
        62 => ("x86_64", &["x86_64"]),
        183 => ("aarch64", &["aarch64"]),
        243 => ("RISC-V", &["riscv64", "riscv32"]),
        258 => ("LoongArch", &["loongarch64"]),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elf(machine: u16, order: u8) -> Vec<u8> {
        let mut start = vec![0; 64];
        start[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', 2, order]);
        let number = if order == 2 { machine.to_be_bytes() } else { machine.to_le_bytes() };
        start[18..20].copy_from_slice(&number);
        start
    }

    #[test]
    fn a_program_for_another_machine_is_told_by_its_first_bytes() {
        let on_pc = |start: &[u8]| built_for(start, "linux", "x86_64");
        let arm = on_pc(&elf(183, 1)).unwrap();
        assert_eq!(arm, "it was built for aarch64, and this is x86_64 linux");
        assert!(on_pc(&elf(22, 2)).unwrap().contains("s390x"));
        for fine in [elf(62, 1), elf(3, 1), elf(0xfeed, 1)] {
            assert_eq!(on_pc(&fine), None);
        }
        assert!(built_for(&elf(62, 1), "linux", "aarch64").unwrap().contains("for x86_64, and"));
        assert_eq!(built_for(&elf(40, 1), "linux", "aarch64"), None);
        assert!(built_for(&elf(183, 1), "macos", "aarch64").unwrap().contains("for Linux"));
        let mac = [0xcf, 0xfa, 0xed, 0xfe, 0, 0];
        assert!(on_pc(&mac).unwrap().contains("for macOS"));
        assert_eq!(built_for(&mac, "macos", "aarch64"), None);
        assert!(on_pc(b"MZ\0\0").unwrap().contains("for Windows"));
        assert_eq!(on_pc(b"").as_deref(), Some("it is empty"));
        assert!(on_pc(b"hello\n").unwrap().contains("#! line"));
        assert_eq!(on_pc(b"\0asm"), None, "some other format");
    }

    #[test]
    fn a_script_needs_the_interpreter_that_it_names() {
        assert_eq!(missing_interpreter(b"/bin/sh -e\necho\n"), None);
        assert_eq!(missing_interpreter(b" /usr/bin/env node\n"), None);
        assert_eq!(missing_interpreter(b"\n"), None);
        assert_eq!(
            missing_interpreter(b"/no/such/interpreter -x\n").as_deref(),
            Some("its first line names /no/such/interpreter, which does not exist")
        );
        let own = std::env::current_exe().unwrap();
        assert_eq!(why_not_startable(&own), None);
        assert_eq!(why_not_startable(Path::new("/no/such/program")), None);
    }
}
