use super::*;

fn iteration(kind: &str, model: Option<&str>, input: u64, output: u64) -> Iteration {
    Iteration {
        kind: Some(kind.to_owned()),
        model: model.map(str::to_owned),
        usage: Usage::new(input, output),
    }
}

/// What is said by an answer that the model `a` gave.
fn reading(whole: Usage, finish: &str, iterations: Vec<Iteration>) -> Reading {
    Reading {
        usage: Some(whole),
        usage_is_final: true,
        model: Some("a".to_owned()),
        finish: Some(finish.to_owned()),
        iterations,
        ..Reading::default()
    }
}

fn shares(whole: Usage, finish: &str, iterations: Vec<Iteration>) -> Shares {
    let reading = reading(whole, finish, iterations);
    Shares::of(&reading, Dialect::AnthropicMessages, whole, true)
}

/// What others have used.
fn others(shares: &Shares) -> Vec<(String, Usage)> {
    let others = shares.others.iter();
    others
        .map(|(model, usage)| (model.to_owned(), *usage))
        .collect()
}

fn used(model: &str, input: u64, output: u64) -> (String, Usage) {
    (model.to_owned(), Usage::new(input, output))
}

#[test]
fn without_iterations_all_of_it_is_the_models_own() {
    let whole = Usage::new(100, 50);
    let shares = shares(whole, "end_turn", Vec::new());
    assert_eq!((shares.used, shares.charged), (whole, None));
    assert!(others(&shares).is_empty() && !shares.is_mixed);
}

#[test]
fn compaction_is_added_by_its_kinds() {
    let mut compaction = iteration("compaction", None, 1_210, 20);
    compaction.usage.cache_read = 1_000;
    compaction.usage.cache_write = 200;
    compaction.usage.cache_write_long = 150;
    let mut whole = Usage::new(600, 50);
    whole.cache_read = 500;
    let mut message = iteration("message", None, 600, 50);
    message.usage.cache_read = 500;
    let shares = shares(whole, "end_turn", vec![compaction, message]);
    let mut expected = Usage::new(1_810, 70);
    expected.cache_read = 1_500;
    expected.cache_write = 200;
    expected.cache_write_long = 150;
    assert_eq!((shares.used, shares.charged), (expected, None));
    assert!(others(&shares).is_empty());
}

#[test]
fn an_advisor_is_paid_for_apart() {
    let iterations = |advisor| {
        vec![
            iteration("message", None, 412, 89),
            iteration("advisor_message", Some(advisor), 823, 1_612),
            iteration("message", None, 1_760, 442),
        ]
    };
    // Of the input the whole has that of the first time alone.
    let whole = Usage::new(412, 531);
    let by_another = shares(whole, "end_turn", iterations("b"));
    assert_eq!(by_another.used, Usage::new(2_172, 531));
    assert_eq!(by_another.charged, None);
    assert_eq!(others(&by_another), [used("b", 823, 1_612)]);
    let by_itself = shares(whole, "end_turn", iterations("a"));
    assert_eq!(by_itself.used, Usage::new(2_995, 2_143));
    assert!(others(&by_itself).is_empty());
}

#[test]
fn by_whatever_name_it_is_asked_it_is_not_paid_for_twice() {
    let whole = Usage::new(412, 531);
    let message = iteration("message", Some("a-2026-11-22"), 412, 531);
    let compaction = iteration("compaction", Some("a-2026-11-22"), 10, 1);
    let shares = shares(whole, "end_turn", vec![message, compaction]);
    assert_eq!(shares.used, Usage::new(422, 532));
    assert!(others(&shares).is_empty() && shares.charged.is_none());
}

