//! What is only in the message for people: waits, and the numbers of a limit.

use std::time::{Duration, SystemTime};

use super::super::{
    ObservedQuantity::{self, Images, InputTokens, OutputTokens, Requests, Tokens},
    retry_after::{MAX_SECONDS, from_now, go_duration, number},
    timestamp::rfc3339,
    walk::MAX_COUNT,
};

const MONTH: Duration = Duration::from_secs(30 * 86_400);

/// What stands before a wait.
const BEFORE_WAIT: &[&str] = &[
    "try again in",
    "try again after",
    "retry in",
    "retry after",
    "resets in",
    "reset in",
    "resets after",
    "reset after",
    "wait for",
    "wait at least",
    "wait",
];

/// The wait that a message asks for: "Please try again in 1.146s.", "Please retry after 22
/// seconds.", "Resets in: 45s.", "Please wait 1 minute 47 seconds". A number without a unit is not read.
pub(super) fn wait(message: &str) -> Option<Duration> {
    let message = message.to_ascii_lowercase();
    BEFORE_WAIT.iter().find_map(|before| {
        let mut found = message.match_indices(before);
        found.find_map(|(at, _)| {
            let (head, tail) = (&message[..at], &message[at + before.len()..]);
            let is_asked = !before.starts_with("wait") || asks(head);
            is_asked.then(|| span(tail)).flatten()
        })
    })
}

/// Whether a "wait" after this is for who reads it: others tell how long something has waited.
fn asks(head: &str) -> bool {
    let head = head.trim_end();
    let words = [
        "please", "must", "should", "need to", "have to", "and", "then",
    ];
    head.is_empty()
        || head.ends_with(['.', ',', ';', '!'])
        || words.iter().any(|word| head.ends_with(word))
}

/// Until a message names the day on which money or a quota is there again: "You will regain access on 2026-12-01 at
/// 00:00 UTC." Without a time of day it is the beginning of that day.
pub(super) fn regained(message: &str, now: SystemTime) -> Option<Duration> {
    let (_, rest) = message.split_once("regain access on ")?;
    let mut words = rest.split_whitespace().map(bare);
    let day = words.next()?;
    let time = match (words.next(), words.next()) {
        (Some("at"), Some(time)) if time.len() == 5 => time,
        _ => "00:00",
    };
    from_now(rfc3339(&format!("{day}T{time}:00Z"))?, now)
}

/// Until a message says that a quota resets: "Your limit will reset at 2026-08-17 02:56:15 UTC." Without a zone nobody
/// knows when that is.
pub(super) fn resets(message: &str, now: SystemTime) -> Option<Duration> {
    let (_, rest) = message.split_once("will reset at ")?;
    let (day, rest) = rest.split_once([' ', 'T'])?;
    let (time, zone) = rest.split_at_checked("00:00:00".len())?;
    from_now(rfc3339(&format!("{day}T{time}{}", offset(zone)?))?, now)
}

/// The zone after a time, as RFC 3339 has it: of "UTC", " (UTC+8)" and "+08:00".
fn offset(zone: &str) -> Option<String> {
    let zone = zone.trim_start().trim_start_matches('(');
    let word = bare(zone.split_whitespace().next()?);
    let ahead = word.trim_start_matches("UTC").trim_start_matches("GMT");
    match ahead.strip_prefix(['+', '-']) {
        None if ahead == "Z" || (ahead.is_empty() && !word.is_empty()) => Some("Z".to_owned()),
        None => None,
        Some(hours) if hours.contains(':') => Some(ahead.to_owned()),
        Some(hours) => Some(format!("{}{hours:0>2}:00", &ahead[..1])),
    }
}

/// A span at the beginning of a text: "1.146s", "22 seconds", "2m 13s", "1 hour, 5 minutes and 3 seconds".
fn span(text: &str) -> Option<Duration> {
    let text = text.strip_prefix(':').unwrap_or(text);
    // Otherwise it was only the beginning of a longer word.
    let mut words = text.strip_prefix(' ')?.split_whitespace().peekable();
    let (mut sum, mut ended) = part(&mut words)?;
    while !ended {
        words.next_if_eq(&"and");
        let Some((more, ends)) = part(&mut words) else {
            break;
        };
        // What is longer is of something else.
        if more >= sum && !sum.is_zero() {
            break;
        }
        (sum, ended) = (sum.checked_add(more)?, ends);
    }
    (sum <= Duration::from_secs(MAX_SECONDS)).then_some(sum)
}

/// A number and its unit, in one word or in two, and whether a sentence ends there.
fn part<'a>(words: &mut impl Iterator<Item = &'a str>) -> Option<(Duration, bool)> {
    let word = words.next()?;
    let first = bare(word);
    if first != "0"
        && let Some(length) = go_duration(first).or_else(|| in_one(first))
    {
        return Some((length, ends(word)));
    }
    let next = words.next()?;
    Some((number(first, unit(bare(next))?)?, ends(next)))
}

/// A number and its unit that Go does not write so: "2d", "5min".
fn in_one(word: &str) -> Option<Duration> {
    let at = word.find(|c: char| c.is_ascii_alphabetic())?;
    number(&word[..at], unit(&word[at..])?)
}

