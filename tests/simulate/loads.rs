//! How traces are read.

use tower_quota::{
    Tag,
    simulate::{Load, LoadError},
};

use crate::{config, run, seconds};

const HEAD: &str = "at,model,input_tokens,output_tokens,latency";

fn csv(text: &str) -> Result<Load, LoadError> {
    Load::from_csv(text.as_bytes())
}

fn json(text: &str) -> Result<Load, LoadError> {
    Load::from_json_lines(text.as_bytes())
}

#[test]
fn csv_and_json_say_the_same() {
    let columns =
        "at,model,agent,tenant,input,output,latency_ms,max_tokens,priority,cache_read_tokens\n";
    let as_csv = csv(&format!(
        "{columns}0.5,gpt-4o,scout,acme,1000,10,1500,200,3,400\n0,claude-sonnet-4-5,,,20,5,700,,,\n"
    ));
    let as_json = json(
        r#"{"at":0.5,"model":"gpt-4o","agent":"scout","tenant":"acme","input_tokens":1000,"output_tokens":10,"latency":"1.5s","max_tokens":200,"priority":3,"cache_read_tokens":400}

           {"at":"0","model":"claude-sonnet-4-5","agent":null,"input":20,"output":5,"duration":0.7}"#,
    );
    let config = config("  global: { rpm: 1 }");
    let (one, other) = (
        run(&config, as_csv.unwrap()),
        run(&config, as_json.unwrap()),
    );
    assert_eq!(one, other);
    assert_eq!((one.calls, one.answered), (2, 2));
    assert_eq!((one.input_tokens, one.output_tokens), (1_020, 15));
    let tags: Vec<&str> = one.by.iter().map(|by| by.tag.name()).collect();
    assert_eq!(tags, ["provider", "model", "agent", "tenant"]);
    let models: Vec<&str> = one.by[0]
        .values
        .iter()
        .map(|level| level.value.as_str())
        .collect();
    assert_eq!(models, ["anthropic", "openai"]);
    // The later one waits, whatever the order of the lines.
    let waits = |value: &str| {
        let by = one.by.iter().find(|by| by.tag == Tag::Model).unwrap();
        by.values
            .iter()
            .find(|level| level.value == value)
            .unwrap()
            .waits
            .calls
    };
    assert_eq!((waits("gpt-4o"), waits("claude-sonnet-4-5")), (1, 0));
}

#[test]
fn dates_begin_with_the_first() {
    let load = csv(&format!(
        "{HEAD}\n2026-11-26T12:00:30Z,gpt-4o,1,1,1s\n2026-11-26T13:00:00+01:00,gpt-4o,1,1,1s\n"
    ));
    let report = run(&config("  global: { rpm: 100 }"), load.unwrap());
    assert_eq!(report.makespan, seconds(31.0));
}

/// Seconds since 1970, or since whatever else, are no wait before the first call.
#[test]
fn seconds_begin_with_the_first() {
    let load = csv(&format!(
        "{HEAD},agent\n1767571230,gpt-4o,1,1,1s,a\n1767571200,gpt-4o,1,1,1s,b\n"
    ));
    // No count is there before a call has come.
    let config = config("  limits: [{ quantity: requests, amount: 9, every: 1m, per: [agent] }]");
    let report = run(&config, load.unwrap());
    assert_eq!(report.makespan, seconds(31.0));
    let first = &report.over_time.moments[0];
    assert_eq!((first.at, first.came), (seconds(0.0), 1));
}

/// What is within the bounds runs to its end.
#[test]
fn a_hundred_years_are_a_load() {
    let load = csv(&format!(
        "{HEAD},agent,max_wait\n0,gpt-4o,1,1,5000w,a,5000w\n3e9,gpt-4o,1,1,1s,b,\n"
    ));
    let config = config("  limits: [{ quantity: requests, amount: 9, every: 1m, per: [agent] }]");
    let report = run(&config, load.unwrap());
    assert_eq!(
        (report.answered, report.makespan),
        (2, seconds(3_024_000_000.0))
    );
}

/// A budget by the calendar ends when it would have. A call costs 26 cents, and may cost $1.71 in the dearest tier.
#[test]
fn the_clock_on_the_wall_shows_the_time_of_the_trace() {
    let day = |first: &str, second: &str| {
        let load = csv(&format!(
            "{HEAD},max_tokens\n{first},gpt-4o,100000,1000,1s,1000\n{second},gpt-4o,100000,1000,1s,1000\n"
        ));
        let config = config("  max_daily_spend: 1.90");
        run(&config, load.unwrap()).refused
    };
    assert_eq!(day("2026-11-26T23:55:00Z", "2026-11-27T00:05:00Z"), 0);
    assert_eq!(day("2026-11-26T23:45:00Z", "2026-11-26T23:55:00Z"), 1);
}

