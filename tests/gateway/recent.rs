//! O2, O4: why calls were refused, and what became of one, for operators.

use reqwest::Method;
use serde_json::Value;

use crate::{
    admin::{admin, ask, started},
    calls::{client, json_of},
    process::{Gateway, soon},
};

/// A call of this team, and its number.
async fn call(gateway: &Gateway, token: &str, model: &str) -> (u16, u64) {
    let call = client()
        .post(gateway.url("/v1/chat/completions"))
        .header("authorization", format!("Bearer {token}"))
        .header("x-quota-agent", "scout")
        .body(format!(
            r#"{{"model":"{model}","max_tokens":9,"messages":[{{"role":"user","content":"a-prompt"}}]}}"#
        ));
    let answer = call.send().await.unwrap();
    let id = answer.headers()["x-quota-call"].to_str().unwrap();
    let id = id.parse().unwrap();
    let status = answer.status().as_u16();
    answer.text().await.unwrap();
    (status, id)
}

/// Its story, once it is over.
async fn story(gateway: &Gateway, token: &str, id: u64) -> Value {
    soon(async {
        loop {
            let path = format!("/quota/calls/{id}");
            let (status, story) = ask(gateway, Some(token), (Method::GET, &path), None).await;
            assert_eq!(status, 200, "{story}");
            if story["is_over"] == true {
                return story;
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_call_is_known_by_the_number_in_its_answer() {
    let (mut keyed, _sim, ops) = started().await;
    let blue = keyed.key(&["b", "--tag", "team=blue"]).await;
    let viewer = keyed.key(&["v", "--role", "viewer"]).await;
    let gateway = &keyed.gateway;
    let (status, id) = call(gateway, &blue, "gpt-4o").await;
    assert_eq!(status, 200);
    let story = story(gateway, &viewer, id).await;
    let events = story["events"].as_array().unwrap();
    let what: Vec<&Value> = events.iter().map(|event| &event["what"]).collect();
    assert_eq!(what, ["came", "attempt", "over"]);
    assert_eq!(story["tags"]["team"], "blue");
    assert_eq!(story["dialect"], "openai_chat");
    let attempt = &events[1];
    assert_eq!(
        (&attempt["status"], &attempt["number"]),
        (&200.into(), &1.into())
    );
    assert_eq!(attempt["target"]["model"], "gpt-4o");
    assert_ne!(attempt["usage"]["cost"], Value::Null);
    assert!(!story.to_string().contains("a-prompt") && !story.to_string().contains(&blue));

    let path = format!("/quota/calls/{id}");
    assert_eq!(
        ask(gateway, Some(&blue), (Method::GET, &path), None)
            .await
            .0,
        403
    );
    let (code, said, _) = admin(gateway, &ops, &["call", &id.to_string()]).await;
    assert_eq!(code, 0);
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines.contains(&"dialect: openai_chat"), "{said}");
    assert!(lines[lines.len() - 2].contains("s  attempt "), "{said}");
    assert!(
        lines[lines.len() - 1].contains("s  over      attempts=1  outcome=ok"),
        "{said}"
    );

    let (code, _, complaint) = admin(gateway, &ops, &["call", "999999"]).await;
    assert!(code != 0 && complaint.contains("no call 999999 is open, or was over lately"));
}

#[tokio::test]
async fn refusals_are_shown_with_the_words_that_the_caller_has_had() {
    let (mut keyed, _sim, ops) = started().await;
    let blue = keyed.key(&["b", "--tag", "team=blue"]).await;
    let red = keyed.key(&["r", "--tag", "team=red"]).await;
    let gateway = &keyed.gateway;
    let (_, none, _) = admin(gateway, &ops, &["refusals"]).await;
    assert_eq!(none, "none\n");
    let hostile = "no-price \\u001b[2J";
    for (key, model) in [(&blue, hostile), (&red, "neither"), (&red, "gpt-4o")] {
        call(gateway, key, model).await;
    }
    let (status, id) = call(gateway, &blue, "no-price").await;
    assert_eq!(status, 402);

    let asked = client().get(gateway.url("/quota/refusals?tag=team=blue"));
    let asked = asked.header("authorization", format!("Bearer {ops}"));
    let (status, said) = json_of(asked.send().await.unwrap()).await;
    assert_eq!(status, 200);
    let refusals = said["refusals"].as_array().unwrap();
    assert_eq!(refusals.len(), 2, "{said}");
    let last = &refusals[1];
    assert_eq!(
        (&last["kind"], &last["call"]),
        (&"unknown_price".into(), &id.into())
    );
    assert!(
        last["message"]
            .as_str()
            .unwrap()
            .starts_with("no price is known for the model `no-price`")
    );
    let story = story(gateway, &ops, id).await;
    assert_eq!(story["events"][1]["message"], last["message"]);

    let (_, table, _) = admin(gateway, &ops, &["refusals", "team=blue", "agent=scout"]).await;
    assert_eq!(table.lines().count(), 3, "{table}");
    assert!(
        table.contains("\\u{1b}[2J") && !table.contains('\u{1b}'),
        "{table}"
    );
    let (_, all, _) = admin(gateway, &ops, &["refusals"]).await;
    assert_eq!(all.lines().count(), 4, "{all}");
    let wrong = (Method::GET, "/quota/refusals?tag=team");
    assert_eq!(ask(gateway, Some(&ops), wrong, None).await.0, 400);
}
