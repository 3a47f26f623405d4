//! What outlives a process, what processes share, and what a configuration that is read again leaves.

#[cfg(feature = "sqlite")]
mod in_a_file {
    use std::sync::Arc;

    use tower_quota::{
        Limiter,
        limit::{Limit, Limits},
        limiter::QueueOptions,
        store::SqliteStore,
    };

    use crate::{agent, folder::Folder, pause, paused, resume, scout};

    fn limits(more: &[Limit]) -> Limits {
        let all = [Limit::concurrency(5)];
        Limits::new(all.into_iter().chain(more.iter().cloned())).unwrap()
    }

    fn open(path: &std::path::Path, more: &[Limit]) -> Limiter {
        let store = SqliteStore::open(path, limits(more)).unwrap();
        Limiter::build(Arc::new(store), QueueOptions::new())
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_is_there_after_a_crash_and_gone_when_it_was_taken_back() {
        let folder = Folder::new();
        let path = folder.file("counts.db");
        let limiter = open(&path, &[]);
        pause(&limiter, scout()).await;

        let again = open(&folder.copy(&path, "paused.db"), &[]);
        let refused = again.acquire(agent("scout")).await.unwrap_err();
        assert_eq!(refused, paused("agent=scout"));
        drop(again.acquire(agent("other")).await.unwrap());
        let audit = again.audit().await.unwrap();
        assert_eq!((&*audit[0].by, &*audit[0].why), ("ada", "it loops"));

        resume(&again, scout()).await;
        let last = open(&folder.copy(&folder.file("paused.db"), "resumed.db"), &[]);
        drop(last.acquire(agent("scout")).await.unwrap());
        assert_eq!(last.limits().pauses().count(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_the_program_has_named_goes_when_it_names_it_no_more() {
        let folder = Folder::new();
        let path = folder.file("counts.db");
        drop(open(&path, &[scout()]));
        let limiter = open(&folder.copy(&path, "without.db"), &[]);
        drop(limiter.acquire(agent("scout")).await.unwrap());
    }
}

#[cfg(feature = "config")]
mod by_configuration {
    use tower_quota::config::Config;

    use crate::{agent, pause, paused, resume, scout};

    #[tokio::test(start_paused = true)]
    async fn a_reload_leaves_what_is_paused_and_does_not_tell_of_it() {
        let config = |rpm: u32| {
            let text = format!("rate_limiting: {{ global: {{ rpm: {rpm} }} }}");
            Config::from_yaml(&text).unwrap()
        };
        let stack = config(5).build().unwrap();
        pause(&stack.limiter, scout()).await;
        let reloaded = stack.reload(&config(6)).await.unwrap();
        assert_eq!(reloaded.changed[0].now, "requests 6/min");
        assert!(reloaded.added.is_empty() && reloaded.removed.is_empty());
        let refused = stack.limiter.acquire(agent("scout")).await.unwrap_err();
        assert_eq!(refused, paused("agent=scout"));
        resume(&stack.limiter, scout()).await;
        stack.reload(&config(7)).await.unwrap();
        drop(stack.limiter.acquire(agent("scout")).await.unwrap());
    }

    /// Of which this one has not heard.
    #[cfg(feature = "redis")]
    #[tokio::test]
    async fn a_reload_leaves_what_another_process_has_paused_just_now() {
        let server = crate::redis::Server::start(&[]);
        let config = |rpm: u32| {
            // Neither asks by itself meanwhile.
            let store = format!("{}?timeout=20s&silence=24h", server.url());
            let text = format!("rate_limiting: {{ store: '{store}', global: {{ rpm: {rpm} }} }}");
            Config::from_yaml(&text).unwrap()
        };
        let [one, other] = [(); 2].map(|()| config(5).build().unwrap());
        pause(&one.limiter, scout()).await;
        let reloaded = other.reload(&config(6)).await.unwrap();
        assert_eq!(reloaded.changed[0].now, "requests 6/min");
        assert!(reloaded.added.is_empty() && reloaded.removed.is_empty());
        let refused = other.limiter.acquire(agent("scout")).await.unwrap_err();
        assert_eq!(refused, paused("agent=scout"));
    }
}

#[cfg(feature = "redis")]
mod on_a_server {
    use std::{sync::Arc, time::Duration};

    use tower_quota::{
        Limiter,
        limit::{Limit, Limits},
        limiter::QueueOptions,
        store::redis::{OnError, RedisOptions, RedisStore},
    };

    use crate::{agent, pause, paused, redis::Server, resume, scout};

    fn open(server: &Server, on_error: OnError) -> Arc<RedisStore> {
        let limits = Limits::new([Limit::concurrency(1)]).unwrap();
        let options = RedisOptions::new(&server.url(), limits).unwrap();
        let options = options.timeout(Duration::from_secs(20));
        Arc::new(options.on_error(on_error).open().unwrap())
    }

    #[tokio::test]
    async fn what_one_process_pauses_is_paused_in_all_also_who_waits_there() {
        let server = Server::start(&[]);
        let stores = [(); 2].map(|()| open(&server, OnError::Deny));
        let [one, other] = stores.map(|store| Limiter::build(store, QueueOptions::new()));
        let held = one.acquire(agent("b")).await.unwrap();
        let waits = |name: &'static str| {
            let other = other.clone();
            tokio::spawn(async move { other.acquire(agent(name)).await })
        };
        let theirs = waits("c");
        while other.waiting() < 1 {
            tokio::task::yield_now().await;
        }
        let ours = waits("scout");
        while other.waiting() < 2 {
            tokio::task::yield_now().await;
        }
        pause(&one, scout()).await;
        assert_eq!(ours.await.unwrap().unwrap_err(), paused("agent=scout"));
        assert_eq!(other.waiting(), 1);
        let refused = other.acquire(agent("scout")).await.unwrap_err();
        assert_eq!(refused, paused("agent=scout"));
        held.release();
        theirs.await.unwrap().unwrap().release();
        resume(&other, scout()).await;
        drop(one.acquire(agent("scout")).await.unwrap());
        let audit = one.audit().await.unwrap();
        let by: Vec<&str> = audit.iter().map(|entry| &*entry.by).collect();
        assert_eq!(by, ["ada", "bob"]);
    }

    #[tokio::test]
    async fn it_holds_while_the_server_is_away_however_the_others_are_treated() {
        for on_error in [OnError::Allow, OnError::Local] {
            let mut server = Server::start(&[]);
            let limiter = Limiter::build(open(&server, on_error), QueueOptions::new());
            pause(&limiter, scout()).await;
            server.kill();
            let refused = limiter.acquire(agent("scout")).await.unwrap_err();
            assert_eq!(refused, paused("agent=scout"), "{on_error:?}");
            drop(limiter.acquire(agent("b")).await.unwrap());
            let refused = limiter.acquire(agent("scout")).await.unwrap_err();
            assert_eq!(refused, paused("agent=scout"), "{on_error:?}");
        }
    }
}