#[test]
fn who_takes_over_is_paid_for_and_who_refused_before_a_word_is_not() {
    for (refused, whole, expected) in [
        (
            iteration("message", Some("called"), 408, 0),
            Usage::new(412, 264),
            vec![used("a", 412, 264)],
        ),
        (
            iteration("message", Some("called"), 408, 30),
            Usage::new(412, 264),
            vec![used("called", 408, 30), used("a", 412, 264)],
        ),
    ] {
        let served = iteration("fallback_message", Some("a"), 412, 264);
        let compaction = iteration("compaction", None, 7, 1);
        let shares = shares(whole, "end_turn", vec![compaction, refused, served]);
        assert_eq!(others(&shares), expected);
        assert_eq!(shares.charged, Some(Usage::new(7, 1)), "compaction");
        assert_eq!(shares.used, Usage::new(419, 265));
    }
    // It went straight to the other one.
    let served = vec![iteration("fallback_message", Some("a"), 412, 264)];
    let direct = shares(Usage::new(412, 264), "end_turn", served);
    assert_eq!(others(&direct), [used("a", 412, 264)]);
    assert_eq!(direct.charged, Some(Usage::default()));
}

#[test]
fn what_all_have_refused_is_paid_for_as_far_as_they_came() {
    let called = iteration("message", Some("called"), 408, 0);
    let at_once = iteration("message", Some("a"), 400, 0);
    let nothing = shares(Usage::new(400, 0), "refusal", vec![called.clone(), at_once]);
    assert!(others(&nothing).is_empty());
    assert_eq!(nothing.charged, Some(Usage::default()));
    let later = iteration("message", Some("a"), 400, 30);
    let something = shares(Usage::new(400, 30), "refusal", vec![called, later]);
    assert_eq!(others(&something), [used("a", 400, 30)]);
    assert_eq!(something.charged, Some(Usage::default()));
}

#[test]
fn a_refusal_is_free_where_nothing_was_generated() {
    let (nothing, some) = (Usage::new(18, 0), Usage::new(18, 5));
    let charged = |whole, finish| shares(whole, finish, Vec::new()).charged;
    assert_eq!(charged(nothing, "refusal"), Some(Usage::default()));
    assert_eq!(charged(some, "refusal"), None);
    assert_eq!(charged(nothing, "end_turn"), None, "warming a cache up");
    assert_eq!(shares(nothing, "refusal", Vec::new()).used, nothing);

    let refusal = || reading(nothing, "refusal", Vec::new());
    let charged = |reading: &Reading, dialect| {
        Shares::of(reading, dialect, nothing, reading.usage_is_final).charged
    };
    let seen = Reading {
        output_seen: 1,
        ..refusal()
    };
    let open = Reading {
        usage_is_final: false,
        ..refusal()
    };
    for reading in [seen, open] {
        assert_eq!(charged(&reading, Dialect::AnthropicMessages), None);
    }
    assert_eq!(charged(&refusal(), Dialect::BedrockInvoke), None);
}

#[test]
fn what_is_refused_at_once_has_advice_and_summaries_paid_for() {
    let iterations = vec![
        iteration("compaction", None, 30, 3),
        iteration("advisor_message", Some("b"), 20, 2),
        iteration("message", None, 18, 0),
    ];
    let shares = shares(Usage::new(18, 0), "refusal", iterations);
    assert_eq!(shares.charged, Some(Usage::new(30, 3)));
    assert_eq!(others(&shares), [used("b", 20, 2)]);
}

#[test]
fn of_more_models_than_are_told_apart_nothing_is_lost() {
    let models = ["b", "c", "d", "e", "f", "g"];
    let advised = models.map(|model| iteration("advisor_message", Some(model), 10, 1));
    let shares = shares(Usage::new(100, 50), "end_turn", Vec::from(advised));
    let apart: Vec<_> = models[..4].iter().map(|model| used(model, 10, 1)).collect();
    assert_eq!(others(&shares), apart);
    assert!(shares.is_mixed);
    assert_eq!(shares.used, Usage::new(120, 52));
}

