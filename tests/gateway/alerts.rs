//! O3: webhooks are told what happens, once; a test sends one to each.

use axum::{Router, body::Bytes, extract::State, http::StatusCode};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::mpsc};
use tower_quota::sim::{SimConfig, Simulator};

use crate::{
    calls::{chat, client},
    ports::taken,
    process::{ConfigFile, Gateway, run, soon},
};

/// A webhook that answers with this status. Where it is, and what it gets.
async fn webhook(status: u16) -> (String, mpsc::UnboundedReceiver<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let (tell, got) = mpsc::unbounded_channel();
    let status = StatusCode::from_u16(status).unwrap();
    let take = move |State(tell): State<mpsc::UnboundedSender<Value>>, body: Bytes| async move {
        let _ = tell.send(serde_json::from_slice(&body).unwrap());
        status
    };
    let router = Router::new().fallback(take).with_state(tell);
    tokio::spawn(async move { axum::serve(listener, router).await });
    (format!("http://{addr}/s3cret"), got)
}

fn config(upstream: &str, alerts: &str) -> String {
    format!(
        "rate_limiting: {{ budgets: [{{ amount: 0.004, every: 1d }}], alert_threshold: 0.000001 }}\ngateway:\n  \
         listen: 127.0.0.1:0\n  upstream: {upstream}\n  alerts: {alerts}\n"
    )
}

async fn call(gateway: &Gateway) -> u16 {
    let body = json!({"model": "gpt-5.5", "max_tokens": 9});
    let answer = chat(gateway, body).send().await.unwrap();
    let status = answer.status().as_u16();
    answer.text().await.unwrap();
    status
}

/// How many alerts of this kind came to this, by the metrics, once there are any.
async fn counted(gateway: &Gateway, kind: &str, outcome: &str) -> f64 {
    let series = format!(
        "tower_quota_alerts_total{{tower_quota_kind=\"{kind}\",tower_quota_outcome=\"{outcome}\"}} "
    );
    soon(async {
        loop {
            let text = client().get(gateway.url("/metrics")).send().await.unwrap();
            let text = text.text().await.unwrap();
            let mut lines = text.lines().filter_map(|line| line.strip_prefix(&series));
            if let Some(number) = lines.next() {
                return number.parse().unwrap();
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_threshold_reaches_slack_once_and_what_comes_later_the_webhooks_of_a_reload() {
    let sim = Simulator::start(SimConfig::default()).await.unwrap();
    let (slack, mut told) = webhook(200).await;
    let (other, mut told_later) = webhook(404).await;
    let upstream = sim.base_url();
    let text = config(&upstream, &format!("[{{ url: '{slack}', form: slack }}]"));
    let mut gateway = Gateway::start_text(&upstream, &text).await;
    assert_eq!(call(&gateway).await, 200);
    let got = soon(told.recv()).await.unwrap();
    let text = got["text"].as_str().unwrap();
    assert!(
        text.starts_with("tower-quota, threshold: cost $0.004/day"),
        "{text}"
    );
    assert_eq!(counted(&gateway, "threshold", "delivered").await, 1.0);
    assert!(gateway.complaint().await.contains("budget: "));

    let alerts = format!("[{{ url: '{other}', on: [spent], headers: {{ x-token: s3cret }} }}]");
    let said = gateway.reload_text(&config(&upstream, &alerts)).await;
    assert_eq!(said, "tower-quota: reloaded; nothing is another");
    while call(&gateway).await == 200 {}
    for _ in 0..2 {
        call(&gateway).await;
    }
    let got = soon(told_later.recv()).await.unwrap();
    assert_eq!(
        (&got["kind"], &got["is_over"]),
        (&"spent".into(), &false.into())
    );
    let said = gateway.complaint().await;
    assert!(
        said.starts_with("tower-quota: alerts: gateway.alerts[0] answered 404; an alert is lost (spent): attempts are refused: "),
        "{said}"
    );
    assert!(!said.contains("s3cret"), "{said}");
    assert_eq!(counted(&gateway, "spent", "failed").await, 1.0);
    let said = gateway
        .reload_text(&config(&upstream, "[{ url: nowhere/s3cret }]"))
        .await;
    assert!(
        said.contains("not reloaded") && said.contains("gateway.alerts[0].url"),
        "{said}"
    );
    assert!(!said.contains("s3cret"), "{said}");
    gateway.term().await;
    assert_eq!(gateway.ended().await.code(), Some(0));
    assert!(told.try_recv().is_err(), "it was told once");
}

#[tokio::test]
async fn alerts_test_sends_one_to_each_and_fails_where_one_does_not_take_it() {
    let (good, mut got) = webhook(200).await;
    let (bad, _held) = webhook(403).await;
    let (_taken, addr) = taken();
    let nobody = format!("http://{addr}/s3cret");
    let test = async |alerts: &str| {
        let file = ConfigFile::new(&config("http://127.0.0.1:1", alerts));
        let output = run(&["alerts", "test", "--config", file.path()]).await;
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let (out, err) = (text(output.stdout), text(output.stderr));
        assert!(
            !out.contains("s3cret") && !err.contains("s3cret"),
            "{out}{err}"
        );
        (output.status.code().unwrap(), out, err)
    };
    let (code, said, _) = test(&format!("[{{ url: '{good}', on: [parked] }}]")).await;
    assert_eq!((code, &*said), (0, "gateway.alerts[0] has taken it: 200\n"));
    assert_eq!(soon(got.recv()).await.unwrap()["kind"], "test");

    let all = format!("[{{ url: '{good}' }}, {{ url: '{bad}' }}, {{ url: '{nobody}' }}]");
    let (code, said, complaint) = test(&all).await;
    assert_eq!(code, 1);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(
        lines[..2],
        [
            "gateway.alerts[0] has taken it: 200",
            "gateway.alerts[1] answered 403"
        ]
    );
    assert!(
        lines[2].starts_with("gateway.alerts[2] was not reached: "),
        "{said}"
    );
    assert_eq!(
        complaint,
        "tower-quota: of 3 webhooks 2 did not take an alert\n"
    );

    for (wrong, word) in [
        ("[]", "there is no webhook to test"),
        ("[{ url: 'ftp://h/s3cret' }]", "gateway.alerts[0].url"),
        ("[{ url: 'http://me:s3cret@h' }]", "without a user"),
        (
            "[{ url: 'http://h/', timeout: 0s }]",
            "gateway.alerts[0].timeout",
        ),
        ("[{ url: 'http://h/', on: [] }]", "gateway.alerts[0].on"),
        (
            "[{ url: 'http://h/', headers: { 'x y': s3cret } }]",
            "no name of a header",
        ),
    ] {
        let (code, _, complaint) = test(wrong).await;
        assert!(code == 2 && complaint.contains(word), "{code}: {complaint}");
    }
}
