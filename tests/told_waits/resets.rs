//! What is used up is there again at its reset, where nothing else tells a wait.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::form::{
    Form,
    Waits::{Date, Not, Told, TooLong, Untold},
    check, check_all,
};

type Headers = &'static [(&'static str, &'static str)];

fn busy(provider: &'static str, headers: Headers) -> Form {
    let busy = Form::status(429).of(provider);
    headers
        .iter()
        .fold(busy, |form, (name, value)| form.header(name, *value))
}

const REQUESTS: Headers = &[
    ("x-ratelimit-limit-requests", "10000"),
    ("x-ratelimit-remaining-requests", "0"),
    ("x-ratelimit-reset-requests", "8.64s"),
];
const ONE_OF_TWO: Headers = &[
    ("x-ratelimit-remaining-requests", "0"),
    ("x-ratelimit-reset-requests", "8.64s"),
    ("x-ratelimit-remaining-tokens", "199976"),
    ("x-ratelimit-reset-tokens", "50s"),
];
const BOTH: Headers = &[
    ("x-ratelimit-remaining-requests", "0"),
    ("x-ratelimit-reset-requests", "8.64s"),
    ("x-ratelimit-remaining-tokens", "0"),
    ("x-ratelimit-reset-tokens", "50s"),
];
const NEITHER: Headers = &[
    ("x-ratelimit-remaining-requests", "1"),
    ("x-ratelimit-reset-requests", "8.64s"),
    ("x-ratelimit-remaining-tokens", "3"),
    ("x-ratelimit-reset-tokens", "50s"),
];
const PROJECT: Headers = &[
    ("x-ratelimit-remaining-project-tokens", "0"),
    ("x-ratelimit-reset-project-tokens", "3s"),
];

#[test]
fn the_last_of_what_is_used_up_and_nothing_of_what_is_not() {
    for provider in ["openai", "xai", "groq", "openrouter", "somebody"] {
        check_all([
            ("requests", busy(provider, REQUESTS), Told(8_640)),
            (
                "requests, beside tokens that are left",
                busy(provider, ONE_OF_TWO),
                Told(8_640),
            ),
            ("requests and tokens", busy(provider, BOTH), Told(50_000)),
            ("neither", busy(provider, NEITHER), Untold),
        ]);
    }
    check_all([
        ("a project's", busy("openai", PROJECT), Told(3_000)),
        (
            "a day's",
            busy(
                "groq",
                &[
                    ("x-ratelimit-remaining-requests", "0"),
                    ("x-ratelimit-reset-requests", "24h0m0s"),
                ],
            ),
            TooLong(86_400_000),
        ),
        (
            "Azure's milliseconds",
            busy(
                "azure",
                &[
                    ("x-ratelimit-remaining-tokens", "0"),
                    ("x-ratelimit-reset-tokens", "700"),
                    ("x-ratelimit-remaining-requests", "118"),
                    ("x-ratelimit-reset-requests", "9000"),
                ],
            ),
            Told(700),
        ),
        (
            "Together's seconds",
            busy(
                "together",
                &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "2")],
            ),
            Told(2_000),
        ),
        (
            "junk for a reset",
            busy(
                "openai",
                &[
                    ("x-ratelimit-remaining-requests", "0"),
                    ("x-ratelimit-reset-requests", "soon"),
                ],
            ),
            Untold,
        ),
        (
            "a reset that is over",
            busy(
                "openai",
                &[
                    ("x-ratelimit-remaining-requests", "0"),
                    ("x-ratelimit-reset-requests", "0s"),
                ],
            ),
            Untold,
        ),
    ]);
}

#[test]
fn what_is_told_counts_for_more() {
    let text =
        r#"{"error":{"message":"Please try again in 1.146s.","code":"rate_limit_exceeded"}}"#;
    let spent = r#"{"error":{"message":"m","code":"insufficient_quota"}}"#;
    check_all([
        (
            "in a header",
            busy("openai", BOTH).header("retry-after", "2"),
            Told(2_000),
        ),
        (
            "in milliseconds",
            busy("openai", BOTH).header("retry-after-ms", "20"),
            Told(20),
        ),
        ("in the body", busy("openai", BOTH).body(text), Told(1_146)),
        ("a quota", busy("openai", BOTH).body(spent), Not),
        (
            "that it is of no use",
            busy("openai", BOTH).header("x-should-retry", "false"),
            Not,
        ),
    ]);
}

#[test]
fn other_failures_are_not_about_a_limit() {
    for status in [500, 503, 529, 409] {
        let form = BOTH
            .iter()
            .fold(Form::status(status), |form, (name, value)| {
                form.header(name, *value)
            });
        check_all([("another status", form, Untold)]);
    }
}

/// As Anthropic writes an instant.
fn rfc3339(from_now: u64) -> String {
    let since = UNIX_EPOCH.elapsed().unwrap() + Duration::from_secs(from_now);
    let instant = jiff::Timestamp::from_second(i64::try_from(since.as_secs()).unwrap()).unwrap();
    instant.to_string()
}

#[test]
fn anthropics_instants() {
    let anthropic = |left: &'static str| {
        Form::status(429)
            .of("anthropic")
            .header("anthropic-ratelimit-input-tokens-remaining", "0")
            .header("anthropic-ratelimit-input-tokens-reset", rfc3339(20))
            .header("anthropic-ratelimit-output-tokens-remaining", left)
            .header("anthropic-ratelimit-output-tokens-reset", rfc3339(50))
            .header("anthropic-ratelimit-requests-remaining", "49")
            .header("anthropic-ratelimit-requests-reset", rfc3339(58))
    };
    check("input tokens", Date(20_000), || anthropic("1000"));
    check("input and output tokens", Date(50_000), || anthropic("0"));
    let past = || {
        let over = Form::status(429).of("anthropic");
        let over = over.header("anthropic-ratelimit-requests-remaining", "0");
        over.header("anthropic-ratelimit-requests-reset", "2020-01-01T00:00:00Z")
    };
    check("a reset that is over", Untold, past);
}

#[test]
fn a_subscription_of_anthropics() {
    let at = |from_now: u64| {
        let since = UNIX_EPOCH.elapsed().unwrap() + Duration::from_secs(from_now);
        since.as_secs().to_string()
    };
    let window = |days: &'static str| {
        Form::status(429)
            .of("anthropic")
            .header("anthropic-ratelimit-unified-status", "rejected")
            .header("anthropic-ratelimit-unified-5h-status", "rejected")
            .header("anthropic-ratelimit-unified-5h-reset", at(20))
            .header("anthropic-ratelimit-unified-7d-status", days)
            .header("anthropic-ratelimit-unified-7d-reset", at(50))
    };
    check("five hours", Date(20_000), || window("allowed"));
    check("seven days too", Date(50_000), || window("rejected"));
    let whole = || {
        let busy = Form::status(429).of("anthropic");
        let busy = busy.header("anthropic-ratelimit-unified-status", "rejected");
        busy.header("anthropic-ratelimit-unified-reset", at(30))
    };
    check("no window named", Date(30_000), whole);
    check("told", Told(2_000), || {
        window("rejected").header("retry-after", "2")
    });
}

#[test]
fn coheres_seconds_of_unix() {
    let at = |provider, from_now: i64| {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs();
        let then = now.checked_add_signed(from_now).unwrap();
        Form::status(429)
            .of(provider)
            .header("x-ratelimit-reset", then.to_string())
    };
    check("in half a minute", Date(30_000), || at("cohere", 30));
    check("over", Untold, || at("cohere", -30));
    check("not known to be Cohere's", Untold, || at("openai", 30));
}
