//! Classes of errors.

use tower_quota::wire::ErrorClass;

use crate::{
    headers::{expected_wait, millis, quantity, window},
    sample::samples,
};

#[test]
fn errors_are_what_the_sidecars_say() {
    let mut found = 0;
    for sample in samples() {
        let (name, expected) = (&sample.name, &sample.expected["error"]);
        let error = sample.error(sample.provider());
        assert_eq!(error.is_some(), expected.is_object(), "{name}");
        let Some(error) = error else { continue };
        let class = match expected["class"].as_str().unwrap() {
            "rate_limit" => ErrorClass::RateLimit,
            "ramp" => ErrorClass::Ramp,
            "request_too_large" => ErrorClass::RequestTooLarge,
            "quota" => ErrorClass::Quota,
            "overloaded" => ErrorClass::Overloaded,
            "context_length" => ErrorClass::ContextLength,
            "content_filter" => ErrorClass::ContentFilter,
            "server" => ErrorClass::Server,
            "invalid" => ErrorClass::Invalid,
            other => panic!("no class {other}"),
        };
        assert_eq!(error.class, class, "{name}");
        assert_eq!(error.retryable, expected["retryable"], "{name}");
        assert_eq!(millis(error.wait), expected_wait(&sample), "{name}");
        assert_eq!(error.quantity, quantity(&expected["dimension"]), "{name}");
        assert_eq!(error.window, window(&expected["window"]), "{name}");
        assert_eq!(error.limit, expected["limit"].as_u64(), "{name}");
        assert_eq!(error.used, expected["used"].as_u64(), "{name}");
        assert_eq!(error.requested, expected["requested"].as_u64(), "{name}");
        found += 1;
        // Nothing is lost where the provider is not known.
        assert_eq!(sample.error("somebody"), Some(error), "{name}");
    }
    assert!(found >= 20, "{found}");
}
