//! G4, O2: what the dashboard is made of, and what it asks: to everybody what is theirs.

use reqwest::Method;
use serde_json::Value;
use tower_quota::sim::{SimConfig, SimServer, Simulator};

use crate::{
    admin::ask,
    calls::client,
    keys::Keyed,
    process::{Gateway, soon},
};

const LIMITS: &str = "{ limits: [
    { quantity: requests, amount: 50, every: 1h },
    { quantity: requests, amount: 2, every: 1h, per: [team] },
    { quantity: requests, amount: 40, every: 1h, when: { team: red } },
    { quantity: requests, amount: 41, every: 1h, per: [team], when: { team: [red, blue] } } ],
  budgets: [ { amount: 10, every: day, per: [team] }, { amount: 90, every: month } ],
  retry: { max_attempts: 1 } }";

async fn started() -> (Keyed, SimServer) {
    let sim = Simulator::start(SimConfig::default()).await.unwrap();
    let upstreams = format!("{{ openai: {{ url: '{}' }} }}", sim.base_url());
    (Keyed::start(&upstreams, LIMITS).await, sim)
}

/// A call with this key, by an agent: its status and its number.
async fn call(gateway: &Gateway, token: &str, agent: &str) -> (u16, String) {
    let call = client()
        .post(gateway.url("/v1/chat/completions"))
        .header("authorization", format!("Bearer {token}"))
        .header("x-quota-agent", agent)
        .header("x-quota-deadline", "1s")
        .body(r#"{"model":"gpt-4o","max_tokens":100,"messages":[{"role":"user","content":"hi"}]}"#);
    let answer = soon(call.send()).await.unwrap();
    let status = answer.status().as_u16();
    let id = answer.headers()["x-quota-call"]
        .to_str()
        .unwrap()
        .to_owned();
    soon(answer.bytes()).await.unwrap();
    (status, id)
}

fn texts<'v>(list: &'v Value, name: &str) -> Vec<&'v str> {
    let list = list.as_array().unwrap().iter();
    list.map(|one| one[name].as_str().unwrap()).collect()
}

#[tokio::test]
async fn the_page_is_there_without_a_key_and_has_nothing_in_it_that_wants_one() {
    let (keyed, _sim) = started().await;
    let gateway = &keyed.gateway;
    let page = soon(client().get(gateway.url("/quota/")).send())
        .await
        .unwrap();
    assert_eq!(page.status(), 200);
    let policy = page.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    assert!(
        page.headers()["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/html")
    );
    let text = soon(page.text()).await.unwrap();
    for (name, kind) in [
        ("style.css", "text/css"),
        ("main.js", "text/javascript"),
        ("ask.js", "text/javascript"),
        ("draw.js", "text/javascript"),
        ("plot.js", "text/javascript"),
        ("spend.js", "text/javascript"),
    ] {
        let path = format!("/quota/assets/{name}");
        let file = soon(client().get(gateway.url(&path)).send()).await.unwrap();
        assert_eq!(file.status(), 200, "{name}");
        let header = |name: &str| file.headers()[name].to_str().unwrap().to_owned();
        assert!(header("content-type").starts_with(kind), "{name}");
        assert_eq!(header("x-content-type-options"), "nosniff");
        let asset = soon(file.text()).await.unwrap();
        let without = asset.replace("http://www.w3.org/2000/svg", "");
        assert!(!without.contains("://"), "{name} names another host");
        assert!(
            !asset.contains("innerHTML"),
            "{name} makes elements of text"
        );
        // What it takes from its neighbours is here, too.
        for (start, _) in asset.match_indices("from \"./") {
            let other = asset[start..].split('"').nth(1).unwrap();
            let path = format!("/quota/assets/{}", &other[2..]);
            let other = soon(client().get(gateway.url(&path)).send()).await.unwrap();
            assert_eq!(other.status(), 200, "{path}");
        }
    }
    assert!(!text.contains("://"), "{text}");

    let bare = soon(client().get(gateway.url("/quota")).send())
        .await
        .unwrap();
    assert!(bare.url().path().ends_with("/quota/"), "{}", bare.url());
    let none = soon(client().get(gateway.url("/quota/assets/none.js")).send())
        .await
        .unwrap();
    assert_eq!(none.status(), 404);
}

