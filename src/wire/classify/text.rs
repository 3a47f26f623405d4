//! What is only in the message for people: waits, and the numbers of a limit.

use std::time::{Duration, SystemTime};

use super::super::{
    ObservedQuantity::{self, Images, InputTokens, OutputTokens, Requests, Tokens},
    retry_after::{from_now, go_duration, number},
    timestamp::rfc3339,
    walk::MAX_COUNT,
};

const MONTH: Duration = Duration::from_secs(30 * 86_400);

/// What stands before a wait.
const BEFORE_WAIT: [&str; 4] = ["try again in", "retry in", "retry after", "resets in"];

/// The wait that a message asks for: "Please try again in 1.146s.", "Please retry after 22
/// seconds.", "Resets in: 45s." A number without a unit is not read.
pub(super) fn wait(message: &str) -> Option<Duration> {
    let message = message.to_ascii_lowercase();
    BEFORE_WAIT.iter().find_map(|before| {
        let mut found = message.match_indices(before);
        found.find_map(|(at, _)| span(&message[at + before.len()..]))
    })
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

fn span(text: &str) -> Option<Duration> {
    let text = text.strip_prefix(':').unwrap_or(text);
    // Otherwise it was only the beginning of a longer word.
    let mut words = text.strip_prefix(' ')?.split_whitespace().map(bare);
    let first = words.next()?;
    go_duration(first).filter(|_| first != "0").or_else(|| {
        let unit = match words.next()? {
            "ms" | "millisecond" | "milliseconds" => 1e-3,
            "s" | "sec" | "second" | "seconds" => 1.0,
            "min" | "minute" | "minutes" => 60.0,
            "hour" | "hours" => 3_600.0,
            "day" | "days" => 86_400.0,
            _ => return None,
        };
        number(first, unit)
    })
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
        ] {
            let found = wait(text).map(|wait| wait.as_millis());
            assert_eq!(found, Some(expected), "{text}");
        }
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
            "wait 5s",
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
