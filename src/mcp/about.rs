//! What an agent reads about a tool, what the tool does to the world, and who may use it.

use rmcp::model::ToolAnnotations;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use super::Audience;

/// Arguments that describe their tool.
pub(super) trait Described: DeserializeOwned + JsonSchema + Send + 'static {
    /// What an agent reads about the tool.
    const ABOUT: About;
}

/// What a tool does to the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// It reads and changes nothing.
    Looks,
    /// It lets something happen that takes nothing away.
    Adds,
    /// It ends or sends back work.
    Undoes,
}

/// What an agent reads about a tool.
#[derive(Debug, Clone, Copy)]
pub(super) struct About {
    pub(super) name: &'static str,
    pub(super) title: &'static str,
    pub(super) description: &'static str,
    effect: Effect,
    /// Who may use it: these, and those who may do more.
    least: Audience,
}

impl About {
    /// A tool for parents only.
    pub(super) const fn new(
        name: &'static str,
        title: &'static str,
        effect: Effect,
        description: &'static str,
    ) -> Self {
        Self { name, title, description, effect, least: Audience::Parent }
    }

    /// The same tool, from this audience up.
    pub(super) const fn from(self, least: Audience) -> Self {
        Self { least, ..self }
    }

    pub(super) fn annotations(&self) -> ToolAnnotations {
        let all = ToolAnnotations::with_title(self.title).open_world(false);
        match self.effect {
            Effect::Looks => all.read_only(true),
            Effect::Adds => all.read_only(false).destructive(false),
            Effect::Undoes => all.read_only(false).destructive(true),
        }
    }

    pub(super) fn is_for(&self, audience: Audience) -> bool {
        audience >= self.least
    }
}
