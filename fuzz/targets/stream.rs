//! The event stream of Claude Code, in chunks: no bytes may make the decoder panic, and where the
//! chunks end changes nothing.

#![no_main]

use libfuzzer_sys::fuzz_target;
use samocode::agent::Event;
use samocode::agent::claude::decode::ClaudeDecoder;
use samocode::agent::stream::Lines;

fn decode(chunks: &[&[u8]]) -> Vec<Event> {
    let (mut lines, mut decoder) = (Lines::default(), ClaudeDecoder::new("/home/u/shop".into()));
    let mut events = Vec::new();
    for chunk in chunks {
        lines.feed(chunk, &mut decoder, &mut |event| events.push(event));
    }
    lines.finish(&mut decoder, &mut |event| events.push(event));
    events
}

fuzz_target!(|bytes: &[u8]| {
    let (first, second) = bytes.split_at(bytes.len() / 2);
    assert_eq!(decode(&[bytes]), decode(&[first, second]));
});
