//! Notices that somebody shows who hears presses on their buttons.

use super::super::super::listen;
use super::*;
use crate::notify::buttons::Press;

/// A notice of a plan that waits for approval.
fn plan(id: &str, key: &str) -> Notice {
    let about = About { id: id.to_owned(), session: "jwt".to_owned(), ..About::default() };
    let notice = Notice::mail(&about, "waits for your approval", None, "samocode approve jwt");
    Notice { plan: Some(key.to_owned()), ..notice }
}

#[tokio::test]
async fn a_press_on_a_button_is_done_and_what_came_of_it_is_shown() {
    let Some(bus) = Bus::start() else { return };
    let service = bus.connection().await;
    let mut shown = serve_on(service.clone(), Service::With(&["actions", "body"]), 1).await;
    let state = tempfile::tempdir().unwrap();
    let waiting = Waiting::of(state.path());
    let desktop = Desktop::new(bus.socket.clone()).with_buttons(Some(waiting.clone()));
    // Nobody would hear a press: it has no buttons.
    desktop.send(&plan("1", "0123456789abcdef")).await.unwrap();
    assert!(shown.recv().await.unwrap().5.is_empty());

    std::fs::create_dir(waiting.folder()).unwrap();
    desktop.send(&plan("2", "0123456789abcdef")).await.unwrap();
    assert!(waiting.next(|_| false).is_some(), "it is left for who shows it");
    let done = tokio::sync::Mutex::new(Vec::new());
    let act = |press: Press| {
        let done = &done;
        async move {
            done.lock().await.push(press);
            "jwt: the plan is approved.".to_owned()
        }
    };
    let person = async {
        let actions = shown.recv().await.unwrap().5;
        assert_eq!(actions, ["0", "Approve", "1", "Reject"]);
        let stranger = bus.connection().await;
        // Another program on the bus, and a key that is not ours.
        for (by, key) in [(&stranger, "1"), (&service, "default"), (&service, "0")] {
            let arguments = (2_u32, key);
            by.emit_signal(None::<&str>, PATH, SERVICE, "ActionInvoked", &arguments).await.unwrap();
        }
        assert_eq!(shown.recv().await.unwrap().3, "jwt: the plan is approved.");
    };
    let bound = Duration::from_secs(30);
    let listening = listen::listen(&desktop, &waiting, act);
    let (end, ()) = tokio::time::timeout(bound, async { tokio::join!(listening, person) })
        .await
        .expect("it ends when no notice is open");
    end.unwrap();
    assert_eq!(done.into_inner(), [Press::Approve("0123456789abcdef".to_owned())]);
    assert!(waiting.next(|_| false).is_none());
}

#[tokio::test]
async fn what_a_service_that_left_had_open_is_shown_once_by_its_successor_and_its_buttons_work() {
    const BUTTONS: Service = Service::With(&["actions"]);
    let Some(bus) = Bus::start() else { return };
    let first = bus.connection().await;
    let mut shown = serve_on(first.clone(), BUTTONS, 1).await;
    let state = tempfile::tempdir().unwrap();
    let waiting = Waiting::of(state.path());
    std::fs::create_dir_all(waiting.folder()).unwrap();
    let desktop = Desktop::new(bus.socket.clone())
        .with_buttons(Some(waiting.clone()))
        .expected_back(Some(state.path()));
    desktop.send(&plan("1", "open")).await.unwrap();
    desktop.send(&plan("2", "dismissed")).await.unwrap();
    let done = tokio::sync::Mutex::new(Vec::new());
    let act = |press: Press| {
        let done = &done;
        async move {
            done.lock().await.push(press);
            "jwt: the plan is approved.".to_owned()
        }
    };
    let signal = async |by: &Connection, member: &str, number: u32| {
        let emitted = match member {
            "NotificationClosed" => {
                by.emit_signal(None::<&str>, PATH, SERVICE, member, &(number, 2_u32)).await
            }
            _ => by.emit_signal(None::<&str>, PATH, SERVICE, member, &(number, "0")).await,
        };
        emitted.unwrap();
    };
    let person = async {
        for _ in 0..2 {
            shown.recv().await.unwrap();
        }
        signal(&first, "NotificationClosed", 2).await;
        first.release_name(SERVICE).await.unwrap();
        // It was there a moment ago, so this one is kept, and a person is told of that.
        let error = desktop.send(&plan("3", "new")).await.unwrap_err();
        assert!(error.is_retryable(), "{error:?}");
        assert!(error.to_string().contains("no notification service"), "{error}");
        let next = bus.connection().await;
        let mut shown = serve_on(next.clone(), BUTTONS, 7).await;
        assert_eq!(shown.recv().await.unwrap().5, ["0", "Approve", "1", "Reject"]);
        desktop.send(&plan("3", "new")).await.unwrap();
        shown.recv().await.unwrap();
        // The first is another program's notice now.
        for number in [1, 7] {
            signal(&next, "ActionInvoked", number).await;
        }
        assert_eq!(shown.recv().await.unwrap().3, "jwt: the plan is approved.");
        signal(&next, "NotificationClosed", 8).await;
    };
    let bound = Duration::from_secs(60);
    let listening = listen::listen(&desktop, &waiting, act);
    let (end, ()) = tokio::time::timeout(bound, async { tokio::join!(listening, person) })
        .await
        .expect("it ends when no notice is open");
    end.unwrap();
    assert_eq!(done.into_inner(), [Press::Approve("open".to_owned())]);
    assert!(waiting.next(|_| false).is_none());
}

