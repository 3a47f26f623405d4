//! G3, G8, O4: what callers and operators are told of calls while they wait, run and end.

use reqwest::Response;
use serde_json::{Value, json};
use tower_quota::sim::{SimConfig, Simulator};

use crate::{
    calls::{chat, client, json_of},
    keys::Keyed,
    process::{Gateway, soon},
    upstream::{Answering, Held},
};

fn header<'a>(answer: &'a Response, name: &str) -> Option<&'a str> {
    let value = answer.headers().get(name)?;
    Some(value.to_str().unwrap())
}

#[tokio::test]
async fn an_answer_tells_where_it_is_from_what_it_took_and_what_it_cost() {
    let sim = Simulator::start(SimConfig::default()).await.unwrap();
    let budget = "{ budgets: [ { amount: 5, every: 1d } ] }";
    let gateway = Gateway::start(&sim.base_url(), budget).await;
    let body = json!({"model": "gpt-5.5", "max_tokens": 50});
    let answer = chat(&gateway, body.clone()).send().await.unwrap();
    assert_eq!(header(&answer, "x-quota-provider"), Some("openai"));
    assert_eq!(header(&answer, "x-quota-model"), Some("gpt-5.5"));
    assert_eq!(header(&answer, "x-quota-attempts"), Some("1"));
    assert_eq!(header(&answer, "x-quota-wait"), Some("0.000"));
    let first: u64 = header(&answer, "x-quota-call").unwrap().parse().unwrap();
    let cost = header(&answer, "x-quota-cost").unwrap().to_owned();
    assert_eq!(answer.status(), 200);

    let budgets = client().get(gateway.url("/quota/budgets")).send().await;
    let (_, budgets) = json_of(budgets.unwrap()).await;
    assert_eq!(budgets["budgets"][0]["settled"], cost.as_str());
    assert_ne!(cost, "0.00");

    let repeated = chat(&gateway, body.clone()).header("x-sim-fault", "status=503;nth=1");
    let answer = repeated.send().await.unwrap();
    assert!(
        header(&answer, "x-quota-call")
            .unwrap()
            .parse::<u64>()
            .unwrap()
            > first
    );
    let stream = json!({"model": "gpt-5.5", "max_tokens": 50, "stream": true});
    let answer = chat(&gateway, stream).send().await.unwrap();
    assert_eq!(header(&answer, "x-quota-model"), Some("gpt-5.5"));
    assert_eq!(header(&answer, "x-quota-cost"), None, "it is not known yet");
    assert!(answer.text().await.unwrap().ends_with("data: [DONE]\n\n"));
}

#[tokio::test]
async fn an_answer_tells_what_is_left_for_the_next_one() {
    let sim = Simulator::start(SimConfig::default()).await.unwrap();
    let limits = "{ max_daily_spend: 5, limits: [\
        { quantity: requests, amount: 10, every: 60s }, \
        { quantity: requests, amount: 3, every: 60s, per: [agent] }, \
        { quantity: requests, amount: 1, every: 60s, shadow: true }, \
        { quantity: requests, amount: 1, every: 60s, when: { model: other } }, \
        { quantity: tokens, amount: 100000, every: 60s, when: { provider: openai } }] }";
    let gateway = Gateway::start(&sim.base_url(), limits).await;
    let asked = |agent: &'static str, stream: bool| {
        let body = json!({"model": "gpt-5.5", "max_tokens": 50, "stream": stream});
        chat(&gateway, body).header("x-quota-agent", agent)
    };
    let left = |answer: &Response| {
        let said = header(answer, "x-quota-remaining").unwrap().to_owned();
        let each = said.split(", ").map(|each| each.split_once('=').unwrap());
        each.map(|(quantity, left)| (quantity.to_owned(), left.parse().unwrap()))
            .collect::<Vec<(String, f64)>>()
    };
    let first = asked("a", false).send().await.unwrap();
    let cost: f64 = header(&first, "x-quota-cost").unwrap().parse().unwrap();
    let said = left(&first);
    // Its provider counts the tokens that a call asks for, whether it has them or not.
    let expected = [
        ("requests", 2.0),
        ("tokens", 99_950.0),
        ("cost", 5.0 - cost),
    ];
    for ((quantity, left), (expected, amount)) in said.iter().zip(expected) {
        assert_eq!(quantity, expected);
        assert!((left - amount).abs() < 1e-9, "{said:?}");
    }
    assert_eq!(said.len(), 3, "{said:?}");

    // Of a stream it is said before it ends: what is reserved is not left.
    let stream = asked("a", true).send().await.unwrap();
    let begun = left(&stream);
    assert_eq!(begun[0], ("requests".to_owned(), 1.0));
    assert!(begun[1].1 <= said[1].1 - 50.0, "{begun:?}");
    stream.text().await.unwrap();
    // Others have their own, until what is everybody's is less.
    for (agent, requests) in [
        ("b", 2.0),
        ("b", 1.0),
        ("b", 0.0),
        ("c", 2.0),
        ("c", 1.0),
        ("c", 0.0),
        ("d", 1.0),
    ] {
        let answer = asked(agent, false).send().await.unwrap();
        assert_eq!(left(&answer)[0].1, requests, "{agent}");
    }
    let refused = asked("b", false).header("x-quota-deadline", "0");
    let refused = refused.send().await.unwrap();
    assert_eq!(refused.status(), 429);
    assert_eq!(
        header(&refused, "x-quota-remaining"),
        None,
        "it names the limit"
    );

    let free = Gateway::start(&sim.base_url(), "{}").await;
    let answer = chat(&free, json!({"model": "gpt-5.5"}))
        .send()
        .await
        .unwrap();
    assert_eq!(
        header(&answer, "x-quota-remaining"),
        None,
        "nothing is limited"
    );
}

