//! What a person can do about an error, apart from what went wrong.

/// An error that knows the remedy. Its message does not contain it, so that a front end can show the
/// two in different places.
pub trait Hint: std::error::Error {
    /// What to do next, with a command to paste where there is one.
    fn hint(&self) -> Option<String>;

    /// The message and the hint, for logs and other places that have one line.
    fn in_one_line(&self) -> String {
        match self.hint() {
            Some(hint) => format!("{self}: {hint}"),
            None => self.to_string(),
        }
    }
}
