//! A message of the model, as far as its details are reported.

use std::borrow::Cow;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::agent::event::Usage;
use crate::agent::fields::Fields;

/// A line with a message.
#[derive(Deserialize)]
pub(super) struct Assistant<'a> {
    #[serde(borrow)]
    pub(super) message: Option<Message<'a>>,
    /// The call that a helper works for; absent for the main conversation.
    #[serde(rename = "parent_tool_use_id")]
    pub(super) parent: Option<Cow<'a, str>>,
    error: Option<IgnoredAny>,
    api_error: Option<IgnoredAny>,
    api_error_status: Option<IgnoredAny>,
}

impl<'a> Assistant<'a> {
    /// Whether the message is not the model's, but reports an error.
    pub(super) const fn is_error(&self) -> bool {
        self.error.is_some() || self.api_error.is_some() || self.api_error_status.is_some()
    }

    /// The readable fields of a message that does not have the expected shape.
    pub(super) fn of(fields: &Fields<'a>) -> Self {
        let text = |fields: &Fields<'a>, key: &str| fields.text(key).map(Cow::Owned);
        let message = fields.object("message").map(|message| Message {
            id: text(&message, "id"),
            content: message
                .list("content")
                .unwrap_or_default()
                .into_iter()
                .filter_map(|block| {
                    let block = Fields::of(block.get())?;
                    Some(Block {
                        kind: text(&block, "type").unwrap_or_default(),
                        text: block.get("text"),
                        id: text(&block, "id"),
                        name: text(&block, "name"),
                        input: block.get("input"),
                    })
                })
                .collect(),
            usage: message.object("usage").map(|usage| ApiUsage::of(&usage)),
        });
        Self {
            message,
            parent: text(fields, "parent_tool_use_id"),
            error: None,
            api_error: None,
            api_error_status: None,
        }
    }
}

#[derive(Deserialize)]
pub(super) struct Message<'a> {
    pub(super) id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    pub(super) content: Vec<Block<'a>>,
    pub(super) usage: Option<ApiUsage>,
}

/// A part of a message: text, a call, or something else.
#[derive(Deserialize)]
pub(super) struct Block<'a> {
    #[serde(borrow, rename = "type", default)]
    pub(super) kind: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) text: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) name: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub(super) input: Option<&'a RawValue>,
}

#[derive(Deserialize, Clone, Copy)]
pub(super) struct ApiUsage {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
}

impl ApiUsage {
    fn of(usage: &Fields<'_>) -> Self {
        let [input_tokens, output_tokens, cache_read_input_tokens, cache_creation_input_tokens] =
            OF_A_REPLY.map(|name| usage.whole(name));
        Self { input_tokens, output_tokens, cache_read_input_tokens, cache_creation_input_tokens }
    }
}

impl From<ApiUsage> for Usage {
    fn from(usage: ApiUsage) -> Self {
        Self {
            input: usage.input_tokens.unwrap_or(0),
            output: usage.output_tokens.unwrap_or(0),
            cache_read: usage.cache_read_input_tokens.unwrap_or(0),
            cache_write: usage.cache_creation_input_tokens.unwrap_or(0),
        }
    }
}

/// The names of the token counts: input, output, read from the cache, written to it.
pub(super) type TokenNames = [&'static str; 4];

/// Those of a reply's usage.
pub(super) const OF_A_REPLY: TokenNames =
    ["input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"];

/// Those of a model's share in a result.
pub(super) const OF_A_MODEL: TokenNames =
    ["inputTokens", "outputTokens", "cacheReadInputTokens", "cacheCreationInputTokens"];

/// Token counts under these names.
pub(super) fn usage_of(fields: &Fields<'_>, names: &TokenNames) -> Usage {
    let [input, output, cache_read, cache_write] =
        names.map(|name| fields.whole(name).unwrap_or(0));
    Usage { input, output, cache_read, cache_write }
}
