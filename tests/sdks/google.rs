//! Google's package, which repeats nothing unless it is told to.

use serde_json::json;

use crate::{
    expected::{
        assert_codes, assert_cut, assert_failures, assert_refusals, assert_stream, assert_tool,
        assert_tools, assert_tried, assert_used_up, chat,
    },
    python::python,
    world::World,
};

#[tokio::test]
async fn the_package_for_python() {
    let world = World::start(2).await;
    let got = world.run(python("with_google.py").await).await;
    assert_eq!(got["chat"], chat());
    assert_stream(&got["stream"], Some(100));
    assert_tools(&got["tools"]);
    assert_eq!(got["tools"]["asked"], 1, "the package has called it itself");
    assert_tool(&got["tools_stream"]);
    assert_eq!(got["tools_stream"]["calls"], 1);
    assert_eq!(got["embeddings"], json!({"lengths": [4, 4]}));
    let told = (&got["models"], &got["tokens"]);
    assert_eq!(told, (&json!(["models/sim-1"]), &json!(4)));
    let refusals = &got["refusals"];
    assert_refusals(
        refusals,
        "gemini",
        ["ClientError", "ClientError", "ClientError"],
    );
    assert_codes(refusals);
    assert_eq!(refusals["never_fits"]["kind"], "INVALID_ARGUMENT");
    assert_eq!(refusals["used_up"]["kind"], "RESOURCE_EXHAUSTED");
    assert_used_up(&got["used_up"], "ClientError", 4);
    assert_cut(&got["cut"], "ClientError");
    assert_eq!(world.attempts("sim-small"), 0, "a refused call is not sent");
    let failures = [
        ("ClientError", 429),
        ("ServerError", 503),
        ("ServerError", 502),
    ];
    assert_failures(&got["failures"], failures);
    assert_tried(&world, 2);
}
