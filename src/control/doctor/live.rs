//! A tiny real conversation with an agent's program, to check what samocode relies on.

use std::path::PathBuf;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::agent::environment::RunIds;
use crate::agent::trial::{PRICE, Trial};
use crate::agent::{Environment, REGISTRY, vocabulary};
use crate::config::{EnvFile, Flags, Settings};
use crate::control::error::{Class, Error, Result};
use crate::control::operation::{Operation, Perform};
use crate::session::Phase;

use super::agents::as_check;
use super::{Checked, Patient, Status};

/// Tries an agent's program for real, which costs money.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TryAgent {
    /// The agent; absent: the one that implements in the project.
    #[serde(default)]
    pub agent: Option<String>,
    /// Whether the human has agreed to the cost. If not, nothing is sent, and the reply says what
    /// would be.
    #[serde(default)]
    pub agreed: bool,
}

/// How an agent's program did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    /// The agent.
    pub agent: String,
    /// Its program.
    pub program: PathBuf,
    /// What a trial sends and costs, as a clause.
    pub price: String,
    /// Whether nothing is broken; absent if it was not tried.
    pub healthy: Option<bool>,
    /// What was checked, in this order; empty if it was not tried.
    pub checks: Vec<Checked>,
}

#[async_trait]
impl Perform for TryAgent {
    async fn perform(self, on: &Operation<'_>) -> Result<Tried> {
        let patient = Patient::of(on.caller).await?;
        let file = EnvFile::read(&patient.dirs)?;
        let flags = match &self.agent {
            Some(agent) => Flags::default().with("--agent", "SAMOCODE_AGENT", agent.clone()),
            None => Flags::default(),
        };
        let project = patient.project.as_ref().ok();
        let settings = Settings::load(&vocabulary(), project, patient.env(), &flags)?;
        let phase = Phase::Implementation;
        let binary = &patient.caller.binary;
        let name = settings.agent(phase);
        let agent = REGISTRY.agent(name, phase, &settings, patient.env(), binary)?;
        if agent.program() == binary {
            return Err(Error::new(
                Class::Usage,
                format!("{} is built in: there is nothing to try", agent.word()),
            )
            .hint("name another agent: samocode doctor --agent claude --live"));
        }
        let place = tempfile::Builder::new().prefix("samocode-doctor-").tempdir();
        let place = place.map_err(|error| {
            Error::new(Class::Internal, format!("cannot create a temporary folder: {error}"))
        })?;
        let environment = |run: &str| -> Environment {
            let ids = RunIds {
                session: "doctor".to_owned(),
                session_dir: place.path().to_owned(),
                phase,
                iteration: 1,
                run: run.to_owned(),
                tmpdir: tempfile::env::temp_dir(),
                port_base: None,
                own_caches: Vec::new(),
                path_additions: agent.path_additions().to_vec(),
            };
            REGISTRY.environment(patient.env(), &file, name, &ids).into_iter().collect()
        };
        agent.ready(patient.is_root, &environment("doctor"))?;
        let tried = Tried {
            agent: name.to_string(),
            program: agent.program().to_owned(),
            price: PRICE.to_owned(),
            healthy: None,
            checks: Vec::new(),
        };
        if !self.agreed {
            return Ok(tried);
        }
        let trial = Trial {
            agent: &agent,
            environment: &environment,
            folder: place.path(),
            state: &patient.dirs.state,
            progress: &|line| (on.progress)(line),
        };
        let found: Vec<_> = trial.play().await.into_iter().map(as_check).collect();
        Ok(Tried {
            healthy: Some(found.iter().all(|check| check.status != Status::Broken)),
            checks: found.iter().map(|check| check.report(on.caller)).collect(),
            ..tried
        })
    }
}