/// The seconds of a unit.
fn unit(word: &str) -> Option<f64> {
    Some(match word {
        "ms" | "millisecond" | "milliseconds" => 1e-3,
        "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
        "m" | "min" | "mins" | "minute" | "minutes" => 60.0,
        "h" | "hr" | "hrs" | "hour" | "hours" => 3_600.0,
        "d" | "day" | "days" => 86_400.0,
        _ => return None,
    })
}

/// Whether nothing that belongs to a word follows it. A list goes on after a comma.
fn ends(word: &str) -> bool {
    word.ends_with(['.', ';', '!', ')'])
}

/// Without the punctuation after it.
fn bare(word: &str) -> &str {
    word.trim_end_matches(['.', ',', ';', '!', ')'])
}

/// The numbers of a limit, as far as they are stated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stated {
    pub(super) quantity: Option<ObservedQuantity>,
    pub(super) window: Option<Duration>,
    pub(super) limit: Option<u64>,
    pub(super) used: Option<u64>,
    pub(super) requested: Option<u64>,
}

impl Stated {
    pub(super) fn is_of_a_month(&self) -> bool {
        self.window.is_some_and(|window| window >= MONTH)
    }

    /// What the message states, and where it does not name the quantity, the type of the error
    /// (OpenAI).
    ///
    /// - "tokens per min (TPM): Limit 30000, Used 29214, Requested 1359" (OpenAI, Groq)
    /// - "rate limit of 2,000,000 input tokens per minute" (Anthropic)
    /// - "limited to 20 API calls / minute" (Cohere)
    /// - "Requests per Minute (actual/limit): 73/60" (xAI, which lists limits that hold too)
    /// - "have exceeded token rate limit of your current OpenAI S0 pricing tier" (Azure, per
    ///   minute)
    /// - "Too many tokens, please wait before trying again." (Bedrock)
    pub(super) fn read(message: &str, words_of_error: &[String]) -> Stated {
        let is_gap = |c: char| c.is_whitespace() || matches!(c, '(' | ')' | ':');
        let words: Vec<&str> = message
            .split(is_gap)
            .map(bare)
            .filter(|word| !word.is_empty())
            .collect();
        let mut stated = (1..words.len())
            .find_map(|at| rate(&words, at))
            .or_else(|| azure(message))
            .or_else(|| too_many(message))
            .unwrap_or_default();
        let labelled = |label: &str| {
            let mut pairs = words.windows(2);
            pairs.find_map(|pair| {
                let is_label = pair[0].eq_ignore_ascii_case(label);
                is_label.then(|| count(pair[1])).flatten()
            })
        };
        stated.limit = labelled("limit").or(stated.limit);
        stated.used = labelled("used").or(stated.used);
        stated.requested = labelled("requested");
        if stated.quantity.is_none() {
            let mut kinds = words_of_error.iter();
            stated.quantity = kinds.find_map(|kind| quantity(kind, ""));
        }
        stated
    }
}

/// A rate whose "per" is at `at`.
fn rate(words: &[&str], at: usize) -> Option<Stated> {
    if !matches!(words[at], "per" | "/") {
        return None;
    }
    let window = window(words.get(at + 1)?)?;
    let back = |by: usize| at.checked_sub(by).map_or("", |at| words[at]);
    let mut stated = Stated {
        quantity: quantity(back(1), back(2)),
        window: Some(window),
        ..Stated::default()
    };
    stated.quantity?;
    stated.limit = count(back(2)).or_else(|| count(back(3)));
    if words.get(at + 2) == Some(&"actual/limit") {
        let (used, limit) = words.get(at + 3)?.split_once('/')?;
        stated.used = count(used);
        stated.limit = count(limit);
        if stated.used <= stated.limit {
            return None;
        }
    }
    Some(stated)
}

fn azure(message: &str) -> Option<Stated> {
    let quantity = if message.contains("token rate limit") {
        Tokens
    } else if message.contains("call rate limit") {
        Requests
    } else {
        return None;
    };
    message.contains("pricing tier").then(|| Stated {
        quantity: Some(quantity),
        window: Some(Duration::from_secs(60)),
        ..Stated::default()
    })
}

fn too_many(message: &str) -> Option<Stated> {
    let what = message.strip_prefix("Too many ")?;
    let word = what.split(|c: char| !c.is_ascii_alphabetic()).next()?;
    let quantity = Some(quantity(word, "")?);
    Some(Stated {
        quantity,
        ..Stated::default()
    })
}

fn quantity(word: &str, before: &str) -> Option<ObservedQuantity> {
    let is = |word: &str, expected: &str| word.eq_ignore_ascii_case(expected);
    match word {
        _ if is(word, "requests") || is(word, "calls") => Some(Requests),
        _ if is(word, "images") => Some(Images),
        _ if !is(word, "tokens") => None,
        _ if is(before, "input") => Some(InputTokens),
        _ if is(before, "output") => Some(OutputTokens),
        _ => Some(Tokens),
    }
}

fn window(unit: &str) -> Option<Duration> {
    let seconds = match unit.to_ascii_lowercase().as_str() {
        "sec" | "second" => 1,
        "min" | "minute" => 60,
        "hour" => 3_600,
        "day" => 86_400,
        "month" => 30 * 86_400,
        _ => return None,
    };
    Some(Duration::from_secs(seconds))
}

/// `30000` or `2,000,000`.
pub(super) fn count(word: &str) -> Option<u64> {
    if !word.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let count = word.replace(',', "").parse().ok();
    count.filter(|count| *count <= MAX_COUNT)
}

#[cfg(test)]
mod tests {
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
}
