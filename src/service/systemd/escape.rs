//! Quoting for unit files, by the rules of systemd.syntax(7), systemd.exec(5) and
//! systemd.service(5). Each directive has its own rules, hence one function for each.

use std::path::Path;

use crate::service::Unfit;
use crate::session::names;

/// Returns `name` if it can be the name of an instance or a convoy.
///
/// # Errors
/// [`Unfit::Name`] otherwise.
pub fn name(name: &str) -> Result<&str, Unfit> {
    if names::is_instance(name) { Ok(name) } else { Err(Unfit::Name(name.to_owned())) }
}

/// Returns `path` as text if it is absolute and UTF-8.
fn absolute(path: &Path) -> Result<&str, Unfit> {
    let text = path.to_str().ok_or_else(|| Unfit::NotUtf8(path.display().to_string()))?;
    if path.is_absolute() { Ok(text) } else { Err(Unfit::Relative(text.to_owned())) }
}

/// `text` in double quotes with C escapes; specifiers are escaped.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '%' => out.push_str("%%"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_ascii_control() => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// The program of an `ExecStart=`. systemd expands specifiers in it, but no variables.
///
/// # Errors
/// [`Unfit`] for a path that is relative or not UTF-8, or that systemd accepts in no form.
pub fn program(path: &Path) -> Result<String, Unfit> {
    let text = absolute(path)?;
    if text.contains(|c: char| matches!(c, '\'' | '"' | '\\') || c.is_control()) {
        return Err(Unfit::Program(text.to_owned()));
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    Ok(if text.chars().all(plain) { text.to_owned() } else { quoted(text) })
}

/// One assignment of an `Environment=`. `$` needs no escape there.
///
/// # Errors
/// [`Unfit::Variable`] for an invalid name.
pub fn assignment(name: &str, value: &str) -> Result<String, Unfit> {
    let sound = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if sound {
        Ok(quoted(&format!("{name}={value}")))
    } else {
        Err(Unfit::Variable(name.to_owned()))
    }
}

/// Reads back what [`assignment`] wrote: name and value.
#[must_use]
pub fn read_assignment(text: &str) -> Option<(String, String)> {
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    let mut out = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '%' => out.push(chars.next().filter(|c| *c == '%')?),
            '\\' => match chars.next()? {
                'n' => out.push('\n'),
                't' => out.push('\t'),
                'x' => {
                    let (high, low) = (chars.next()?.to_digit(16)?, chars.next()?.to_digit(16)?);
                    out.push(char::from_u32(high * 16 + low)?);
                }
                c @ ('"' | '\\') => out.push(c),
                _ => return None,
            },
            '"' => return None,
            c => out.push(c),
        }
    }
    let (name, value) = out.split_once('=')?;
    Some((name.to_owned(), value.to_owned()))
}

/// The path of a `DirectoryNotEmpty=`, where quotes and escapes have no special meaning.
///
/// # Errors
/// [`Unfit`] for a path that is relative, not UTF-8, or cannot be written without an escape.
pub fn bare_path(path: &Path) -> Result<String, Unfit> {
    let text = absolute(path)?;
    if text.chars().any(char::is_control) || text.ends_with('\\') || text.trim_end() != text {
        return Err(Unfit::Control(text.to_owned()));
    }
    Ok(text.replace('%', "%%"))
}

/// A text for people, as in `Description=`: always a single line.
#[must_use]
pub fn description(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    line.trim_end_matches([' ', '\\']).trim_start().replace('%', "%%")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn specifiers_quotes_and_newlines_are_disarmed() {
        let line = assignment("A", "50% \"of\" $HOME\\\n\u{7}ü").unwrap();
        assert_eq!(line, "\"A=50%% \\\"of\\\" $HOME\\\\\\n\\x07ü\"");
    }

    #[test]
    fn a_program_is_quoted_if_necessary() {
        assert_eq!(program(Path::new("/usr/bin/samocode")).unwrap(), "/usr/bin/samocode");
        assert_eq!(program(Path::new("/o p/100%/s$c")).unwrap(), "\"/o p/100%%/s$c\"");
        assert_eq!(program(Path::new("samocode")), Err(Unfit::Relative("samocode".to_owned())));
    }

    #[test]
    fn a_watched_path_that_would_need_an_escape_is_refused() {
        assert_eq!(bare_path(Path::new("/a b/1%")).unwrap(), "/a b/1%%");
        for bad in ["/a\nb", "/a\\", "/a ", "a"] {
            assert!(bare_path(Path::new(bad)).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_invalid_variable_name_is_refused() {
        for bad in ["", "1A", "A B", "A=B", "Ä", "A\n"] {
            assert!(assignment(bad, "x").is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn an_assignment_is_one_line_and_read_back(value in "[^\0]{0,60}") {
            let line = assignment("NAME", &value).unwrap();
            prop_assert!(!line.contains('\n') && !line.ends_with('\\'));
            prop_assert_eq!(read_assignment(&line), Some(("NAME".to_owned(), value)));
        }

        #[test]
        fn a_description_is_one_line(text in "(?s).{0,60}") {
            let line = description(&text);
            prop_assert!(!line.chars().any(char::is_control) && !line.ends_with('\\'));
            prop_assert!(!line.replace("%%", "").contains('%'));
        }
    }
}
