//! Any program, which gets a notice as JSON on its standard input.

use std::path::PathBuf;

use async_trait::async_trait;

use super::envelope::Envelope;
use super::{Notice, Notifier, NotifyError, program};

/// Runs a program for each notice.
pub(super) struct Command {
    name: String,
    program: PathBuf,
    arguments: Vec<String>,
}

impl Command {
    pub(super) fn new(name: &str, program: PathBuf, arguments: Vec<String>) -> Self {
        Self { name: name.to_owned(), program, arguments }
    }
}

#[async_trait]
impl Notifier for Command {
    fn name(&self) -> &str {
        &self.name
    }

    async fn send(&self, notice: &Notice) -> Result<(), NotifyError> {
        let unfit =
            |error| NotifyError::Final(format!("{}: cannot write JSON: {error}", self.name));
        let mut input = serde_json::to_vec(&Envelope::of(notice)).map_err(unfit)?;
        input.push(b'\n');
        program::run(&self.name, &self.program, &self.arguments, &input).await
    }
}
