//! C6 where a stack counts in a file: a reload is in the file too, and the next process goes on with the configuration that
//! it is given.
#![cfg(all(feature = "config", feature = "sqlite"))]

use crate::folder;

use std::fs;

use folder::Folder;
use tower_quota::{
    config::{Config, ReloadError, Stack},
    limit::Limits,
    limiter::Call,
};

fn global(limits: &str) -> Config {
    Config::from_yaml(&format!(
        "rate_limiting: {{ margin: 0s, global: {{ {limits} }} }}"
    ))
    .unwrap()
}

async fn call(stack: &Stack) {
    let call = Call::new().tokens(100, 0);
    drop(stack.limiter.try_acquire(call).await.unwrap());
}

/// What counts under each limit, by its words.
async fn in_use(stack: &Stack) -> Vec<(String, u64)> {
    let call = Call::new().tokens(100, 0);
    let explained = stack.limiter.explain(&call).await.unwrap().limits;
    let words = explained.into_iter();
    words.map(|limit| (limit.limit, limit.in_use)).collect()
}

fn is(words: &str, in_use: u64) -> (String, u64) {
    (words.to_owned(), in_use)
}

#[tokio::test(start_paused = true)]
async fn c6_limits_come_and_go_in_a_file_and_the_next_process_counts_on() {
    let folder = Folder::new();
    let path = folder.file("a.db");
    let stack = global("rpm: 9, tpm: 900").build_in(&path).unwrap();
    call(&stack).await;
    let reloaded = stack.reload(&global("rpm: 8, rpd: 50")).await.unwrap();
    assert_eq!(reloaded.changed[0].now, "requests 8/min");
    assert_eq!((reloaded.added.len(), reloaded.removed.len()), (1, 1));
    call(&stack).await;
    let held = in_use(&stack).await;
    assert_eq!(held, [is("requests 8/min", 2), is("requests 50/day", 1)]);
    // What is refused changes nothing.
    let other =
        Config::from_yaml("rate_limiting: { global: { rpm: 1 }, queue: { aging: 1s } }").unwrap();
    let refused = stack.reload(&other).await.unwrap_err();
    assert!(matches!(refused, ReloadError::Fixed { .. }), "{refused}");
    assert_eq!(in_use(&stack).await, held);
    let file = stack.file.clone().unwrap();
    let audit = file.ledger().unwrap().audit().unwrap();
    let changed = audit.iter().filter(|entry| entry.what == "limit");
    let changed: Vec<_> = changed.map(|entry| entry.subject.as_str()).collect();
    let subjects = ["requests 8/min", "tokens 900/min", "requests 50/day"];
    assert_eq!(changed, subjects);
    assert!(audit.iter().all(|entry| entry.by == "the configuration"));
    drop(stack);
    file.close().unwrap();
    drop(file);

    // The next process has read what was reloaded.
    let stack = global("rpm: 8, rpd: 50").build_in(&path).unwrap();
    let days = |stack: Vec<(String, u64)>| stack[1].clone();
    assert_eq!(days(in_use(&stack).await), is("requests 50/day", 1));
    assert_eq!(in_use(&stack).await[0].0, "requests 8/min");
    drop(stack.limiter);
    stack.file.unwrap().close().unwrap();

    // One that is switched off leaves what counts there as it is.
    let off = Config::from_yaml("rate_limiting: { enabled: false, global: { rpm: 8, rpd: 50 } }");
    let stack = off.unwrap().build_in(&path).unwrap();
    call(&stack).await;
    assert!(in_use(&stack).await.is_empty() && stack.file.is_none());
    let stack = global("rpm: 8, rpd: 50").build_in(&path).unwrap();
    assert_eq!(days(in_use(&stack).await), is("requests 50/day", 1));
    drop(stack.limiter);
    stack.file.unwrap().close().unwrap();

    // One that reads what was before has that, and nothing in use of what was gone.
    let stack = global("rpm: 9, tpm: 900").build_in(&path).unwrap();
    let held = in_use(&stack).await;
    assert_eq!(held[0].0, "requests 9/min");
    assert_eq!(held[1], is("tokens 900/min", 0));
}

/// What a reload gave is given, as what it was opened with.
#[tokio::test(start_paused = true)]
async fn a_reload_that_was_taken_back_holds_no_more_and_what_was_done_by_hand_since_holds_on() {
    for crashes in [false, true] {
        let folder = Folder::new();
        let path = folder.file("a.db");
        let (ten, twenty) = (global("rpm: 10"), global("rpm: 20"));
        let words = |stack: &Stack| {
            let limits = stack.limiter.limits();
            limits.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        // What the next process finds.
        let ended = |stack: Stack, name: &str| {
            let (path, next) = (stack.file.as_ref().unwrap().path(), folder.file(name));
            let copied = |end: &str| {
                let [from, to] = [path, &next].map(|path| format!("{}{end}", path.display()));
                fs::copy(from, to).map(drop)
            };
            if crashes {
                ["", "-wal"].iter().try_for_each(|end| copied(end)).unwrap();
            }
            drop(stack.limiter);
            stack.file.as_ref().unwrap().close().unwrap();
            if !crashes {
                copied("").unwrap();
            }
            next
        };
        let stack = ten.build_in(&path).unwrap();
        stack.reload(&twenty).await.unwrap();
        assert_eq!(words(&stack), ["requests 20/min"]);
        let next = ended(stack, "b.db");
        let stack = ten.build_in(&next).unwrap();
        assert_eq!(words(&stack), ["requests 10/min"], "{crashes}");

        stack.reload(&twenty).await.unwrap();
        let by_hand = |limits: &Limits| limits.with_amount("requests 20/min", None, 100);
        stack.limiter.change("more", by_hand).await.unwrap();
        let next = ended(stack, "c.db");
        let stack = twenty.build_in(&next).unwrap();
        assert_eq!(words(&stack), ["requests 100/min"], "{crashes}");
    }
}
