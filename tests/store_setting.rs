//! One text says where counts are kept, to a program, to a configuration and to the environment.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[cfg(feature = "sqlite")]
#[path = "support/folder.rs"]
mod folder;
#[cfg(all(feature = "redis", unix))]
#[path = "support/redis/mod.rs"]
#[allow(
    clippy::duplicate_mod,
    clippy::module_inception,
    reason = "servers have folders too"
)]
mod server;

use std::{env, process::Command, time::Duration};

use tower_quota::{
    Limiter, Usage,
    limit::{Limit, Limits},
    limiter::{Call, QueueOptions},
    store::{StoreSetting, StoreSettingError},
};

fn limits() -> Limits {
    let day = Duration::from_secs(86_400);
    Limits::new([Limit::tokens(1_000).every(day)]).unwrap()
}

fn parsed(text: &str) -> Result<StoreSetting, StoreSettingError> {
    text.parse()
}

/// Counts 100 tokens, and says how many there are then.
async fn count(limiter: &Limiter) -> u64 {
    let permit = limiter.acquire(Call::new().tokens(100, 0)).await.unwrap();
    permit.settle(Usage::new(100, 0));
    let full = limiter.try_acquire(Call::new().tokens(1_000, 0)).await;
    full.unwrap_err().shortage().unwrap().in_use
}

