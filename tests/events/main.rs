//! What observers are told of a call: once, in order, and nothing where there is nothing to tell.
#![allow(
    clippy::unwrap_used,
    dead_code,
    unused_imports,
    reason = "a test fails by panicking; not all that tests stand on is used here"
)]

mod told;
#[cfg(feature = "tracing")]
mod tracing;

#[path = "../support/mod.rs"]
mod support;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use tower_quota::{
    Tag, Tags,
    event::{AttemptOutcome, Event, ObservedCall, Observer},
};

/// Writes down what it is told, a line an event.
#[derive(Clone, Default)]
pub(crate) struct Ear(Arc<Mutex<Vec<String>>>);

impl Ear {
    /// What was told since it was asked last.
    pub(crate) fn heard(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl Observer for Ear {
    fn on_event(&self, call: &ObservedCall, event: &Event<'_>) {
        let line = format!(
            "{} {}",
            call.tags().get(&Tag::Agent).unwrap_or("-"),
            words(event)
        );
        self.0.lock().unwrap().push(line);
    }
}

fn words(event: &Event<'_>) -> String {
    let secs = Duration::as_secs_f64;
    match event {
        Event::Came => "came".to_owned(),
        Event::Waits { rule, limit, .. } => format!("waits for {limit} of {rule}"),
        Event::Waited { span, has_room, .. } => format!("waited {} s, {has_room}", secs(span)),
        Event::Began { after, .. } => format!("began after {} s", secs(after)),
        Event::Ended(end) => {
            let outcome = match end.outcome {
                AttemptOutcome::Answered { status, error, .. } => format!("{status} {error:?}"),
                other => format!("{other:?}"),
            };
            let used = end.usage.map(|usage| (usage.input, usage.output));
            format!(
                "ended {} at {}: {outcome}, {:?} of {used:?}, said {}, {} s",
                end.number,
                end.tags.get(&Tag::Provider).unwrap_or("-"),
                end.model,
                end.is_reported,
                secs(&end.took)
            )
        }
        Event::Refused { rejection, .. } => format!("refused: {}", rejection.kind()),
        Event::Repeats { cause, wait, .. } => format!("repeats for {cause} after {} s", secs(wait)),
        Event::MovesOn { from, cause, .. } => {
            format!(
                "moves on from {} for {cause}",
                from.get(&Tag::Provider).unwrap_or("-")
            )
        }
        Event::Cools { span, .. } => format!("cools {} s", secs(span)),
        Event::Over(end) => format!(
            "over: {}, {} attempts, {} s, {} s waited",
            end.outcome.name(),
            end.attempts,
            secs(&end.took),
            secs(&end.waited)
        ),
        other => format!("{other:?}"),
    }
}

pub(crate) fn request(agent: &str) -> Request<Full<Bytes>> {
    let mut request = support::chat::<Full<Bytes>>();
    request
        .extensions_mut()
        .insert(Tags::new().with(Tag::Agent, agent));
    request
}

/// A whole answer of a provider that says what it used.
pub(crate) const ANSWER: &str = r#"{"model":"m-2026","choices":[{"finish_reason":"stop","message":{"content":"Hi"}}],
    "usage":{"prompt_tokens":9,"completion_tokens":1}}"#;

pub(crate) async fn read<B: http_body::Body>(body: B) -> Result<Bytes, B::Error> {
    Ok(body.collect().await?.to_bytes())
}
