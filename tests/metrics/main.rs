//! Metrics: what they say of calls and limits, by names that others know, with a bounded number of series.
#![cfg(feature = "metrics")]
#![allow(
    clippy::unwrap_used,
    dead_code,
    unused_imports,
    reason = "a test fails by panicking; not all that tests stand on is used here"
)]

mod bounded;
mod calls;
mod limits;
#[cfg(feature = "otlp")]
mod otlp;
mod promtool;
mod targets;

#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use tower_quota::{Tag, Tags};

/// A whole answer of a provider that says what it used.
const ANSWER: &str = r#"{"model":"m-2026","choices":[{"finish_reason":"stop","message":{"content":"Hi"}}],
    "usage":{"prompt_tokens":9,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":4}}}"#;

fn json(text: &'static str) -> support::Answer {
    support::Answer::Typed("application/json", support::Frames::of([text]))
}

fn request(agent: &str) -> Request<Full<Bytes>> {
    let mut request = support::chat::<Full<Bytes>>();
    let tags = Tags::new().with(Tag::Agent, agent).with(Tag::Run, "r-1");
    request.extensions_mut().insert(tags);
    request
}

async fn read<B: http_body::Body>(body: B) -> Option<Bytes> {
    Some(body.collect().await.ok()?.to_bytes())
}

/// What a text says, line by line.
struct Text(BTreeMap<String, f64>);

impl Text {
    fn of(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let series = lines.map(|line| {
            let (series, value) = line.rsplit_once(' ').unwrap();
            (series.to_owned(), value.parse().unwrap())
        });
        let all: Vec<(String, f64)> = series.collect();
        let (lines, series) = (all.len(), all.into_iter().collect::<BTreeMap<_, _>>());
        assert_eq!(series.len(), lines, "a series is there twice");
        Text(series)
    }

    /// The series of this name that has all of these labels, and no other has.
    #[track_caller]
    fn one(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let found = self.all(name, labels);
        assert_eq!(
            found.len(),
            1,
            "{name} {labels:?} in {:#?}",
            self.names(name)
        );
        *found.values().next().unwrap()
    }

    fn all(&self, name: &str, labels: &[(&str, &str)]) -> BTreeMap<&str, f64> {
        let fits = |series: &str| {
            let own = series.split('{').next() == Some(name);
            let has = |(name, value): &(&str, &str)| {
                let label = format!("{name}=\"{value}\"");
                series.contains(&format!("{{{label}")) || series.contains(&format!(",{label}"))
            };
            own && labels.iter().all(has)
        };
        let all = self.0.iter().filter(|(series, _)| fits(series));
        all.map(|(series, value)| (series.as_str(), *value))
            .collect()
    }

    fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.all(name, labels).values().sum()
    }

    fn names(&self, begin: &str) -> Vec<&String> {
        let names = self.0.keys();
        names.filter(|series| series.starts_with(begin)).collect()
    }
}
