use super::*;
use crate::config::{Config, Format};

fn environment(name: &str) -> Option<String> {
    let value = match name {
        "RPM" => "60",
        "SHARE" => "0.5",
        "ON" => "false",
        "NAME" => "sk-very-secret",
        "EMPTY" => "",
        "MODE" => "sk-mode-secret",
        _ => return None,
    };
    Some(value.to_owned())
}

fn fill(text: &str) -> Result<Option<String>, String> {
    filled(text, &environment).map(|filled| filled.map(|(whole, _)| whole))
}

fn read(yaml: &str) -> Result<Config, ConfigError> {
    Config::from_text(yaml, Format::Yaml, environment)
}

#[test]
fn names_are_replaced_wherever_they_stand_in_a_text() {
    for (text, whole) in [
        ("${RPM}", "60"),
        ("a ${RPM}, b ${SHARE}", "a 60, b 0.5"),
        ("${NONE:-other}", "other"),
        ("${NONE:-}", ""),
        ("${EMPTY:-other}", "other"),
        ("${EMPTY}", ""),
        ("${RPM:-other}", "60"),
        ("$${RPM}", "${RPM}"),
        ("$${RPM} ${RPM}", "${RPM} 60"),
        ("${NONE:-a:-b}", "a:-b"),
    ] {
        assert_eq!(fill(text), Ok(Some(whole.to_owned())), "{text}");
    }
    for text in ["", "$RPM", "{RPM}", "$$", "5 $", "$ {RPM}"] {
        assert_eq!(fill(text), Ok(None), "{text}");
    }
}

#[test]
fn what_names_nothing_is_refused_with_the_way_out() {
    for (text, says) in [
        ("${NONE}", "`NONE` is not set"),
        ("${RPM", "is not closed"),
        ("${}", "names no environment variable"),
        ("${A B}", "names no environment variable"),
        ("${1A}", "names no environment variable"),
    ] {
        let error = fill(text).unwrap_err();
        assert!(error.contains(says), "{text}: {error}");
    }
}

#[test]
fn numbers_and_truth_values_may_come_of_names() {
    let config = read(
        "rate_limiting:
           enabled: ${ON}
           headroom: ${SHARE}
           global: { rpm: '${RPM}', max_cost_per_hour: '1${SHARE:-x}' }
           queue: { aging: '${RPM}', max_waiting: '${RPM}' }
           retry: { max_attempts: '${NONE:-4}' }",
    );
    let block = config.unwrap().rate_limiting;
    assert!(!block.enabled);
    assert_eq!(block.headroom, Some(0.5));
    assert_eq!(block.global.requests_per_minute, Some(60));
    assert_eq!(block.global.max_cost_per_hour, "10.5".parse().ok());
    assert_eq!(block.queue.aging, "60s".parse().unwrap());
    assert_eq!((block.queue.max_waiting, block.retry.max_attempts), (60, 4));
    // What no name was replaced in is as strict as ever.
    assert!(read("rate_limiting: { global: { rpm: '60' } }").is_err());
}

#[test]
fn a_missing_variable_is_named_by_its_path_and_place_and_its_neighbours_are_not() {
    let error =
        read("rate_limiting:\n  time_zone: ${NAME}\n  queue: { share_by: '${GONE}' }").unwrap_err();
    assert_eq!(
        error.to_string(),
        "rate_limiting.queue.share_by: the environment variable `GONE` is not set; set it, or write \
         `${GONE:-other}` (line 3, column 22)"
    );
}

#[test]
fn what_a_name_stands_for_shows_in_no_error() {
    for (yaml, path, says) in [
        ("global: { rpm: '${NAME}' }", "global.rpm", "`${NAME}`"),
        ("enabled: '${NAME}'", "enabled", "`${NAME}`"),
        ("headroom: '${NAME}'", "headroom", "`${NAME}`"),
        ("margin: '${NAME}'", "margin", "a duration such as"),
        (
            "max_daily_spend: '${NAME}'",
            "max_daily_spend",
            "an amount of dollars",
        ),
        (
            "unknown_price: '${MODE}'",
            "unknown_price",
            "one of deny, allow",
        ),
        ("global: '${NAME}'", "global", "`${NAME}`"),
        (
            "retry: { max_attempts: '-${RPM}' }",
            "retry.max_attempts",
            "`-${RPM}`",
        ),
        (
            "budgets: [{ amount: 1, every: '${NAME}' }]",
            "budgets[0].every",
            "hour, day",
        ),
        // What is found when the stack is built.
        (
            "time_zone: '${NAME}'",
            "time_zone",
            "`${NAME}` is not known",
        ),
        ("currency: '${NAME}'", "currency", "is `${NAME}`"),
        ("price_file: '${NAME}'", "price_file", "`${NAME}`"),
        (
            "retry: { max_attempts: '${NONE:-0}' }",
            "retry.max_attempts",
            "${NONE:-0}",
        ),
        (
            "limits: [{ quantity: requests, amount: 1, when: { model: '${NAME}' } }]",
            "limits[0]",
            "model=${NAME}",
        ),
    ] {
        let yaml = format!("rate_limiting: {{ {yaml} }}");
        let built = read(&yaml).and_then(|config| config.build().map(drop));
        let error = built.expect_err(&yaml);
        let said = format!("{error} {error:?}");
        assert!(!said.contains("secret"), "{yaml}: {said}");
        assert!(
            said.starts_with(&format!("rate_limiting.{path}: ")),
            "{yaml}: {said}"
        );
        assert!(said.contains(says), "{yaml}: {said}");
    }
}

