//! The tools, and how a call is made and bounded.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use rmcp::model::JsonObject;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Value, json};

use crate::control::{Class, Error, Host, Result};

use super::about::{About, Described};
use super::{LONGEST, arguments as args, convoys, words};

/// What a tool gives back: a value, and sentences that the human should hear about.
#[derive(Debug)]
pub(super) struct Output {
    pub(super) value: Value,
    pub(super) warnings: Vec<String>,
}

/// A tool in the table.
pub(super) struct Entry {
    pub(super) about: About,
    /// The JSON schema of its arguments.
    pub(super) schema: fn() -> Arc<JsonObject>,
    /// Starts the call; an error for arguments that do not fit.
    perform: Perform,
}

type Perform = fn(&About, JsonObject, Arc<dyn Host>) -> Result<BoxFuture<'static, Result<Output>>>;

/// Arguments that know which call they make.
#[async_trait]
pub(super) trait Arguments: Described {
    async fn perform(self, host: Arc<dyn Host>) -> Result<Output>;
}

impl Entry {
    fn of<A: Arguments>() -> Self {
        let perform: Perform = |about, given, host| {
            let arguments = serde_json::from_value::<A>(Value::Object(given));
            let arguments =
                arguments.map_err(|error| misfit(about.name, &schema::<A>(), &error))?;
            Ok(arguments.perform(host))
        };
        Self { about: A::ABOUT, schema: schema::<A>, perform }
    }

    /// Performs the call. What takes longer than [`LONGEST`] finishes in the background.
    pub(super) async fn call(&self, given: JsonObject, host: Arc<dyn Host>) -> Result<Output> {
        let performing = (self.perform)(&self.about, given, host)?;
        // A task of its own: neither a bound nor a client that gives up ends it halfway.
        let task = tokio::spawn(performing);
        match tokio::time::timeout(LONGEST + Duration::from_secs(2), task).await {
            Ok(Ok(output)) => output,
            Ok(Err(failed)) => Err(Error::of(Class::Internal, &failed)),
            Err(_) => Ok(Output {
                value: json!({
                    "under_way": true,
                    "then": "it takes longer than a tool may and continues; call it again for the result",
                }),
                warnings: Vec::new(),
            }),
        }
    }
}

fn schema<A: JsonSchema>() -> Arc<JsonObject> {
    described_by(A::json_schema)
}

/// The schema as `rmcp` makes it, but not by code of its own for each tool.
fn described_by(of_type: fn(&mut SchemaGenerator) -> Schema) -> Arc<JsonObject> {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let mut schema = of_type(&mut generator).to_value();
    let Some(object) = schema.as_object_mut() else { return Arc::default() };
    // Those of the Rust type say nothing to a model.
    object.remove("title");
    object.remove("description");
    if let Some(dialect) = &generator.settings().meta_schema {
        object.insert("$schema".into(), dialect.as_ref().into());
    }
    let definitions = generator.take_definitions(true);
    if !definitions.is_empty() {
        object.insert("$defs".into(), definitions.into());
    }
    Arc::new(std::mem::take(object))
}

/// The error for arguments that do not fit, with those that would.
fn misfit(tool: &str, schema: &JsonObject, error: &serde_json::Error) -> Error {
    let required = schema.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    let known = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    let known: Vec<String> = known
        .map(|(name, _)| match required.contains(&Value::from(name.as_str())) {
            true => format!("{name} (required)"),
            false => name.clone(),
        })
        .collect();
    Error::usage(format!("cannot call {tool}: {error}"))
        .hint(format!("its arguments are: {}", known.join(", ")))
}

/// All tools, in the order in which a parent needs them.
pub(super) fn all() -> Vec<Entry> {
    vec![
        Entry::of::<args::Enable>(),
        Entry::of::<args::Status>(),
        Entry::of::<args::Wait>(),
        Entry::of::<args::Read>(),
        Entry::of::<words::Answer>(),
        Entry::of::<words::Approve>(),
        Entry::of::<words::Reject>(),
        Entry::of::<words::Send>(),
        Entry::of::<args::Stop>(),
        Entry::of::<args::Start>(),
        Entry::of::<convoys::Create>(),
        Entry::of::<convoys::Status>(),
        Entry::of::<convoys::Start>(),
        Entry::of::<convoys::Stop>(),
        Entry::of::<convoys::Remove>(),
        Entry::of::<args::Merge>(),
        Entry::of::<args::Logs>(),
        Entry::of::<args::Why>(),
    ]
}

#[cfg(test)]
mod tests {
    use rmcp::handler::server::tool::schema_for_input;

    use super::*;

    #[test]
    fn schemas_are_those_that_the_library_makes() {
        assert_eq!(Ok(schema::<args::Enable>()), schema_for_input::<args::Enable>());
        assert_eq!(Ok(schema::<args::Wait>()), schema_for_input::<args::Wait>());
        assert_eq!(Ok(schema::<words::Answer>()), schema_for_input::<words::Answer>());
        assert_eq!(Ok(schema::<convoys::Create>()), schema_for_input::<convoys::Create>());
    }
}
