//! Anthropic's packages.

use std::process::Command;

use serde_json::json;

use crate::{
    expected::{
        assert_codes, assert_failures, assert_refusals, assert_stream, assert_tool, assert_tools,
        assert_tried, assert_used_up, chat,
    },
    node::node,
    python::python,
    world::World,
};

#[tokio::test]
async fn the_package_for_python() {
    check(python("with_anthropic.py").await).await;
}

#[tokio::test]
async fn the_package_for_node() {
    check(node("with_anthropic.js").await).await;
}

async fn check(script: Command) {
    let world = World::start(2).await;
    let got = world.run(script).await;
    assert_eq!(got["chat"], chat());
    assert_stream(&got["stream"], Some(100));
    assert_tools(&got["tools"]);
    assert_tool(&got["tools_stream"]);
    assert_eq!(
        (&got["models"], &got["tokens"]),
        (&json!(["sim-1"]), &json!(4))
    );
    let refusals = [
        "ContentTooLargeError",
        "RateLimitError",
        "PaymentRequiredError",
    ];
    assert_refusals(&got["refusals"], "anthropic", refusals);
    assert_codes(&got["refusals"]);
    assert_used_up(&got["used_up"], "RateLimitError", 3);
    assert_eq!(world.attempts("sim-small"), 0, "a refused call is not sent");
    let failures = [
        ("RateLimitError", 429),
        ("ServiceUnavailableError", 503),
        ("InternalServerError", 502),
    ];
    assert_failures(&got["failures"], failures);
    assert_tried(&world, 2);
}
