//! The protocol: which tools and resources there are, and results as MCP has them.

use std::sync::Arc;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ErrorData,
    Implementation, ListResourceTemplatesResult, ListResourcesResult, ListToolsResult,
    PaginatedRequestParams, ReadResourceRequestParams, ReadResourceResponse, ReadResourceResult,
    ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::RequestContext;
use rmcp::{RoleServer, ServerHandler};
use serde_json::json;

use crate::control::{Error, Host, Result, call, documents, inspect};
use crate::service::quiet;
use crate::session::names::nearest;

use super::tools::{self, Entry, Output};
use super::{Audience, resources};

/// What an agent reads about the server as a whole.
const FOR_PARENTS: &str = "\
samocode sessions are coding agents that work unattended on a branch of their own. You are their parent: \
start one when the human asks for work in the background (session_enable), watch it (session_wait, again and \
again with its cursor; never sleep or poll), tell the human what it needs, and pass on what they decide. \
Questions and plans are gates, and gates are the human's: never answer, approve or reject on your own. Do not do \
the session's work yourself, and do not edit its folder.";

const FOR_RUNS: &str = "\
You are an agent in a run of a samocode session. Here you can look at sessions and write to those of the project. \
What only a human can decide goes into a waiting signal.";

const FOR_COORDINATORS: &str = "\
You are an agent in a run of a samocode session that coordinates others. Here you begin, steer and merge the \
sessions below yours, and look at those that you may see. Do not wait for them: end the run with a waiting signal \
for workers, and their mail wakes you. Their gates are the human's, unless the human delegated them to you; your own \
are always. What only a human can decide goes into a waiting signal.";

/// The server of one client, on standard input and output.
pub(super) struct Server {
    host: Arc<dyn Host>,
    audience: Audience,
    tools: Vec<Entry>,
}

impl Server {
    pub(super) fn new(host: Arc<dyn Host>, audience: Audience) -> Self {
        Self { host, audience, tools: tools::all() }
    }

    async fn call(&self, request: CallToolRequestParams) -> Result<Output> {
        let name = request.name.as_ref();
        let Some(entry) = self.tools.iter().find(|entry| entry.about.name == name) else {
            let known = self.offered().map(|entry| entry.about.name);
            let near = nearest(name, known).map_or_else(
                || "see tools/list for the tools there are".to_owned(),
                |near| format!("did you mean {near}?"),
            );
            return Err(Error::usage(format!("there is no tool '{name}'")).hint(near));
        };
        if !entry.about.is_for(self.audience) {
            let refused = format!("an agent in a run of this session may not use {name}");
            return Err(Error::refused(refused)
                .hint("if a human must decide or act, write a waiting or blocked signal"));
        }
        entry.call(request.arguments.unwrap_or_default(), Arc::clone(&self.host)).await
    }

    fn offered(&self) -> impl Iterator<Item = &Entry> {
        self.tools.iter().filter(|entry| entry.about.is_for(self.audience))
    }

    fn has_resources(&self) -> bool {
        self.audience > Audience::Run
    }
}

impl ServerHandler for Server {
    fn get_info(&self) -> ServerConfig {
        let with_tools = ServerCapabilities::builder().enable_tools();
        let with_resources = ServerCapabilities::builder().enable_tools().enable_resources();
        let (capabilities, instructions) = match self.audience {
            Audience::Run => (with_tools.build(), FOR_RUNS),
            Audience::Coordinator => (with_resources.build(), FOR_COORDINATORS),
            Audience::Parent => (with_resources.build(), FOR_PARENTS),
        };
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new("samocode", env!("CARGO_PKG_VERSION")))
            .with_instructions(instructions)
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> std::result::Result<ListToolsResult, ErrorData> {
        let tool = |Entry { about, schema, .. }: &Entry| {
            Tool::new(about.name, about.description, schema())
                .with_title(about.title)
                .with_annotations(about.annotations())
        };
        Ok(ListToolsResult::with_all_items(self.offered().map(tool).collect()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> std::result::Result<CallToolResponse, ErrorData> {
        Ok(match self.call(request).await {
            Ok(output) => success(output).into(),
            Err(error) => failure(&error).into(),
        })
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> std::result::Result<ListResourcesResult, ErrorData> {
        if !self.has_resources() {
            return Ok(ListResourcesResult::default());
        }
        let views = call(self.host.as_ref(), inspect::List {}, &quiet).await.result;
        let views = views.map_err(|error| protocol(&error))?;
        let all = views.iter().flat_map(resources::of).collect();
        Ok(ListResourcesResult::with_all_items(all))
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> std::result::Result<ListResourceTemplatesResult, ErrorData> {
        let templates = if self.has_resources() { resources::templates() } else { Vec::new() };
        Ok(ListResourceTemplatesResult::with_all_items(templates))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: RequestContext<RoleServer>,
    ) -> std::result::Result<ReadResourceResponse, ErrorData> {
        let uri = request.uri;
        let named = resources::parse(&uri).filter(|_| self.has_resources());
        let Some((session, topic)) = named else {
            return Err(ErrorData::resource_not_found(
                format!("there is no resource {uri}; resources/templates/list shows their form"),
                None,
            ));
        };
        let read = documents::Read { session, topic: Some(topic) };
        let text = call(self.host.as_ref(), read, &quiet).await.result;
        let text = text.map_err(|error| protocol(&error))?;
        Ok(ReadResourceResult::new(vec![resources::contents(&uri, text)]).into())
    }
}

/// The value as JSON, and warnings as texts of their own.
fn success(Output { value, warnings }: Output) -> CallToolResult {
    let mut value = value;
    if let (Some(fields), false) = (value.as_object_mut(), warnings.is_empty()) {
        fields.insert("warnings".to_owned(), json!(warnings));
    }
    CallToolResult::structured(value)
}

/// What went wrong and what to do, as the agent reads it.
fn failure(error: &Error) -> CallToolResult {
    let hint = error.hint.as_ref().map_or_else(String::new, |hint| format!("\nhint: {hint}"));
    let text = format!("error: {}{hint}", error.message);
    CallToolResult::error(vec![ContentBlock::text(text)])
}

/// An error where the protocol has no place for one in the result.
fn protocol(error: &Error) -> ErrorData {
    ErrorData::resource_not_found(error.in_one_line(), None)
}

#[cfg(test)]
mod tests;