#[test]
fn a_short_value_is_hidden_where_it_is_a_word_and_a_long_one_everywhere() {
    for (text, value, hidden) in [
        (
            "requests 0/min: `amount` is 0",
            "0",
            "requests ${X}/min: `amount` is ${X}",
        ),
        (
            "requests 100/min, 0.5 of 0",
            "0",
            "requests 100/min, 0.5 of ${X}",
        ),
        ("00", "0", "00"),
        ("abcsecretdef", "secret", "abc${X}def"),
        ("nothing", "0", "nothing"),
        ("nothing", "", "nothing"),
    ] {
        assert_eq!(without(text, value, "${X}"), hidden, "{text}");
    }
    let error = read("rate_limiting: { global: { rpm: '${NONE:-0}' } }")
        .unwrap()
        .build()
        .unwrap_err();
    let said = error.to_string();
    assert!(said.contains("`amount` is ${NONE:-0}"), "{said}");
}

#[test]
fn what_is_doubted_shows_no_value_either() {
    let yaml = "rate_limiting: { model_aliases: { ours: '${NAME}' }, presets: ['${PRESET:-openai/tier-1}'] }";
    let stack = read(yaml).unwrap().build().unwrap();
    assert_eq!(stack.doubts.len(), 1);
    assert!(
        !stack.doubts[0].contains("secret") && stack.doubts[0].contains("${NAME}"),
        "{:?}",
        stack.doubts
    );
    let unknown = read("rate_limiting: { presets: ['${NAME}'] }")
        .unwrap()
        .build()
        .unwrap_err();
    assert!(!unknown.to_string().contains("secret"), "{unknown}");
}

#[test]
fn what_was_replaced_makes_no_two_configurations_different_and_is_not_shown() {
    let config =
        read("rate_limiting: { global: { rpm: '${RPM}' }, time_zone: '${NAME}' }").unwrap();
    let plain = read("rate_limiting: { global: { rpm: 60 }, time_zone: sk-very-secret }");
    assert_eq!(config, plain.unwrap());
    let shown = format!("{:?}", config.rate_limiting.replaced);
    assert!(
        shown.contains("rate_limiting.time_zone") && !shown.contains("secret"),
        "{shown}"
    );
}

#[test]
fn what_is_said_of_a_part_of_a_text_shows_no_name_in_it_either() {
    let text = "{ path: 'sk-of-${LONG}/model' }";
    let mut node = Node::of(text, Format::Yaml).unwrap();
    let replaced = replace(&mut node, &|_| Some("umbrella".to_owned()), Keys::AreNeeded).unwrap();
    assert_eq!(
        replaced.hide_in("other", "`sk-of-umbrella` is not known"),
        "`sk-of-${LONG}` is not known"
    );
}

/// Where nothing will be sent a key need not be there; everything else does.
#[cfg(feature = "simulate")]
#[test]
fn keys_may_be_missing_where_nothing_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("quota.yaml");
    let read = |yaml: &str| {
        std::fs::write(&path, yaml).unwrap();
        (
            Config::from_path_without_keys(&path),
            Config::from_path(&path),
        )
    };
    let providers = "rate_limiting: { failover: { providers: { openai: { keys: ['${TQ_NO_KEY}', { key: '${TQ_NO_OTHER}' }] } }";
    let (without, with) = read(&format!("{providers}, routes: {{ m: [openai/m] }} }} }}"));
    assert!(without.unwrap().build().is_ok());
    assert!(
        with.unwrap_err()
            .to_string()
            .contains("`TQ_NO_KEY` is not set")
    );
    for other in [
        "rate_limiting: { global: { rpm: '${TQ_NO_KEY}' } }",
        "rate_limiting: { failover: { providers: { openai: { keys: [{ key: k, label: '${TQ_NO_KEY}' }] } } } }",
        "rate_limiting: { limits: [{ quantity: requests, amount: 1, when: { keys_of: '${TQ_NO_KEY}' } }] }",
    ] {
        let said = read(other).0.unwrap_err().to_string();
        assert!(said.contains("`TQ_NO_KEY` is not set"), "{other}: {said}");
    }
}
