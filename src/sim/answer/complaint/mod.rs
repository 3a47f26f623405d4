//! Error bodies, in the shape and the words of each provider.

mod anthropic;
mod gemini;
mod openai;

use std::borrow::Cow;

use bytes::Bytes;
use serde_json::Value;

use crate::sim::ask::Ask;
use crate::sim::dialect::Provider;
use crate::sim::enforce::{Refusal, Wait};
use crate::sim::faults::Faults;
use crate::sim::limit::SimLimit;

/// What an error answer says.
#[derive(Debug)]
pub(super) struct Complaint {
    kind: &'static str,
    code: Option<Cow<'static, str>>,
    message: String,
    /// What Google adds.
    details: Vec<Value>,
}

impl Complaint {
    fn new(kind: &'static str, code: Option<&'static str>, message: String) -> Self {
        Self {
            kind,
            code: code.map(Cow::Borrowed),
            message,
            details: Vec::new(),
        }
    }

    pub(super) fn body(&self, provider: Provider, status: u16, request_id: &str) -> Bytes {
        let body = match provider {
            Provider::OpenAi => openai::body(self),
            Provider::Anthropic => anthropic::body(self, request_id),
            Provider::Gemini => gemini::body(self, status),
        };
        body.to_string().into()
    }

    /// With the words that a fault has for it.
    pub(super) fn saying(self, faults: &Faults) -> Self {
        let code = faults.code.clone().map(Cow::Owned);
        Complaint {
            code: code.or(self.code),
            message: faults.message.clone().unwrap_or(self.message),
            ..self
        }
    }
}

/// What a provider says with this status, where it says nothing more particular.
pub(super) fn of_status(provider: Provider, status: u16) -> Complaint {
    let (kind, code) = match provider {
        Provider::OpenAi => openai::of_status(status),
        Provider::Anthropic => (anthropic::of_status(status), None),
        Provider::Gemini => (gemini::of_status(status), None),
    };
    let message = match status {
        404 => "Not found",
        429 => "Too many requests",
        503 | 529 => "Overloaded",
        300..500 => "The request was refused",
        _ => "The server had an error while processing your request",
    };
    Complaint::new(kind, code, message.to_owned())
}

/// The 400 of a request that could not be read.
pub(super) fn malformed(provider: Provider, why: String) -> Complaint {
    Complaint {
        message: why,
        ..of_status(provider, 400)
    }
}

/// The 429 that no waiting helps: nothing is left to pay with.
pub(super) fn insufficient_quota(provider: Provider) -> Complaint {
    let (kind, code) = match provider {
        Provider::OpenAi => ("insufficient_quota", Some("insufficient_quota")),
        Provider::Anthropic => ("rate_limit_error", Some("enforced_spend_limit_reached")),
        Provider::Gemini => ("RESOURCE_EXHAUSTED", None),
    };
    let message = "You exceeded your current quota, please check your plan and billing details.";
    Complaint::new(kind, code, message.to_owned())
}

/// The 429 of a limit.
pub(super) fn refused(ask: &Ask<'_>, limit: &SimLimit, refusal: &Refusal) -> Complaint {
    let window = match refusal.wait {
        // A slice may be what it is too large for.
        Wait::Never => limit.window(),
        _ => (limit.period, limit.amount),
    };
    match ask.dialect.provider() {
        Provider::OpenAi => openai::refused(&ask.model, limit, refusal, window),
        Provider::Anthropic => anthropic::refused(limit, window),
        Provider::Gemini => gemini::refused(&ask.model, limit, refusal, window),
    }
}