#[test]
fn what_makes_no_sense_is_told_with_its_line() {
    for (text, line, word) in [
        ("0,gpt-4o,1,1", 2, "has 4 values, and there are 5 names"),
        ("0,gpt-4o,1,1,1s\nsoon,gpt-4o,1,1,1s", 3, "`at` is `soon`"),
        ("-1,gpt-4o,1,1,1s", 2, "`at` is `-1`"),
        (",gpt-4o,1,1,1s", 2, "`at` is missing"),
        ("0,,1,1,1s", 2, "`model` is missing"),
        ("0,gpt-4o,,1,1s", 2, "`input_tokens` is missing"),
        ("0,gpt-4o,1,,1s", 2, "`output_tokens` is missing"),
        ("0,gpt-4o,1,1,", 2, "`latency` is missing"),
        ("0,gpt-4o,1.5,1,1s", 2, "`input_tokens` is `1.5`"),
        ("0,gpt-4o,1,-1,1s", 2, "`output_tokens` is `-1`"),
        ("0,gpt-4o,1,1,long", 2, "`latency` is `long`"),
        (
            "0,gpt-4o,1,1,10000000000000000000s",
            2,
            "`10000000000000000000s`: is longer than 100 years",
        ),
        (
            "1e19,gpt-4o,1,1,1s\n5,gpt-4o,1,1,1s",
            3,
            "`at` is too far from that of other lines",
        ),
        (
            "0,gpt-4o,1,1,1s\n2026-11-26T12:00:00Z,gpt-4o,1,1,1s",
            3,
            "a date in some lines",
        ),
    ] {
        let error = csv(&format!("{HEAD}\n{text}\n")).unwrap_err();
        let said = error.to_string();
        let at = matches!(error, LoadError::Line { line: at, .. } if at == line);
        assert!(at && said.contains(word), "{text}: {said}");
    }
    for (text, word) in [
        ("nonsense", "is no JSON object"),
        ("[1]", "is no JSON object"),
        (
            r#"{"at":0,"model":["a"]}"#,
            "`model` is neither a text nor a number",
        ),
        (
            r#"{"at":0,"model":"m","input":1,"input_tokens":1}"#,
            "said twice",
        ),
        (
            r#"{"at":0,"model":"m","input":1,"output":1,"latency":1,"cache_read_tokens":2}"#,
            "parts of the input",
        ),
        (
            r#"{"at":0,"model":"m","input":1,"output":1,"latency":1,"tags":"x"}"#,
            "`tags` is `x`",
        ),
        (
            r#"{"at":0,"model":"m","priority":"high"}"#,
            "`priority` is `high`",
        ),
        (
            r#"{"at":0,"model":"m","latency_ms":-1}"#,
            "`latency_ms` is `-1`",
        ),
        (
            r#"{"at":0,"model":"m","latency_ms":1e22}"#,
            "is longer than 100 years",
        ),
        (
            r#"{"at":0,"model":"m","max_wait":"10000000000000000000s"}"#,
            "is longer than 100 years",
        ),
        (
            r#"{"at":0,"model":"m","max_wait":"never"}"#,
            "`max_wait` is `never`",
        ),
    ] {
        let error = json(&format!("\n{text}\n")).unwrap_err().to_string();
        assert!(
            error.starts_with("line 2: ") && error.contains(word),
            "{text}: {error}"
        );
    }
}

/// Cells, and names of JSON, are of whoever wrote the trace.
#[test]
fn what_is_wrong_does_not_steer_a_terminal() {
    let bad = csv(&format!("{HEAD}\n0,gpt-4o,\u{1b}[2J,1,1s\n")).unwrap_err();
    let said = "line 2: `input_tokens` is `\\u{1b}[2J`: invalid digit found in string";
    assert_eq!(bad.to_string(), said);
    let bad = json("{\"\\u202ex\":[1]}").unwrap_err().to_string();
    assert_eq!(bad, "line 1: `\\u{202e}x` is neither a text nor a number");
}

#[test]
fn a_trace_without_calls_is_none() {
    for text in ["", HEAD] {
        assert!(matches!(csv(text), Err(LoadError::Empty)), "{text}");
    }
    assert!(matches!(json("\n\n"), Err(LoadError::Empty)));
    assert!(matches!(csv("\u{fffd}\n"), Err(LoadError::Empty)));
    assert!(matches!(
        Load::from_csv(&b"at\n\xff\n"[..]),
        Err(LoadError::Line { line: 2, .. })
    ));
}

#[test]
fn files_are_told_apart_by_their_ending() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("a.csv"), format!("{HEAD}\n0,gpt-4o,1,1,1s\n")).unwrap();
    let line = r#"{"at":0,"model":"gpt-4o","input":1,"output":1,"latency":1}"#;
    std::fs::write(path("a.jsonl"), line).unwrap();
    std::fs::write(path("a.txt"), line).unwrap();
    assert!(Load::from_trace(path("a.csv")).is_ok());
    assert!(Load::from_trace(path("a.jsonl")).is_ok());
    assert!(matches!(
        Load::from_trace(path("a.txt")),
        Err(LoadError::Ending)
    ));
    assert!(matches!(
        Load::from_trace(path("b.csv")),
        Err(LoadError::Input(_))
    ));
}
