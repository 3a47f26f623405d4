//! G7: programs that cannot be proxied claim and settle over HTTP.

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    calls::{client, json_of},
    keys::Keyed,
    process::Gateway,
};

const LIMITS: &str = "{ budgets: [ { amount: 1, every: 1d } ], limits: [
    { quantity: requests, amount: 2, every: 1h, per: [agent] },
    { quantity: tokens, amount: 5000, every: 1h } ] }";

async fn ask(
    gateway: &Gateway,
    token: &str,
    (method, path): (Method, &str),
    body: Option<Value>,
) -> (u16, Value) {
    let call = client()
        .request(method, gateway.url(path))
        .header("authorization", format!("Bearer {token}"))
        .header("x-quota-agent", "batch")
        .header("x-quota-deadline", "0s");
    let call = match body {
        Some(body) => call
            .header("content-type", "application/json")
            .body(body.to_string()),
        None => call,
    };
    let answer = call.send().await.unwrap();
    if answer.status() == 204 {
        return (204, Value::Null);
    }
    json_of(answer).await
}

async fn text(gateway: &Gateway, token: &str, path: &str) -> (u16, String) {
    let call = client().get(gateway.url(path));
    let call = call.header("authorization", format!("Bearer {token}"));
    let answer = call.send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

async fn spent(gateway: &Gateway, token: &str) -> (String, String) {
    let asked = (Method::GET, "/quota/budgets");
    let (_, body) = ask(gateway, token, asked, None).await;
    let of = |name: &str| body["budgets"][0][name].as_str().unwrap().to_owned();
    (of("settled"), of("reserved"))
}

#[tokio::test]
async fn what_is_claimed_is_reserved_and_what_is_settled_is_spent() {
    let mut keyed = Keyed::start("{ local: { url: 'http://127.0.0.1:1' } }", LIMITS).await;
    let token = keyed.key(&["ops", "--role", "admin"]).await;
    let other = keyed.key(&["other"]).await;
    let gateway = &keyed.gateway;
    let claims = || (Method::POST, "/quota/claims");
    let asked = json!({ "provider": "openai", "model": "gpt-4o", "input": 1000, "output": 1000 });
    let (status, claim) = ask(gateway, &token, claims(), Some(asked.clone())).await;
    assert_eq!((status, &claim["lease"]), (201, &json!(600)), "{claim}");
    assert_eq!(
        spent(gateway, &token).await,
        ("0.00".to_owned(), "0.0125".to_owned())
    );

    let path = |verb: &str| format!("/quota/claims/{}{verb}", claim["claim"].as_str().unwrap());
    let used = Some(json!({ "input": 1000, "output": 100 }));
    let (status, said) = ask(
        gateway,
        &other,
        (Method::POST, &path("/settle")),
        used.clone(),
    )
    .await;
    assert_eq!(status, 404, "another's: {said}");
    let lease = Some(json!({ "lease": "1h" }));
    let (status, said) = ask(gateway, &token, (Method::POST, &path("/extend")), lease).await;
    assert_eq!((status, &said["lease"]), (200, &json!(3600)));
    let (status, said) = ask(
        gateway,
        &token,
        (Method::POST, &path("/settle")),
        used.clone(),
    )
    .await;
    assert_eq!((status, &said["cost"]), (200, &json!("0.0035")), "{said}");
    assert_eq!(
        spent(gateway, &token).await,
        ("0.0035".to_owned(), "0.00".to_owned())
    );
    assert_eq!(
        ask(gateway, &token, (Method::POST, &path("/settle")), used)
            .await
            .0,
        404
    );

    // Whoever looks on sees it among the calls, and its money among the costs.
    let (_, metrics) = text(gateway, &token, "/metrics").await;
    let counted = metrics.lines().find(|line| {
        line.starts_with("tower_quota_calls_total{") && line.contains("outcome=\"ok\"")
    });
    assert!(
        counted.is_some_and(|line| line.ends_with(" 1") && line.contains("\"gpt-4o\"")),
        "{metrics}"
    );
    let costs = (Method::GET, "/quota/costs?by=model");
    let (_, costs) = ask(gateway, &token, costs, None).await;
    let total = &costs["periods"][0]["total"];
    assert_eq!(
        (&total["cost"], &total["requests"]),
        (&json!("0.0035"), &json!(1)),
        "{costs}"
    );

    // What is given back was never there.
    let (_, claim) = ask(gateway, &token, claims(), Some(asked.clone())).await;
    let path = format!("/quota/claims/{}", claim["claim"].as_str().unwrap());
    assert_eq!(
        ask(gateway, &token, (Method::DELETE, &path), None).await.0,
        204
    );
    assert_eq!(spent(gateway, &token).await.1, "0.00");
    let (status, _) = ask(gateway, &token, claims(), Some(asked.clone())).await;
    assert_eq!(status, 201);
    let (status, refused) = ask(gateway, &token, claims(), Some(asked)).await;
    assert_eq!(status, 429);
    assert!(
        refused["detail"].as_str().unwrap().contains("requests 2/h"),
        "{refused}"
    );
    let asked = (Method::GET, "/quota/refusals");
    let (_, refusals) = ask(gateway, &token, asked, None).await;
    assert!(refusals.to_string().contains("requests 2/h"), "{refusals}");
}

/// A unit that is mistaken, or bad will, spends nobody's budget; and what a leaked key has claimed can be seen and ended.
#[tokio::test]
async fn an_absurd_settlement_is_refused_and_an_operator_ends_any_claim() {
    let mut keyed = Keyed::start("{ local: { url: 'http://127.0.0.1:1' } }", LIMITS).await;
    let admin = keyed.key(&["ops", "--role", "admin"]).await;
    let caller = keyed.key(&["ci"]).await;
    let gateway = &keyed.gateway;
    let claims = || (Method::POST, "/quota/claims");
    let asked = json!({ "provider": "openai", "model": "gpt-4o", "input": 1000, "output": 1000 });
    let (_, claim) = ask(gateway, &caller, claims(), Some(asked.clone())).await;
    let path = format!("/quota/claims/{}/settle", claim["claim"].as_str().unwrap());
    for used in [
        json!({ "cost": "9000000" }),
        json!({ "input": 2_000_000_000_u64 }),
    ] {
        let (status, said) = ask(gateway, &caller, (Method::POST, &path), Some(used)).await;
        assert_eq!(
            (status, &said["code"]),
            (400, &json!("bad_request")),
            "{said}"
        );
    }
    // Unless somebody who may says that it was so.
    let used = Some(json!({ "cost": "0.02" }));
    assert_eq!(
        ask(gateway, &admin, (Method::POST, &path), used).await.0,
        200
    );

    let (_, claim) = ask(gateway, &caller, claims(), Some(asked)).await;
    let (_, open) = ask(gateway, &admin, (Method::GET, "/quota/calls"), None).await;
    let held = &open["calls"][0];
    assert_eq!(held["path"], "/quota/claims", "{open}");
    assert_eq!(spent(gateway, &admin).await.1, "0.0125");
    let cancel = format!("/quota/calls/{}/cancel", held["id"]);
    assert_eq!(
        ask(gateway, &admin, (Method::POST, &cancel), None).await.0,
        200
    );
    for looked in 0.. {
        assert!(looked < 10_000, "it is open yet");
        let (_, open) = ask(gateway, &admin, (Method::GET, "/quota/calls"), None).await;
        if open["calls"].as_array().unwrap().is_empty() {
            break;
        }
    }
    let path = format!("/quota/claims/{}", claim["claim"].as_str().unwrap());
    assert_eq!(
        ask(gateway, &caller, (Method::DELETE, &path), None).await.0,
        404
    );
    assert_eq!(
        spent(gateway, &admin).await,
        ("0.02".to_owned(), "0.00".to_owned())
    );
}

/// One claim that nobody settles does not spend what is everybody's, by a mistaken unit or by bad will.
#[tokio::test]
async fn a_caller_says_no_cost_that_makes_no_sense_and_an_admin_says_any() {
    let upstreams = "{ local: { url: 'http://127.0.0.1:1' } }";
    let budget = "{ budgets: [ { amount: 20, every: 1d } ] }";
    let mut keyed = Keyed::start(upstreams, budget).await;
    let admin = keyed.key(&["ops", "--role", "admin"]).await;
    let caller = keyed.key(&["ci"]).await;
    let gateway = &keyed.gateway;
    let claims = || (Method::POST, "/quota/claims");
    let call = json!({ "provider": "openai", "model": "gpt-4o", "input": 1000, "output": 1000 });
    let with = |call: &Value, cost: &str| {
        let mut asked = call.clone();
        asked["cost"] = cost.into();
        asked
    };
    let no_tokens = json!({ "provider": "openai", "model": "gpt-4o" });
    let no_price = json!({ "model": "nobody-knows", "input": 1000, "output": 1000 });
    for (mut asked, said) in [
        (with(&json!({}), "20"), "$2.00 at most"),
        (with(&no_tokens, "20"), "$2.00 at most"),
        (with(&no_price, "2.01"), "$2.00 at most"),
        // What is 1.25 cents, in cents.
        (with(&call, "1.25"), "$1.00 at most"),
        (with(&call, "20"), "ten times what its tokens cost"),
    ] {
        asked["lease"] = "1s".into();
        let (status, refused) = ask(gateway, &caller, claims(), Some(asked)).await;
        let code = &refused["code"];
        assert_eq!((status, code), (400, &json!("bad_request")), "{refused}");
        let detail = refused["detail"].as_str().unwrap();
        let helps = detail.contains("`cost` is in dollars");
        assert!(helps && detail.contains(said), "{refused}");
    }
    let whole = ("0.00".to_owned(), "0.00".to_owned());
    assert_eq!(spent(gateway, &admin).await, whole);

    let large = json!({ "provider": "openai", "model": "gpt-4o", "input": 100_000 });
    for (token, asked, reserved) in [
        (&caller, json!({ "cost": "2" }), "2.00"),
        (&caller, with(&large, "2.5"), "4.50"),
        (&caller, with(&call, "0.1"), "4.60"),
        (&caller, call, "4.6125"),
        (&admin, json!({ "cost": "15" }), "19.6125"),
    ] {
        let (status, claim) = ask(gateway, token, claims(), Some(asked)).await;
        assert_eq!(status, 201, "{claim}");
        assert_eq!(spent(gateway, &admin).await.1, reserved);
    }
}

#[tokio::test]
async fn what_makes_no_sense_or_has_no_price_is_refused() {
    let gateway = Gateway::start("http://127.0.0.1:1", LIMITS).await;
    for (body, expected, code) in [
        (
            json!({ "model": "gpt-4o", "inputs": 1 }),
            400,
            "bad_request",
        ),
        (
            json!({ "provider": "openai", "model": "nobody-knows", "input": 1 }),
            402,
            "unknown_price",
        ),
        (
            json!({ "provider": "openai", "model": "gpt-4o", "input": 6000, "output": 1 }),
            413,
            "never_fits",
        ),
        (json!({ "cost": "2" }), 413, "never_fits"),
        (json!({ "lease": "1h", "outputs": 2 }), 400, "bad_request"),
    ] {
        let asked = (Method::POST, "/quota/claims");
        let (status, said) = ask(&gateway, "none", asked, Some(body)).await;
        assert_eq!((status, &said["code"]), (expected, &json!(code)), "{said}");
    }
    let asked = (Method::POST, "/quota/claims");
    let (status, claim) = ask(&gateway, "none", asked, Some(json!({ "cost": "0.5" }))).await;
    assert_eq!(status, 201, "what it may cost can be said: {claim}");
    // What says nothing gives nothing back.
    let path = format!("/quota/claims/{}/settle", claim["claim"].as_str().unwrap());
    for body in [json!({}), json!({ "inputs": 9 })] {
        let asked = (Method::POST, &*path);
        let (status, said) = ask(&gateway, "none", asked, Some(body)).await;
        assert_eq!(status, 400, "{said}");
    }
    let asked = (Method::POST, &*path);
    assert_eq!(
        ask(&gateway, "none", asked, Some(json!({ "cost": "0.25" })))
            .await
            .0,
        200
    );
}

#[tokio::test]
async fn readiness_hangs_on_the_store_alone() {
    let gateway = Gateway::start("http://127.0.0.1:1", LIMITS).await;
    let ready = client().get(gateway.url("/readyz")).send().await.unwrap();
    assert_eq!(ready.status(), 200);
}
