//! LiteLLM as a library: it speaks to each provider in that provider's own language.

use serde_json::json;

use crate::{
    expected::{
        assert_failures, assert_refusals, assert_stream, assert_tool, assert_tried, chat, text,
    },
    python::python,
    world::World,
};

#[tokio::test]
async fn the_package_for_python() {
    let world = World::start(2).await;
    let got = world.run(python("with_litellm.py").await).await;
    // It maps statuses to classes in its own way for each provider, and to other statuses.
    for (provider, refusals, failures) in [
        (
            "openai",
            ["APIError", "RateLimitError", "APIError"],
            [
                ("RateLimitError", 429),
                ("ServiceUnavailableError", 503),
                ("BadGatewayError", 502),
            ],
        ),
        (
            "anthropic",
            ["BadRequestError", "RateLimitError", "PaymentRequiredError"],
            [
                ("RateLimitError", 429),
                ("InternalServerError", 500),
                ("BadGatewayError", 502),
            ],
        ),
        (
            "gemini",
            ["BadRequestError", "RateLimitError", "PaymentRequiredError"],
            [
                ("RateLimitError", 429),
                ("ServiceUnavailableError", 503),
                ("APIConnectionError", 500),
            ],
        ),
    ] {
        let got = &got[provider];
        assert_eq!(got["chat"], chat(), "{provider}");
        assert_stream(&got["stream"], Some(100));
        assert_tool(&got["tools"]);
        assert_tool(&got["tools_stream"]);
        assert_refusals(&got["refusals"], provider, refusals);
        assert_failures(&got["failures"], failures);
    }
    // All three have asked for the same models.
    assert_tried(&world, 3 * 2);
    let lengths = json!({"lengths": [8, 8]});
    assert_eq!(
        got["embeddings"],
        json!({"openai": lengths, "gemini": lengths})
    );
    assert_eq!(got["responses"], json!({"text": text(), "output": 100}));
    assert_eq!(world.attempts("sim-small"), 0, "a refused call is not sent");
}
