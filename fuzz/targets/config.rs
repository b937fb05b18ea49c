//! `.samocode` and the env file, and the values in them.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use samocode::config::EnvFile;
use samocode::config::file::{ConfigFile, assignment};
use samocode::config::values;

fuzz_target!(|bytes: &[u8]| {
    let path = Path::new("/home/u/shop/.samocode");
    let Ok(file) = ConfigFile::parse(path, bytes) else { return };
    let _ = EnvFile::of(&file);
    for entry in file.effective() {
        let value = entry.value.as_str();
        let _ = (values::duration(value), values::size(value), values::percent(value));
        let _ = (values::money(value), values::tokens(value), values::whole(value));
        let _ = (values::memory(value), values::tasks(value), values::cpu_weight(value));
        let _ = values::url(value);
        // What can be written reads back as it was.
        if let Ok(line) = assignment(&entry.key, value) {
            let again = ConfigFile::parse(path, line.as_bytes()).expect("an assignment");
            let read = again.get(&entry.key).map(|entry| entry.value.as_str());
            assert_eq!(read, Some(value), "{line}");
        }
    }
});