#[tokio::test]
async fn json_that_comes_bit_by_bit_is_handed_on_as_it_comes() {
    let mut upstream = Held::start().await;
    let gateway = Gateway::start(&format!("http://{}", upstream.addr), "{}").await;
    // Of an API that nobody knows, and of one whose server keeps the connection alive until there is an answer.
    for path in ["/lines", "/v1/chat/completions"] {
        let call = client().post(gateway.url(path));
        let call = call.json(&json!({"model": "gpt-5.5", "messages": []}));
        let call = tokio::spawn(call.send());
        let answering = upstream.call().await.json();
        answering.piece(" ");
        let mut answer = soon(call).await.unwrap().unwrap();
        assert_eq!(answer.status(), 200, "{path}: it has begun");
        assert_eq!(soon(answer.chunk()).await.unwrap().unwrap(), " ");
        answering.piece("{}");
        assert_eq!(soon(answer.chunk()).await.unwrap().unwrap(), "{}");
        drop(answering);
        assert!(soon(answer.chunk()).await.unwrap().is_none());
    }
}

/// A gateway with one slot, which a call holds.
async fn held(heartbeat: &str) -> (Keyed, Held, Answering, String) {
    let mut upstream = Held::start().await;
    let upstreams = format!(
        "{{ openai: {{ url: 'http://{}' }} }}, heartbeat: {heartbeat}",
        upstream.addr
    );
    let mut keyed = Keyed::start(&upstreams, "{ global: { concurrent_requests: 1 } }").await;
    let token = keyed.key(&["ops", "--role", "admin"]).await;
    let first = call(&keyed.gateway, &token, json!({ "stream": true }));
    tokio::spawn(async move { first.await.unwrap().unwrap().text().await });
    let answering = upstream.call().await.sse();
    (keyed, upstream, answering, token)
}

fn call(
    gateway: &Gateway,
    token: &str,
    body: Value,
) -> tokio::task::JoinHandle<reqwest::Result<Response>> {
    let call = chat(gateway, body).header("x-quota-key", token);
    tokio::spawn(call.send())
}

async fn calls(gateway: &Gateway, token: &str) -> Vec<Value> {
    let asked = client().get(gateway.url("/quota/calls"));
    let asked = asked.header("authorization", format!("Bearer {token}"));
    let (status, body) = json_of(asked.send().await.unwrap()).await;
    assert_eq!(status, 200, "{body}");
    body["calls"].as_array().unwrap().clone()
}

