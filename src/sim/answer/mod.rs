//! Turns a decision into a response.

mod anthropic;
mod complaint;
mod models;
mod openai;
mod rate_headers;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_TYPE, DATE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

use self::complaint::Complaint;
pub(crate) use self::models::models;
use super::ask::{Ask, Dialect};
use super::body::SimBody;
use super::clock::Clock;
use super::core::{Core, Decision};
use super::enforce::Wait;
use super::ledger::Outcome;
use super::open::Open;
use super::stream::{Ending, Stream};

/// Everything that the text of an answer depends on.
#[derive(Debug)]
pub(crate) struct Story {
    pub(crate) dialect: Dialect,
    seq: u64,
    /// Seconds since the Unix epoch.
    created: u64,
    /// The model's name as JSON, quotes included.
    model: String,
    prompt: u64,
    pub(crate) output: u64,
    /// Bytes of text to a token.
    token_bytes: usize,
    /// Whether the output ends because the cap is reached.
    capped: bool,
    /// Whether the answer tells its usage.
    usage: bool,
}

impl Story {
    pub(crate) fn opening(&self, to: &mut BytesMut) {
        match self.dialect {
            Dialect::OpenAi => openai::opening(self, to),
            Dialect::Anthropic => anthropic::opening(self, to),
        }
    }

    pub(crate) fn content(&self, tokens: u64, to: &mut BytesMut) {
        match self.dialect {
            Dialect::OpenAi => openai::content(self, tokens, to),
            Dialect::Anthropic => anthropic::content(self, tokens, to),
        }
    }

    pub(crate) fn closing(&self, to: &mut BytesMut) {
        match self.dialect {
            Dialect::OpenAi => openai::closing(self, to),
            Dialect::Anthropic => anthropic::closing(self, to),
        }
    }

    pub(crate) fn error(&self, to: &mut BytesMut) {
        match self.dialect {
            Dialect::OpenAi => openai::error(to),
            Dialect::Anthropic => anthropic::error(self.seq, to),
        }
    }

    fn whole(&self) -> Bytes {
        match self.dialect {
            Dialect::OpenAi => openai::whole(self),
            Dialect::Anthropic => anthropic::whole(self),
        }
    }
}

/// The answer to an attempt that was decided on.
pub(crate) fn answer(core: &Core, ask: &Ask<'_>, decision: Decision) -> Response<SimBody> {
    let Decision {
        mut open,
        at,
        faults,
        output,
        ..
    } = decision;
    let mut headers = HeaderMap::with_capacity(16);
    if !faults.missing_headers {
        rate_headers::write(
            &mut headers,
            ask.dialect,
            &decision.gauges,
            core.clock.wall(at),
        );
    }
    let complaint = if faults.insufficient_quota {
        Some((429, complaint::insufficient_quota(ask.dialect)))
    } else if let Some(refusal) = &decision.refusal {
        if let (Wait::After(wait), false) = (refusal.wait, faults.missing_headers) {
            rate_headers::retry(&mut headers, ask.dialect, wait);
        }
        let mut limit = core.config.limits[refusal.limit].clone();
        limit.amount = refusal.amount;
        Some((429, complaint::refused(ask, &limit, refusal)))
    } else if let Some(status) = faults.status {
        if let Some(seconds) = faults.retry_after {
            headers.insert("retry-after", seconds.into());
        }
        if let Some(millis) = faults.retry_after_ms {
            headers.insert("retry-after-ms", millis.into());
        }
        let complaint = complaint::of_status(ask.dialect, status);
        Some((status, complaint.saying(&faults)))
    } else {
        None
    };
    if let Some((status, complaint)) = complaint {
        return error(&core.clock, open, headers, ask.dialect, status, &complaint);
    }

    open.answered(200);
    if faults.garbage {
        open.generated(output);
        let text = Bytes::from_static(b"<html><body>502 Bad Gateway</body></html>");
        let body = SimBody::whole(text, open, Outcome::Spoilt);
        return response(&core.clock, headers, ask.dialect, 200, body);
    }
    let story = Story {
        dialect: ask.dialect,
        seq: open.seq(),
        created: core.clock.wall(at).as_secs(),
        model: serde_json::Value::from(&*ask.model).to_string(),
        prompt: ask.prompt,
        output,
        token_bytes: core.config.token_bytes.clamp(1, 64),
        capped: ask.max_tokens == Some(output),
        usage: !faults.no_usage
            && (ask.include_usage || !ask.stream || ask.dialect == Dialect::Anthropic),
    };
    let body = if ask.stream {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
        let ending = match faults.error_event {
            Some(place) => Ending::Error(place),
            None if faults.broken => Ending::Broken,
            None => Ending::Whole,
        };
        let chunks = u64::try_from(core.config.chunks).unwrap_or(u64::MAX);
        SimBody::stream(Stream::new(
            open,
            story,
            chunks,
            core.config.chunk_delay,
            ending,
        ))
    } else {
        open.generated(output);
        let text = story.whole();
        match faults.broken {
            true => SimBody::broken(text, open),
            false => SimBody::whole(text, open, Outcome::Completed),
        }
    };
    response(&core.clock, headers, ask.dialect, 200, body)
}

