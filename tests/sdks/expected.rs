//! What scripts print where all is well.

use serde_json::{Value, json};

use crate::world::World;

/// The text of a whole answer: a tenth of the 1000 tokens that it may have.
pub(crate) fn text() -> String {
    " ebb".repeat(100)
}

/// What a chat comes to: it says so much, and has read so much.
pub(crate) fn chat() -> Value {
    json!({"text": text(), "input": 4, "output": 100})
}

/// A stream: more than a few chunks, and the same text; its output where that is told.
pub(crate) fn assert_stream(got: &Value, output: Option<u64>) {
    assert!(got["chunks"].as_u64().unwrap() > 3, "{got}");
    assert_eq!(got["text"], text());
    assert_eq!(got["output"].as_u64(), output);
}

/// A call of the only tool, and text when it has returned.
pub(crate) fn assert_tools(got: &Value) {
    assert_tool(got);
    assert_eq!(got["then"], text());
}

/// A call of the only tool.
pub(crate) fn assert_tool(got: &Value) {
    assert_eq!(got["name"], "weather");
    assert_eq!(got["arguments"], json!({"city": "Qaanaaq", "days": 2}));
}

/// Our refusals as the SDK's own errors with our messages: the classes of what never fits, of a run that is used up, and of
/// a budget.
pub(crate) fn assert_refusals(got: &Value, provider: &str, classes: [&str; 3]) {
    let messages = [
        &format!("this call never fits: tokens 100/min for provider={provider}, model=sim-small: "),
        USED_UP,
        "budget exceeded: cost $0.0105/hour for agent=poor, run=",
    ];
    for ((name, message), class) in NAMES.iter().zip(messages).zip(classes) {
        assert_refused(&got[name], class, message);
    }
}

fn assert_refused(got: &Value, class: &str, message: &str) {
    assert_eq!(got["class"], class, "{got}");
    let said = got["message"].as_str().unwrap();
    assert!(said.contains(message), "{said}");
}

const USED_UP: &str = "this run is used up: requests 1/run for agent=once, run=";

const NAMES: [&str; 3] = ["never_fits", "used_up", "budget"];

/// Their statuses and codes, where the SDK leaves them as they are.
pub(crate) fn assert_codes(got: &Value) {
    let codes = [
        (413, "never_fits"),
        (429, "run_used_up"),
        (402, "budget_exceeded"),
    ];
    for (name, (status, code)) in NAMES.iter().zip(codes) {
        let told = (&got[name]["status"], &got[name]["code"]);
        assert_eq!(told, (&json!(status), &json!(code)), "{name}");
    }
}

/// The refusals of so many other calls in a run that is used up.
pub(crate) fn assert_used_up(got: &Value, class: &str, count: usize) {
    let all = got.as_object().unwrap();
    assert_eq!(all.len(), count);
    for (name, got) in all {
        assert_refused(got, class, USED_UP);
        let told = (&got["status"], &got["code"]);
        assert_eq!(told, (&json!(429), &json!("run_used_up")), "{name}");
    }
}

/// What is raised in the midst of a stream whose money has run out.
pub(crate) fn assert_cut(got: &Value, class: &str) {
    assert_refused(
        got,
        class,
        "budget exceeded: cost $0.0006/hour for agent=thin, run=",
    );
    assert_eq!(got["code"], "budget_exceeded");
    assert!(got["came"].as_u64().unwrap() > 0, "{got}");
}

/// What is raised where the upstream answers 429, 503, or not at all.
pub(crate) fn assert_failures(got: &Value, expected: [(&str, u16); 3]) {
    for (model, (class, status)) in FAILING.iter().zip(expected) {
        let expected = json!({"class": class, "status": status});
        assert_eq!(got[model], expected, "{model}");
    }
}

/// The models whose calls fail.
pub(crate) const FAILING: [&str; 3] = ["fails-429", "fails-503", "fails-drop"];

/// That each call of these was tried so often.
pub(crate) fn assert_tried(world: &World, times: usize) {
    for model in FAILING {
        assert_eq!(world.attempts(model), times, "{model}");
    }
}
