use super::*;

fn exit(code: i32) -> ExitStatus {
    ExitStatus::from_raw(code << 8)
}

fn death(signal: Signal) -> ExitStatus {
    ExitStatus::from_raw(signal.as_raw())
}

#[test]
fn a_result_or_an_error_that_a_restart_cannot_fix_is_final() {
    for code in [0, 2, 69, 70, 78] {
        assert_eq!(verdict(exit(code), false, false), Some(Ended::Finished), "{code}");
    }
    for code in [1, 75, 101] {
        assert_eq!(verdict(exit(code), false, false), None, "{code}");
        assert_eq!(verdict(exit(code), true, false), Some(Ended::Stopped), "{code}");
    }
    for signal in [Signal::HUP, Signal::INT, Signal::TERM, Signal::KILL, Signal::SEGV] {
        assert_eq!(verdict(death(signal), false, false), None, "{signal:?}");
    }
    assert_eq!(verdict(exit(0), false, true), None);
}

#[test]
fn the_fifty_first_start_in_ten_seconds_is_one_too_many() {
    let options = Options::default();
    let (mut starts, begin) = (Starts::default(), Instant::now());
    for at in 0..50 {
        assert!(starts.may(begin + Duration::from_millis(at), &options));
    }
    assert!(!starts.may(begin + Duration::from_millis(9_999), &options));
    assert!(starts.may(begin + Duration::from_millis(10_000), &options));
    assert!(!starts.may(begin + Duration::from_millis(10_000), &options));
}

#[test]
fn a_message_may_have_several_assignments() {
    let message = Message::parse(b"READY=1\nSTATUS=a=b\nEXTEND_TIMEOUT_USEC=5\nX\n\xff=1");
    assert!(message.alive && !message.trigger);
    assert_eq!(message.status.as_deref(), Some("a=b"));
    assert_eq!(message.extend, Some(Duration::from_micros(5)));
    assert!(Message::parse(b"WATCHDOG=trigger").trigger);
    assert_eq!(Message::parse(b""), Message::default());
}
