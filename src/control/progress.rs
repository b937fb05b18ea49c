//! Progress of a call that consists of steps. It travels as a line, as all progress does.

use std::fmt;

/// A step of several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Its number, from 1.
    pub at: usize,
    /// How many there are.
    pub of: usize,
    /// What is done in it: "archiving jwt-login".
    pub what: String,
}

impl Step {
    /// Reads a line; `None` if it tells of something else.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let (counted, what) = line.strip_prefix('[')?.split_once("] ")?;
        let (at, of) = counted.split_once('/')?;
        let step = Self { at: at.parse().ok()?, of: of.parse().ok()?, what: what.to_owned() };
        (1..=step.of).contains(&step.at).then_some(step)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}/{}] {}", self.at, self.of, self.what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_read_from_its_line_and_nothing_else_is_one() {
        let step = Step { at: 3, of: 12, what: "archiving [1/2] jwt".to_owned() };
        assert_eq!(Step::parse(&step.to_string()), Some(step));
        for line in ["", "archiving jwt", "[3] x", "[0/2] x", "[3/2] x", "[a/2] x", "[1/2]x"] {
            assert_eq!(Step::parse(line), None, "{line}");
        }
    }
}
