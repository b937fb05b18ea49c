//! What a human's start is good for.

use super::*;

#[test]
fn a_start_is_for_the_run_that_asks_something_of_the_account() {
    let mut story = Story::new();
    story.run().end("limit", false, 0.0);
    assert!(!story.state.forced);
    story.apply(Event::Started(event::Started {}));
    assert!(story.state.forced);
    assert!(!story.run().state.forced);
    story.end("not_resumed", true, 0.0);
    assert!(story.state.forced, "its limit is as unknown as before");
    story.run().end("limit", false, 0.0);
    assert!(!story.state.forced);
    story.run().end("not_resumed", true, 0.0);
    assert!(!story.state.forced, "nobody started this one");
}
