//! Money and quotas that are used up: no waiting helps, whatever they tell.

use crate::form::{
    Form,
    Waits::{Not, Told, Untold},
    check_all,
};

#[test]
fn openai_names_them_by_code() {
    for code in [
        "insufficient_quota",
        "credit_balance_exhausted",
        "organization_spend_limit_exceeded",
        "project_spend_limit_exceeded",
        "organization_usage_limit_exceeded",
        "billing_not_active",
        "billing_hard_limit_reached",
    ] {
        let body = format!(
            r#"{{"error":{{"message":"Please try again in 5s.","type":"insufficient_quota","code":"{code}"}}}}"#
        );
        for provider in ["openai", "azure", "groq", "somebody"] {
            let form = Form::status(429).of(provider).body(body.clone());
            check_all([("a quota", form.header("retry-after", "1"), Not)]);
        }
    }
    let other = r#"{"error":{"message":"Please try again in 5s.","code":"rate_limit_exceeded"}}"#;
    check_all([("no quota", Form::status(429).body(other), Told(5_000))]);
}

/// As they were seen in public reports.
#[test]
fn xai_and_ollamas_cloud_name_them_by_text() {
    let xai = r#"{"code":"Some resource has been exhausted","error":"Your team 1 has either used all available credits or reached its monthly spending limit. To continue making API requests, please purchase more credits or raise your spending limit."}"#;
    let ollama = r#"{"error":"you (someone) have reached your weekly usage limit, upgrade for higher limits: https://ollama.com/upgrade"}"#;
    let of = |provider, status, body: &'static str| Form::status(status).of(provider).body(body);
    check_all([
        ("xAI", of("xai", 429, xai), Not),
        ("xAI, forbidden", of("xai", 403, xai), Not),
        ("Ollama", of("ollama", 429, ollama), Not),
        (
            "a common limit",
            of("ollama", 429, r#"{"error":"too many concurrent requests"}"#),
            Untold,
        ),
    ]);
}

#[test]
fn anthropic_names_them_by_code_and_by_text() {
    let anthropic = |status, body: &'static str| Form::status(status).of("anthropic").body(body);
    check_all([
        (
            "enforced",
            anthropic(429, r#"{"type":"error","error":{"type":"rate_limit_error","message":"m","details":{"error_code":"enforced_spend_limit_reached"}}}"#),
            Not,
        ),
        (
            "by contract",
            anthropic(429, r#"{"type":"error","error":{"type":"rate_limit_error","message":"m","details":{"error_code":"contract_spend_limit_reached"}}}"#),
            Not,
        ),
        (
            "billing",
            anthropic(402, r#"{"type":"error","error":{"type":"billing_error","message":"m"}}"#),
            Not,
        ),
        (
            "one's own limit",
            anthropic(400, r#"{"type":"error","error":{"type":"invalid_request_error","message":"You have reached your specified API usage limits. You will regain access on 2026-12-01 at 00:00 UTC."}}"#),
            Not,
        ),
        (
            "a workspace's limit",
            anthropic(400, r#"{"type":"error","error":{"type":"invalid_request_error","message":"You have reached your specified workspace API usage limits."}}"#)
                .header("retry-after", "1"),
            Not,
        ),
        (
            "credit",
            anthropic(400, r#"{"type":"error","error":{"type":"invalid_request_error","message":"Your credit balance is too low to access the Anthropic API."}}"#),
            Not,
        ),
        (
            "an ordinary limit",
            anthropic(429, r#"{"type":"error","error":{"type":"rate_limit_error","message":"This request would exceed your organization's rate limit of 2,000,000 input tokens per minute."}}"#),
            Untold,
        ),
    ]);
}

fn gemini(quota: &str, value: &str, delay: &str) -> String {
    format!(
        r#"{{"error":{{"code":429,"message":"You exceeded your current quota.","status":"RESOURCE_EXHAUSTED","details":[
            {{"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{{"quotaId":"{quota}","quotaValue":"{value}"}}]}},
            {{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"{delay}"}}]}}}}"#
    )
}

#[test]
fn gemini_tells_a_delay_with_quotas_of_a_day_too() {
    let busy = |body: String| Form::status(429).of("gemini").body(body);
    let both = r#"{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","details":[{"violations":[
        {"quotaId":"GenerateContentInputTokensPerModelPerMinute-FreeTier","quotaValue":"250000"},
        {"quotaId":"GenerateRequestsPerDayPerProjectPerModel-FreeTier","quotaValue":"20"}]},{"retryDelay":"20s"}]}}"#;
    check_all([
        (
            "per minute",
            busy(gemini("GenerateContentInputTokensPerModelPerMinute-FreeTier", "250000", "34.074824224s")),
            Told(34_075),
        ),
        (
            "per minute, of requests",
            busy(gemini("GenerateRequestsPerMinutePerProjectPerModel-FreeTier", "5", "53s")),
            Told(53_000),
        ),
        (
            "per day",
            busy(gemini("GenerateRequestsPerDayPerProjectPerModel-FreeTier", "20", "20s")),
            Not,
        ),
        (
            "none in this tier",
            busy(gemini("GenerateContentInputTokensPerModelPerMinute-FreeTier", "0", "20s")),
            Not,
        ),
        ("a minute's and a day's", busy(both.to_owned()), Not),
        (
            "none in this tier, by the text alone",
            busy(r#"{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","message":"Quota exceeded for metric: m, limit: 0, model: m\nPlease retry in 20s."}}"#.to_owned()),
            Not,
        ),
        (
            "some in this tier, by the text alone",
            busy(r#"{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","message":"Quota exceeded for metric: m, limit: 10, model: m\nPlease retry in 20s."}}"#.to_owned()),
            Told(20_000),
        ),
        (
            "without details",
            busy(r#"{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","message":"Resource has been exhausted (e.g. check quota)."}}"#.to_owned()),
            Untold,
        ),
        (
            "in a list, as its compatible API has it",
            busy(format!("[{}]", gemini("GenerateRequestsPerMinutePerProjectPerModel", "5", "7s"))),
            Told(7_000),
        ),
        (
            "a delay that is none",
            busy(gemini("GenerateRequestsPerMinutePerProjectPerModel", "5", "1m")),
            Untold,
        ),
        (
            "credit",
            Form::status(402).of("gemini").body(r#"{"error":{"code":402,"status":"RESOURCE_EXHAUSTED","message":"credit"}}"#),
            Not,
        ),
    ]);
}

#[test]
fn a_402_is_final_unless_it_is_about_calls_in_flight_and_tells_a_wait() {
    let in_flight = r#"{"error":{"code":402,"message":"m","metadata":{"limit_source":"openrouter_in_flight_budget"}}}"#;
    let spent = r#"{"error":{"code":402,"message":"Insufficient credits."}}"#;
    let openrouter = |body: &'static str| Form::status(402).of("openrouter").body(body);
    check_all([
        (
            "OpenRouter, in flight",
            openrouter(in_flight).header("retry-after", "3"),
            Told(3_000),
        ),
        ("OpenRouter, in flight, untold", openrouter(in_flight), Not),
        ("OpenRouter, spent", openrouter(spent), Not),
        (
            "OpenRouter, spent, told",
            openrouter(spent).header("retry-after", "3"),
            Not,
        ),
        (
            "DeepSeek",
            Form::status(402)
                .of("deepseek")
                .body(r#"{"error":{"message":"Insufficient Balance","type":"unknown_error"}}"#),
            Not,
        ),
        (
            "Cohere",
            Form::status(402)
                .of("cohere")
                .body(r#"{"message":"billing"}"#),
            Not,
        ),
    ]);
}

#[test]
fn what_is_counted_over_a_month_does_not_come_back_soon() {
    let cohere = |text: &'static str| Form::status(429).of("cohere").body(text);
    let mistral = |left: &'static str| {
        let busy = Form::status(429).of("mistral");
        let busy = busy.header("x-ratelimit-remaining-tokens-minute", "0");
        busy.header("x-ratelimit-remaining-tokens-month", left)
    };
    check_all([
        (
            "Cohere, by the text",
            cohere(
                r#"{"message":"You are using a Trial key, which is limited to 1000 API calls / month."}"#,
            ),
            Not,
        ),
        (
            "Cohere, a minute",
            cohere(
                r#"{"message":"You are using a Trial key, which is limited to 20 API calls / minute."}"#,
            ),
            Untold,
        ),
        ("Mistral, by the headers", mistral("0"), Not),
        ("Mistral, a minute", mistral("100"), Untold),
        (
            "Mistral, the month is used up by what was served",
            mistral("0").header("retry-after", "1"),
            Told(1_000),
        ),
    ]);
}

#[test]
fn others_name_them_by_words_of_their_own() {
    let of = |provider, status, body: &'static str| {
        let form = Form::status(status).of(provider).body(body);
        form.header("retry-after", "1")
    };
    check_all([
        (
            "Moonshot",
            of(
                "moonshot",
                429,
                r#"{"error":{"message":"m","type":"exceeded_current_quota_error"}}"#,
            ),
            Not,
        ),
        (
            "Z.ai, its balance",
            of(
                "zai",
                429,
                r#"{"error":{"code":"1113","message":"Insufficient balance or no resource package. Please recharge."}}"#,
            ),
            Not,
        ),
        (
            "Z.ai, of a plan",
            of(
                "zai",
                429,
                r#"{"error":{"code":"1308","message":"Usage limit reached for 5 hour. Your limit will reset at 2026-08-17 02:56:15"}}"#,
            ),
            Not,
        ),
        (
            "Z.ai, a common limit",
            of(
                "zai",
                429,
                r#"{"error":{"code":"1302","message":"Rate limit reached for requests"}}"#,
            ),
            Told(1_000),
        ),
        (
            "DashScope",
            of("dashscope", 400, r#"{"code":"Arrearage","message":"m"}"#),
            Not,
        ),
        (
            "LiteLLM",
            of(
                "litellm",
                429,
                r#"{"error":{"message":"m","type":"budget_exceeded","code":"429"}}"#,
            ),
            Not,
        ),
        (
            "new-api",
            of(
                "newapi",
                403,
                r#"{"error":{"message":"m","code":"insufficient_user_quota"}}"#,
            ),
            Not,
        ),
        (
            "Codex",
            of(
                "openai",
                429,
                r#"{"error":{"message":"m","type":"usage_limit_reached","resets_in_seconds":1}}"#,
            ),
            Not,
        ),
    ]);
}
