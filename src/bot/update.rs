//! What Telegram reports (<https://core.telegram.org/bots/api#update>), and what of it the bot hears.

use serde::Deserialize;
use serde_json::Value;

use crate::notify::buttons::Press;
use crate::notify::text::{clip, tame_line};

#[derive(Debug, Deserialize)]
pub(super) struct Update {
    pub(super) update_id: i64,
    message: Option<Message>,
    callback_query: Option<Callback>,
}

#[derive(Debug, Deserialize)]
struct Message {
    message_id: i64,
    from: Option<User>,
    chat: Chat,
    text: Option<String>,
    #[serde(default)]
    entities: Vec<Entity>,
    reply_to_message: Option<Box<Message>>,
    reply_markup: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct Callback {
    id: String,
    from: User,
    message: Option<Message>,
    data: Option<String>,
}

#[derive(Debug, Deserialize)]
struct User {
    id: i64,
    #[serde(default)]
    first_name: String,
}

#[derive(Debug, Deserialize)]
struct Chat {
    id: i64,
}

/// A marked part of a text; offsets are in UTF-16 code units.
#[derive(Debug, Deserialize)]
struct Entity {
    #[serde(rename = "type")]
    kind: EntityKind,
    offset: usize,
    length: usize,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum EntityKind {
    Bold,
    #[serde(other)]
    Other,
}

/// Something that a person did.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Heard {
    pub(super) chat: i64,
    pub(super) from: i64,
    name: String,
    /// The message that was written, or whose button was pressed.
    pub(super) message: i64,
    pub(super) what: What,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum What {
    /// A button was pressed. `press` is `None` if no samocode made it.
    Pressed { query: String, press: Option<Press>, keyboard: Option<Value> },
    /// A command, such as `/stop`, and what follows it.
    Command(Command),
    /// A reply to a message about a session.
    Reply { session: String, text: String },
    /// The reason for a rejection, in reply to the question for it.
    Reason { key: String, text: String },
    /// Anything else.
    Text,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Command {
    Status,
    Stop(String),
    Start(String),
    Send { session: String, text: String },
    New { session: String, task: String },
    Help,
}

/// What precedes the plan's key in the question for a reason.
pub(super) const REASON_MARK: &str = "ref ";

impl Heard {
    /// The person, as messages and the journal name them.
    pub(super) fn who(&self) -> String {
        let name = clip(&tame_line(&self.name), 40);
        if name.is_empty() { format!("user {}", self.from) } else { name }
    }
}

impl Update {
    /// What the bot with the id `me` hears.
    pub(super) fn heard(self, me: i64) -> Option<Heard> {
        if let Some(callback) = self.callback_query {
            let message = callback.message?;
            let press = callback.data.as_deref().and_then(Press::parse);
            let keyboard = message.reply_markup;
            return Some(Heard {
                chat: message.chat.id,
                from: callback.from.id,
                name: callback.from.first_name,
                message: message.message_id,
                what: What::Pressed { query: callback.id, press, keyboard },
            });
        }
        let message = self.message?;
        let (from, text) = (message.from?, message.text?);
        let what = match command(&text) {
            Some(command) => What::Command(command),
            None => message
                .reply_to_message
                .filter(|to| to.from.as_ref().is_some_and(|author| author.id == me))
                .and_then(|to| to.answered_by(&text))
                .unwrap_or(What::Text),
        };
        Some(Heard {
            chat: message.chat.id,
            from: from.id,
            name: from.first_name,
            message: message.message_id,
            what,
        })
    }
}

impl Message {
    /// What a reply to this message of ours means.
    fn answered_by(&self, text: &str) -> Option<What> {
        let own = self.text.as_deref()?;
        let marked = own.lines().last().and_then(|line| line.strip_prefix(REASON_MARK));
        if let Some(key) = marked {
            return Some(What::Reason { key: key.to_owned(), text: text.to_owned() });
        }
        let is_name = |entity: &&Entity| entity.kind == EntityKind::Bold && entity.offset == 0;
        let name = self.entities.iter().find(is_name)?;
        let units: Vec<u16> = own.encode_utf16().take(name.length).collect();
        let session = String::from_utf16(&units).ok()?;
        Some(What::Reply { session, text: text.to_owned() })
    }
}

/// Reads a command; in groups it may end with the bot's name: `/stop@my_bot NAME`.
fn command(text: &str) -> Option<Command> {
    let text = text.trim();
    let rest = text.strip_prefix('/')?;
    let (word, rest) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let word = word.split('@').next().unwrap_or(word).to_ascii_lowercase();
    let rest = rest.trim();
    let (name, words) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let (name, words) = (name.to_owned(), words.trim().to_owned());
    let has_name = !name.is_empty();
    let has_words = has_name && !words.is_empty();
    let kind = serde_json::from_value(Value::from(word)).unwrap_or(Word::Help);
    Some(match kind {
        Word::Status => Command::Status,
        Word::Stop if has_name => Command::Stop(name),
        Word::Start if has_name => Command::Start(name),
        Word::Send if has_words => Command::Send { session: name, text: words },
        Word::New if has_words => Command::New { session: name, task: words },
        _ => Command::Help,
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Word {
    Status,
    Stop,
    Start,
    Send,
    New,
    Help,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn heard(update: Value) -> Option<Heard> {
        serde_json::from_value::<Update>(update).unwrap().heard(99)
    }

    fn text(text: &str) -> What {
        let message = json!({"message_id": 3, "from": {"id": 5, "first_name": "Anna"},
            "chat": {"id": 5}, "text": text});
        heard(json!({"update_id": 1, "message": message})).unwrap().what
    }

    #[test]
    fn commands_are_read_with_what_follows_them() {
        let is = |typed: &str, command: Command| {
            assert_eq!(text(typed), What::Command(command), "{typed}")
        };
        is("/status", Command::Status);
        is("/Stop@my_bot  jwt ", Command::Stop("jwt".into()));
        is("/start jwt", Command::Start("jwt".into()));
        is(
            "/send jwt use the\nother key",
            Command::Send { session: "jwt".into(), text: "use the\nother key".into() },
        );
        is(
            "/new login build it",
            Command::New { session: "login".into(), task: "build it".into() },
        );
        for help in ["/start", "/stop", "/send jwt", "/new login", "/frobnicate x", "/"] {
            is(help, Command::Help);
        }
        assert_eq!(text("hello"), What::Text);
    }

    #[test]
    fn a_reply_goes_to_the_session_of_the_message_if_the_bot_wrote_it() {
        let reply = |author: i64, own: &str, entities: Value| {
            let to = json!({"message_id": 2, "from": {"id": author}, "chat": {"id": 5},
                "text": own, "entities": entities});
            let message = json!({"message_id": 3, "from": {"id": 5}, "chat": {"id": 5},
                "text": "yes", "reply_to_message": to});
            heard(json!({"update_id": 1, "message": message})).unwrap().what
        };
        let bold = json!([{"type": "url", "offset": 0, "length": 1}, {"type": "bold", "offset": 0, "length": 5}]);
        let expected = What::Reply { session: "jwt😀".into(), text: "yes".into() };
        assert_eq!(reply(99, "jwt😀 is blocked", bold.clone()), expected);
        assert_eq!(reply(98, "jwt😀 is blocked", bold.clone()), What::Text);
        assert_eq!(reply(99, "x", json!([])), What::Text);
        let reason = What::Reason { key: "0123456789abcdef".into(), text: "yes".into() };
        assert_eq!(reply(99, "jwt: why?\nref 0123456789abcdef", bold), reason);
    }

    #[test]
    fn a_press_has_its_message_and_what_is_no_press_is_no_one() {
        let press = |data: Value| {
            heard(json!({"update_id": 1, "callback_query": {"id": "q", "from": {"id": 5},
                "message": {"message_id": 2, "chat": {"id": -7}}, "data": data}}))
        };
        let found = press(json!("y:0123456789abcdef")).unwrap();
        assert_eq!((found.chat, found.from, found.message), (-7, 5, 2));
        assert_eq!(found.who(), "user 5");
        let What::Pressed { press: Some(Press::Approve(_)), .. } = found.what else {
            panic!("{found:?}")
        };
        assert!(matches!(press(json!("x")).unwrap().what, What::Pressed { press: None, .. }));
        assert_eq!(heard(json!({"update_id": 1, "edited_message": {}})), None);
    }
}
