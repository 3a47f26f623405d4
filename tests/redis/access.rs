//! A server that lets in whom it knows, over TLS with a certificate of one's own authority.
#![cfg(all(feature = "redis", unix))]

use crate::certificates;
use crate::servers as redis;

use std::{fs, path::Path, time::Duration};

use redis::{Folder, Reply, Server};
use tower_quota::{
    Tags,
    limit::{Demand, Limit, Limits},
    store::{
        Claim, Decision, Settlement, Store as _,
        redis::{OpenError, RedisOptions, RedisStore},
    },
};

/// What a store does there, in the words of `ACL SETUSER`.
const RIGHTS: [&str; 20] = [
    "resetchannels",
    "-@all",
    "+eval",
    "+evalsha",
    "+time",
    "+get",
    "+set",
    "+del",
    "+hget",
    "+hmget",
    "+hgetall",
    "+hset",
    "+hsetnx",
    "+hdel",
    "+xadd",
    "+xrange",
    "+xread",
    "+xtrim",
    "+hello",
    "+ping",
];

fn options(url: &str) -> RedisOptions {
    let limits = Limits::new([Limit::requests(2).every(Duration::from_secs(3_600))]).unwrap();
    let options = RedisOptions::new(url, limits).unwrap();
    options.timeout(Duration::from_secs(5))
}

fn claim() -> Claim {
    Claim::new(Tags::new(), Demand::default())
}

/// Claims and settles as often as it may.
async fn counts(store: &RedisStore) -> usize {
    let claim = claim();
    let mut granted = 0;
    while let Decision::Granted(mut grant) = store.claim(&claim).get().await.unwrap() {
        store.date(&mut grant);
        let done = store.settle(grant, Settlement::Unknown);
        done.get().await.unwrap();
        granted += 1;
    }
    granted
}

fn refused(opened: Result<RedisStore, OpenError>, why: &str) {
    let error = opened.unwrap_err();
    let said = error.to_string();
    assert!(matches!(error, OpenError::Unreachable { .. }), "{said}");
    assert!(said.contains(why), "{said}");
    assert!(!said.contains("marked"), "{said}");
}

#[tokio::test]
async fn with_a_password_who_has_none_or_another_is_refused() {
    let server = Server::start(&[("requirepass", "marked")]);
    let at = server.address();
    refused(options(&format!("redis://{at}")).open(), "NOAUTH");
    refused(
        options(&format!("redis://:other@{at}")).open(),
        "authentication failed",
    );
    let store = options(&format!("redis://:marked@{at}")).open().unwrap();
    assert_eq!(counts(&store).await, 2);
    assert!(!format!("{store:?}").contains("marked"));
}

#[tokio::test]
async fn a_user_needs_no_more_rights_than_these_and_keys_of_its_namespace() {
    let server = Server::start(&[]);
    let setuser = [
        "ACL",
        "SETUSER",
        "counts",
        "on",
        ">marked",
        "~{tower-quota:team}:*",
    ];
    let said = server.ask(&[&setuser[..], &RIGHTS].concat());
    assert_eq!(said, Reply::ok());
    let at = server.address();
    let url = |namespace: &str| format!("redis://counts:marked@{at}?namespace={namespace}");
    let store = options(&url("team")).image_after(1).open().unwrap();
    let other = options(&url("team")).open().unwrap();
    assert_eq!(counts(&store).await, 2);
    assert_eq!(counts(&other).await, 0);
    // What was lost is put back with the same rights.
    server.ask(&["FLUSHALL"]);
    // Nothing is granted until both have told again what they know: until then a claim hears so.
    let told = async {
        while other.claim(&claim()).get().await.is_err() {
            let _ = store.audit().get().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), told)
        .await
        .unwrap();
    assert_eq!(counts(&other).await, 0);
    store.audit().get().await.unwrap();
    refused(options(&url("others")).open(), "NOPERM");
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap()
}

#[tokio::test]
async fn over_tls_it_trusts_the_authority_that_it_is_given_and_nobody_else() {
    let folder = Folder::new();
    certificates::make(|name| folder.file(name).to_string_lossy().into_owned());
    let file = |name: &str| folder.file(name).to_string_lossy().into_owned();
    let (ca, certificate, key) = (file("ca.pem"), file("server.pem"), file("server.key"));
    let (_server, port) = Server::start_with_tls(&[
        ("tls-cert-file", &certificate),
        ("tls-key-file", &key),
        ("tls-ca-cert-file", &ca),
        ("tls-auth-clients", "no"),
        ("requirepass", "marked"),
    ]);
    let options = || options(&format!("rediss://:marked@127.0.0.1:{port}"));
    let store = options()
        .root_certificate(read(ca.as_ref()))
        .open()
        .unwrap();
    assert_eq!(counts(&store).await, 2);
    // The public authorities know nothing of it, nor does another of one's own.
    refused(options().open(), "certificate");
    let other = Folder::new();
    certificates::make(|name| other.file(name).to_string_lossy().into_owned());
    let other = read(&other.file("ca.pem"));
    refused(options().root_certificate(other).open(), "certificate");
    refused(options().root_certificate("none").open(), "none in PEM");
}
