//! Whether an error is about the key.

use super::*;

#[test]
fn a_403_is_about_the_key_where_it_says_so_or_says_nothing() {
    for word in [
        "permission_error",
        "PERMISSION_DENIED",
        "invalid_api_key",
        "AccessDeniedException",
    ] {
        for provider in ["openai", "anthropic", "somebody"] {
            let error = with(provider, 403, &[], code(word));
            assert_eq!(
                (error.class, error.retryable),
                (KeyRefused, false),
                "{word}"
            );
        }
    }
    let xai = json!({ "code": "permission-denied", "error": "Access to the endpoint is denied." });
    assert_eq!(class("xai", 403, xai), KeyRefused);
    let bedrock = [(
        "x-amzn-errortype",
        "AccessDeniedException:http://internal.amazon.com/",
    )];
    let body = json!({ "message": "You don't have access to the model." });
    assert_eq!(with("bedrock", 403, &bedrock, body).class, KeyRefused);
    let google =
        json!({ "error": { "code": 403, "message": "no", "status": "PERMISSION_DENIED" } });
    assert_eq!(class("gemini", 403, google), KeyRefused);
    let project = "Project `p` does not have access to model `m`";
    assert_eq!(class("openai", 403, message(project)), KeyRefused);

    // A firewall's page is about what was asked, and an empty body about nothing.
    let read = |body: &[u8]| {
        let now = SystemTime::UNIX_EPOCH;
        classify(
            "openai",
            StatusCode::FORBIDDEN,
            &HeaderMap::new(),
            body,
            now,
        )
        .unwrap()
    };
    assert_eq!(
        read(b"<html><body>Attention required</body></html>").class,
        Invalid
    );
    assert_eq!(read(b" \n").class, KeyRefused);

    // Whatever else it is about.
    for text in ["The request was refused", "my permission was denied"] {
        assert_eq!(class("openai", 403, message(text)), Invalid, "{text}");
    }
    assert_eq!(class("openai", 403, code("invalid_request_error")), Invalid);
    let spent = "Key limit exceeded (total limit).";
    assert_eq!(class("openrouter", 403, message(spent)), Quota);
}

/// An error as Google writes it.
fn google(message: &str, status: &str) -> serde_json::Value {
    json!({ "error": { "code": 0, "message": message, "status": status } })
}

#[test]
fn what_google_says_of_a_key_is_told_from_what_it_says_of_a_call() {
    // What is gone that one call refers to is no news of the key that others use.
    for message in [
        "You do not have permission to access the File x or it may not exist.",
        "CachedContent not found (or permission denied)",
    ] {
        let error = with("gemini", 403, &[], google(message, "PERMISSION_DENIED"));
        assert_eq!((error.class, error.retryable), (Invalid, false));
    }
    for message in [
        "API key not valid. Please pass a valid API key.",
        "API key expired. Please renew the API key.",
    ] {
        let error = google(message, "INVALID_ARGUMENT");
        assert_eq!(class("gemini", 400, error), KeyRefused);
    }
    let other = google("Invalid value at 'contents'", "INVALID_ARGUMENT");
    assert_eq!(class("gemini", 400, other), Invalid);
}
