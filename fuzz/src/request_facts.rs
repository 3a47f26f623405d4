//! The facts of a request: the dialect, and the body.

use serde::de::IgnoredAny;
use serde_json::Value;
use tower_quota::wire::{Dialect, FactsError, RequestFacts, UsageAsk, ask_for_usage, inspect};

use super::{input::Input, request_reference};

/// # Panics
/// Where a promise is broken.
pub fn run(bytes: &[u8]) {
    let mut input = Input(bytes);
    let dialect = input.dialect();
    let body = input.0;
    let found = inspect(dialect, body);
    let value = serde_json::from_slice::<Value>(body);
    match &found {
        Ok(facts) => sane(dialect, body, facts),
        Err(FactsError::Malformed) => {
            // But for very many keys, and for escaped ones in other capitals.
            let is_odd = body.len() > 16_384 || body.contains(&b'\\');
            assert!(is_odd || !matches!(value, Ok(Value::Object(_))));
        }
        Err(FactsError::OtherCapitals { key }) => {
            let of_key = |part: &[u8]| part.eq_ignore_ascii_case(key.as_bytes());
            assert!(body.windows(key.len()).any(of_key), "{key}");
        }
        Err(FactsError::DuplicateKey { key }) => {
            // Written out, or with escapes.
            let is_there = body
                .windows(key.len())
                .filter(|part| *part == key.as_bytes())
                .count();
            assert!(is_there >= 2 || body.contains(&b'\\'), "{key}");
        }
        Err(other) => panic!("{other}"),
    }
    let Ok(Value::Object(object)) = value else {
        return;
    };
    // Each key once, and in order.
    let value = Value::Object(object);
    let again = match inspect(dialect, value.to_string().as_bytes()) {
        Ok(again) => again,
        Err(FactsError::OtherCapitals { .. }) => return,
        Err(FactsError::Malformed) if value.as_object().is_some_and(|keys| keys.len() > 4_096) => {
            return;
        }
        Err(other) => panic!("a JSON object: {other}"),
    };
    let spread = serde_json::to_string_pretty(&value).expect("it was JSON");
    assert_eq!(
        inspect(dialect, spread.as_bytes()).as_ref(),
        Ok(&again),
        "spread out"
    );
    let mut escaped = String::new();
    request_reference::escaped(&value, &mut escaped);
    assert_eq!(
        inspect(dialect, escaped.as_bytes()).as_ref(),
        Ok(&again),
        "escaped"
    );
    if let Some(facts) = request_reference::facts(dialect, &value) {
        let told = (
            again.model.clone(),
            again.max_output,
            again.stream,
            again.choices,
            again.input_estimate,
        );
        assert_eq!(told, facts, "{dialect:?}");
    }
}

fn sane(dialect: Dialect, body: &[u8], facts: &RequestFacts) {
    assert!(facts.choices >= 1);
    if dialect != Dialect::Generic && !body.is_empty() {
        assert!(
            serde_json::from_slice::<IgnoredAny>(body).is_ok(),
            "facts of what is no JSON"
        );
    }
    // The shortest payload is of one letter, and every token id of one digit.
    let most = 1_000 * body.len() as u64;
    assert!(facts.input_estimate <= most);
    assert!(
        facts
            .model
            .as_ref()
            .is_none_or(|model| model.len() <= 3 * body.len())
    );
    // Asking for the usage changes nothing else.
    if let (Dialect::OpenAiChat, UsageAsk::Added(asking) | UsageAsk::Declined(asking)) =
        (dialect, ask_for_usage(body))
    {
        assert_eq!(inspect(dialect, &asking).as_ref(), Ok(facts));
        assert!(facts.stream, "only streams are asked");
    }
}
