//! What a phone does without an open page: it takes messages, and its buttons decide.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::*;
use crate::notify::buttons::{Press, plan_key, question_key};
use crate::notify::presses::Presses;
use crate::notify::webpush::Subscriptions;

#[tokio::test]
async fn a_browser_subscribes_with_the_key_and_is_forgotten_when_it_signs_out() {
    let site = Site::open().await;
    let cookie = site.visit(Access::Full).await;
    let own = form_token(&page(&site, &cookie, "/").await);
    let browsers = Subscriptions::of(site.root.path());
    let endpoint = "https://push.example.net/secret?a=b&c";
    let known = async |endpoint: &str| -> serde_json::Value {
        let of =
            percent_encoding::utf8_percent_encode(endpoint, percent_encoding::NON_ALPHANUMERIC);
        serde_json::from_str(&page(&site, &cookie, &format!("/push?of={of}")).await).unwrap()
    };
    let before = known(endpoint).await;
    assert_eq!(URL_SAFE_NO_PAD.decode(before["key"].as_str().unwrap()).unwrap().len(), 65);
    assert_eq!(before["on"], false);

    let (p256dh, auth) = (URL_SAFE_NO_PAD.encode([4; 65]), URL_SAFE_NO_PAD.encode([1; 16]));
    let fields = |token: &str, endpoint: &str| {
        let pairs =
            [(form::TOKEN, token), ("endpoint", endpoint), ("p256dh", &p256dh), ("auth", &auth)];
        site.post("/push", &pairs).header(COOKIE, &cookie)
    };
    text(fields("", endpoint).send().await.unwrap(), StatusCode::FORBIDDEN).await;
    let unfit = fields(&own, "http://192.0.2.1/").send().await.unwrap();
    assert!(text(unfit, StatusCode::BAD_REQUEST).await.contains("not an https address"));
    assert_eq!(browsers.live(), []);
    let agent = "Mozilla/5.0 (Android 15; Mobile; rv:150.0) Gecko/150.0 Firefox/150.0";
    let sent = fields(&own, endpoint).header("user-agent", agent).send().await.unwrap();
    text(sent, StatusCode::NO_CONTENT).await;
    let live = browsers.live();
    assert_eq!(
        (live[0].endpoint.as_str(), live[0].device.as_str()),
        (endpoint, "Firefox on Android")
    );
    assert_eq!(live[0].page, site.base);
    assert_eq!(known(endpoint).await, serde_json::json!({"key": before["key"], "on": true}));

    let off = [(form::TOKEN, own.as_str()), ("endpoint", endpoint)];
    let sent = site.post("/push/off", &off).header(COOKIE, &cookie).send().await.unwrap();
    text(sent, StatusCode::NO_CONTENT).await;
    assert_eq!(browsers.live(), []);
    fields(&own, endpoint).send().await.unwrap();
    let other = site.visit(Access::Full).await;
    let leave = |cookie: &str, token: &str| {
        site.post("/leave", &[(form::TOKEN, token)]).header(COOKIE, cookie)
    };
    let others = form_token(&page(&site, &other, "/").await);
    leave(&other, &others).send().await.unwrap();
    assert_eq!(browsers.live().len(), 1, "another browser signed out");
    leave(&cookie, &own).send().await.unwrap();
    assert_eq!(browsers.live(), []);

    let reader = site.visit(Access::ReadOnly).await;
    let sent = site.get("/push").header(COOKIE, &reader).send().await.unwrap();
    text(sent, StatusCode::FORBIDDEN).await;
    assert!(!page(&site, &reader, "/").await.contains("id=\"messages\""));
    let worker = site.get("/sw.js").send().await.unwrap();
    assert!(worker.headers()["content-type"].to_str().unwrap().starts_with("text/javascript"));
    let policy = worker.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("worker-src 'self'"), "{policy}");
}

#[tokio::test]
async fn a_button_works_once_without_a_cookie_and_only_for_what_is_asked_now() {
    let site = Site::open().await;
    let waits = |name: &str, phase: &str| {
        let folder = site.session(name, phase, "Work");
        let status = format!("Phase: {phase}\nIteration: 1\nBlocked: waiting_human\n");
        let text = format!("# Session: {name}\n\n## Status\n{status}");
        std::fs::write(folder.overview(), text).unwrap();
        folder
    };
    let folder = waits("jwt", "requirements");
    let qa = "### Q1: Where?\nA. Here\nB. There\n**Answer:** _waiting_\n\n\
              ### Q2: When?\nA. Now\n**Answer:** _waiting_\n";
    std::fs::write(folder.qa(), qa).unwrap();
    let presses = Presses::of(site.root.path());
    let issue = |press: Press| presses.issue(&[press], Timestamp::now()).unwrap();
    let answer = |text: &str, letter| {
        let key = question_key("jwt", "Q1", text);
        issue(Press::Answer { key, letter })
    };
    // As a program on the phone: no cookie, and perhaps the origin of another site.
    let press = async |secret: &str, status| {
        let url = format!("{}/press/{secret}/0", site.base);
        let sent = site.client.post(url).header(ORIGIN, "https://ntfy.example.org");
        text(sent.send().await.unwrap(), status).await
    };
    press(&"0".repeat(64), StatusCode::GONE).await;
    let (first, second) = (answer("Where?", 'B'), answer("Where?", 'A'));
    assert_eq!(site.get(&format!("/press/{first}/0")).send().await.unwrap().status(), 405);
    let said = press(&first, StatusCode::OK).await;
    assert!(said.contains("Q1: B - There") && said.contains("Still open: Q2"), "{said}");
    assert!(press(&first, StatusCode::GONE).await.contains("does not work any more"));
    assert!(press(&second, StatusCode::GONE).await.contains("Q1 is settled: B - There"));
    let changed = answer("Where exactly?", 'A');
    assert!(press(&changed, StatusCode::GONE).await.contains("settled already"));
    assert!(std::fs::read_to_string(folder.qa()).unwrap().contains("B - There"));

    let folder = waits("plan", "planning");
    let plan = "# The plan\n";
    std::fs::write(folder.path().join("11-20-18:31-plan-plan.md"), plan).unwrap();
    let key = plan_key("plan", plan);
    let other = issue(Press::Approve(plan_key("plan", "# An older plan\n")));
    assert!(press(&other, StatusCode::GONE).await.contains("settled already"));
    let both = [Press::Approve(key.clone()), Press::Reject(key)];
    let secret = presses.issue(&both, Timestamp::now()).unwrap();
    let url = format!("{}/press/{secret}/1", site.base);
    let said = text(site.client.post(&url).send().await.unwrap(), StatusCode::OK).await;
    assert!(said.contains("plan: the plan is rejected"), "{said}");
    press(&secret, StatusCode::GONE).await;
}