#[tokio::test]
async fn buttons_outlive_a_kill_of_who_hears_them_and_plain_notices_one_of_the_service() {
    const BUTTONS: Service = Service::With(&["actions"]);
    let Some(bus) = Bus::start() else { return };
    let first = bus.connection().await;
    let mut shown = serve_on(first.clone(), BUTTONS, 4).await;
    let state = tempfile::tempdir().unwrap();
    let waiting = Waiting::of(state.path());
    std::fs::create_dir_all(waiting.folder()).unwrap();
    let desktop = Desktop::new(bus.socket.clone()).with_buttons(Some(waiting.clone()));
    desktop.send(&plan("1", "open")).await.unwrap();
    let plain = Notice { plan: None, text: "is done".to_owned(), ..plan("2", "") };
    let pressed = tokio::sync::Mutex::new(Vec::new());
    let act = |press: Press| {
        let pressed = &pressed;
        async move {
            pressed.lock().await.push(press);
            "jwt: the plan is approved.".to_owned()
        }
    };
    let bound = Duration::from_secs(60);
    let noted = async |count: usize| {
        let is_noted = || {
            let entries = std::fs::read_dir(waiting.folder()).unwrap();
            let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
            names.filter(|name| name.contains('@')).count() == count
        };
        while !is_noted() {
            tokio::task::yield_now().await;
        }
    };
    let both = async {
        assert_eq!(shown.recv().await.unwrap().1, 0);
        desktop.send(&plain).await.unwrap();
        assert_eq!(shown.recv().await.unwrap().1, 0);
        noted(2).await;
    };
    // Killed while both are there.
    tokio::time::timeout(bound, async {
        tokio::select! {
            end = listen::listen(&desktop, &waiting, act) => panic!("{end:?}"),
            () = both => {}
        }
    })
    .await
    .unwrap();

    // The next one takes the buttons over, and leaves the other where it is.
    let person = async {
        let again = shown.recv().await.unwrap();
        assert_eq!((again.1, again.5.len()), (4, 4));
        noted(1).await;
        first.release_name(SERVICE).await.unwrap();
        let next = bus.connection().await;
        let mut shown = serve_on(next.clone(), BUTTONS, 9).await;
        let again = shown.recv().await.unwrap();
        assert_eq!((again.1, again.5.len()), (0, 4), "it counts from another number");
        next.emit_signal(None::<&str>, PATH, SERVICE, "ActionInvoked", &(9_u32, "0"))
            .await
            .unwrap();
        assert_eq!(shown.recv().await.unwrap().3, "jwt: the plan is approved.");
        // One without buttons, which is on the screen when the service leaves.
        desktop.send(&plain).await.unwrap();
        assert!(shown.recv().await.unwrap().3.contains("is done"));
        next.release_name(SERVICE).await.unwrap();
        let last = bus.connection().await;
        let mut shown = serve_on(last.clone(), BUTTONS, 20).await;
        assert!(shown.recv().await.unwrap().3.contains("is done"));
        let closed = (20_u32, 2_u32);
        last.emit_signal(None::<&str>, PATH, SERVICE, "NotificationClosed", &closed).await.unwrap();
    };
    let listening = listen::listen(&desktop, &waiting, act);
    let (end, ()) = tokio::time::timeout(bound, async { tokio::join!(listening, person) })
        .await
        .expect("it ends when no notice is open");
    end.unwrap();
    assert_eq!(pressed.into_inner(), [Press::Approve("open".to_owned())]);
    assert!(waiting.next(|_| false).is_none());
}

#[test]
fn what_needs_words_has_no_buttons() {
    let asked = |options: usize| crate::notify::Asked {
        id: "Q1".to_owned(),
        text: "Where?".to_owned(),
        options: ('A'..).take(options).map(|letter| (letter, "there".to_owned())).collect(),
        suggested: Some('B'),
    };
    let with = |questions| Notice { plan: None, questions, ..plan("1", "") };
    let labels = |notice: &Notice| {
        listen::buttons(notice).into_iter().map(|(label, _)| label).collect::<Vec<_>>()
    };
    assert_eq!(labels(&with(vec![asked(2)])), ["A there", "B ★ there"]);
    assert_eq!(labels(&with(vec![asked(2), asked(2)])).len(), 0);
    assert_eq!(labels(&with(vec![asked(5)])).len(), 0);
    assert_eq!(labels(&with(vec![asked(0)])).len(), 0);
}
