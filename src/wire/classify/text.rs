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
#[path = "text_tests.rs"]
mod tests;
