use http::{HeaderName, HeaderValue};

use super::{ObservedQuantity::*, *};

/// 2026-11-22T09:15:30Z
const NOW: Duration = Duration::from_secs(1_795_338_930);

/// Quantity, window in seconds, limit, remaining, reset in milliseconds.
type Short = (
    ObservedQuantity,
    Option<u64>,
    Option<u64>,
    Option<u64>,
    Option<u128>,
);

fn limits(provider: &str, headers: &[(&'static str, &str)]) -> Vec<Short> {
    let headers = headers.iter().map(|(name, value)| {
        (
            HeaderName::from_static(name),
            HeaderValue::from_bytes(value.as_bytes()).unwrap(),
        )
    });
    let now = SystemTime::UNIX_EPOCH + NOW;
    let short = |seen: Observed| {
        (
            seen.quantity,
            seen.window.map(|window| window.as_secs()),
            seen.limit,
            seen.remaining,
            seen.reset.map(|reset| reset.as_millis()),
        )
    };
    let found = rate_limits(provider, &headers.collect(), now);
    found.into_iter().map(short).collect()
}

const REQUESTS: [(&str, &str); 3] = [
    ("x-ratelimit-limit-requests", "14400"),
    ("x-ratelimit-remaining-requests", "14397"),
    ("x-ratelimit-reset-requests", "18s"),
];

#[test]
fn one_header_means_what_its_provider_means() {
    let seen = |window| vec![(Requests, window, Some(14_400), Some(14_397), Some(18_000))];
    // One in six seconds: a day's worth, whoever says it.
    for provider in ["openai", "OpenAI", "xai", "openrouter", "somebody", "groq"] {
        assert_eq!(
            limits(provider, &REQUESTS),
            seen(Some(86_400)),
            "{provider}"
        );
    }
    // Milliseconds have no unit there.
    let azure = (Requests, Some(60), Some(14_400), Some(14_397), None);
    assert_eq!(limits("azure", &REQUESTS), [azure]);
    for provider in ["anthropic", "mistral", "together", "cohere"] {
        assert_eq!(limits(provider, &REQUESTS), [], "{provider}");
    }
}

#[test]
fn groq_says_a_day_even_where_numbers_fit_a_minute() {
    let headers = [
        ("x-ratelimit-limit-requests", "10000"),
        ("x-ratelimit-remaining-requests", "9999"),
        ("x-ratelimit-reset-requests", "6ms"),
    ];
    assert_eq!(limits("groq", &headers)[0].1, Some(86_400));
    assert_eq!(limits("openai", &headers)[0].1, Some(60));
}

#[test]
fn a_part_is_better_than_nothing() {
    let headers = [("x-ratelimit-remaining-tokens", "0")];
    assert_eq!(
        limits("azure", &headers),
        [(Tokens, Some(60), None, Some(0), None)]
    );
    assert_eq!(
        limits("openai", &headers),
        [(Tokens, None, None, Some(0), None)]
    );
    let headers = [("x-ratelimit-limit-tokens", "5")];
    assert_eq!(
        limits("openai", &headers),
        [(Tokens, None, Some(5), None, None)]
    );
    let headers = [("x-ratelimit-reset-tokens", "1s")];
    assert_eq!(
        limits("openai", &headers),
        [(Tokens, None, None, None, Some(1_000))]
    );
}

#[test]
fn azure_may_name_its_period() {
    let with = |period: &str| {
        let headers = [
            ("x-ratelimit-limit-requests", "20"),
            ("x-ratelimit-renewalperiod-requests", period),
        ];
        limits("azure", &headers)[0].1
    };
    assert_eq!(with("10"), Some(10));
    for junk in ["0", "-1", "soon", "9999999999999"] {
        assert_eq!(with(junk), Some(60), "{junk}");
    }
}

#[test]
fn anthropic_tiers_are_not_mixed_in() {
    let headers = [
        ("anthropic-priority-input-tokens-limit", "1"),
        ("anthropic-fast-output-tokens-remaining", "1"),
        (
            "anthropic-ratelimit-output-tokens-reset",
            "2026-11-22T09:15:29Z",
        ),
    ];
    let over = (OutputTokens, Some(60), None, None, Some(0));
    assert_eq!(limits("anthropic", &headers), [over]);
    assert_eq!(limits("somebody", &headers), [over]);
    assert_eq!(limits("openai", &headers), []);
}

#[test]
fn a_project_has_limits_of_its_own() {
    let headers = [
        ("x-ratelimit-remaining-tokens", "5"),
        ("x-ratelimit-remaining-project-tokens", "3"),
        ("x-ratelimit-remaining-input-images", "1"),
    ];
    let found: Vec<_> = limits("openai", &headers)
        .into_iter()
        .map(|limit| (limit.0, limit.3))
        .collect();
    assert_eq!(
        found,
        [(Tokens, Some(5)), (Tokens, Some(3)), (Images, Some(1))]
    );
}

#[test]
fn openrouter_counts_requests_without_saying_so() {
    let headers = [("x-ratelimit-limit", "50"), ("x-ratelimit-remaining", "0")];
    let expected = (Requests, None, Some(50), Some(0), None);
    assert_eq!(limits("openrouter", &headers), [expected]);
    // 2026-11-23T00:00:00Z, in milliseconds.
    let reset = [
        headers[0],
        headers[1],
        ("x-ratelimit-reset", "1795392000000"),
    ];
    let expected = (Requests, None, Some(50), Some(0), Some(53_070_000));
    assert_eq!(limits("openrouter", &reset), [expected]);
    assert_eq!(limits("openai", &headers), []);
    assert_eq!(limits("somebody", &headers), []);
}

#[test]
fn nonsense_is_left_out() {
    for junk in [
        "",
        "-1",
        "1.5",
        "1e3",
        "many",
        "1000000000001",
        "18446744073709551616",
        "ÿ",
    ] {
        let headers = [
            ("x-ratelimit-limit-tokens", junk),
            ("x-ratelimit-remaining-tokens", "7"),
            ("x-ratelimit-reset-tokens", junk),
            ("x-ratelimit-limit-requests", junk),
        ];
        let expected = [(Tokens, None, None, Some(7), None)];
        assert_eq!(limits("openai", &headers), expected, "{junk}");
    }
    assert_eq!(limits("openai", &[]), []);
    let far = [("anthropic-ratelimit-requests-reset", "9999-12-31T23:59:59Z")];
    assert_eq!(limits("anthropic", &far), []);
    let far = [("x-ratelimit-reset", "18446744073709551615")];
    assert_eq!(limits("cohere", &far), []);
}