/// The answer to a request that could not be read.
pub(crate) fn malformed(
    core: &Core,
    dialect: Dialect,
    open: Open,
    why: String,
) -> Response<SimBody> {
    let complaint = Complaint {
        message: why,
        ..complaint::of_status(dialect, 400)
    };
    error(
        &core.clock,
        open,
        HeaderMap::new(),
        dialect,
        400,
        &complaint,
    )
}

/// The answer to a path or a method that the simulator does not have.
pub(crate) fn not_found(core: &Core, dialect: Dialect) -> Response<SimBody> {
    let text = complaint::of_status(dialect, 404).body(dialect, "req_sim");
    response(
        &core.clock,
        HeaderMap::new(),
        dialect,
        404,
        SimBody::free(text),
    )
}

fn error(
    clock: &Clock,
    mut open: Open,
    mut headers: HeaderMap,
    dialect: Dialect,
    status: u16,
    complaint: &Complaint,
) -> Response<SimBody> {
    open.answered(status);
    let id = request_id(open.seq());
    let text = complaint.body(dialect, &id);
    put(&mut headers, id_header(dialect), id);
    response(
        clock,
        headers,
        dialect,
        status,
        SimBody::whole(text, open, Outcome::Completed),
    )
}

fn response(
    clock: &Clock,
    mut headers: HeaderMap,
    dialect: Dialect,
    status: u16,
    body: SimBody,
) -> Response<SimBody> {
    if !headers.contains_key(CONTENT_TYPE) {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    if let (Some(seq), false) = (body.seq(), headers.contains_key(id_header(dialect))) {
        put(&mut headers, id_header(dialect), request_id(seq));
    }
    let date = std::time::UNIX_EPOCH + clock.wall(clock.now());
    put(&mut headers, DATE, httpdate::fmt_http_date(date));
    let mut response = Response::new(body);
    // Fault statuses are checked when they are read; the others are written here.
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    *response.headers_mut() = headers;
    response
}

fn id_header(dialect: Dialect) -> HeaderName {
    HeaderName::from_static(match dialect {
        Dialect::OpenAi => "x-request-id",
        Dialect::Anthropic => "request-id",
    })
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

/// Appends the generated text, none of which JSON escapes: ` ebb` where a token has four bytes.
fn tokens(story: &Story, count: u64, to: &mut BytesMut) {
    let token = b" ebb".iter().chain(std::iter::repeat(&b'b'));
    let token: Vec<u8> = token.copied().take(story.token_bytes).collect();
    for _ in 0..count {
        to.extend_from_slice(&token);
    }
}
