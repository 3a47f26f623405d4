use crate::form::{
    Form,
    Waits::{Not, Told, TooLong, Untold},
    check_all,
};

fn busy(provider: &'static str, body: &'static str) -> Form {
    Form::status(429).of(provider).body(body)
}

#[test]
fn texts_that_tell_a_wait() {
    check_all([
        (
            "OpenAI",
            busy(
                "openai",
                r#"{"error":{"message":"Rate limit reached for gpt-4o in organization org-x on tokens per min (TPM): Limit 30000, Used 29214, Requested 1359. Please try again in 1.146s.","type":"tokens","code":"rate_limit_exceeded"}}"#,
            ),
            Told(1_146),
        ),
        (
            "OpenAI, per day",
            busy(
                "openai",
                r#"{"error":{"message":"Rate limit reached for gpt-4o-mini on requests per day (RPD): Limit 10000, Used 10000, Requested 1. Please try again in 8.64s.","type":"requests","code":"rate_limit_exceeded"}}"#,
            ),
            Told(8_640),
        ),
        (
            "OpenAI, minutes",
            busy(
                "openai",
                r#"{"error":{"message":"Please try again in 6m0s.","code":"rate_limit_exceeded"}}"#,
            ),
            TooLong(360_000),
        ),
        (
            "Groq",
            busy(
                "groq",
                r#"{"error":{"message":"Rate limit reached for model `m` in organization `o` service tier `on_demand` on tokens per minute (TPM): Limit 8000, Used 6677, Requested 4983. Please try again in 27.45s. Need more tokens?","type":"tokens","code":"rate_limit_exceeded"}}"#,
            ),
            Told(27_450),
        ),
        (
            "Azure",
            busy(
                "azure",
                r#"{"error":{"code":"429","message":"Requests have exceeded token rate limit of your current OpenAI S0 pricing tier. Please retry after 22 seconds. Please go here."}}"#,
            ),
            Told(22_000),
        ),
        (
            "Azure, a day",
            busy(
                "azure",
                r#"{"error":{"code":"429","message":"Please retry after 86400 seconds."}}"#,
            ),
            TooLong(86_400_000),
        ),
        (
            "xAI, whose error is a text",
            busy(
                "xai",
                r#"{"code":"resource-exhausted","error":"Too many requests for team t and model m. Requests per Second (actual/limit): 2/2, Requests per Minute (actual/limit): 73/60. Resets in: 45s."}"#,
            ),
            Told(45_000),
        ),
        (
            "somebody nobody knows",
            busy(
                "somebody",
                r#"{"error":"slow down, try again in 2 minutes"}"#,
            ),
            TooLong(120_000),
        ),
        (
            "in parts",
            busy(
                "somebody",
                r#"{"error":"try again in 1 minute 47 seconds"}"#,
            ),
            TooLong(107_000),
        ),
        (
            "in parts, as Go has them",
            busy("somebody", r#"{"error":"Resets in: 1s 500ms."}"#),
            Told(1_500),
        ),
        (
            "Gemini, of a plan",
            busy(
                "gemini",
                r#"{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","message":"You have exhausted your capacity on this model. Your quota will reset after 4s."}}"#,
            ),
            Told(4_000),
        ),
        (
            "Moonshot",
            busy(
                "moonshot",
                r#"{"error":{"type":"rate_limit_reached_error","message":"request reached max request: 3, please try again after 1 seconds"}}"#,
            ),
            Told(1_000),
        ),
        (
            "a plain request to wait",
            busy(
                "somebody",
                r#"{"error":{"message":"Rate limit of 10 per 60s exceeded. Please wait 20 seconds before retrying."}}"#,
            ),
            Told(20_000),
        ),
        (
            "a 503 that tells",
            Form::status(503).body(r#"{"error":{"message":"Please try again in 3s."}}"#),
            Told(3_000),
        ),
    ]);
}

#[test]
fn texts_that_tell_none() {
    check_all([
        (
            "Cohere",
            busy("cohere", r#"{"id":"x","message":"You are using a Trial key, which is limited to 20 API calls / minute."}"#),
            Untold,
        ),
        (
            "Mistral",
            busy("mistral", r#"{"object":"error","message":"Requests rate limit exceeded","type":"rate_limited","param":null,"code":"1300"}"#),
            Untold,
        ),
        (
            "OpenAI, grown too fast",
            busy("openai", r#"{"error":{"message":"Slow down","type":"rate_limit_error","code":"slow_down"}}"#),
            Untold,
        ),
        (
            "Anthropic, grown too fast, with a header",
            busy("anthropic", r#"{"type":"error","error":{"type":"rate_limit_error","message":"too fast","details":{"error_code":"ramp_limit_exceeded"}}}"#)
                .header("retry-after", "30"),
            Told(30_000),
        ),
        (
            "OpenAI, overloaded",
            Form::status(503).body(r#"{"error":{"type":"service_unavailable_error","code":"server_is_overloaded"}}"#),
            Untold,
        ),
        (
            "Together, overloaded within the limit",
            Form::status(503).of("together").body(r#"{"error":{"message":"The engine is overloaded"}}"#),
            Untold,
        ),
        (
            "OpenRouter, busy behind it",
            busy("openrouter", r#"{"error":{"message":"Provider returned error","code":429,"metadata":{"raw":"temporarily rate-limited upstream","provider_name":"Google"}}}"#)
                .header("retry-after", "7"),
            Told(7_000),
        ),
        (
            "llama.cpp, still loading",
            Form::status(503).of("llamacpp").body(r#"{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}"#),
            Untold,
        ),
    ]);
}

fn bedrock(status: u16, name: &'static str) -> Form {
    let form = Form::status(status)
        .of("bedrock")
        .body(r#"{"message":"no"}"#);
    form.header(
        "x-amzn-errortype",
        format!("{name}:http://internal.amazon.com/coral/"),
    )
}

#[test]
fn bedrock_says_what_it_is_in_a_header() {
    check_all([
        ("throttled", bedrock(429, "ThrottlingException"), Untold),
        (
            "the model starts",
            bedrock(429, "ModelNotReadyException"),
            Untold,
        ),
        ("busy", bedrock(503, "ServiceUnavailableException"), Untold),
        ("broken", bedrock(500, "InternalServerException"), Untold),
        ("timed out", bedrock(408, "ModelTimeoutException"), Untold),
        ("the model failed", bedrock(424, "ModelErrorException"), Not),
        (
            "a quota",
            bedrock(400, "ServiceQuotaExceededException"),
            Not,
        ),
        ("wrong", bedrock(400, "ValidationException"), Not),
        ("forbidden", bedrock(403, "AccessDeniedException"), Not),
    ]);
}

#[test]
fn what_never_fits_is_not_repeated() {
    check_all([
        (
            "OpenAI, under the code of a rate limit",
            busy("openai", r#"{"error":{"message":"Request too large for gpt-4o in organization o on tokens per min (TPM): Limit 30000, Requested 41250. The input or output tokens must be reduced.","type":"tokens","code":"rate_limit_exceeded"}}"#)
                .header("retry-after", "1"),
            Not,
        ),
        (
            "Groq, under a status of its own",
            Form::status(413).of("groq").body(r#"{"error":{"message":"Request too large for model `m` on tokens per minute (TPM): Limit 8000, Requested 9001","type":"tokens","code":"rate_limit_exceeded"}}"#),
            Not,
        ),
        (
            "more is asked for than the whole limit, in other words",
            busy("somebody", r#"{"error":{"message":"tokens per min: Limit 100, Requested 200. Please try again in 1s."}}"#),
            Not,
        ),
        (
            "Anthropic",
            Form::status(413).of("anthropic").body(r#"{"type":"error","error":{"type":"request_too_large","message":"too large"}}"#),
            Not,
        ),
        (
            "as much as the limit",
            busy("somebody", r#"{"error":{"message":"tokens per min: Limit 200, Requested 200. Please try again in 1s."}}"#),
            Told(1_000),
        ),
        (
            "longer than the model takes",
            Form::status(400).body(r#"{"error":{"message":"m","code":"context_length_exceeded"}}"#),
            Not,
        ),
        (
            "content that Azure refuses",
            Form::status(400).of("azure").body(r#"{"error":{"code":"content_filter","innererror":{"code":"ResponsibleAIPolicyViolation"}}}"#),
            Not,
        ),
    ]);
}
