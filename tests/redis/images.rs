//! Images that do not come to be: they are tried again soon, and a log that only grows is said.
#![cfg(all(feature = "redis", unix))]

use crate::servers as redis;

use std::time::Duration;

use redis::{Proxy, Reply, Server, until};
use tower_quota::{
    Tags, Usage,
    limit::{Limit, Limits},
    store::{
        Store as _,
        redis::{RedisOptions, RedisStore},
    },
};

const DAY: Duration = Duration::from_secs(86_400);
const HEAD: &str = "{tower-quota:default}:head";

/// An image is due with each fiftieth entry. Nobody asks by itself meanwhile.
fn open(url: &str) -> RedisStore {
    let limits = Limits::new([Limit::requests(1_000_000).every(DAY)]);
    let options = RedisOptions::new(url, limits.unwrap()).unwrap();
    let options = options.silence(DAY).image_after(50);
    options.timeout(Duration::from_secs(20)).open().unwrap()
}

/// So much is done, and what follows from it.
async fn record(store: &RedisStore, times: usize) {
    let recorded: Vec<_> = (0..times)
        .map(|_| store.record(&Tags::new(), Usage::new(1, 1)))
        .collect();
    for answer in recorded {
        answer.get().await.unwrap();
    }
    // An image is written behind the answers, and before the next question.
    store.budgets().get().await.unwrap();
}

/// Up to where the last image goes.
fn image(server: &Server) -> String {
    server.ask(&["HGET", HEAD, "image"]).text()
}

#[tokio::test]
async fn one_whose_connection_breaks_is_tried_again_though_nothing_is_done_any_more() {
    let server = Server::start(&[]);
    let proxy = Proxy::start(server.address());
    let store = open(&proxy.url());
    // An image alone says that. The server is told its script first.
    proxy.cut_reply_to("\"epochs\"", 0);
    record(&store, 60).await;
    assert!(proxy.has_found());
    until("it is written", || image(&server) != "0-0");
    // There is one, and no other is due.
    let before = image(&server);
    record(&store, 20).await;
    assert_eq!(image(&server), before);
}

#[tokio::test]
async fn a_log_that_is_ten_times_too_long_is_said_until_there_is_an_image() {
    let server = Server::start(&[]);
    let store = open(&server.url());
    let may = |right| {
        let said = server.ask(&["ACL", "SETUSER", "default", right]);
        assert_eq!(said, Reply::ok());
    };
    may("-set");
    record(&store, 400).await;
    assert_eq!(image(&server), "0-0");
    store.health().get().await.unwrap();
    record(&store, 150).await;
    let said = store.health().get().await.unwrap_err().to_string();
    assert!(said.contains("since the last image"), "{said}");
    may("+set");
    until("it is written", || image(&server) != "0-0");
    record(&store, 1).await;
    store.health().get().await.unwrap();
}
