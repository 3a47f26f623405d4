use crate::form::{
    Form,
    Waits::{Not, Told, Untold},
    check_all,
};

#[test]
fn what_may_pass_is_repeated() {
    check_all(
        [408, 409, 429, 498, 500, 502, 503, 504, 529, 599].map(|status| {
            let form = match status {
                // Groq's alone.
                498 => Form::status(498)
                    .of("groq")
                    .body(r#"{"error":{"message":"full","code":"capacity_exceeded"}}"#),
                _ => Form::status(status),
            };
            ("a status that may pass", form, Untold)
        }),
    );
}

#[test]
fn what_may_pass_and_tells_a_wait_waits() {
    check_all([408, 409, 429, 500, 502, 503, 504, 529].map(|status| {
        let form = Form::status(status).header("retry-after", "5");
        ("a status that tells a wait", form, Told(5_000))
    }));
}

#[test]
fn what_does_not_pass_is_not_repeated_whatever_wait_it_tells() {
    for told in [None, Some("1")] {
        check_all(
            [400, 401, 402, 403, 404, 405, 413, 422, 451, 501, 505].map(|status| {
                let form = Form::status(status);
                let form = match told {
                    Some(wait) => form.header("retry-after", wait),
                    None => form,
                };
                ("a status that does not pass", form, Not)
            }),
        );
    }
}

#[test]
fn no_error_is_not_repeated_though_it_tells_a_wait() {
    for status in [200, 204, 304] {
        let form = Form::status(status).header("retry-after", "3");
        check_all([("no error", form, Not)]);
    }
}

#[test]
fn the_provider_overrules_its_status() {
    let says = |status, says: &str| Form::status(status).header("x-should-retry", says);
    check_all([
        ("429, no", says(429, "false"), Not),
        ("503, no", says(503, "false"), Not),
        ("500, no", says(500, "false"), Not),
        ("429, yes", says(429, "true"), Untold),
        ("400, yes", says(400, "true"), Untold),
        ("404, yes", says(404, "true"), Untold),
        ("501, yes", says(501, "true"), Untold),
        ("neither yes nor no", says(503, "maybe"), Untold),
        ("neither yes nor no", says(400, "1"), Not),
        (
            "no, with a wait",
            says(429, "false").header("retry-after", "1"),
            Not,
        ),
        (
            "yes, with a wait",
            says(400, "true").header("retry-after", "2"),
            Told(2_000),
        ),
        (
            "yes, to a quota",
            says(429, "true").body(r#"{"error":{"code":"insufficient_quota"}}"#),
            Untold,
        ),
        (
            "Anthropic's 529",
            says(529, "true").of("anthropic").body(
                r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#,
            ),
            Untold,
        ),
    ]);
}
