//! Versions on one server during a rolling upgrade: those that understand each other count together, others are refused
//! and say so.
#![cfg(all(feature = "redis", unix))]

use crate::servers as redis;

use std::time::Duration;

use redis::{Fault, Proxy, Reply, Server, until};
use tower_quota::{
    Tags,
    limit::{Demand, Limit, Limits},
    store::{
        Claim, Decision, Store as _,
        redis::{OpenError, RedisOptions, RedisStore},
    },
};

const LOG: &str = "{tower-quota:default}:log";
const HEAD: &str = "{tower-quota:default}:head";
const IMAGE: &str = "{tower-quota:default}:image";

fn options(url: &str, form: u32, needs: u32) -> RedisOptions {
    let day = Duration::from_secs(86_400);
    let limits = Limits::new([Limit::requests(5).every(day)]).unwrap();
    let options = RedisOptions::new(url, limits).unwrap();
    options
        .as_version(form, needs)
        .timeout(Duration::from_secs(5))
}

fn claim() -> Claim {
    Claim::new(Tags::new(), Demand::default())
}

async fn granted(store: &RedisStore) -> bool {
    let decision = store.claim(&claim()).get().await.unwrap();
    matches!(decision, Decision::Granted(_))
}

async fn in_use(store: &RedisStore) -> u64 {
    store.peek(&claim()).get().await.unwrap()[0].in_use
}

/// S9: versions side by side.
#[tokio::test]
async fn a_newer_one_that_the_older_follows_counts_beside_it() {
    let server = Server::start(&[]);
    let older = options(&server.url(), 1, 1).open().unwrap();
    let newer = options(&server.url(), 2, 1).open().unwrap();
    for store in [&older, &newer, &older] {
        assert!(granted(store).await);
    }
    // And one of the older comes back while the newer is there.
    older.close().unwrap();
    let older = options(&server.url(), 1, 1).open().unwrap();
    assert!(granted(&older).await && granted(&newer).await);
    assert!(!granted(&older).await && !granted(&newer).await);
}

#[tokio::test]
async fn one_that_wants_more_waits_for_the_older_to_go_and_keeps_it_out_then() {
    let server = Server::start(&[]);
    let older = options(&server.url(), 1, 1).open().unwrap();
    assert!(granted(&older).await);
    let refused = options(&server.url(), 2, 2).open().unwrap_err();
    assert!(
        matches!(
            refused,
            OpenError::Older {
                found: 1,
                wanted: 2,
                ..
            }
        ),
        "{refused}"
    );
    assert!(granted(&older).await, "nothing has changed for it");
    older.close().unwrap();

    let newer = options(&server.url(), 2, 2).open().unwrap();
    assert_eq!(in_use(&newer).await, 2, "what was counted is counted");
    let refused = options(&server.url(), 1, 1).open().unwrap_err();
    assert!(
        matches!(
            refused,
            OpenError::Newer {
                wanted: 2,
                known: 1,
                ..
            }
        ),
        "{refused}"
    );
    assert!(granted(&newer).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_older_that_was_cut_off_all_the_while_claims_nothing_and_says_why() {
    let server = Server::start(&[]);
    let proxy = Proxy::start(server.address());
    let silence = Duration::from_secs(1);
    let older = options(&proxy.url(), 1, 1).silence(silence).open().unwrap();
    assert!(granted(&older).await);
    proxy.set(Fault::Hold);
    // When it is dead to the others.
    let mut newer = None;
    until("the newer one joins", || {
        let opened = options(&server.url(), 2, 2).silence(silence).open();
        newer = opened.ok();
        newer.is_some()
    });
    let newer = newer.unwrap();
    proxy.set(Fault::Pass);
    let error = older.claim(&claim()).get().await.unwrap_err().to_string();
    assert!(error.contains("newer version counts there"), "{error}");
    assert_eq!(in_use(&newer).await, 1);
    assert!(granted(&newer).await);
}

#[tokio::test]
async fn what_a_newer_one_says_besides_is_passed_over() {
    let server = Server::start(&[]);
    let older = options(&server.url(), 1, 1).open().unwrap();
    assert!(granted(&older).await);
    // The claim as another version of another process would have it.
    let Reply::List(entries) = server.ask(&["XREVRANGE", LOG, "+", "-"]) else {
        panic!("there is a log");
    };
    let texts = entries.iter().map(|entry| match entry {
        Reply::List(parts) => match &parts[1] {
            Reply::List(fields) => fields[1].text(),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    });
    let texts: Vec<String> = texts.collect();
    let claimed = texts
        .iter()
        .find(|text| text.contains(r#"{"claim":{"claim":{"#));
    let parts: Vec<&str> = claimed.unwrap().splitn(5, ' ').collect();
    let op = parts[4].replacen(
        r#"{"claim":{"claim":{"#,
        r#"{"claim":{"later":{"a":[1]},"claim":{"hint":"x","#,
        1,
    );
    let pos: u64 = server.ask(&["HGET", HEAD, "pos"]).text().parse().unwrap();
    let (id, pos) = (format!("{}-7", pos + 1), (pos + 1).to_string());
    let (tick, wall) = (parts[0], parts[1]);
    let entry = format!("{tick} {wall} 00000000000000aa 1 {op}");
    server.ask(&["XADD", LOG, &id, "e", &entry]);
    let knows = format!("1 {wall} 1 2");
    server.ask(&[
        "HSET",
        HEAD,
        "pos",
        &pos,
        "tag",
        "7",
        "i:00000000000000aa",
        &knows,
    ]);
    assert_eq!(in_use(&older).await, 2);
    // And an image with more in it than is known here.
    let image = server.ask(&["GET", IMAGE]).text();
    let more = image.replacen(r#"{"rest":{"#, r#"{"later":[],"rest":{"hint":{},"#, 1);
    assert_ne!(image, more);
    server.ask(&["SET", IMAGE, &more]);
    let other = options(&server.url(), 1, 1).open().unwrap();
    assert_eq!(in_use(&other).await, 2);
}
