//! Spans of calls, by a subscriber that writes down what it is told.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http_body_util::Full;
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_quota::{AdmissionLayer, RateLimitLayer, event::Tracing};
use tracing::{
    Event, Instrument as _, Subscriber,
    field::{Field, Visit},
    info, info_span,
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{
    layer::{Context, SubscriberExt as _},
    registry::{LookupSpan, Registry},
};

use super::{
    ANSWER, read, request,
    support::{Answer, Broken, Frames, Upstream, limiter, one_a_minute, secs},
};

type Fields = BTreeMap<&'static str, String>;

/// A span or an event: in which span it was, its name or message, its fields.
#[derive(Clone, Debug, Default)]
struct Seen {
    inside: Option<&'static str>,
    name: String,
    fields: Fields,
}

#[derive(Clone, Default)]
struct Book {
    spans: Arc<Mutex<Vec<(Id, Seen)>>>,
    closed: Arc<Mutex<usize>>,
    events: Arc<Mutex<Vec<Seen>>>,
}

struct Reader<'r>(&'r mut Fields);

impl Visit for Reader<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}

impl<S: Subscriber + for<'s> LookupSpan<'s>> tracing_subscriber::Layer<S> for Book {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let span = context.span(id).unwrap();
        let mut seen = Seen {
            inside: span.parent().map(|parent| parent.name()),
            name: attributes.metadata().name().to_owned(),
            ..Seen::default()
        };
        attributes.record(&mut Reader(&mut seen.fields));
        self.spans.lock().unwrap().push((id.clone(), seen));
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, _: Context<'_, S>) {
        let mut spans = self.spans.lock().unwrap();
        let (_, seen) = spans.iter_mut().find(|(known, _)| known == id).unwrap();
        values.record(&mut Reader(&mut seen.fields));
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut seen = Seen {
            inside: context.event_span(event).map(|span| span.name()),
            ..Seen::default()
        };
        event.record(&mut Reader(&mut seen.fields));
        seen.name = seen.fields.remove("message").unwrap_or_default();
        self.events.lock().unwrap().push(seen);
    }

    fn on_close(&self, _: Id, _: Context<'_, S>) {
        *self.closed.lock().unwrap() += 1;
    }
}

impl Book {
    fn call(&self) -> Seen {
        let spans = self.spans.lock().unwrap();
        let mut calls = spans.iter().filter(|(_, seen)| seen.name == "call");
        let (_, call) = calls.next().expect("a span of the call").clone();
        assert!(calls.next().is_none(), "one span a call");
        call
    }

    fn events(&self) -> Vec<String> {
        let events = self.events.lock().unwrap();
        events.iter().map(|seen| seen.name.clone()).collect()
    }
}

/// What is said of a call that waits, is refused by its provider once, and answered then.
async fn told(book: &Book, observed: bool) {
    let limiter = one_a_minute();
    let upstream = Upstream::new().answers([
        Answer::Busy(1, Frames::of(["{}"])),
        Answer::Typed("application/json", Frames::of([ANSWER])),
    ]);
    let upstream = upstream.map_request(|request: http::Request<Full<Bytes>>| {
        info!("sent");
        request
    });
    let layer = RateLimitLayer::new(limiter);
    let layer = if observed {
        layer.observe(Tracing::new())
    } else {
        layer
    };
    let subscriber = tracing::subscriber::set_default(Registry::default().with(book.clone()));
    let call = layer.layer(upstream).oneshot(request("scout"));
    let response = call.instrument(info_span!("outer")).await.unwrap();
    read(response.into_body()).await.unwrap();
    drop(subscriber);
}

#[tokio::test(start_paused = true)]
async fn a_call_is_one_span_with_an_event_for_each_thing_that_happened_to_it() {
    let book = Book::default();
    told(&book, true).await;
    let call = book.call();
    assert_eq!(call.inside, Some("outer"));
    for (name, value) in [
        ("tower_quota.agent", "scout"),
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.provider.name", "openai"),
        ("gen_ai.request.model", "m"),
        ("gen_ai.response.model", "m-2026"),
        ("gen_ai.usage.input_tokens", "9"),
        ("gen_ai.usage.output_tokens", "1"),
        ("tower_quota.attempts", "2"),
        ("tower_quota.outcome", "ok"),
        ("otel.name", "chat m"),
    ] {
        assert_eq!(
            call.fields.get(name).map(String::as_str),
            Some(value),
            "{name}: {call:?}"
        );
    }
    assert_eq!(call.fields.get("error.type"), None);
    assert_eq!(
        book.events(),
        [
            "sent",
            "a provider told to wait",
            "an attempt ended",
            "is repeated",
            "waits for room",
            "waits no longer",
            "sent",
            "an attempt ended",
            "is over",
        ]
    );
    let events = book.events.lock().unwrap();
    // What the inner service does is inside of the call as well.
    assert!(
        events.iter().all(|seen| seen.inside == Some("call")),
        "{events:#?}"
    );
    let ended: Vec<&Seen> = events
        .iter()
        .filter(|seen| seen.name == "an attempt ended")
        .collect();
    assert_eq!(ended[0].fields["http.response.status_code"], "429");
    assert_eq!(ended[0].fields["error.type"], "rate_limit");
    assert_eq!(ended[1].fields["http.response.status_code"], "200");
    assert_eq!(ended[1].fields.get("error.type"), None);
    assert!(
        events[4].fields["limit"].contains("requests 1/min"),
        "{:?}",
        events[4]
    );
}

#[tokio::test(start_paused = true)]
async fn without_the_observer_there_is_no_span() {
    let book = Book::default();
    told(&book, false).await;
    assert!(
        book.spans
            .lock()
            .unwrap()
            .iter()
            .all(|(_, seen)| seen.name == "outer")
    );
    assert_eq!(book.events(), ["sent", "sent"]);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_and_a_failure_are_told_in_the_span() {
    let book = Book::default();
    let subscriber = tracing::subscriber::set_default(Registry::default().with(book.clone()));
    let refused = AdmissionLayer::new(limiter([
        tower_quota::limit::Limit::tokens(1).every(secs(60))
    ]));
    let service = refused.observe(Tracing::new()).layer(Upstream::new());
    drop(service.oneshot(request("a")).await.unwrap());
    let call = book.call();
    assert_eq!(call.fields["error.type"], "never_fits");
    assert_eq!(call.fields["tower_quota.outcome"], "refused");
    assert!(
        book.events()[0].starts_with("refused: this call never fits"),
        "{:?}",
        book.events()
    );
    assert_eq!(*book.closed.lock().unwrap(), 1, "the span is closed");
    drop(subscriber);

    let book = Book::default();
    let subscriber = tracing::subscriber::set_default(Registry::default().with(book.clone()));
    let broken = service_fn(|_: http::Request<Full<Bytes>>| async {
        Err::<http::Response<Frames>, _>(Broken(1))
    });
    let service = AdmissionLayer::new(limiter([]))
        .observe(Tracing::new())
        .layer(broken);
    assert!(service.oneshot(request("a")).await.is_err());
    assert_eq!(book.call().fields["error.type"], "failed");
    drop(subscriber);
}
