//! OpenAI's packages.

use std::process::Command;

use serde_json::{Value, json};

use crate::{
    expected::{
        assert_codes, assert_cut, assert_failures, assert_refusals, assert_stream, assert_tool,
        assert_tools, assert_tried, assert_used_up, chat,
    },
    node::node,
    python::python,
    world::World,
};

#[tokio::test]
async fn the_package_for_python() {
    check(python("with_openai.py").await, "APIStatusError").await;
}

#[tokio::test]
async fn the_package_for_node() {
    check(node("with_openai.js").await, "APIError").await;
}

/// `other`: the class of what has none of its own.
async fn check(script: Command, other: &str) {
    let world = World::start(2).await;
    let got = world.run(script).await;
    assert_eq!(got["chat"], chat());
    assert_eq!(got["responses"], chat());
    assert_stream(&got["stream"], None);
    assert_stream(&got["stream_usage"], Some(100));
    assert_stream(&got["responses_stream"], Some(100));
    assert_tools(&got["tools"]);
    assert_tools(&got["responses_tools"]);
    assert_tool(&got["tools_stream"]);
    assert_tool(&got["responses_tools_stream"]);
    assert_eq!(got["embeddings"], json!({"lengths": [4, 4], "input": 2}));
    assert_eq!(got["models"], json!(["sim-1"]));
    assert_refusals(&got["refusals"], "openai", [other, "RateLimitError", other]);
    assert_codes(&got["refusals"]);
    assert_used_up(&got["used_up"], "RateLimitError", 5);
    assert_cut(&got["cut"]["chat"], "APIError");
    assert_cut(&got["cut"]["responses"], "APIError");
    assert_eq!(world.attempts("sim-small"), 0, "a refused call is not sent");
    let failures = [
        ("RateLimitError", 429),
        ("InternalServerError", 503),
        ("InternalServerError", 502),
    ];
    assert_failures(&got["failures"], failures);
    assert_tried(&world, 2);
}

#[tokio::test]
async fn the_package_repeats_by_itself_where_we_do_not() {
    let world = World::start(1).await;
    let failures = |got: Value| got["failures"].as_object().unwrap().len();
    let script = || python("with_openai_alone.py");
    assert_eq!(failures(world.run(script().await).await), 3);
    assert_tried(&world, 3);
    // And without us.
    assert_eq!(failures(world.run_alone(script().await).await), 3);
    assert_tried(&world, 3 + 3);
}
