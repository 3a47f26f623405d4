//! `store:` says where a configuration counts.
#![cfg(all(feature = "config", feature = "sqlite"))]

use crate::folder;
#[cfg(all(feature = "redis", unix))]
#[path = "../support/redis/mod.rs"]
#[allow(
    clippy::duplicate_mod,
    clippy::module_inception,
    reason = "servers have folders too"
)]
mod server;

use folder::Folder;
use tower_quota::{
    Rejection,
    config::{Config, ConfigError, Format, ReloadError, Stack},
    limiter::Call,
    store::MemoryStore,
};

/// Two requests a day, counted where this says; `${STORE}` is the first of the variables.
fn config(store: &str, variable: &str) -> Result<Config, ConfigError> {
    let text = format!("rate_limiting: {{ {store} global: {{ requests_per_day: 2 }} }}");
    let variable = variable.to_owned();
    Config::from_text(&text, Format::Yaml, move |name| {
        (name == "STORE").then(|| variable.clone())
    })
}

async fn calls(stack: &Stack) -> Result<(), Rejection> {
    let permit = stack.limiter.try_acquire(Call::new()).await?;
    permit.settle(tower_quota::Usage::default());
    Ok(())
}

#[tokio::test]
async fn counts_are_where_it_says_and_in_memory_where_it_says_nothing() {
    let folder = Folder::new();
    let path = folder.file("counts.db");
    let text = format!("sqlite:{}", path.display());
    for (store, variable) in [
        (format!("store: '{text}',"), ""),
        ("store: \"${STORE}\",".to_owned(), text.as_str()),
        (
            "store: \"sqlite:${STORE}\",".to_owned(),
            path.to_str().unwrap(),
        ),
    ] {
        let stack = config(&store, variable).unwrap().build().unwrap();
        assert!(stack.store.is_none());
        assert_eq!(stack.file.as_ref().unwrap().path(), path);
        let full = variable == path.to_str().unwrap();
        assert_eq!(calls(&stack).await.is_err(), full, "{store}");
        stack.close().unwrap();
        assert!(calls(&stack).await.is_err(), "it is closed");
    }
    for store in ["", "store: memory,", "store: \"${OTHER:-memory}\","] {
        let stack = config(store, "").unwrap().build().unwrap();
        assert!(stack.store.is_some() && stack.file.is_none());
        calls(&stack).await.unwrap();
        stack.close().unwrap();
        calls(&stack).await.unwrap();
    }
}

#[cfg(all(feature = "redis", unix))]
#[tokio::test]
async fn two_that_name_one_server_share_its_counts() {
    let server = server::Server::start(&[]);
    let url = format!("{}?timeout=10s", server.url());
    let stack = || {
        config("store: \"${STORE}\",", &url)
            .unwrap()
            .build()
            .unwrap()
    };
    let (one, other) = (stack(), stack());
    assert!(one.store.is_none() && one.file.is_none());
    calls(&one).await.unwrap();
    calls(&other).await.unwrap();
    assert!(calls(&one).await.is_err(), "two of two are used");
    one.close().unwrap();
    assert!(calls(&one).await.is_err(), "it is closed");
}

#[tokio::test]
async fn a_store_that_is_given_is_the_one_whatever_the_file_says() {
    let folder = Folder::new();
    let said = format!("store: 'sqlite:{}',", folder.file("said.db").display());
    let config = config(&said, "").unwrap();
    let stack = config
        .build_on(MemoryStore::new(config.limits().unwrap()))
        .unwrap();
    assert!(stack.store.is_some() && stack.file.is_none());
    let stack = config.build_in(folder.file("given.db")).unwrap();
    assert_eq!(stack.file.as_ref().unwrap().path(), folder.file("given.db"));
    assert!(!folder.file("said.db").exists());
    // What is given stays when the file is read again.
    stack.reload(&config).await.unwrap();
}

#[tokio::test]
async fn it_cannot_change_while_calls_run() {
    let folder = Folder::new();
    let stack = config("store: memory,", "").unwrap().build().unwrap();
    stack.reload(&config("", "").unwrap()).await.unwrap();
    let other = format!("store: 'sqlite:{}',", folder.file("counts.db").display());
    let error = stack
        .reload(&config(&other, "").unwrap())
        .await
        .unwrap_err();
    let paths = vec!["rate_limiting.store".to_owned()];
    assert_eq!(error, ReloadError::Fixed { paths });
    assert!(!folder.file("counts.db").exists());
}

#[test]
fn no_error_shows_what_the_environment_has() {
    for (store, variable, says) in [
        (
            "store: \"${STORE}\",",
            "marked",
            "rate_limiting.store: what `${STORE}` stands for does not belong here; wanted is a store",
        ),
        (
            "store: \"${STORE}\",",
            "sqlit://marked",
            "rate_limiting.store: what `${STORE}` stands for does not belong here",
        ),
        ("store: [\"${STORE}\"],", "marked", "rate_limiting.store"),
        (
            "store: { a: \"${STORE}\" },",
            "marked",
            "rate_limiting.store: a block does not belong here",
        ),
        #[cfg(feature = "redis")]
        (
            "store: \"redis://:${STORE}@127.0.0.1:1\",",
            "marked",
            "127.0.0.1:1: ",
        ),
        (
            "store: \"sqlite:${STORE}/counts.db\",",
            "/marked/nowhere",
            "${STORE}/counts.db cannot be opened",
        ),
    ] {
        let built = config(store, variable).and_then(|config| config.build());
        let error = built.unwrap_err();
        let said = format!("{error}");
        assert!(said.starts_with(says), "{said}");
        assert!(!format!("{error} {error:?}").contains("marked"), "{said}");
    }
}
