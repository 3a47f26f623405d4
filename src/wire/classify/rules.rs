//! Which words make which class: one table a provider. Sources are named at
//! [`classify`](super::classify).

use std::time::Duration;

use super::{
    ErrorClass::{self, *},
    said::Said,
};

/// The first rule that fits decides.
#[derive(Debug)]
struct Rule {
    /// Where the status is known it must be one of these; none: any.
    statuses: &'static [u16],
    says: Says,
    class: ErrorClass,
}

#[derive(Debug)]
enum Says {
    /// One of these is a type or a code of the error.
    Word(&'static [&'static str]),
    /// The message begins so.
    Starts(&'static str),
    /// All of these are in the message.
    Contains(&'static [&'static str]),
    /// This is a type or a code of the error, and the headers tell a wait.
    WordAndWait(&'static str),
    /// What was found in the content.
    Flagged,
}

const fn rule(statuses: &'static [u16], says: Says, class: ErrorClass) -> Rule {
    Rule {
        statuses,
        says,
        class,
    }
}

#[rustfmt::skip]
const OPENAI: &[Rule] = &[
    rule(&[400, 402, 403, 429], Says::Word(&[
        "insufficient_quota", "credit_balance_exhausted", "organization_spend_limit_exceeded",
        "project_spend_limit_exceeded", "organization_usage_limit_exceeded", "billing_not_active",
        "billing_hard_limit_reached",
        // LiteLLM and new-api, which are made alike.
        "budget_exceeded", "insufficient_user_quota",
    ]), Quota),
    // Codex, of a plan.
    rule(&[429], Says::Word(&["usage_limit_reached", "usage_not_included"]), Quota),
    // Under the code of a common rate limit. Groq says it with a 413.
    rule(&[413, 429], Says::Starts("Request too large"), RequestTooLarge),
    rule(&[429], Says::Word(&["slow_down"]), Ramp),
    rule(&[503], Says::Word(&["server_is_overloaded"]), Overloaded),
    rule(&[400], Says::Word(&["context_length_exceeded"]), ContextLength),
    // vLLM and OpenRouter have the text without the code.
    rule(&[400], Says::Contains(&["maximum context length is"]), ContextLength),
    // vLLM, of its engine; Mistral; llama.cpp.
    rule(&[400], Says::Contains(&["longer than the maximum model length"]), ContextLength),
    rule(&[400], Says::Contains(&["too large for model with", "maximum context length"]), ContextLength),
    rule(&[400], Says::Contains(&["exceeds the available context size"]), ContextLength),
    // OpenRouter has a 403 for it.
    rule(&[400, 403], Says::Word(&[
        "content_filter", "content_policy_violation", "moderation_blocked",
        "ResponsibleAIPolicyViolation",
    ]), ContentFilter),
];

#[rustfmt::skip]
const GROQ: &[Rule] = &[
    // The flex tier is full.
    rule(&[498], Says::Word(&["capacity_exceeded"]), Overloaded),
    // What its owner has set for a month is spent.
    rule(&[400], Says::Word(&["blocked_api_access"]), Quota),
];

#[rustfmt::skip]
const ANTHROPIC: &[Rule] = &[
    rule(&[402, 403, 429], Says::Word(&[
        "enforced_spend_limit_reached", "contract_spend_limit_reached", "billing_error",
    ]), Quota),
    // Limits that customers set themselves, for an account or for one of its workspaces.
    rule(&[400], Says::Starts("You have reached your specified API usage limits"), Quota),
    rule(&[400], Says::Starts("You have reached your specified workspace API usage limits"), Quota),
    rule(&[400], Says::Starts("Your credit balance is too low"), Quota),
    rule(&[429], Says::Word(&["ramp_limit_exceeded"]), Ramp),
    rule(&[400], Says::Starts("prompt is too long"), ContextLength),
    // Bedrock has words in front.
    rule(&[400], Says::Contains(&["input length and `max_tokens` exceed context limit"]), ContextLength),
    rule(&[413], Says::Word(&["request_too_large"]), RequestTooLarge),
    rule(&[], Says::Word(&["overloaded_error"]), Overloaded),
];

