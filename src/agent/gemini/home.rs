//! The home that Gemini CLI gets with a key, and the settings in it.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::super::{Environment, variable};

/// Its folder, below a home.
pub(super) const FOLDER: &str = ".gemini";
/// The file of settings, below a home.
pub(super) const SETTINGS: &str = ".gemini/settings.json";

/// A home of its own; `None` without a key, and where no folder for it is known. It is the same in
/// every run, since the conversations are in it too.
pub(super) fn own(environment: &Environment) -> Option<PathBuf> {
    variable(environment, super::KEY)?;
    let state = match variable(environment, "XDG_STATE_HOME").map(PathBuf::from) {
        Some(state) if state.is_absolute() => state,
        _ => Path::new(variable(environment, "HOME")?).join(".local/state"),
    };
    Some(state.join("samocode/gemini"))
}

/// The file of settings in that home: the user's, with ours over them.
pub(super) fn settings(own: &Path, environment: &Environment) -> (PathBuf, Vec<u8>) {
    let home = variable(environment, "HOME").map(PathBuf::from);
    let mut settings =
        home.and_then(|home| read(&home.join(SETTINGS))).unwrap_or_else(|| json!({}));
    let ours = json!({
        "security": {
            // The address of another server would choose a login that it does not know headless.
            "auth": {"selectedType": "gemini-api-key"},
            "environmentVariableRedaction": {"enabled": true},
        },
        "general": {
            "maxAttempts": 3,
            "enableAutoUpdate": false,
            // Otherwise a conversation that was resumed is deleted when another starts beside it.
            "sessionRetention": {"enabled": false},
        },
        "privacy": {"usageStatisticsEnabled": false},
    });
    lay_over(&mut settings, ours);
    (own.join(SETTINGS), settings.to_string().into_bytes())
}

/// Whether the settings in this file keep conversations.
pub(super) fn keeps_sessions(path: &Path) -> bool {
    let settings = read(path).unwrap_or_default();
    settings["general"]["sessionRetention"]["enabled"] == false
}

/// An object in a file; none if it is not one.
fn read(path: &Path) -> Option<Value> {
    let value: Value = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
    value.is_object().then_some(value)
}

/// Lays one object over another, key by key.
fn lay_over(under: &mut Value, over: Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            for (key, value) in over {
                lay_over(under.entry(key).or_insert(Value::Null), value);
            }
        }
        (under, over) => *under = over,
    }
}
