//! A difference, file by file.

/// What changed in one file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct FileChange<'a> {
    /// Its path; after a rename the new one.
    pub(crate) path: &'a str,
    /// Lines added.
    pub(crate) added: usize,
    /// Lines removed.
    pub(crate) removed: usize,
    /// The lines of the diff, with their marks.
    pub(crate) lines: Vec<&'a str>,
}

/// Splits git's diff into files. Whatever comes before the first one is left out.
pub(crate) fn files(diff: &str) -> Vec<FileChange<'_>> {
    let mut files: Vec<FileChange<'_>> = Vec::new();
    let mut in_hunk = false;
    for line in diff.lines() {
        if let Some(names) = line.strip_prefix("diff --git ") {
            in_hunk = false;
            let path = names.rsplit_once(" b/").map_or(names, |(_, path)| path);
            files.push(FileChange { path, added: 0, removed: 0, lines: Vec::new() });
            continue;
        }
        let Some(file) = files.last_mut() else { continue };
        in_hunk |= line.starts_with("@@");
        match line.as_bytes().first() {
            Some(b'+') if in_hunk => file.added += 1,
            Some(b'-') if in_hunk => file.removed += 1,
            _ => {}
        }
        file.lines.push(line);
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_file_by_file() {
        let diff = "diff --git a/a.rs b/a.rs\n--- a/a.rs\n+++ b/a.rs\n@@ -1 +1,2 @@\n--x;\n+x\n++ b\n\
                    diff --git a/b b/new b/c\nsimilarity index 100%\nrename to new b/c\n";
        let files = files(diff);
        let counts: Vec<_> = files.iter().map(|f| (f.path, f.added, f.removed)).collect();
        assert_eq!(counts, [("a.rs", 2, 1), ("c", 0, 0)]);
        assert_eq!(files[0].lines.len(), 6);
    }
}
