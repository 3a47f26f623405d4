use std::time::{Duration, SystemTime};

use httpdate::fmt_http_date;

use crate::form::{
    Form,
    Waits::{Date, Told, TooLong, Untold},
    check, check_all,
};

fn with(headers: &[(&'static str, &str)]) -> Form {
    let busy = Form::status(429);
    headers
        .iter()
        .fold(busy, |form, (name, value)| form.header(name, *value))
}

#[test]
fn milliseconds() {
    check_all([
        ("whole", with(&[("retry-after-ms", "21640")]), Told(21_640)),
        (
            "a fraction",
            with(&[("retry-after-ms", "1146.5")]),
            Told(1_147),
        ),
        ("none", with(&[("retry-after-ms", "0")]), Told(0)),
        (
            "Azure's",
            with(&[("x-ms-retry-after-ms", "250")]),
            Told(250),
        ),
        (
            "three days",
            with(&[("retry-after-ms", "259200000")]),
            TooLong(259_200_000),
        ),
        (
            "a minute and more",
            with(&[("retry-after-ms", "60001")]),
            TooLong(60_001),
        ),
        (
            "a minute",
            with(&[("retry-after-ms", "60000")]),
            Told(60_000),
        ),
    ]);
}

#[test]
fn seconds() {
    check_all([
        ("whole", with(&[("retry-after", "13")]), Told(13_000)),
        ("decimals", with(&[("retry-after", "0.5")]), Told(500)),
        (
            "many decimals",
            with(&[("retry-after", "1.14601")]),
            Told(1_147),
        ),
        (
            "spaces around",
            with(&[("retry-after", " 2 ")]),
            Told(2_000),
        ),
        ("none", with(&[("retry-after", "0")]), Told(0)),
        (
            "a day",
            with(&[("retry-after", "86400")]),
            TooLong(86_400_000),
        ),
    ]);
}

#[test]
fn what_makes_no_sense_is_no_wait() {
    for junk in [
        "-5",
        "soon",
        "",
        "NaN",
        "inf",
        "5s",
        "1,5",
        "999999999999999",
        "1e300",
    ] {
        for name in ["retry-after-ms", "x-ms-retry-after-ms", "retry-after"] {
            check_all([("junk", with(&[(name, junk)]), Untold)]);
        }
    }
}

/// R2: a wait of nothing is the word of somebody who rounds down.
#[test]
fn nothing_gives_way_to_what_says_more() {
    let used_up = with(&[
        ("retry-after", "0"),
        ("x-ratelimit-limit-tokens", "1000"),
        ("x-ratelimit-remaining-tokens", "0"),
        ("x-ratelimit-reset-tokens", "6s"),
    ]);
    let hint =
        r#"{"error":{"message":"Please try again in 1.146s.","code":"rate_limit_exceeded"}}"#;
    let stream = "data: {\"error\":{\"message\":\"Please try again in 2s.\",\"code\":\"rate_limit_exceeded\"}}\n\n";
    let stream = Form::stream("/v1/chat/completions", stream);
    check_all([
        ("a header", used_up, Told(6_000)),
        ("a stream", stream.header("retry-after", "0"), Told(2_000)),
        (
            "a body",
            with(&[("retry-after", "0")]).body(hint),
            Told(1_146),
        ),
    ]);
}

/// R2: a date counts from the answer's own, whatever the clock here shows.
#[test]
fn a_date_counts_from_the_answers_own() {
    let early = [
        ("date", "Sun, 06 Nov 1994 08:49:32 GMT"),
        ("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT"),
    ];
    check_all([("by another clock", with(&early), Told(5_000))]);
}

/// R2: waits as told, the finer wins.
#[test]
fn of_several_the_finer_that_makes_sense() {
    check_all([
        (
            "milliseconds beside seconds",
            with(&[("retry-after", "2"), ("retry-after-ms", "1146")]),
            Told(1_146),
        ),
        (
            "Azure's milliseconds beside seconds",
            with(&[("retry-after", "22"), ("x-ms-retry-after-ms", "21640")]),
            Told(21_640),
        ),
        (
            "both milliseconds",
            with(&[("x-ms-retry-after-ms", "700"), ("retry-after-ms", "900")]),
            Told(900),
        ),
        (
            "junk beside seconds",
            with(&[("retry-after-ms", "soon"), ("retry-after", "3")]),
            Told(3_000),
        ),
        (
            "a negative one beside seconds",
            with(&[("retry-after-ms", "-1"), ("retry-after", "3")]),
            Told(3_000),
        ),
        (
            "the same header twice",
            with(&[("retry-after", "2"), ("retry-after", "9")]),
            Told(2_000),
        ),
        (
            "a header beside a text",
            with(&[("retry-after", "4")])
                .body(r#"{"error":{"message":"Please try again in 1.146s."}}"#),
            Told(4_000),
        ),
        (
            "junk beside a text",
            with(&[("retry-after", "soon")])
                .body(r#"{"error":{"message":"Please try again in 1.146s."}}"#),
            Told(1_146),
        ),
    ]);
}

/// `Sun, 22 Nov 2026 09:16:00 GMT` in the two other formats that RFC 9110 (5.6.7) knows.
fn other_formats(date: &str) -> [String; 2] {
    let words: Vec<&str> = date
        .split([' ', ','])
        .filter(|word| !word.is_empty())
        .collect();
    let [weekday, day, month, year, time, _] = words[..] else {
        panic!("no date: {date}");
    };
    let long = [
        "Sunday",
        "Monday",
        "Tuesday",
        "Wednesday",
        "Thursday",
        "Friday",
        "Saturday",
    ]
    .into_iter()
    .find(|long| long.starts_with(weekday))
    .unwrap();
    let day_of_month: u32 = day.parse().unwrap();
    [
        format!("{long}, {day}-{month}-{} {time} GMT", &year[2..]),
        format!("{weekday} {month} {day_of_month:2} {time} {year}"),
    ]
}

fn date(from_now: i64) -> String {
    let by = Duration::from_secs(from_now.unsigned_abs());
    let now = SystemTime::now();
    fmt_http_date(if from_now < 0 { now - by } else { now + by })
}

#[test]
fn dates_in_each_format() {
    check("IMF-fixdate", Date(30_000), || {
        with(&[("retry-after", &date(30))])
    });
    for format in [0, 1] {
        check("an old format", Date(30_000), || {
            with(&[("retry-after", &other_formats(&date(30))[format])])
        });
    }
}

#[test]
fn dates_that_are_over_or_far_off() {
    check("an hour ago", Told(0), || {
        with(&[("retry-after", &date(-3_600))])
    });
    for format in [0, 1] {
        check("an hour ago", Told(0), || {
            with(&[("retry-after", &other_formats(&date(-3_600))[format])])
        });
    }
    check_all([
        (
            "in thousands of years",
            with(&[("retry-after", "Fri, 31 Dec 9999 23:59:59 GMT")]),
            Untold,
        ),
        (
            "no day",
            with(&[("retry-after", "Sun, 32 Nov 2026 09:16:00 GMT")]),
            Untold,
        ),
        (
            "a date in milliseconds",
            with(&[("retry-after-ms", &date(30))]),
            Untold,
        ),
    ]);
}
