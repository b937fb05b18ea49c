//! The result that ends a turn, and the state of the account's limits.

use jiff::Timestamp;
use memchr::memmem;
use serde_json::value::RawValue;

use super::decode::ClaudeDecoder;
use super::errors::{self, ApiError};
use super::message::{OF_A_MODEL, OF_A_REPLY, usage_of};
use crate::agent::event::{Cost, Event, Finished, Limit, MAX_TEXT, Usage, Window, cut, one_line};
use crate::agent::fields::{self, Fields};
use crate::agent::remedy::Remedy;

/// The name of the error when a hook refuses the prompt, which the CLI does not call an error.
const HOOK_DENIED: &str = "hook_denied";

impl ClaudeDecoder {
    pub(super) fn result(&mut self, fields: &Fields<'_>) -> Event {
        let since_last = fields.object("model_usage_since_last_result");
        let models = fields.object("modelUsage");
        if let Some(models) = &since_last {
            let cost = cost_of(models).unwrap_or(0.0);
            self.own_cost = Some(self.own_cost.unwrap_or(0.0) + cost);
        }
        // A share that is no number says that there are shares, but not what was spent.
        let has_share = since_last
            .as_ref()
            .is_none_or(|models| models.names().next().is_none() || cost_of(models).is_some());
        // Without a cost a budget would be blind: what the models cost adds up to the same.
        let total = fields.number("total_cost_usd").or_else(|| models.as_ref().and_then(cost_of));
        // A result forced by a cap reports no tokens in `usage`; the models' shares do.
        self.usage = self.usage.plus(match &since_last {
            Some(models) => models
                .values()
                .fold(Usage::default(), |sum, model| sum.plus(usage_of(&model, &OF_A_MODEL))),
            None => fields
                .object("usage")
                .map(|usage| usage_of(&usage, &OF_A_REPLY))
                .unwrap_or_default(),
        });
        let shares = since_last.as_ref().or(models.as_ref());
        let window =
            shares.and_then(|all| all.values().filter_map(|m| m.whole("contextWindow")).max());
        self.context_window = window.or(self.context_window);
        let text = fields.text("result").or_else(|| messages(fields, "result"));
        let text = text.or_else(|| messages(fields, "errors")).unwrap_or_default();
        let subtype = fields.text("subtype").unwrap_or_default();
        let refused = self.prompt_refused.take();
        let error = match &refused {
            Some(_) => Some(ApiError::named(HOOK_DENIED)),
            None => ApiError::of(fields),
        };
        let total = total.or(self.own_cost.filter(|_| has_share));
        let cost = total.map(|total| Cost { total, own: self.own_cost });
        let mut finished = Finished {
            terminal_reason: fields.text("terminal_reason"),
            refused: fields.text("stop_reason").as_deref() == Some("refusal"),
            cost,
            cost_unread: cost.is_none(),
            num_turns: count(fields, "num_turns"),
            queued: count(fields, "queued_turn_count").unwrap_or(0),
            text: cut(&text, MAX_TEXT).to_owned(),
            ..self.finished(fields.flag("is_error"), subtype, error)
        };
        // A name that nobody knows yet says less than the words.
        if finished.is_error && Remedy::of(&finished).is_none() {
            finished.api_status = errors::status_in(&text).or(finished.api_status);
        }
        if let Some(reason) = &refused {
            finished.text = format!("a hook refused the prompt: {}", one_line(reason, 300));
        }
        if let Some(denied) = fields.list("permission_denials") {
            finished.denied = u32::try_from(denied.len()).unwrap_or(u32::MAX);
            let first = denied.first().and_then(|first| Fields::of(first.get()));
            finished.denied_example = first.map(|first| self.call(&first));
        }
        Event::Finished(Box::new(finished))
    }

    /// What a result has in common however much of it could be read.
    fn finished(
        &mut self,
        is_error: Option<bool>,
        subtype: String,
        error: Option<ApiError>,
    ) -> Finished {
        // An error is one even if the flag says otherwise, as long as the model has not replied
        // since. So a refused login is not a success without a signal.
        let known = error.is_some() || self.error.is_some();
        let is_error = is_error.unwrap_or_else(|| subtype.starts_with("error")) || known;
        let error = error.unwrap_or_default().with(self.error.take());
        let api_status = error.status;
        let error_kind = error.into_names();
        Finished {
            is_error,
            subtype,
            api_status,
            advice: errors::advice_for(&error_kind, api_status).map(str::to_owned),
            error_kind,
            usage: self.usage,
            context_window: self.context_window,
            ..Finished::default()
        }
    }