#[test]
fn who_takes_over_counts_once_where_there_is_no_room_for_it() {
    let models = ["b", "c", "d", "e"];
    let refused = models.map(|model| iteration("message", Some(model), 10, 1));
    let served = iteration("fallback_message", Some("a"), 412, 264);
    let iterations = Vec::from(refused).into_iter().chain([served]).collect();
    let shares = shares(Usage::new(412, 264), "end_turn", iterations);
    assert_eq!(shares.used, Usage::new(412, 264));
    assert_eq!(shares.charged, Some(Usage::new(412, 264)));
    assert!(shares.is_mixed);
    assert_eq!(others(&shares).len(), 4);
}

#[test]
fn who_takes_over_without_a_name_is_the_one_that_answers() {
    let whole = Usage::new(412, 264);
    let served = vec![iteration("fallback_message", None, 412, 264)];
    let named = shares(whole, "end_turn", served.clone());
    assert_eq!(named.used, whole);
    assert_eq!(named.charged, Some(Usage::default()));
    assert_eq!(others(&named), [used("a", 412, 264)]);
    let reading = Reading {
        model: None,
        ..reading(whole, "end_turn", served)
    };
    let unnamed = Shares::of(&reading, Dialect::AnthropicMessages, whole, true);
    assert_eq!((unnamed.used, unnamed.charged), (whole, Some(whole)));
    assert!(others(&unnamed).is_empty());
}

#[test]
fn before_the_last_word_what_was_seen_counts() {
    let whole = Usage::new(412, 10_000);
    let iterations = vec![
        iteration("fallback_message", Some("a"), 412, 1),
        iteration("advisor_message", Some("b"), 20, 2),
    ];
    let reading = reading(whole, "", iterations);
    let shares = Shares::of(&reading, Dialect::AnthropicMessages, whole, false);
    assert_eq!((shares.used, shares.charged), (whole, None));
    assert_eq!(others(&shares), [used("b", 20, 2)]);
}

#[test]
fn what_no_iteration_tells_of_is_paid_for_by_its_kinds() {
    let mut whole = Usage::new(1_412, 264);
    (whole.cache_read, whole.cache_write) = (600, 400);
    let mut told = iteration("fallback_message", Some("a"), 700, 64);
    told.usage.cache_read = 300;
    let refused = iteration("message", Some("called"), 408, 30);
    let short = shares(whole, "end_turn", vec![refused, told]);
    assert_eq!((short.used, short.charged), (whole, Some(Usage::default())));
    let mut served = Usage::new(1_412, 264);
    (served.cache_read, served.cache_write) = (600, 400);
    assert_eq!(
        others(&short),
        [used("called", 408, 30), ("a".to_owned(), served)]
    );
    // None of them was the one that answers.
    let refused = ["b", "c"].map(|model| iteration("message", Some(model), 10, 1));
    let none = shares(Usage::new(412, 264), "end_turn", Vec::from(refused));
    assert_eq!(others(&none)[2], used("a", 412, 264));
}

#[test]
fn who_takes_over_is_paid_for_without_output() {
    let mut whole = Usage::new(500_412, 0);
    whole.cache_write = 500_000;
    let mut served = iteration("fallback_message", Some("a"), 500_412, 0);
    served.usage.cache_write = 500_000;
    let refused = iteration("message", Some("called"), 408, 0);
    let shares = shares(whole, "max_tokens", vec![refused, served]);
    assert_eq!(others(&shares), [("a".to_owned(), whole)]);
    assert_eq!(
        (shares.used, shares.charged),
        (whole, Some(Usage::default()))
    );
}

#[test]
fn who_refused_before_a_word_is_free_whoever_the_stream_began_with() {
    let whole = Usage::new(412, 264);
    let iterations = vec![
        iteration("message", Some("a"), 408, 0),
        iteration("fallback_message", Some("b"), 412, 264),
    ];
    let shares = shares(whole, "end_turn", iterations);
    assert_eq!(
        (shares.used, shares.charged),
        (whole, Some(Usage::default()))
    );
    assert_eq!(others(&shares), [used("b", 412, 264)]);
}
