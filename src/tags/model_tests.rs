use super::*;

fn names(model: &str) -> Vec<String> {
    let names = candidates(model).into_iter();
    names.map(|(name, _)| name.into_owned()).collect()
}

#[test]
fn each_form_of_a_name_leads_to_the_plain_one() {
    for (form, plain) in [
        ("gpt-4o", "gpt-4o"),
        ("openai/gpt-4o", "gpt-4o"),
        ("gpt-4o-2024-08-06", "gpt-4o"),
        ("openai/gpt-4o-2024-08-06", "gpt-4o"),
        ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
        ("claude-sonnet-4-5@20250929", "claude-sonnet-4-5"),
        ("claude-sonnet-4-5-latest", "claude-sonnet-4-5"),
        ("claude-sonnet-4-5@default", "claude-sonnet-4-5"),
        ("us-gov.anthropic.claude-x-v1:0", "anthropic.claude-x"),
        ("models/gemini-2.5-pro", "gemini-2.5-pro"),
        ("us.anthropic.claude-x-20250514-v1:0", "anthropic.claude-x"),
        (
            "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-x",
            "anthropic.claude-x",
        ),
        (
            "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-pro-v1:0",
            "amazon.nova-pro-v1:0",
        ),
    ] {
        assert!(
            names(form).contains(&plain.to_owned()),
            "{form}: {:?}",
            names(form)
        );
    }
}

#[test]
fn the_name_itself_comes_first_and_the_plainest_last() {
    let all = candidates("openai/gpt-4o-2024-08-06");
    assert_eq!(all[0], ("openai/gpt-4o-2024-08-06".into(), vec![]));
    let last = all.last().unwrap();
    assert_eq!(last.0, "gpt-4o");
    assert_eq!(
        last.1,
        ["without the vendor in front", "without the snapshot's date"]
    );
}

#[test]
fn what_only_looks_like_a_date_or_a_version_stays() {
    for name in [
        "gpt-4o-mini",
        "command-r-08-2024",
        "o3",
        "x-12345678x",
        "20250929",
        "-20250929",
        "claude:free",
        "nova-v1:x",
        "ü-2024-08-06-ü",
        "2024-08-06",
    ] {
        assert_eq!(names(name), [name], "{name}");
    }
}

#[test]
fn a_month_and_a_day_are_a_date_and_other_digits_are_not() {
    for (form, plain) in [
        ("gpt-4-0613", "gpt-4"),
        ("openai/gpt-3.5-turbo-0125", "gpt-3.5-turbo"),
        ("grok-4-0709", "grok-4"),
    ] {
        assert!(names(form).contains(&plain.to_owned()), "{form}");
    }
    for name in [
        "x-1324",
        "x-0032",
        "x-0100",
        "mistral-large-2411",
        "x-2024",
        "x-0613a",
        "-0613",
        "0613",
        "x-2024-0806",
    ] {
        assert_eq!(names(name), [name], "{name}");
    }
}

#[test]
fn limits_look_past_the_maker_in_front_and_prices_do_not() {
    let name = "arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-x-20250514-v1:0";
    let plain = limited(name).pop().unwrap();
    assert_eq!(plain.0, "claude-x");
    assert_eq!(plain.1.len(), 5, "{:?}", plain.1);
    assert!(!names(name).contains(&"claude-x".to_owned()));
}

#[test]
fn what_is_seen_to_be_plain_has_no_other_name_and_every_other_is_found() {
    for name in [
        "gpt-4",
        "gpt-4o",
        "gpt-4.1",
        "gpt-3.5-turbo",
        "gpt-4-0613",
        "gpt-4o-2024-08-06",
        "o3",
        "o1-2024-12-17",
        "claude-sonnet-4",
        "claude-sonnet-4-5-20250929",
        "claude-x@20250929",
        "claude-x-latest",
        "openai/gpt-4",
        "us.anthropic.claude-x-v1:0",
        "us-gov.anthropic.claude-x-v1:0",
        "claude-x@default",
        "anthropic.claude-x",
        "ai21.jamba",
        "apac.amazon.nova",
        "arn:aws:x/y",
        "",
        "models/gemini-2.5-pro",
        "gemini-2.5-pro",
        "command-r-08-2024",
        "x",
        "9.x",
        "-latest",
        "ü-0613",
    ] {
        let further = limited(name).len() - 1;
        assert_eq!(plainer(name).len(), further, "{name}");
        assert!(further == 0 || !is_plain(name), "{name}");
    }
    for name in [
        "gpt-4",
        "gpt-4o",
        "claude-sonnet-4",
        "gpt-3.5-turbo",
        "gemini-2.5-pro",
    ] {
        assert!(is_plain(name), "{name}");
    }
}

#[test]
fn how_it_is_routed_and_its_revision_make_no_other_model() {
    for (name, plain) in [
        ("anthropic/claude-sonnet-4.5:nitro", "claude-sonnet-4.5"),
        ("openai/gpt-4o:floor", "gpt-4o"),
        ("gpt-4o:online", "gpt-4o"),
        ("gemini-2.0-flash-001", "gemini-2.0-flash"),
        ("models/gemini-1.5-pro-002", "gemini-1.5-pro"),
    ] {
        let all = plainer(name);
        assert!(all.iter().any(|other| **other == *plain), "{name}: {all:?}");
    }
    assert_eq!(names("gpt-4o:online"), ["gpt-4o:online"], "another price");
    for (name, other) in [
        ("gpt-4o:free", "gpt-4o"),
        ("text-embedding-004", "text-embedding"),
        ("gpt-4-001", "gpt-4"),
        ("gemini-2.0-flash-0012", "gemini-2.0-flash"),
    ] {
        let all = plainer(name);
        assert!(
            !all.iter().any(|found| **found == *other),
            "{name}: {all:?}"
        );
    }
}
