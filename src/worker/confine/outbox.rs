//! Sending what a confined agent left in its outbox.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, Command};

use crate::agent::Environment;
use crate::agent::confine::network;
use crate::session::event;
use crate::session::journal::Event;
use crate::worker::{Trouble, Worker};

use super::CONFINED;

/// How long a run's end waits for the last messages.
const BOUND: Duration = Duration::from_secs(30);

/// The most of the sender's words that are read, in bytes.
const MOST: u64 = 64 * 1024;

/// samocode as the confined agent's, outside of its cage: what it does it does as that agent.
pub(super) fn outside(worker: &Worker<'_>, environment: &Environment) -> Command {
    let mut command = Command::new(&worker.setup.binary);
    command.arg("--config").arg(&worker.setup.project.config);
    command.env_clear().envs(network::outside(environment, &worker.setup.env));
    command.env_remove(CONFINED).env_remove("TMPDIR");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.kill_on_drop(true).current_dir(&worker.setup.project.root);
    command
}

/// The process that sends, while there is one.
#[derive(Debug, Default)]
pub(in crate::worker) struct Outbox(Option<Child>);

impl Outbox {
    /// Sends what is there, unless it is being sent.
    pub(in crate::worker) async fn look(
        &mut self,
        worker: &mut Worker<'_>,
        environment: &Environment,
    ) -> Result<(), Trouble> {
        if let Some(child) = &mut self.0 {
            if matches!(child.try_wait(), Ok(None)) {
                return Ok(());
            }
            self.reap(worker).await?;
        }
        if !worker.writer.folder.has_outgoing() {
            return Ok(());
        }
        let mut command = outside(worker, environment);
        match command.arg("outgoing").stdout(Stdio::piped()).spawn() {
            Ok(child) => self.0 = Some(child),
            Err(error) => tracing::warn!("cannot send the agent's mail: {error}"),
        }
        Ok(())
    }

    /// Sends what is left, at the end of a run.
    pub(in crate::worker) async fn finish(
        mut self,
        worker: &mut Worker<'_>,
        environment: &Environment,
    ) -> Result<(), Trouble> {
        self.reap(worker).await?;
        self.look(worker, environment).await?;
        self.reap(worker).await
    }

    /// Waits for the process, and records what it could not send.
    async fn reap(&mut self, worker: &mut Worker<'_>) -> Result<(), Trouble> {
        let Some(mut child) = self.0.take() else { return Ok(()) };
        let mut said = Vec::new();
        let ended = async {
            if let Some(stdout) = child.stdout.take() {
                let _ = stdout.take(MOST).read_to_end(&mut said).await;
            }
            child.wait().await
        };
        let is_well = matches!(
            tokio::time::timeout(BOUND, ended).await,
            Ok(Ok(status)) if status.success()
        );
        let said = String::from_utf8_lossy(&said);
        let mut failed: Vec<String> =
            said.lines().map(|line| worker.redactor.redact(line).into_owned()).collect();
        if !is_well {
            failed.push("the messages in _outbox/ could not be sent".to_owned());
        }
        for why in failed {
            worker.writer.record(Event::NotSent(event::NotSent { why }))?;
        }
        Ok(())
    }
}
