//! Which headers show which limit: one table a provider. Sources are named at
//! [`rate_limits`](super::rate_limits).

use std::time::{Duration, SystemTime};

use super::{
    super::{
        retry_after::{from_now, go_duration, number, since_1970},
        timestamp::rfc3339,
    },
    ObservedQuantity::{self, Images, InputTokens, OutputTokens, Requests, Tokens},
};

const MINUTE: u64 = 60;
const DAY: u64 = 24 * 3_600;
const MONTH: u64 = 30 * DAY;

/// The headers of one limit.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) quantity: ObservedQuantity,
    pub(super) window: Window,
    pub(super) limit: Option<&'static str>,
    pub(super) remaining: Option<&'static str>,
    pub(super) reset: Option<(&'static str, Reset)>,
}

#[derive(Debug)]
pub(super) enum Window {
    Unknown,
    Seconds(u64),
    /// A header says it in seconds; without it these.
    In(&'static str, u64),
    /// It follows from the numbers.
    MinuteOrDay,
}

/// How a reset is written.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reset {
    GoDuration,
    Millis,
    Seconds,
    Rfc3339,
    UnixSeconds,
    UnixMillis,
}

impl Reset {
    pub(super) fn read(self, text: &str, now: SystemTime) -> Option<Duration> {
        match self {
            Reset::GoDuration => go_duration(text),
            Reset::Millis => number(text, 1e-3),
            Reset::Seconds => number(text, 1.0),
            Reset::Rfc3339 => from_now(rfc3339(text)?, now),
            Reset::UnixSeconds => since_1970(Duration::from_secs(text.parse().ok()?), now),
            Reset::UnixMillis => since_1970(Duration::from_millis(text.parse().ok()?), now),
        }
    }
}

/// The limits that `provider` may show.
pub(super) fn rows(provider: &str) -> impl Iterator<Item = &'static Row> {
    let is = |name: &&str| provider.eq_ignore_ascii_case(name);
    let known = PROVIDERS.iter().find(|(names, _)| names.iter().any(is));
    let tables = known.map_or(UNKNOWN, |(_, tables)| tables);
    tables.iter().copied().flatten()
}

type Tables = &'static [&'static [Row]];

const PROVIDERS: &[(&[&str], Tables)] = &[
    (&["openai", "xai"], &[OPENAI]),
    (&["azure"], &[AZURE]),
    (&["anthropic"], &[ANTHROPIC]),
    (&["groq"], &[GROQ]),
    (&["mistral"], &[MISTRAL]),
    (&["together"], &[TOGETHER]),
    (&["openrouter"], &[OPENAI, OPENROUTER]),
    (&["cohere"], &[COHERE]),
];

const UNKNOWN: Tables = &[OPENAI, ANTHROPIC];

/// A row of which all three headers are there, named `prefix limit suffix` and so on.
macro_rules! row {
    ($quantity:ident, $window:expr, $before:literal, $after:literal, $reset:ident) => {
        Row {
            quantity: $quantity,
            window: $window,
            limit: Some(concat!($before, "limit", $after)),
            remaining: Some(concat!($before, "remaining", $after)),
            reset: Some((concat!($before, "reset", $after), Reset::$reset)),
        }
    };
    ($quantity:ident, $window:expr, $before:literal, $after:literal) => {
        Row {
            quantity: $quantity,
            window: $window,
            limit: Some(concat!($before, "limit", $after)),
            remaining: Some(concat!($before, "remaining", $after)),
            reset: None,
        }
    };
}

#[rustfmt::skip]
const OPENAI: &[Row] = &[
    row!(Requests, Window::MinuteOrDay, "x-ratelimit-", "-requests", GoDuration),
    row!(Tokens, Window::MinuteOrDay, "x-ratelimit-", "-tokens", GoDuration),
    row!(Tokens, Window::MinuteOrDay, "x-ratelimit-", "-project-tokens", GoDuration),
    row!(Images, Window::MinuteOrDay, "x-ratelimit-", "-input-images", GoDuration),
];

#[rustfmt::skip]
const AZURE: &[Row] = &[
    row!(Requests, Window::In("x-ratelimit-renewalperiod-requests", MINUTE), "x-ratelimit-", "-requests", Millis),
    row!(Tokens, Window::In("x-ratelimit-renewalperiod-tokens", MINUTE), "x-ratelimit-", "-tokens", Millis),
];

#[rustfmt::skip]
const ANTHROPIC: &[Row] = &[
    row!(Requests, Window::Seconds(MINUTE), "anthropic-ratelimit-requests-", "", Rfc3339),
    row!(InputTokens, Window::Seconds(MINUTE), "anthropic-ratelimit-input-tokens-", "", Rfc3339),
    row!(OutputTokens, Window::Seconds(MINUTE), "anthropic-ratelimit-output-tokens-", "", Rfc3339),
    row!(Tokens, Window::Seconds(MINUTE), "anthropic-ratelimit-tokens-", "", Rfc3339),
];

#[rustfmt::skip]
const GROQ: &[Row] = &[
    row!(Requests, Window::Seconds(DAY), "x-ratelimit-", "-requests", GoDuration),
    row!(Tokens, Window::Seconds(MINUTE), "x-ratelimit-", "-tokens", GoDuration),
];

#[rustfmt::skip]
const MISTRAL: &[Row] = &[
    row!(Requests, Window::Seconds(10), "x-ratelimit-", "-req-10-second"),
    row!(Tokens, Window::Seconds(MINUTE), "x-ratelimit-", "-tokens-minute"),
    row!(Tokens, Window::Seconds(MONTH), "x-ratelimit-", "-tokens-month"),
];

#[rustfmt::skip]
const TOGETHER: &[Row] = &[
    row!(Requests, Window::Seconds(1), "x-ratelimit-", "", Seconds),
    row!(Tokens, Window::Seconds(1), "x-tokenlimit-", ""),
];

#[rustfmt::skip]
const OPENROUTER: &[Row] = &[
    row!(Requests, Window::Unknown, "x-ratelimit-", "", UnixMillis),
];

const COHERE: &[Row] = &[Row {
    quantity: Requests,
    window: Window::Unknown,
    limit: None,
    remaining: None,
    reset: Some(("x-ratelimit-reset", Reset::UnixSeconds)),
}];