#[tokio::test]
async fn a_team_sees_what_is_its_own_and_nothing_else() {
    let (mut keyed, _sim) = started().await;
    let blue = keyed.key(&["blue", "--tag", "team=blue"]).await;
    let red = keyed.key(&["red", "--tag", "team=red"]).await;
    let own = keyed
        .key(&["blue-eye", "--role", "viewer", "--tag", "team=blue"])
        .await;
    let all = keyed.key(&["eye", "--role", "viewer"]).await;
    let gateway = &keyed.gateway;
    let (status, of_red) = call(gateway, &red, "r-1").await;
    assert_eq!(status, 200);
    for expected in [200, 200, 429] {
        let (status, id) = call(gateway, &blue, "b-1").await;
        assert_eq!(status, expected);
        let (status, story) = ask(
            gateway,
            Some(&own),
            (Method::GET, &format!("/quota/calls/{id}")),
            None,
        )
        .await;
        assert_eq!(
            (status, &story["tags"]["team"]),
            (200, &Value::from("blue"))
        );
    }
    let get = |token: &str, path: &str| {
        let (token, path) = (token.to_owned(), path.to_owned());
        async move { ask(gateway, Some(&token), (Method::GET, &path), None).await }
    };
    let seen = |token: &str, path: &str| {
        let (token, path) = (token.to_owned(), path.to_owned());
        async move {
            let (status, said) = ask(gateway, Some(&token), (Method::GET, &path), None).await;
            assert_eq!(status, 200, "{path}: {said}");
            said
        }
    };

    let status = seen(&own, "/quota/status").await;
    assert_eq!(status["is_all"], false);
    assert_eq!(
        texts(&status["limits"], "limit"),
        [
            "requests 2/hour per team",
            "cost $10.00/calendar day in UTC per team"
        ],
        "{status}"
    );
    assert_eq!(
        texts(&status["budgets"], "budget"),
        ["cost $10.00/calendar day in UTC for team=blue"]
    );
    let everything = seen(&all, "/quota/status").await;
    assert_eq!(everything["is_all"], true);
    assert_eq!(
        everything["budgets"].as_array().unwrap().len(),
        3,
        "{everything}"
    );

    let limits = seen(&own, "/quota/limits").await;
    let shown = limits["limits"].as_array().unwrap();
    assert_eq!(shown.len(), 2, "those that are split by teams: {limits}");

    let refusals = seen(&own, "/quota/refusals").await;
    assert_eq!(refusals["refusals"].as_array().unwrap().len(), 1);
    let of_others = seen(&own, "/quota/refusals?tag=team=red").await;
    assert_eq!(of_others["refusals"].as_array().unwrap().len(), 0);

    // An attempt is recorded when its end was seen, which may be after its answer was.
    let mut costs = seen(&own, "/quota/costs?by=agent").await;
    while costs["periods"][0]["total"]["requests"] != 2 {
        costs = seen(&own, "/quota/costs?by=agent").await;
    }
    let today = &costs["periods"][0];
    assert_eq!(today["rows"].as_array().unwrap().len(), 1, "{costs}");
    assert_eq!(
        today["rows"][0]["tags"],
        serde_json::json!({ "agent": "b-1" })
    );
    assert_eq!(today["total"]["requests"], 2);
    assert_eq!(today["is_whole"], true);
    while seen(&all, "/quota/costs?by=agent").await["periods"][0]["total"]["requests"] != 3 {}

    let minutes = seen(&own, "/quota/minutes?by=agent").await;
    let rows = minutes["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 1, "{minutes}");
    let sum = |name: &str| -> u64 {
        let each = rows[0][name].as_array().unwrap().iter();
        each.map(|figure| figure.as_u64().unwrap()).sum()
    };
    assert_eq!((sum("attempts"), sum("refused")), (2, 1));
    assert_eq!(
        seen(&all, "/quota/minutes?by=team").await["rows"]
            .as_array()
            .unwrap()
            .len(),
        2
    );

    let (status, said) = get(&own, &format!("/quota/calls/{of_red}")).await;
    assert_eq!(status, 404, "{said}");
    for path in ["/metrics", "/quota/audit", "/quota/targets"] {
        let (status, said) = get(&own, path).await;
        assert_eq!(status, 403, "{path}: {said}");
        assert!(
            said["detail"]
                .as_str()
                .unwrap()
                .contains("`blue-eye` sees what has its tags"),
            "{said}"
        );
    }
}

#[tokio::test]
async fn costs_are_what_the_provider_billed_and_what_makes_no_sense_is_said() {
    let (mut keyed, sim) = started().await;
    let caller = keyed.key(&["caller", "--tag", "team=red"]).await;
    let all = keyed.key(&["eye", "--role", "viewer"]).await;
    let gateway = &keyed.gateway;
    call(gateway, &caller, "a").await;
    sim.simulator().idle().await;
    let billed = sim.ledger().billed();
    let costs = loop {
        let asked = (Method::GET, "/quota/costs?unit=month&by=model&last=5");
        let (_, costs) = ask(gateway, Some(&all), asked, None).await;
        if costs["periods"][0]["rows"][0]["tags"]["model"].is_string() {
            break costs;
        }
    };
    let row = &costs["periods"][0]["rows"][0];
    assert_eq!(row["tags"]["model"], "gpt-4o");
    assert_eq!(
        (row["input"].as_u64(), row["output"].as_u64()),
        (Some(billed.input), Some(billed.output))
    );
    // $2.50 and $10 a million.
    let nanos = billed.input * 2_500 + billed.output * 10_000;
    assert_eq!(
        row["cost"].as_str().unwrap().parse::<f64>().unwrap(),
        nanos as f64 / 1e9
    );

    for (query, word) in [
        ("costs?unit=year", "year"),
        ("costs?by=shoe", "there are no sums by shoe"),
        ("costs?last=-1", "last"),
        ("costs?colour=red", "colour"),
        ("minutes?by=user", "none of model, agent and team"),
    ] {
        let path = format!("/quota/{query}");
        let (status, said) = ask(gateway, Some(&all), (Method::GET, &path), None).await;
        assert_eq!(status, 400, "{query}: {said}");
        assert!(
            said["detail"].as_str().unwrap().contains(word),
            "{query}: {said}"
        );
    }
}