    /// A result of which only the beginning and the end are known; `None` if they do not show how
    /// it ended. Within a string quotes are escaped, so these keys are keys, not text.
    pub(super) fn cut_off(&mut self, ends: [&[u8]; 2]) -> Option<Event> {
        let text = |key: &[u8]| scalar(ends, key).map(str::to_owned);
        let number = |key: &[u8]| {
            let number = scalar(ends, key).and_then(|number| number.parse::<f64>().ok());
            number.filter(|number| number.is_finite())
        };
        let is_error = scalar(ends, br#""is_error":"#).and_then(|flag| flag.parse().ok());
        let subtype = text(br#""subtype":"#).unwrap_or_default();
        let names = [br#""api_error":"#.as_slice(), br#""api_error_status":"#];
        let error = names.map(|key| scalar(ends, key).filter(|value| *value != "null"));
        let error = match error {
            [None, None] => None,
            [name, status] => {
                let object = serde_json::json!({"api_error": name, "api_error_status": status});
                ApiError::of(&Fields::of(&object.to_string())?)
            }
        };
        if is_error.is_none() && subtype.is_empty() && error.is_none() {
            return None;
        }
        // The whole result may still follow: it has the error's other names too, and the tokens.
        let (kept, before) = (self.error.clone(), self.usage);
        if let Some(usage) = object(ends, br#""usage":"#).and_then(Fields::of) {
            self.usage = before.plus(usage_of(&usage, &OF_A_REPLY));
        }
        let finished = self.finished(is_error, subtype, error);
        (self.error, self.usage) = (kept, before);
        let total = number(br#""total_cost_usd":"#);
        let cost = total.map(|total| Cost { total, own: self.own_cost });
        Some(Event::Finished(Box::new(Finished {
            terminal_reason: text(br#""terminal_reason":"#),
            cost,
            cost_unread: cost.is_none(),
            num_turns: scalar(ends, br#""num_turns":"#).and_then(|n| n.parse().ok()),
            ..finished
        })))
    }
}

/// The object that is the value of a key, if it is whole.
fn object<'a>(ends: [&'a [u8]; 2], key: &[u8]) -> Option<&'a str> {
    let (end, at) = ends.into_iter().find_map(|end| Some((end, memmem::find(end, key)?)))?;
    let value = end.get(at + key.len()..)?.trim_ascii_start();
    let valid = value.utf8_chunks().next()?.valid();
    let mut values = serde_json::Deserializer::from_str(valid).into_iter::<&RawValue>();
    values.next()?.ok().map(RawValue::get).filter(|text| text.starts_with('{'))
}

/// What all models cost together; `None` if that is reported for none, or is no number for one.
fn cost_of(models: &Fields<'_>) -> Option<f64> {
    let costs = models.values().filter(|model| model.get("costUSD").is_some());
    let costs = costs.map(|model| model.number("costUSD"));
    costs.reduce(|sum, cost| Some(sum? + cost?)).flatten()
}

fn count(fields: &Fields<'_>, key: &str) -> Option<u32> {
    fields.whole(key).map(|n| u32::try_from(n).unwrap_or(u32::MAX))
}

/// The messages in a list: each entry is a string, or an object with a `message` or a `text`.
fn messages(fields: &Fields<'_>, key: &str) -> Option<String> {
    let list = fields.list(key)?;
    let said = |value: &RawValue| {
        let object = || Fields::of(value.get());
        let inner = || object()?.object("error")?.text("message");
        let own = || object()?.text("message").or_else(|| object()?.text("text"));
        fields::text(value).or_else(own).or_else(inner)
    };
    Some(list.into_iter().filter_map(said).collect::<Vec<_>>().join("; "))
}

/// From here on a time is in milliseconds: as seconds it would be in the year 5138.
const MILLISECONDS: u64 = 100_000_000_000;

/// The state of a limit. An account that pays for what exceeds it is not held up.
pub(super) fn limit(info: &Fields<'_>) -> Limit {
    let pays = info.flag("isUsingOverage").unwrap_or(false);
    let kind = info.text("rateLimitType").unwrap_or_default();
    let windows = match info.object("unifiedWindows") {
        Some(all) => all.entries().filter_map(|(kind, one)| window(kind, &one)).collect(),
        None => window(&kind, info).into_iter().collect(),
    };
    let reached = info.text("status").as_deref() == Some("rejected") && !pays;
    Limit { reached, kind, resets_at: resets_at(info), windows }
}

/// How full a window is: `utilization` is 1 for all of it.
fn window(kind: &str, fields: &Fields<'_>) -> Option<Window> {
    let used = fields.number("utilization").filter(|used| *used >= 0.0)?;
    // A float that does not fit becomes the nearest that does.
    let percent = (used * 100.0).round().min(100.0) as u8;
    (!kind.is_empty()).then(|| Window {
        kind: kind.to_owned(),
        percent,
        resets_at: resets_at(fields),
    })
}

/// When a limit resets: seconds, milliseconds or a date in words.
fn resets_at(info: &Fields<'_>) -> Option<Timestamp> {
    let seconds = |at: u64| if at < MILLISECONDS { at } else { at / 1000 };
    let counted = info.whole("resetsAt").map(seconds).and_then(|at| i64::try_from(at).ok());
    let written = || info.text("resetsAt").and_then(|at| at.parse().ok());
    counted.and_then(|at| Timestamp::from_second(at).ok()).or_else(written)
}

/// The string, number or word that follows `key` at the beginning or the end of a line.
fn scalar<'a>(ends: [&'a [u8]; 2], key: &[u8]) -> Option<&'a str> {
    let (end, at) = ends.into_iter().find_map(|end| Some((end, memmem::find(end, key)?)))?;
    let value = end.get(at + key.len()..)?.trim_ascii_start();
    let value = match value.strip_prefix(b"\"") {
        Some(quoted) => quoted.split(|byte| *byte == b'"').next()?,
        None => value.split(|byte| matches!(byte, b',' | b'}')).next()?.trim_ascii(),
    };
    std::str::from_utf8(value).ok().filter(|value| value.len() <= 64)
}
