//! Documents of sessions as resources: `samocode://session/INSTANCE/DOCUMENT`.

use rmcp::model::{Resource, ResourceContents, ResourceTemplate};

use crate::control::documents::{Text, Topic};
use crate::control::view::View;

/// The documents that are resources. A diff can be large; a tool reads it.
const TOPICS: [Topic; 4] = [Topic::Overview, Topic::Plan, Topic::Questions, Topic::Summary];

const SCHEME: &str = "samocode://session/";

/// The address of a document.
pub(super) fn uri(instance: &str, topic: Topic) -> String {
    format!("{SCHEME}{instance}/{topic}")
}

/// The session and the document that an address names.
pub(super) fn parse(uri: &str) -> Option<(String, Topic)> {
    let (session, document) = uri.strip_prefix(SCHEME)?.split_once('/')?;
    let topic = TOPICS.into_iter().find(|topic| topic.to_string() == document)?;
    (!session.is_empty()).then(|| (session.to_owned(), topic))
}

/// All documents that a session could have. Which of them exist is known when they are read.
pub(super) fn of(view: &View) -> impl Iterator<Item = Resource> {
    let (instance, session) = (view.instance.clone(), view.session.clone());
    TOPICS.into_iter().map(move |topic| {
        Resource::new(uri(&instance, topic), format!("{session}: {topic}"))
            .with_description(about(topic))
            .with_mime_type(MARKDOWN)
    })
}

/// The form of the addresses, one for each document.
pub(super) fn templates() -> Vec<ResourceTemplate> {
    let template = |topic: Topic| {
        ResourceTemplate::new(uri("{session}", topic), format!("{topic} of a session"))
            .with_description(about(topic))
            .with_mime_type(MARKDOWN)
    };
    TOPICS.map(template).to_vec()
}

/// A document that was read.
pub(super) fn contents(uri: &str, text: Text) -> ResourceContents {
    ResourceContents::text(text.text, uri).with_mime_type(MARKDOWN)
}

const MARKDOWN: &str = "text/markdown";

const fn about(topic: Topic) -> &'static str {
    match topic {
        Topic::Overview => "The task, the session's status, and its flow log",
        Topic::Plan => "The newest plan, which the human approves or rejects",
        Topic::Questions => "Its questions with options, suggestions and answers",
        Topic::Summary => "What a finished session leaves: what it made and how to merge it",
        Topic::Diff => "What its branch changed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_a_session_and_a_document() {
        for topic in TOPICS {
            assert_eq!(parse(&uri("jwt--shop", topic)), Some(("jwt--shop".to_owned(), topic)));
        }
        let others = ["samocode://session/jwt", "samocode://session//plan", "file:///etc/passwd"];
        for other in others.into_iter().chain(["samocode://session/jwt/../plan"]) {
            assert_eq!(parse(other), None, "{other}");
        }
    }
}