#[rustfmt::skip]
const OTHERS: &[Rule] = &[
    // Gemini, of a key. Nothing but the words tells it from a bad request.
    rule(&[400], Says::Starts("API key not valid"), KeyRefused),
    rule(&[400], Says::Starts("API key expired"), KeyRefused),
    // Gemini, of what a request refers to: files go after two days. It is no news of the key.
    rule(&[403], Says::Starts("You do not have permission to access the File"), Invalid),
    rule(&[403], Says::Starts("CachedContent not found"), Invalid),
    // Gemini.
    rule(&[400], Says::Contains(&["input token count", "exceeds the maximum number of tokens"]), ContextLength),
    // Bedrock, by itself or after words about what its model says.
    rule(&[400], Says::Contains(&["Input is too long"]), ContextLength),
    rule(&[400], Says::Contains(&["The model returned the following errors", "prompt is too long"]), ContextLength),
    rule(&[400], Says::Word(&["ServiceQuotaExceededException"]), Quota),
    rule(&[429], Says::Word(&["ModelNotReadyException"]), Overloaded),
    // OpenRouter: the credit does for smaller calls.
    rule(&[402], Says::Contains(&["can only afford"]), RequestTooLarge),
    // OpenRouter: paid for by calls in flight, which give back what they do not use.
    rule(&[402], Says::WordAndWait("openrouter_in_flight_budget"), RateLimit),
    // OpenRouter: the model says no, by an error.
    rule(&[403], Says::Word(&["refusal"]), ContentFilter),
    // OpenRouter: what its owner has set for this key is spent.
    rule(&[403], Says::Starts("Key limit exceeded"), Quota),
    // xAI.
    rule(&[403, 429], Says::Contains(&["used all available credits or reached its monthly spending limit"]), Quota),
    // Fireworks, of an account. It may be old bills, too.
    rule(&[412], Says::Contains(&["is suspended", "monthly spending limit"]), Quota),
    // Moonshot.
    rule(&[429], Says::Word(&["exceeded_current_quota_error"]), Quota),
    // Z.ai: the balance, and a plan's hours or weeks.
    rule(&[429], Says::Word(&["1113"]), Quota),
    rule(&[429], Says::Contains(&["Your limit will reset at"]), Quota),
    // DashScope.
    rule(&[400], Says::Word(&["Arrearage"]), Quota),
    // Perplexity, whose key is good all the same.
    rule(&[401], Says::Word(&["insufficient_quota"]), Quota),
    // Ollama's cloud, of a session or a week.
    rule(&[429], Says::Contains(&["usage limit", "upgrade for higher limits"]), Quota),
];

/// After all others: what the status says too, for errors in streams, which have none.
#[rustfmt::skip]
const COMMON: &[Rule] = &[
    // OpenRouter, whatever it is called here.
    rule(&[400, 403], Says::Flagged, ContentFilter),
    // Not every 403: one may be about a single call, and a key that is refused is left alone by all.
    rule(&[403], Says::Word(&[
        // Anthropic, Groq, Google, xAI, Azure.
        "permission_error", "permissions_error", "PERMISSION_DENIED", "permission-denied", "PermissionDenied",
        // OpenAI and those made alike.
        "invalid_api_key", "authentication_error", "unauthorized", "access_denied", "insufficient_permissions",
        // OpenAI says where it may be asked from.
        "unsupported_country_region_territory",
        // Bedrock.
        "AccessDeniedException", "UnrecognizedClientException", "InvalidClientTokenId", "ExpiredTokenException",
        "InvalidSignatureException", "MissingAuthenticationTokenException",
    ]), KeyRefused),
    // OpenAI, of a model that a project may not use.
    rule(&[403], Says::Contains(&["does not have access to model"]), KeyRefused),
    // Azure, by the rules of its network.
    rule(&[403], Says::Starts("Access denied due to"), KeyRefused),
    rule(&[429], Says::Word(&[
        "rate_limit_exceeded", "rate_limit_error", "ThrottlingException", "RESOURCE_EXHAUSTED",
        "resource-exhausted",
    ]), RateLimit),
    rule(&[503], Says::Word(&["ServiceUnavailableException", "UNAVAILABLE"]), Overloaded),
    rule(&[400], Says::Word(&[
        "invalid_request_error", "ValidationException", "INVALID_ARGUMENT",
    ]), Invalid),
];

const PROVIDERS: &[(&str, &[&[Rule]])] = &[
    ("openai", &[OPENAI, COMMON]),
    ("azure", &[OPENAI, COMMON]),
    ("groq", &[GROQ, OPENAI, COMMON]),
    ("anthropic", &[ANTHROPIC, COMMON]),
];

const UNKNOWN: &[&[Rule]] = &[OTHERS, GROQ, ANTHROPIC, OPENAI, COMMON];

/// What the words of the error say.
pub(super) fn class(
    provider: &str,
    status: Option<u16>,
    said: &Said,
    wait: Option<Duration>,
) -> Option<ErrorClass> {
    let known = PROVIDERS
        .iter()
        .find(|(name, _)| provider.eq_ignore_ascii_case(name));
    let tables = known.map_or(UNKNOWN, |(_, tables)| tables);
    let fits = |rule: &&Rule| {
        let status_fits =
            status.is_none_or(|status| rule.statuses.is_empty() || rule.statuses.contains(&status));
        status_fits && rule.says.fits(said, wait)
    };
    let rule = tables.iter().copied().flatten().find(fits)?;
    Some(rule.class)
}

impl Says {
    fn fits(&self, said: &Said, wait: Option<Duration>) -> bool {
        match *self {
            Says::Word(words) => words.iter().any(|word| said.has(word)),
            Says::Starts(text) => said.message.starts_with(text),
            Says::Contains(texts) => texts.iter().all(|text| said.message.contains(text)),
            Says::WordAndWait(word) => wait.is_some() && said.has(word),
            Says::Flagged => said.is_flagged,
        }
    }
}

/// What the status says where words do not, or where there are none.
pub(super) fn by_status(status: Option<u16>, is_blank: bool) -> ErrorClass {
    match status {
        None | Some(408) => Server,
        Some(401) => KeyRefused,
        Some(403) if is_blank => KeyRefused,
        Some(402) => Quota,
        Some(413) => RequestTooLarge,
        Some(429) => RateLimit,
        Some(503 | 529) => Overloaded,
        Some(500..) => Server,
        Some(_) => Invalid,
    }
}
