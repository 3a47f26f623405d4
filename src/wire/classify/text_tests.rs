//! Which waits and amounts are read in texts, and which are none.

use super::*;

#[test]
fn waits() {
    for (text, expected) in [
        ("Please try again in 1.146s. Visit x", 1_146),
        ("try again in 6m0s.", 360_000),
        ("Try again in 120ms", 120),
        ("Please retry after 22 seconds. Please go", 22_000),
        ("retry after 1 second.", 1_000),
        ("Please retry in 34.074824224s.", 34_075),
        ("2/2. Resets in: 45s.", 45_000),
        ("try again in 2 minutes", 120_000),
        ("try again in 1.5 hours, please", 5_400_000),
        ("retry after 250 ms", 250),
        ("retry after a while; try again in 3s", 3_000),
        ("try again in a moment. Please try again in 4s", 4_000),
        ("try again after 1 seconds", 1_000),
        ("Your quota will reset after 4s.", 4_000),
        ("Please wait 45 seconds before retrying", 45_000),
        ("You must wait for 2 minutes", 120_000),
        ("Too fast. Wait at least 2 seconds", 2_000),
        ("please wait and try again in 3s", 3_000),
        ("wait 5s", 5_000),
    ] {
        let found = wait(text).map(|wait| wait.as_millis());
        assert_eq!(found, Some(expected), "{text}");
    }
}

#[test]
fn a_wait_of_several_parts_is_all_of_them() {
    for (text, expected) in [
        ("try again in 1 minute 47 seconds.", 107),
        ("resets in 2m 13s", 133),
        ("try again in 1h 5m", 3_900),
        ("try again in 1 hour, 5 minutes, and 3 seconds.", 3_903),
        ("try again in 1 hour and 5 minutes", 3_900),
        ("resets in 2d 4h", 187_200),
        ("resets in 1 day 2min 3 secs", 86_523),
        ("try again in 0 minutes 30 seconds", 30),
        // What follows is of something else.
        ("try again in 5s. 3s is the window", 5),
        ("try again in 5s, 10 seconds a call", 5),
        ("try again in 5s 10 requests", 5),
        ("try again in 1 minute and wait", 60),
        ("try again in 2 minutes, 3", 120),
    ] {
        let found = wait(text).map(|wait| wait.as_secs());
        assert_eq!(found, Some(expected), "{text}");
    }
    assert_eq!(wait("try again in 3650 days 1 ms"), None);
}

#[test]
fn a_reset_needs_a_zone() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_338_930); // 2026-11-22T09:15:30Z
    let until = |text: &str| {
        let text = format!("Usage limit reached. Your limit will reset at {text}");
        resets(&text, now).map(|wait| wait.as_secs())
    };
    for text in [
        "2026-11-22 10:15:30 UTC.",
        "2026-11-22T10:15:30Z",
        "2026-11-22 18:15:30 (UTC+8)",
        "2026-11-22 18:15:30 +08:00",
        "2026-11-22 18:15:30+08:00, then",
        "2026-11-22 05:15:30 GMT-5",
    ] {
        assert_eq!(until(text), Some(3_600), "{text}");
    }
    for text in [
        "2026-11-22 10:15:30",
        "2026-11-22 10:15:30.",
        "2026-11-22 10:15:30 CST",
        "2026-11-22 10:15:30 UTC+\u{e9}",
        "2026-11-22 10:15:3\u{e9} UTC",
        "1pm UTC",
        "2026-11-22",
        "",
    ] {
        assert_eq!(until(text), None, "{text}");
    }
    assert_eq!(until("2026-11-22 09:00:00 UTC"), Some(0));
}

#[test]
fn what_is_no_wait() {
    for text in [
        "",
        "try again in",
        "try again in ",
        "try again in 5",
        "try again in 0",
        "try again in -5s",
        "try again in 5 apples",
        "try again in 5 parsec",
        "try again in a few minutes",
        "try again later",
        "retry after",
        "retry after 2026-12-01",
        "retry afterwards 5s",
        "retry int 5s",
        "we await 5s",
        "it waited 5s",
        "in the queue after a wait of 5s",
        "longer than the longest wait 5s",
        "timeout in wait: 600s",
        "please wait before trying again",
        "try again in 0.",
        "try again in 99999999999999 days",
    ] {
        assert_eq!(wait(text), None, "{text}");
    }
}

fn stated(message: &str) -> (Option<ObservedQuantity>, Option<u64>, [Option<u64>; 3]) {
    let stated = Stated::read(message, &[]);
    let window = stated.window.map(|window| window.as_secs());
    let counts = [stated.limit, stated.used, stated.requested];
    (stated.quantity, window, counts)
}

#[test]
fn rates() {
    let none = [None; 3];
    let limit = |n| [Some(n), None, None];
    for (text, quantity, window, counts) in [
        (
            "on tokens per day (TPD): Limit 200000, Used 199_000, Requested 1.",
            Tokens,
            86_400,
            [Some(200_000), None, Some(1)],
        ),
        (
            "on images per min: Limit 5, Used 5, Requested 1",
            Images,
            60,
            [Some(5), Some(5), Some(1)],
        ),
        (
            "on requests per min. Limit: 3 / min. Please",
            Requests,
            60,
            limit(3),
        ),
        (
            "limit of 2,000,000 input tokens per minute.",
            InputTokens,
            60,
            limit(2_000_000),
        ),
        (
            "limit of 80,000 output tokens per minute",
            OutputTokens,
            60,
            limit(80_000),
        ),
        ("limit of 50 requests per minute", Requests, 60, limit(50)),
        ("limited to 20 API calls / minute.", Requests, 60, limit(20)),
        ("1000 API calls / month", Requests, 2_592_000, limit(1_000)),
        ("5 requests per second", Requests, 1, limit(5)),
        ("Tokens per Hour", Tokens, 3_600, none),
        (
            "Requests per Second (actual/limit): 2/2, Requests per Minute (actual/limit): 73/60. Resets in: 45s.",
            Requests,
            60,
            [Some(60), Some(73), None],
        ),
        (
            "have exceeded the call rate limit of your current OpenAI S0 pricing tier",
            Requests,
            60,
            none,
        ),
    ] {
        assert_eq!(
            stated(text),
            (Some(quantity), Some(window), counts),
            "{text}"
        );
    }
}

#[test]
fn too_many_of_what() {
    let quantity = |message| Stated::read(message, &[]).quantity;
    assert_eq!(quantity("Too many tokens, please wait"), Some(Tokens));
    assert_eq!(quantity("Too many requests"), Some(Requests));
}

#[test]
fn what_states_nothing() {
    for text in [
        "",
        "per",
        "per min",
        "tokens per",
        "tokens per request",
        "10 dollars per day",
        "Requests rate limit exceeded",
        "the token rate limit was reached",
        "Too many cooks",
        "Limit reached, Used up, Requested by you",
        "limit -5",
        "limit 1,000,000,000,001",
        "limit 99999999999999999999999",
    ] {
        assert_eq!(stated(text), (None, None, [None; 3]), "{text}");
    }
}

#[test]
fn the_type_of_the_error_names_the_quantity_if_the_text_does_not() {
    let read = |message, word: &str| Stated::read(message, &[word.to_owned()]).quantity;
    assert_eq!(read("Rate limit reached", "tokens"), Some(Tokens));
    assert_eq!(read("Rate limit reached", "requests"), Some(Requests));
    assert_eq!(read("Rate limit reached", "rate_limit_error"), None);
    assert_eq!(read("on requests per day", "tokens"), Some(Requests));
}
