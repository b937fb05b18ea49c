//! Old logs are compressed in their place: `NAME.jsonl` becomes `NAME.jsonl.gz`.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, ErrorKind, Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

use super::crash::crash_at;
use super::error::{Attempt as _, Result};
use super::files::{open_regular, sweep};
use super::place::ASIDE;

/// Ends the names of logs of an agent's output. Others are small.
const LOG: &str = "jsonl";

/// Opens a log to read it, compressed or not.
///
/// # Errors
/// As [`open_regular`].
pub fn open_log(path: &Path) -> io::Result<Box<dyn Read + Send>> {
    match open_regular(path) {
        Ok(file) => Ok(Box::new(file)),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Ok(Box::new(MultiGzDecoder::new(open_regular(&packed(path))?)))
        }
        Err(error) => Err(error),
    }
}

/// The same, beginning with the first line among the last `end` bytes. One that is compressed is read
/// from its start.
///
/// # Errors
/// As [`open_log`].
pub fn open_log_end(path: &Path, end: u64) -> io::Result<Box<dyn Read + Send>> {
    let mut file = match open_regular(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return open_log(path),
        opened => opened?,
    };
    let Some(start) = file.metadata()?.len().checked_sub(end).filter(|start| *start > 0) else {
        return Ok(Box::new(file));
    };
    // From the byte before, since that may be the end of a line.
    file.seek(SeekFrom::Start(start - 1))?;
    let mut file = BufReader::new(file);
    file.skip_until(b'\n')?;
    Ok(Box::new(file))
}

fn packed(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".gz");
    name.into()
}

/// Compresses the logs in a folder that were last written before `limit`, and returns how many. The
/// caller knows that nothing writes to them. One that is interrupted leaves the log as it was, or
/// both: then the log itself counts, and the next call removes it.
///
/// # Errors
/// If a file cannot be read, written or removed. Those before it are done.
pub fn compress_logs(folder: &Path, limit: SystemTime) -> Result<usize> {
    // An agent may have put a link in its place.
    if !fs::symlink_metadata(folder).is_ok_and(|found| found.is_dir()) {
        return Ok(0);
    }
    let mut count = 0;
    for entry in fs::read_dir(folder).attempt("read", folder)?.flatten() {
        let path = entry.path();
        let is_old = || {
            let meta = entry.metadata().ok().filter(|meta| meta.is_file())?;
            Some(meta.len() > 0 && meta.modified().ok()? < limit)
        };
        if path.extension() == Some(LOG.as_ref()) && is_old() == Some(true) {
            compress(folder, &path)?;
            count += 1;
        }
    }
    if count > 0 {
        sweep(folder);
    }
    Ok(count)
}

fn compress(folder: &Path, path: &Path) -> Result<()> {
    let mut log = open_regular(path).attempt("open", path)?;
    let to = packed(path);
    let mut write = || -> io::Result<()> {
        let meta = log.metadata()?;
        let aside = tempfile::Builder::new().prefix(ASIDE).tempfile_in(folder)?;
        let mut encoder = GzEncoder::new(aside, Compression::default());
        io::copy(&mut log, &mut encoder)?;
        let aside = encoder.finish()?;
        aside.as_file().set_permissions(meta.permissions())?;
        aside.as_file().set_modified(meta.modified()?)?;
        aside.as_file().sync_all()?;
        // What is not read back as it was does not replace anything.
        let read = io::copy(&mut MultiGzDecoder::new(aside.reopen()?), &mut io::sink())?;
        if read != meta.len() {
            return Err(io::Error::other(format!("{read} of {} bytes were read back", meta.len())));
        }
        crash_at("is to be replaced by its compressed form", path);
        aside.persist(&to).map_err(|error| error.error)?;
        File::open(folder)?.sync_all()
    };
    write().attempt("compress", path)?;
    crash_at("is compressed and still there", path);
    fs::remove_file(path).attempt("remove", path)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn read(path: &Path) -> String {
        let mut text = String::new();
        open_log(path).unwrap().read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn an_old_log_is_compressed_and_read_as_before() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let text = "{\"type\":\"text\"}\n".repeat(1000);
        for name in ["old.jsonl", "new.jsonl", "old.stderr"] {
            fs::write(at(name), &text).unwrap();
        }
        fs::write(at("empty.jsonl"), "").unwrap();
        let now = SystemTime::now();
        let written = now - Duration::from_secs(3600);
        File::options().write(true).open(at("old.jsonl")).unwrap().set_modified(written).unwrap();
        let limit = now - Duration::from_secs(60);
        assert_eq!(compress_logs(folder.path(), limit).unwrap(), 1);
        assert!(!at("old.jsonl").exists() && at("new.jsonl").exists() && at("old.stderr").exists());
        let packed = fs::metadata(at("old.jsonl.gz")).unwrap();
        assert!(packed.len() < 1000 && packed.modified().unwrap() < limit);
        assert_eq!((read(&at("old.jsonl")), read(&at("new.jsonl"))), (text.clone(), text.clone()));
        assert_eq!(open_log(&at("none.jsonl")).err().unwrap().kind(), ErrorKind::NotFound);

        // As one that was killed before it removed the log.
        fs::write(at("old.jsonl"), &text).unwrap();
        File::options().write(true).open(at("old.jsonl")).unwrap().set_modified(written).unwrap();
        assert_eq!(read(&at("old.jsonl")), text);
        assert_eq!(compress_logs(folder.path(), limit).unwrap(), 1);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 4);
    }

    #[test]
    fn a_link_in_the_place_of_a_log_or_of_their_folder_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let logs = crate::session::store::Folder::new(folder.path()).logs();
        fs::create_dir(&logs).unwrap();
        let key = folder.path().join("key");
        fs::write(&key, "private").unwrap();
        std::os::unix::fs::symlink(&key, logs.join("a.jsonl")).unwrap();
        let soon = SystemTime::now() + Duration::from_secs(60);
        assert_eq!(compress_logs(&logs, soon).unwrap(), 0);
        std::os::unix::fs::symlink(&logs, folder.path().join("link")).unwrap();
        assert_eq!(compress_logs(&folder.path().join("link"), soon).unwrap(), 0);
        assert_eq!(fs::read_to_string(&key).unwrap(), "private");
    }
}