/// The calls, once there are so many that wait.
pub(crate) async fn waiting(gateway: &Gateway, token: &str, number: usize) -> Vec<Value> {
    soon(async {
        loop {
            let calls = calls(gateway, token).await;
            let waiting = calls.iter().filter(|call| call["state"] == "waiting");
            if waiting.count() == number {
                return calls;
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_stream_that_waits_hears_comments_and_then_its_answer() {
    let (keyed, mut upstream, first, token) = held("30ms").await;
    let gateway = &keyed.gateway;
    let waits = call(gateway, &token, json!({ "stream": true }));
    let mut answer = soon(waits).await.unwrap().unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(header(&answer, "content-type"), Some("text/event-stream"));
    for _ in 0..2 {
        let comment = soon(answer.chunk()).await.unwrap().unwrap();
        assert!(
            comment.starts_with(b": waiting for room\n\n"),
            "{comment:?}"
        );
    }
    // Another, whose answer is to be whole, is told nothing before its answer.
    drop(first);
    let second = upstream.call().await.sse();
    second.piece("data: {\"a\":1}\n\n");
    second.piece("data: [DONE]\n\n");
    drop(second);
    let rest = soon(answer.text()).await.unwrap();
    let rest = rest.trim_start_matches(": waiting for room\n\n");
    assert_eq!(rest, "data: {\"a\":1}\n\ndata: [DONE]\n\n");
}

#[tokio::test]
async fn a_stream_that_was_begun_by_comments_ends_with_the_refusal_as_its_last_event() {
    let (keyed, _upstream, _first, token) = held("30ms").await;
    let gateway = &keyed.gateway;
    let mut answer = soon(call(gateway, &token, json!({ "stream": true })))
        .await
        .unwrap()
        .unwrap();
    assert!(soon(answer.chunk()).await.unwrap().is_some());
    let pause = client()
        .post(gateway.url("/quota/pauses"))
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/json")
        .body(json!({ "tags": { "key": "ops" } }).to_string());
    assert_eq!(pause.send().await.unwrap().status(), 200);
    let rest = soon(answer.text()).await.unwrap();
    let rest = rest.trim_start_matches(": waiting for room\n\n");
    assert!(
        rest.starts_with("data: {\"error\":{") && rest.contains("key=ops is paused"),
        "{rest}"
    );
    assert!(rest.ends_with("data: [DONE]\n\n"), "{rest}");
}

#[tokio::test]
async fn calls_that_wait_and_run_are_listed_and_one_can_be_cancelled() {
    let (keyed, mut upstream, first, token) = held("0s").await;
    let gateway = &keyed.gateway;
    first.piece("data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n");
    let second = call(gateway, &token, json!({ "stream": true }));
    waiting(gateway, &token, 1).await;
    let third = call(gateway, &token, json!({}));
    let listed = waiting(gateway, &token, 2).await;
    assert_eq!(listed.len(), 3);
    let (runs, waits) = (&listed[0], &listed[1]);
    assert_eq!(runs["state"], "sent", "{runs}");
    assert_eq!(runs["path"], "/v1/chat/completions");
    assert!(runs["tags"].as_str().unwrap().contains("key=ops"), "{runs}");
    assert!(
        runs["what"]
            .as_str()
            .unwrap()
            .contains("attempt 1 to provider=openai model=sim-1"),
        "{runs}"
    );
    let what = waits["what"].as_str().unwrap();
    assert!(
        what.starts_with("waits for concurrency 1: 1 in use"),
        "{what}"
    );

    let cancel = async |id: &Value| {
        let path = format!("/quota/calls/{id}/cancel");
        let asked = client().post(gateway.url(&path));
        let asked = asked.header("authorization", format!("Bearer {token}"));
        asked.send().await.unwrap().status().as_u16()
    };
    // One that waits is told so.
    assert_eq!(cancel(&waits["id"]).await, 200);
    let answer = soon(second).await.unwrap().unwrap();
    assert_eq!(header(&answer, "x-should-retry"), Some("false"));
    let (status, body) = json_of(answer).await;
    assert_eq!((status, &body["error"]["code"]), (409, &json!("cancelled")));
    assert_eq!(cancel(&waits["id"]).await, 404);
    // One that runs is cut off, and its slot is the next one's.
    assert_eq!(cancel(&runs["id"]).await, 200);
    first.given_up().await;
    drop(upstream.call().await.answer());
    assert_eq!(soon(third).await.unwrap().unwrap().status(), 200);
    soon(async { while !calls(gateway, &token).await.is_empty() {} }).await;
}

/// Of a caller that reads no more nobody asks for the rest of its answer: it is given up all the same.
#[tokio::test]
async fn a_stream_that_its_caller_does_not_read_can_be_cancelled() {
    let mut upstream = Held::start().await;
    let upstreams = format!("{{ openai: {{ url: 'http://{}' }} }}", upstream.addr);
    let mut keyed = Keyed::start(&upstreams, "{ global: { concurrent_requests: 1 } }").await;
    let token = keyed.key(&["ops", "--role", "admin"]).await;
    let gateway = &keyed.gateway;
    let unread = call(gateway, &token, json!({ "stream": true }));
    let first = upstream.call().await.sse();
    // More than fits between the two.
    let comment: &'static str = format!(": {}\n\n", "a".repeat(1 << 20)).leak();
    (0..64).for_each(|_| first.piece(comment));
    let unread = soon(unread).await.unwrap().unwrap();
    let second = call(gateway, &token, json!({}));
    let listed = waiting(gateway, &token, 1).await;

    let path = format!("/quota/calls/{}/cancel", listed[0]["id"]);
    let cancel = client().post(gateway.url(&path));
    let cancel = cancel.header("authorization", format!("Bearer {token}"));
    assert_eq!(cancel.send().await.unwrap().status(), 200);
    first.given_up().await;
    drop(upstream.call().await.answer());
    assert_eq!(soon(second).await.unwrap().unwrap().status(), 200);
    soon(async { while !calls(gateway, &token).await.is_empty() {} }).await;
    // What had left before is there, and then it breaks off.
    soon(unread.bytes()).await.unwrap_err();
}

/// O1, G4: what is measured and how all stands, for those who may look.
#[tokio::test]
async fn metrics_and_status_show_calls_limits_and_budgets_to_viewers() {
    let sim = Simulator::start(SimConfig::default()).await.unwrap();
    let upstreams = format!(
        "{{ openai: {{ url: '{}' }} }}, metrics: {{ tags: [team] }}",
        sim.base_url()
    );
    let limits = "{ global: { rpm: 100 }, max_daily_spend: 5 }";
    let mut keyed = Keyed::start(&upstreams, limits).await;
    let token = keyed.key(&["look", "--role", "viewer"]).await;
    let caller = keyed.key(&["caller", "--tag", "team=blue"]).await;
    let gateway = &keyed.gateway;
    let body = json!({"model": "gpt-5.5", "max_tokens": 50});
    for _ in 0..3 {
        let answer = call(gateway, &caller, body.clone()).await.unwrap().unwrap();
        assert_eq!(answer.status(), 200);
    }
    let ask = |path: &str, token: &str| {
        let asked = client().get(gateway.url(path));
        asked
            .header("authorization", format!("Bearer {token}"))
            .send()
    };
    assert_eq!(ask("/metrics", &caller).await.unwrap().status(), 403);
    let answer = ask("/metrics", &token).await.unwrap();
    assert!(
        header(&answer, "content-type")
            .unwrap()
            .starts_with("text/plain")
    );
    let text = answer.text().await.unwrap();
    for line in [
        "tower_quota_limit_used{tower_quota_limit=\"requests 100/min\"",
        "tower_quota_calls_total{",
        "gen_ai_client_token_usage",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    assert!(
        text.lines()
            .any(|line| line.contains("blue") && line.ends_with(" 3")),
        "{text}"
    );
    assert!(!text.contains(&token), "{text}");

    assert_eq!(ask("/quota/status", &caller).await.unwrap().status(), 403);
    let (_, status) = json_of(ask("/quota/status", &token).await.unwrap()).await;
    assert_eq!(status["limits"][0]["limit"], "requests 100/min");
    assert_eq!(status["limits"][0]["in_use"], "3");
    assert_eq!(status["limits"][0]["share"], 0.03);
    let budget = &status["budgets"][0];
    assert_eq!(budget["amount"], "5.00", "{status}");
    assert_eq!(status["limits"][1]["in_use"], budget["settled"], "{status}");
    assert_eq!(
        (&status["waiting"], &status["sent"]),
        (&json!(0), &json!(0))
    );
}
