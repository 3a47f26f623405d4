//! What is kept of calls of late: all of it in order, no more than is said, and nothing that is secret.

use crate::support;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};
use tower::{Layer as _, ServiceExt as _};
use tower_quota::{
    AdmissionLayer, RateLimitLayer, RetryLayer, Tag, Tags, limit::Limit, limiter::Progress,
    recent::Recent,
};

use support::{Answer, Frames, HOUR, MINUTE, Upstream, limiter, one_a_minute, secs};

const ANSWER: &str = r#"{"model":"m-2026","choices":[{"finish_reason":"stop","message":{"content":"Hi"}}],
    "usage":{"prompt_tokens":9,"completion_tokens":1}}"#;

fn answered() -> Answer {
    Answer::Typed("application/json", Frames::of([ANSWER]))
}

fn request(tags: Tags) -> (Request<Full<Bytes>>, u64) {
    let mut request = support::chat::<Full<Bytes>>();
    let progress = Progress::new();
    let id = progress.id();
    request.extensions_mut().insert(tags);
    request.extensions_mut().insert(progress);
    (request, id)
}

fn of(agent: &str) -> Tags {
    Tags::new().with(Tag::Agent, agent)
}

fn story(recent: &Recent, id: u64) -> Value {
    serde_json::to_value(recent.call(id).unwrap()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_story_of_a_call_is_whole_and_in_order() {
    let (recent, limiter) = (
        Recent::new(),
        limiter([Limit::requests(1).every(MINUTE).per(Tag::Agent)]),
    );
    let upstream = Upstream::new().latency(secs(2)).answers([
        answered(),
        Answer::Busy(70, Frames::of(["{}"])),
        answered(),
    ]);
    let service = RateLimitLayer::new(limiter)
        .observe(recent.clone())
        .retry(RetryLayer::new().longest_wait(HOUR))
        .layer(upstream);
    let call = |request| async {
        service
            .clone()
            .oneshot(request)
            .await
            .unwrap()
            .into_body()
            .collect()
            .await
    };
    call(request(of("a")).0).await.unwrap();
    let (request, id) = request(of("a"));
    let service = service.clone();
    let open = tokio::spawn(async move {
        let answer = service.oneshot(request).await.unwrap();
        answer.into_body().collect().await.map(drop)
    });
    tokio::time::sleep(secs(10)).await;
    let waits = story(&recent, id);
    assert_eq!(waits["is_over"], false);
    let events = waits["events"].as_array().unwrap();
    assert_eq!(events.len(), 2, "{waits}");
    assert_eq!(
        events[1],
        json!({ "after": 0.0, "what": "waits", "limit": "requests 1/min for agent=a" })
    );

    open.await.unwrap().unwrap();
    let over = story(&recent, id);
    assert_eq!(
        (&over["call"], &over["is_over"]),
        (&id.into(), &true.into())
    );
    let events = over["events"].as_array().unwrap();
    let waited = json!({
        "after": 58.5, "what": "waited", "rule": "requests 1/min per agent", "seconds": 58.5, "has_room": true,
    });
    assert_eq!(events[2], waited);
    assert_eq!(
        (&events[3]["what"], &events[3]["seconds"]),
        (&"cools".into(), &70.0.into())
    );
    let attempt = &events[4];
    assert_eq!(attempt["after"], 60.5);
    assert_eq!(
        (
            &attempt["what"],
            &attempt["status"],
            &attempt["error"],
            &attempt["took"]
        ),
        (
            &"attempt".into(),
            &429.into(),
            &"rate_limit".into(),
            &2.0.into()
        )
    );
    assert_eq!(
        (&events[5]["what"], &events[5]["cause"]),
        (&"repeats".into(), &"rate_limit".into())
    );
    let attempt = &events[6];
    assert_eq!(
        (
            &attempt["number"],
            &attempt["usage"]["input"],
            &attempt["model"],
            &attempt["is_reported"]
        ),
        (&2.into(), &9.into(), &"m-2026".into(), &true.into())
    );
    let last = &events[7];
    assert_eq!(
        (
            &last["what"],
            &last["outcome"],
            &last["attempts"],
            &last["waited"]
        ),
        (&"over".into(), &"ok".into(), &2.into(), &58.5.into())
    );
    assert_eq!((events.len(), &over["left_out"]), (8, &0.into()));
    assert!(
        recent.refusals(&Tags::new()).is_empty(),
        "a call that waits is none that is refused"
    );
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_kept_with_its_words_and_shown_to_whom_it_concerns() {
    let recent = Recent::new();
    let layer = AdmissionLayer::new(one_a_minute()).reject_when_full();
    let service = layer.observe(recent.clone()).layer(Upstream::new());
    service.clone().oneshot(request(of("a")).0).await.unwrap();
    tokio::time::sleep(secs(20)).await;
    let (request, id) = request(of("b"));
    let answer = service.oneshot(request).await.unwrap();
    let rejection = answer.extensions().get::<tower_quota::Rejection>().unwrap();
    let refusals = recent.refusals(&Tags::new());
    let [refusal] = &*refusals else {
        panic!("{refusals:?}")
    };
    assert_eq!((refusal.call, refusal.kind), (id, "rate_limited"));
    assert_eq!(*refusal.message, rejection.to_string());
    let wait = refusal
        .retry_at
        .unwrap()
        .duration_since(refusal.at)
        .unwrap();
    assert_eq!(wait, rejection.retry_after().unwrap());
    assert_eq!(recent.refusals(&of("b")).len(), 1);
    assert!(recent.refusals(&of("a")).is_empty());
    assert!(recent.refusals(&of("b").with(Tag::Team, "x")).is_empty());
    let story = story(&recent, id);
    assert_eq!(story["events"][1]["message"], rejection.to_string());
    assert_eq!(story["events"][2]["kind"], "rate_limited");
}

#[tokio::test(start_paused = true)]
async fn the_oldest_go_and_what_is_open_stays() {
    let recent = Recent::keeping(2, 3);
    let layer = AdmissionLayer::new(limiter([Limit::requests(5).every(HOUR)])).reject_when_full();
    let service = layer.observe(recent.clone()).layer(Upstream::new());
    let (first, open) = request(of("open"));
    let held = service.clone().oneshot(first).await.unwrap();
    let mut ids = Vec::new();
    for _ in 0..9 {
        let (request, id) = request(of("a"));
        let answer = service.clone().oneshot(request).await.unwrap();
        drop(answer);
        ids.push(id);
    }
    let known: Vec<u64> = ids
        .iter()
        .copied()
        .filter(|id| recent.call(*id).is_some())
        .collect();
    assert_eq!(known, ids[6..]);
    let refused = recent.refusals(&Tags::new());
    let refused: Vec<u64> = refused.iter().map(|refusal| refusal.call).collect();
    assert_eq!(refused, ids[7..]);
    assert!(!recent.call(open).unwrap().is_over);
    drop(held);
    assert!(recent.call(open).unwrap().is_over);
    assert!(recent.call(ids[6]).is_none(), "it made room");
    assert!(recent.call(u64::MAX).is_none());
}

#[tokio::test(start_paused = true)]
async fn nothing_that_is_asked_or_answered_or_secret_is_in_it_and_what_is_long_is_cut() {
    let recent = Recent::new();
    let service = RateLimitLayer::new(limiter([Limit::requests(1).every(HOUR).per(Tag::Agent)]))
        .observe(recent.clone())
        .layer(Upstream::new().answers([Answer::Typed(
            "application/json",
            Frames::of([ANSWER.replace("m-2026", &"m".repeat(100_000)).leak()]),
        )]));
    let mut tags = of(&"a".repeat(100_000));
    for i in 0..1_000 {
        tags.set(Tag::from(format!("free-{i}")), "x".repeat(1_000));
    }
    let (mut request, id) = request(tags);
    *request.body_mut() =
        Full::from(r#"{"model":"m","messages":[{"role":"user","content":"a-prompt"}]}"#);
    let header = "Bearer sk-secret".try_into().unwrap();
    request.headers_mut().insert("authorization", header);
    let answer = service.oneshot(request).await.unwrap();
    answer.into_body().collect().await.unwrap();
    let text = story(&recent, id).to_string();
    for hidden in ["sk-secret", "a-prompt", "Hi"] {
        assert!(!text.contains(hidden), "{text}");
    }
    assert!(text.len() < 8_000, "{} bytes", text.len());
}

#[tokio::test(start_paused = true)]
async fn the_same_call_sent_again_by_a_foreign_layer_is_one_story() {
    let recent = Recent::new();
    let service = RateLimitLayer::new(limiter([]))
        .observe(recent.clone())
        .layer(Upstream::new());
    let (one, id) = request(of("a"));
    let (mut other, _) = request(of("a"));
    let progress = one.extensions().get::<Progress>().unwrap().clone();
    other.extensions_mut().insert(progress);
    let first = service.clone().oneshot(one).await.unwrap();
    let second = service.oneshot(other).await.unwrap();
    drop(first);
    assert!(!recent.call(id).unwrap().is_over);
    drop(second);
    let story = story(&recent, id);
    let events = story["events"].as_array().unwrap();
    let of_kind = |what| events.iter().filter(|event| event["what"] == what).count();
    assert_eq!(
        (of_kind("came"), of_kind("over"), &story["is_over"]),
        (2, 2, &true.into())
    );
}
