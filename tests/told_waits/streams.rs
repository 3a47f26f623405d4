//! Errors at the beginning of a stream whose status is 200.

use crate::form::{
    Form,
    Waits::{Not, Told, Untold},
    check_all,
};

const CHAT: &str = "/v1/chat/completions";
const RESPONSES: &str = "/v1/responses";
const MESSAGES: &str = "/v1/messages";
const GEMINI: &str = "/v1beta/models/m:streamGenerateContent?alt=sse";
const OLLAMA: &str = "/api/chat";

#[test]
fn openai_chat() {
    check_all([
        (
            "a limit, told",
            Form::stream(CHAT, "data: {\"error\":{\"message\":\"Rate limit reached. Please try again in 2s.\",\"type\":\"tokens\",\"code\":\"rate_limit_exceeded\"}}\n\n"),
            Told(2_000),
        ),
        (
            "after a role",
            Form::stream(CHAT, "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\ndata: {\"error\":{\"message\":\"The server had an error\",\"type\":\"server_error\",\"code\":null}}\n\n"),
            Untold,
        ),
        (
            "after content",
            Form::stream(CHAT, "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Seven\"}}]}\n\ndata: {\"error\":{\"message\":\"The server had an error\",\"type\":\"server_error\"}}\n\n"),
            Not,
        ),
        (
            "a quota",
            Form::stream(CHAT, "data: {\"error\":{\"message\":\"m\",\"code\":\"insufficient_quota\"}}\n\n"),
            Not,
        ),
        (
            "vLLM, and an end mark",
            Form::stream(CHAT, "data: {\"error\":{\"message\":\"m\",\"type\":\"InternalServerError\",\"code\":500}}\n\ndata: [DONE]\n\n").of("vllm"),
            Untold,
        ),
        (
            "vLLM, a wrong request",
            Form::stream(CHAT, "data: {\"error\":{\"message\":\"m\",\"type\":\"BadRequestError\",\"code\":400}}\n\ndata: [DONE]\n\n").of("vllm"),
            Not,
        ),
        (
            "xAI",
            Form::stream(CHAT, "data: {\"code\":\"resource-exhausted\",\"error\":\"Too many requests. Resets in: 4s.\"}\n\n").of("xai"),
            Told(4_000),
        ),
    ]);
}

#[test]
fn openai_responses() {
    check_all([
        (
            "flat",
            Form::stream(
                RESPONSES,
                "event: error\ndata: {\"type\":\"error\",\"code\":\"rate_limit_exceeded\",\"message\":\"Please try again in 2s.\",\"param\":null,\"sequence_number\":0}\n\n",
            ),
            Told(2_000),
        ),
        (
            "nested",
            Form::stream(
                RESPONSES,
                "event: error\ndata: {\"type\":\"error\",\"sequence_number\":0,\"error\":{\"type\":\"tokens\",\"code\":\"rate_limit_exceeded\",\"message\":\"Please try again in 3s.\",\"param\":null}}\n\n",
            ),
            Told(3_000),
        ),
        (
            "in the last event",
            Form::stream(
                RESPONSES,
                "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"r\",\"status\":\"in_progress\",\"error\":null}}\n\nevent: response.failed\ndata: {\"type\":\"response.failed\",\"response\":{\"status\":\"failed\",\"error\":{\"code\":\"server_error\",\"message\":\"m\"},\"usage\":null}}\n\n",
            ),
            Untold,
        ),
        (
            "a quota, nested",
            Form::stream(
                RESPONSES,
                "event: error\ndata: {\"type\":\"error\",\"sequence_number\":2,\"error\":{\"type\":\"insufficient_quota\",\"code\":\"insufficient_quota\",\"message\":\"You exceeded your current quota.\"}}\n\n",
            ),
            Not,
        ),
        (
            "after content",
            Form::stream(
                RESPONSES,
                "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"North\"}\n\nevent: error\ndata: {\"type\":\"error\",\"code\":\"server_error\",\"message\":\"m\"}\n\n",
            ),
            Not,
        ),
    ]);
}

