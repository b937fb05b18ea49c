//! Two people on the same page.

use super::*;

#[tokio::test]
async fn of_two_people_who_answer_the_same_question_one_wins_and_both_see_it() {
    let site = Site::open().await;
    let folder = site.session("jwt", "requirements", "Work");
    let status = "Phase: requirements\nIteration: 1\nBlocked: waiting_human\n";
    std::fs::write(folder.overview(), format!("# Session: jwt\n\n## Status\n{status}")).unwrap();
    let qa = "### Q1: Where?\nA. Here\nB. There\n**Answer:** _waiting_\n\n\
              ### Q2: When?\nA. Now\nB. Later\n**Answer:** _waiting_\n";
    std::fs::write(folder.qa(), qa).unwrap();
    let answer = async |cookie: &str, token: &str, options: [(&str, &str, &str); 2]| {
        let mut fields = vec![(form::TOKEN.to_owned(), token.to_owned())];
        for (id, asked, option) in options {
            fields.push((format!("asked-{id}"), asked.to_owned()));
            if !option.is_empty() {
                fields.push((format!("option-{id}"), option.to_owned()));
            }
        }
        let fields: Vec<_> = fields.iter().map(|(key, value)| (&key[..], &value[..])).collect();
        let sent = site.post("/s/jwt/answer", &fields).header(COOKIE, cookie);
        sent.send().await.unwrap()
    };
    let (anna, ben) = (site.visit(Access::Full).await, site.visit(Access::Full).await);
    // Both have the page open, and both questions are open on it.
    let (annas, bens) = (page(&site, &anna, "/s/jwt").await, page(&site, &ben, "/s/jwt").await);
    let (annas, bens) = (form_token(&annas), form_token(&bens));
    let sent = answer(&anna, &annas, [("Q1", "Where?", "A"), ("Q2", "When?", "")]).await;
    assert_eq!(sent.status(), StatusCode::SEE_OTHER);
    let refused = answer(&ben, &bens, [("Q1", "Where?", "B"), ("Q2", "When?", "B")]).await;
    let status = refused.status();
    let said = refused.text().await.unwrap();
    assert!(status.is_client_error() && said.contains("Q1 is settled: A - Here"), "{said}");
    let kept = std::fs::read_to_string(folder.qa()).unwrap();
    assert!(kept.contains("A - Here") && kept.contains("_waiting_"), "nothing of it: {kept}");
    // The same answer again, as after a reload, is no dispute; what is open can be answered.
    let again = answer(&ben, &bens, [("Q1", "Where?", "A"), ("Q2", "When?", "B")]).await;
    assert_eq!(again.status(), StatusCode::SEE_OTHER);
    let kept = std::fs::read_to_string(folder.qa()).unwrap();
    assert!(kept.contains("A - Here") && kept.contains("B - Later"), "{kept}");
}
