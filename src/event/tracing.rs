//! Events of calls, for `tracing`.

use ::tracing::{Level, Span, event, field::Empty, info_span};

use super::{
    AttemptEnd, AttemptOutcome, CallEnd, CallOutcome, Event, ObservedCall, Observer,
    names::{operation_name, provider_name},
};
use crate::tags::{Tag, Tags};

/// Makes a `tracing` span for each call, with an event in it for each wait, attempt, refusal and repeat.
///
/// The span is named `call`. It is inside the span in which the call came in, and what the inner service does for an
/// attempt is inside it. Its fields are:
///
/// - `tower_quota.call` (the call's number in this process), and `tower_quota.agent`, `.user`, `.team` and `.run` if
///   the call has these tags.
/// - By OpenTelemetry's names, `gen_ai.operation.name`, `gen_ai.provider.name` and `gen_ai.request.model`.
/// - At the end, `gen_ai.response.model`, `gen_ai.usage.input_tokens` and `.output_tokens`, each of the last attempt
///   that has it; `tower_quota.attempts` and `tower_quota.outcome`; and `error.type` if it did not succeed.
///
/// None of them contains what was asked or answered, or a key.
///
/// Everything has the target `tower_quota`; refusals are at the level `WARN`, everything else at `INFO`. With a layer
/// of `tracing-opentelemetry` they are traces of OpenTelemetry; `otel.name` and `otel.kind` are set.
///
/// ```
/// use tower_quota::{Limiter, RateLimitLayer, event::Tracing, limit::Limits};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let layer = RateLimitLayer::new(Limiter::new(Limits::new([])?)).observe(Tracing::new());
/// # let _ = layer;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[must_use]
pub struct Tracing(());

impl Tracing {
    /// Creates an observer that makes spans for whatever subscriber there is.
    pub fn new() -> Self {
        Self::default()
    }
}

macro_rules! told {
    ($level:expr, $span:expr, $($rest:tt)+) => {
        event!(target: "tower_quota", parent: $span, $level, $($rest)+)
    };
}

impl Observer for Tracing {
    fn on_event(&self, call: &ObservedCall, event: &Event<'_>) {
        let span = call.span().get_or_init(|| span_of(call));
        match event {
            Event::Came => {}
            Event::Waits { limit, .. } => told!(Level::INFO, span, limit, "waits for room"),
            Event::Waited {
                span: waited,
                has_room,
                ..
            } => {
                let seconds = waited.as_secs_f64();
                told!(Level::INFO, span, seconds, has_room, "waits no longer");
            }
            Event::Began { after, .. } => {
                let seconds = after.as_secs_f64();
                told!(Level::INFO, span, seconds, "the answer begins");
            }
            Event::Ended(end) => ended(span, end),
            Event::Refused { tags, rejection } => {
                let (kind, provider) = (rejection.kind(), provider(tags));
                told!(
                    Level::WARN,
                    span,
                    error.type = kind,
                    gen_ai.provider.name = provider,
                    "refused: {rejection}"
                );
            }
            Event::Repeats { cause, wait } => {
                let seconds = wait.as_secs_f64();
                told!(Level::INFO, span, error.type = cause, seconds, "is repeated");
            }
            Event::MovesOn { from, cause } => {
                let (provider, model) = (provider(from), from.get(&Tag::Model));
                told!(
                    Level::INFO,
                    span,
                    error.type = cause,
                    gen_ai.provider.name = provider,
                    gen_ai.request.model = model,
                    "goes on from a target"
                );
            }
            Event::Cools { tags, span: told } => {
                let (provider, seconds) = (provider(tags), told.as_secs_f64());
                told!(
                    Level::INFO,
                    span,
                    gen_ai.provider.name = provider,
                    seconds,
                    "a provider told to wait"
                );
            }
            Event::Over(end) => over(span, end),
        }
    }
}

fn span_of(call: &ObservedCall) -> Span {
    let tags = call.tags();
    let (operation, model) = (operation_name(call.dialect()), tags.get(&Tag::Model));
    info_span!(
        target: "tower_quota",
        "call",
        otel.name = format_args!("{operation} {}", model.unwrap_or_default()),
        otel.kind = "client",
        tower_quota.call = call.id(),
        tower_quota.agent = tags.get(&Tag::Agent),
        tower_quota.user = tags.get(&Tag::User),
        tower_quota.team = tags.get(&Tag::Team),
        tower_quota.run = tags.get(&Tag::Run),
        tower_quota.attempts = Empty,
        tower_quota.outcome = Empty,
        gen_ai.operation.name = operation,
        gen_ai.provider.name = provider(tags),
        gen_ai.request.model = model,
        gen_ai.response.model = Empty,
        gen_ai.usage.input_tokens = Empty,
        gen_ai.usage.output_tokens = Empty,
        error.type = Empty,
    )
}

fn ended(span: &Span, end: &AttemptEnd<'_>) {
    let status = match end.outcome {
        AttemptOutcome::Answered { status, .. } => Some(status),
        _ => None,
    };
    let usage = end.usage.filter(|_| end.is_reported);
    let (input, output) = (
        usage.map(|usage| usage.input),
        usage.map(|usage| usage.output),
    );
    told!(
        Level::INFO,
        span,
        attempt = end.number,
        http.response.status_code = status,
        error.type = end.outcome.error(),
        gen_ai.provider.name = provider(end.tags),
        gen_ai.request.model = end.tags.get(&Tag::Model),
        gen_ai.response.model = end.model,
        gen_ai.usage.input_tokens = input,
        gen_ai.usage.output_tokens = output,
        seconds = end.took.as_secs_f64(),
        "an attempt ended"
    );
    if let Some(model) = end.model {
        span.record("gen_ai.response.model", model);
    }
    if let Some(usage) = usage {
        span.record("gen_ai.usage.input_tokens", usage.input);
        span.record("gen_ai.usage.output_tokens", usage.output);
    }
}

fn over(span: &Span, end: &CallEnd) {
    let outcome = end.outcome.name();
    span.record("tower_quota.attempts", end.attempts);
    span.record("tower_quota.outcome", outcome);
    let error = match end.outcome {
        CallOutcome::Answered { .. } => None,
        CallOutcome::Refused { kind } => Some(kind),
        _ => Some(outcome),
    };
    if let Some(error) = error {
        span.record("error.type", error);
    }
    told!(
        Level::INFO,
        span,
        outcome,
        attempts = end.attempts,
        seconds = end.took.as_secs_f64(),
        waited = end.waited.as_secs_f64(),
        "is over"
    );
}

fn provider(tags: &Tags) -> Option<&str> {
    tags.get(&Tag::Provider).map(provider_name)
}