#[test]
fn anthropic() {
    check_all([
        (
            "overloaded",
            Form::stream(MESSAGES, "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n"),
            Untold,
        ),
        (
            "overloaded, after the opening",
            Form::stream(MESSAGES, "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":5,\"output_tokens\":1}}}\n\nevent: ping\ndata: {\"type\":\"ping\"}\n\nevent: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n"),
            Untold,
        ),
        (
            "a limit, told in the head",
            Form::stream(MESSAGES, "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"rate_limit_error\",\"message\":\"m\"}}\n\n")
                .header("retry-after", "6"),
            Told(6_000),
        ),
        (
            "a wrong request",
            Form::stream(MESSAGES, "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":\"m\"}}\n\n"),
            Not,
        ),
        (
            "that it is of no use",
            Form::stream(MESSAGES, "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n")
                .header("x-should-retry", "false"),
            Not,
        ),
        (
            "no error, though the head tells a wait",
            Form::stream(MESSAGES, "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{}}\n\nevent: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\",\"text\":\"North\"}}\n\n")
                .header("retry-after", "6"),
            Not,
        ),
    ]);
}

#[test]
fn ollama() {
    let lines = |text| Form::stream(OLLAMA, text).header("content-type", "application/x-ndjson");
    check_all([
        (
            "a line",
            lines("{\"error\":\"model runner has stopped\"}\n"),
            Untold,
        ),
        (
            "a line after content",
            lines(
                "{\"model\":\"m\",\"message\":{\"role\":\"assistant\",\"content\":\"North\"},\"done\":false}\n{\"error\":\"model runner has stopped\"}\n",
            ),
            Not,
        ),
    ]);
}

#[test]
fn gemini() {
    check_all([
        (
            "busy",
            Form::stream(GEMINI, "data: {\"error\":{\"code\":503,\"message\":\"overloaded\",\"status\":\"UNAVAILABLE\"}}\r\n\r\n"),
            Untold,
        ),
        (
            "a limit, told in the text",
            Form::stream(GEMINI, "data: {\"error\":{\"code\":429,\"message\":\"Please retry in 9s.\",\"status\":\"RESOURCE_EXHAUSTED\"}}\r\n\r\n"),
            Told(9_000),
        ),
        (
            "a limit, told in the details",
            Form::stream(GEMINI, "data: {\"error\":{\"code\":429,\"message\":\"m\",\"status\":\"RESOURCE_EXHAUSTED\",\"details\":[{\"violations\":[{\"quotaId\":\"GenerateRequestsPerMinutePerProjectPerModel\",\"quotaValue\":\"5\"}]},{\"retryDelay\":\"7s\"}]}}\r\n\r\n"),
            Told(7_000),
        ),
        (
            "a day's",
            Form::stream(GEMINI, "data: {\"error\":{\"code\":429,\"message\":\"m\",\"status\":\"RESOURCE_EXHAUSTED\",\"details\":[{\"violations\":[{\"quotaId\":\"GenerateRequestsPerDayPerProjectPerModel\",\"quotaValue\":\"20\"}]},{\"retryDelay\":\"7s\"}]}}\r\n\r\n"),
            Not,
        ),
        (
            "in a list",
            Form::stream("/v1beta/models/m:streamGenerateContent", "[{\"error\":{\"code\":503,\"message\":\"overloaded\",\"status\":\"UNAVAILABLE\"}}]")
                .header("content-type", "application/json"),
            Untold,
        ),
        (
            "a wrong request",
            Form::stream(GEMINI, "data: {\"error\":{\"code\":400,\"message\":\"m\",\"status\":\"INVALID_ARGUMENT\"}}\r\n\r\n"),
            Not,
        ),
    ]);
}
