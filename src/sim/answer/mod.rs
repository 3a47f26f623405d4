//! Turns a decision into a response.

mod anthropic;
mod chat;
mod complaint;
mod embeddings;
mod gemini;
mod models;
mod rate_headers;
mod responses;
mod story;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, DATE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

use self::complaint::Complaint;
pub(crate) use self::models::{count, models};
use self::story::Facts;
pub(crate) use self::story::Story;
use super::ask::Ask;
use super::body::SimBody;
use super::clock::Clock;
use super::core::{Core, Decision};
use super::dialect::{Dialect, Provider};
use super::enforce::Wait;
use super::ledger::Outcome;
use super::open::Open;
use super::stream::{Ending, Stream};

/// The answer to an attempt that was decided on.
pub(crate) fn answer(core: &Core, ask: Ask<'_>, decision: Decision) -> Response<SimBody> {
    let Decision {
        mut open,
        at,
        faults,
        output,
        ..
    } = decision;
    let provider = ask.dialect.provider();
    let mut headers = HeaderMap::with_capacity(16);
    if !faults.missing_headers {
        rate_headers::write(
            &mut headers,
            provider,
            &decision.gauges,
            core.clock.wall(at),
        );
    }
    let complaint = if faults.insufficient_quota {
        Some((429, complaint::insufficient_quota(provider)))
    } else if let Some(refusal) = &decision.refusal {
        if let (Wait::After(wait), false) = (refusal.wait, faults.missing_headers) {
            rate_headers::retry(&mut headers, provider, wait);
        }
        let mut limit = core.config.limits[refusal.limit].clone();
        limit.amount = refusal.amount;
        Some((429, complaint::refused(&ask, &limit, refusal)))
    } else if let Some(status) = faults.status {
        if let Some(seconds) = faults.retry_after {
            headers.insert("retry-after", seconds.into());
        }
        if let Some(millis) = faults.retry_after_ms {
            headers.insert("retry-after-ms", millis.into());
        }
        let complaint = complaint::of_status(provider, status);
        Some((status, complaint.saying(&faults)))
    } else {
        None
    };
    if let Some((status, complaint)) = complaint {
        return error(&core.clock, open, headers, provider, status, &complaint);
    }

    open.answered(200);
    if faults.garbage {
        open.generated(output);
        let text = Bytes::from_static(b"<html><body>502 Bad Gateway</body></html>");
        let body = SimBody::whole(text, open, Outcome::Spoilt);
        return response(&core.clock, headers, provider, 200, body);
    }
    let (stream, list) = (ask.stream, ask.list);
    // Only a chat's stream is without it where it was not asked for.
    let usage = ask.include_usage || !stream || ask.dialect != Dialect::OpenAi;
    let facts = Facts {
        seq: open.seq(),
        created: core.clock.wall(at).as_secs(),
        output,
        token_bytes: core.config.token_bytes(),
        usage: usage && !faults.no_usage,
        most_chunks: u64::try_from(core.config.chunks).unwrap_or(u64::MAX),
    };
    let story = Story::new(ask, &facts);
    let body = if stream {
        if !list {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        }
        let ending = match faults.error_event {
            Some(place) => Ending::Error(place),
            None if faults.broken => Ending::Broken,
            None => Ending::Whole,
        };
        SimBody::stream(Stream::new(open, story, core.config.chunk_delay, ending))
    } else {
        open.generated(output);
        let text = story.whole();
        match faults.broken {
            true => SimBody::broken(text, open),
            false => SimBody::whole(text, open, Outcome::Completed),
        }
    };
    response(&core.clock, headers, provider, 200, body)
}

/// The answer to a request that could not be read.
pub(crate) fn malformed(
    core: &Core,
    provider: Provider,
    open: Open,
    why: String,
) -> Response<SimBody> {
    let complaint = complaint::malformed(provider, why);
    let headers = HeaderMap::new();
    error(&core.clock, open, headers, provider, 400, &complaint)
}

/// The answer to a path or a method that the simulator does not have.
pub(crate) fn not_found(core: &Core, provider: Provider) -> Response<SimBody> {
    let text = complaint::of_status(provider, 404).body(provider, 404, "req_sim");
    response(
        &core.clock,
        HeaderMap::new(),
        provider,
        404,
        SimBody::free(text),
    )
}

fn error(
    clock: &Clock,
    mut open: Open,
    mut headers: HeaderMap,
    provider: Provider,
    status: u16,
    complaint: &Complaint,
) -> Response<SimBody> {
    open.answered(status);
    let id = request_id(open.seq());
    let text = complaint.body(provider, status, &id);
    identify(&mut headers, provider, id);
    response(
        clock,
        headers,
        provider,
        status,
        SimBody::whole(text, open, Outcome::Completed),
    )
}

fn response(
    clock: &Clock,
    mut headers: HeaderMap,
    provider: Provider,
    status: u16,
    body: SimBody,
) -> Response<SimBody> {
    if !headers.contains_key(CONTENT_TYPE) {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    if let Some(seq) = body.seq() {
        identify(&mut headers, provider, request_id(seq));
    }
    let date = std::time::UNIX_EPOCH + clock.wall(clock.now());
    put(&mut headers, DATE, httpdate::fmt_http_date(date));
    let mut response = Response::new(body);
    // Fault statuses are checked when they are read; the others are written here.
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    *response.headers_mut() = headers;
    response
}

/// Names the request, where the provider does.
fn identify(headers: &mut HeaderMap, provider: Provider, id: String) {
    let name = match provider {
        Provider::OpenAi => "x-request-id",
        Provider::Anthropic => "request-id",
        Provider::Gemini => return,
    };
    put(headers, HeaderName::from_static(name), id);
}

fn request_id(seq: u64) -> String {
    format!("req_sim{seq:016x}")
}

/// Inserts a header whose text is known to be visible ASCII.
fn put(headers: &mut HeaderMap, name: HeaderName, text: String) {
    if let Ok(value) = HeaderValue::try_from(text) {
        headers.insert(name, value);
    }
}