async fn counted_at(text: &str) -> u64 {
    let store = loop {
        match parsed(text).unwrap().open(limits()) {
            Ok(store) => break store,
            // A limiter that was dropped has its settlement on its way.
            Err(error) if error.to_string().contains("in use") => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    };
    count(&Limiter::build(store, QueueOptions::new())).await
}

#[tokio::test]
async fn memory_ends_with_the_limiter() {
    assert_eq!(counted_at("memory").await, 100);
    assert_eq!(counted_at("memory").await, 100);
    assert_eq!(StoreSetting::default(), parsed("memory").unwrap());
    assert!(!StoreSetting::default().is_shared());
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn a_file_outlives_it_however_its_path_is_written() {
    let folder = folder::Folder::new();
    let path = folder.file("counts.db");
    let path = path.to_str().unwrap();
    assert_eq!(counted_at(&format!("sqlite:{path}")).await, 100);
    assert_eq!(counted_at(&format!("sqlite://{path}")).await, 200);
    let setting = StoreSetting::in_file(path).unwrap();
    assert_eq!(setting, parsed(&format!("sqlite:{path}")).unwrap());
    assert_eq!(setting.to_string(), format!("sqlite:{path}"));
    let kill = format!("sqlite:{path}?survives=kill");
    assert_eq!(counted_at(&kill).await, 300);
    assert_eq!(parsed(&kill).unwrap().to_string(), kill);
    assert_ne!(parsed(&kill).unwrap(), setting);
    let both = format!("{kill}&ahead=16");
    assert_eq!(counted_at(&both).await, 400);
    assert_eq!(parsed(&both).unwrap().to_string(), both);
    assert_ne!(parsed(&both).unwrap(), parsed(&kill).unwrap());
    assert_eq!(counted_at(&format!("sqlite:{path}?ahead=2")).await, 500);
    assert_eq!(counted_at(&format!("sqlite:{path}")).await, 600);
    // What is no setting is part of the name.
    for name in ["?ahead=many", "?ahead", "?x=1&ahead=2", "?survives=kill&"] {
        let name = format!("sqlite:{path}{name}");
        assert_eq!(counted_at(&name).await, 100, "{name}");
        assert_eq!(parsed(&name).unwrap().to_string(), name);
    }
}

#[cfg(all(feature = "redis", unix))]
#[tokio::test]
async fn a_server_has_what_all_count_by_namespace() {
    let server = server::Server::start(&[("requirepass", "marked")]);
    let at = |name: &str| {
        let server = server.address();
        format!("redis://:marked@{server}/0?namespace={name}&timeout=10s")
    };
    assert_eq!(counted_at(&at("a")).await, 100);
    assert_eq!(counted_at(&at("a")).await, 200);
    assert_eq!(counted_at(&at("b")).await, 100);
    assert_eq!(in_process(Some(&at("a"))), "300");
    let unlocked = format!("redis://:wrong@{}/0", server.address());
    let error = parsed(&unlocked).unwrap().open(limits()).unwrap_err();
    let said = format!("{error} {error:?}");
    assert!(said.starts_with(&server.address().to_string()), "{said}");
    assert!(!said.contains("wrong@"), "{said}");
}

#[test]
fn a_password_is_never_shown() {
    for (text, shown) in [
        (
            "redis://me:marked@h:1/2?namespace=x",
            "redis://h:1/2?namespace=x",
        ),
        ("rediss://:mar@ked@h", "rediss://h"),
        ("redis://h/0", "redis://h/0"),
    ] {
        let setting = parsed(text).unwrap();
        assert_eq!(setting.to_string(), shown);
        assert_eq!(format!("{setting:?}"), format!("StoreSetting({shown})"));
        assert_eq!(setting, parsed(text).unwrap());
        assert!(setting.is_shared());
        assert_ne!(setting, parsed("redis://other").unwrap());
    }
}

#[cfg(feature = "sqlite")]
#[test]
fn a_file_that_cannot_be_had_is_named() {
    let error = parsed("sqlite:/no/such/place.db")
        .unwrap()
        .open(limits())
        .unwrap_err();
    let said = error.to_string();
    assert!(
        said.starts_with("/no/such/place.db cannot be opened"),
        "{said}"
    );
}

#[test]
fn what_is_no_store_is_told_what_there_is_and_none_of_it_is_shown() {
    for text in [
        "",
        "marked",
        "memroy",
        "Memory",
        "memory:",
        "counts.db",
        "/var/lib/counts.db",
        "sqlit:marked",
        "redsi://:marked@h",
        "redis:marked",
        "redis+cluster://marked",
        "http://marked",
    ] {
        let error = parsed(text).unwrap_err();
        assert!(
            matches!(error, StoreSettingError::Unknown),
            "{text}: {error}"
        );
        let said = format!("{error} {error:?}");
        assert!(said.contains("`memory`, `sqlite:PATH`"), "{text}: {said}");
        assert!(!said.contains("marked"), "{said}");
    }
}

#[test]
fn a_store_that_the_program_was_built_without_names_its_feature() {
    for (text, feature, is_on) in [
        (
            "sqlite:/no/such/place.db",
            "sqlite",
            cfg!(feature = "sqlite"),
        ),
        (
            "redis://:marked@127.0.0.1:1",
            "redis",
            cfg!(feature = "redis"),
        ),
        (
            "rediss://:marked@127.0.0.1:1",
            "redis",
            cfg!(feature = "redis"),
        ),
    ] {
        let error = parsed(text).unwrap().open(limits()).unwrap_err();
        assert_eq!(
            matches!(error, StoreSettingError::FeatureOff(_)),
            !is_on,
            "{error}"
        );
        let says = format!("build it with --features {feature}");
        assert_eq!(error.to_string().ends_with(&says), !is_on, "{error}");
        assert!(!format!("{error} {error:?}").contains("marked"), "{error}");
    }
}

#[test]
fn a_file_without_a_name_is_none() {
    for text in ["sqlite:", "sqlite://", "sqlite::memory:"] {
        let said = parsed(text).unwrap_err().to_string();
        assert!(said.contains("names no file"), "{text}: {said}");
    }
}

const IS_CHILD: &str = "TOWER_QUOTA_TEST_CHILD";

/// What a program says that counts where `TOWER_QUOTA_STORE` says: this test once more.
fn in_process(setting: Option<&str>) -> String {
    let mut child = Command::new(env::current_exe().unwrap());
    child.args([
        "--exact",
        "the_environment_says_where_a_program_counts",
        "--nocapture",
    ]);
    child
        .env(IS_CHILD, "yes")
        .env_remove(StoreSetting::VARIABLE);
    if let Some(setting) = setting {
        child.env(StoreSetting::VARIABLE, setting);
    }
    let output = child.output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let line = said.lines().find_map(|line| line.split_once("says: "));
    line.expect(&said).1.to_owned()
}

#[tokio::test]
async fn the_environment_says_where_a_program_counts() {
    if env::var_os(IS_CHILD).is_some() {
        match Limiter::from_env(limits()) {
            Ok(limiter) => println!("says: {}", count(&limiter).await),
            Err(error) => println!("says: {error}"),
        }
        return;
    }
    for memory in [None, Some(""), Some("memory")] {
        assert_eq!(in_process(memory), "100", "{memory:?}");
        assert_eq!(in_process(memory), "100", "{memory:?}");
    }
    assert!(in_process(Some("memroy")).starts_with("this is no store; there are `memory`"));
    #[cfg(feature = "sqlite")]
    {
        let folder = folder::Folder::new();
        let setting = format!("sqlite:{}", folder.file("counts.db").display());
        assert_eq!(in_process(Some(&setting)), "100");
        assert_eq!(in_process(Some(&setting)), "200");
    }
}
