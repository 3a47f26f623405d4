//! Claims and money: where a price is wanted of them, and what they wait for.

use serde_json::{Value, json};

use crate::{
    calls::{client, json_of},
    process::{Gateway, soon},
};

/// What is answered to a program that says no deadline.
async fn ask(gateway: &Gateway, path: &str, body: Value) -> (u16, Value) {
    let call = client().post(gateway.url(path));
    let call = call.header("x-quota-agent", "batch").json(&body);
    json_of(soon(call.send()).await.unwrap()).await
}

#[tokio::test]
async fn a_price_is_wanted_where_a_call_of_the_same_caller_wants_one() {
    for (limits, expected) in [
        (
            "{ budgets: [ { amount: 1, every: 1d } ], unknown_price: allow }",
            201,
        ),
        ("{ budgets: [ { amount: 1, every: 1d, mode: soft } ] }", 201),
        (
            "{ budgets: [ { amount: 1, every: 1d, when: { agent: other } } ] }",
            201,
        ),
        (
            "{ budgets: [ { amount: 1, every: 1d } ], enabled: false }",
            201,
        ),
        (
            "{ budgets: [ { amount: 1, every: 1d, when: { agent: batch } } ] }",
            402,
        ),
        (
            "{ budgets: [ { amount: 1, every: 1d, mode: circuit } ] }",
            402,
        ),
    ] {
        let gateway = Gateway::start("http://127.0.0.1:1", limits).await;
        let unpriced = json!({ "provider": "openai", "model": "nobody-knows", "input": 10 });
        let (status, said) = ask(&gateway, "/quota/claims", unpriced).await;
        assert_eq!(status, expected, "{limits}: {said}");
        if status == 402 {
            assert_eq!(said["code"], "unknown_price", "{said}");
        }
    }
}

#[tokio::test]
async fn for_money_that_is_spent_a_claim_is_refused_at_once() {
    let limits = "{ budgets: [ { amount: 1, every: 1d } ] }";
    let gateway = Gateway::start("http://127.0.0.1:1", limits).await;
    let (status, claim) = ask(&gateway, "/quota/claims", json!({ "cost": "0.9" })).await;
    assert_eq!(status, 201, "{claim}");
    let settle = format!("/quota/claims/{}/settle", claim["claim"].as_str().unwrap());
    let (status, said) = ask(&gateway, &settle, json!({ "cost": "0.9" })).await;
    assert_eq!(status, 200, "{said}");
    let (status, said) = ask(&gateway, "/quota/claims", json!({ "cost": "0.5" })).await;
    let code = &said["code"];
    assert_eq!((status, code), (402, &json!("budget_exceeded")), "{said}");
    let (status, said) = ask(&gateway, "/quota/claims", json!({ "cost": "0.1" })).await;
    assert_eq!(status, 201, "what is left is there: {said}");
}
