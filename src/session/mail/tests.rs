//! Messages as files, sound and damaged.

use super::*;
use proptest::prelude::*;

const WHOLE: &str = r#"{"id":"m-1","from":"human","to":"jwt-login","at":"2026-11-20T17:04:11Z","kind":"text","body":"go on"}"#;

fn parse(text: &str) -> Result<Message, MailError> {
    Message::parse(text.as_bytes())
}

#[test]
fn a_message_is_written_in_the_documented_order_and_read_back() {
    let message = parse(WHOLE).unwrap();
    assert_eq!(message.to_json().unwrap(), format!("{WHOLE}\n").as_bytes());
    assert_eq!(message.file_name(), "m-1.json");
}

#[test]
fn a_new_message_has_an_id_that_sorts() {
    let new = || Message::new("parent", "a--shop", Timestamp::UNIX_EPOCH, Kind::Stop, "");
    let (first, second) = (new().unwrap(), new().unwrap());
    assert!(first.id < second.id, "{} {}", first.id, second.id);
    assert_eq!(uuid::Uuid::parse_str(&first.id).unwrap().get_version_num(), 7);
    assert_eq!(Message::parse(&first.to_json().unwrap()), Ok(first));
}

#[test]
fn an_answer_names_what_it_answers_and_the_name_cannot_be_a_path() {
    let answer = |id: &str| parse(WHOLE).unwrap().in_reply_to(Some(id));
    let reply = answer("m-0").unwrap();
    assert_eq!(Message::parse(&reply.to_json().unwrap()), Ok(reply.clone()));
    assert!(!reply.says_the_same(&parse(WHOLE).unwrap()));
    assert!(answer("../m").unwrap_err().to_string().contains("'reply_to' is \"../m\""));
    let wrong = parse(&WHOLE.replace("\"go on\"", "\"\",\"reply_to\":7"));
    assert!(wrong.unwrap_err().to_string().contains("'reply_to' is not a string"));
}

#[test]
fn a_missing_body_is_an_empty_one() {
    assert_eq!(parse(&WHOLE.replace(",\"body\":\"go on\"", "")).unwrap().body, "");
    assert_eq!(parse(&WHOLE.replace("\"go on\"", "null")).unwrap().body, "");
}

#[test]
fn each_kind_of_damage_has_its_own_message() {
    for (damaged, told) in [
        (String::new(), "is empty"),
        (WHOLE[..40].to_owned(), "is truncated"),
        ("hello".to_owned(), "is not JSON"),
        ("[]".to_owned(), "is not a JSON object"),
        (WHOLE.replace("m-1", "../m"), "'id' is \"../m\""),
        (WHOLE.replace("\"m-1\"", "1"), "'id' is not a string"),
        (WHOLE.replace("human", "Root User"), "'from' is \"Root User\""),
        (WHOLE.replace("\"to\"", "\"cc\""), "'to' is missing"),
        (WHOLE.replace("17:04:11Z", "noon"), "'at' is"),
        (WHOLE.replace("\"text\"", "\"shout\""), "'kind' is \"shout\": it must be text, question"),
        (WHOLE.replace("\"go on\"", "[]"), "'body' is not a string"),
        (WHOLE.replace("go on", &"x".repeat(MAX_BYTES)), "more than 262144 bytes"),
    ] {
        let error = parse(&damaged).unwrap_err().to_string();
        assert!(error.contains(told) && !error.contains('\n'), "{error}");
    }
}

#[test]
fn nothing_is_made_that_could_not_be_read() {
    let new = |from, body| Message::new(from, "x", Timestamp::UNIX_EPOCH, Kind::Text, body);
    assert!(matches!(new("", String::new()), Err(MailError::Field { field: "from", .. })));
    // Each of these bytes takes six in JSON.
    assert!(matches!(new("human", "\u{1}".repeat(60_000)), Err(MailError::TooLarge(_))));
}

proptest! {
    #[test]
    fn any_body_comes_back(body in any::<String>(), seconds in 0i64..4_000_000_000) {
        let at = Timestamp::from_second(seconds).unwrap();
        let message = Message::new("human", "x", at, Kind::Answer, body).unwrap();
        prop_assert_eq!(Message::parse(&message.to_json().unwrap()), Ok(message));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Message::parse(&bytes);
    }
}
