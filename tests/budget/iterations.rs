//! Answers that several models had a part in, and some that nobody gave: each is paid for what it used, at its own price.

use http::Request;
use serde_json::{Value, json};

use crate::answered::{Of, answered, typed};

/// What has counted as output and as money, and whether some of it has no price.
type Counted = (u64, u64, u64);

/// What counts once Anthropic has answered a call for a model so.
async fn counted(model: &str, kind: &'static str, body: String) -> Counted {
    let call = json!({
        "model": model, "max_tokens": 5_000, "stream": kind == STREAM,
        "messages": [{"role": "user", "content": "Name a mineral."}],
    });
    let request = Request::post("http://provider/v1/messages");
    let asked = (request.header("anthropic-version", "2023-06-01"), call);
    let counted = answered([Of::Output, Of::Money], asked, typed(kind, body)).await;
    let ([output, money], unpriced) = counted;
    (output, money, unpriced)
}

const STREAM: &str = "text/event-stream";

/// The same of an answer by this model, whole and as a stream, which comes to the same.
async fn both(called: &str, by: &str, finish: &str, text: &str, usage: &Value) -> Counted {
    let content = match text {
        "" => json!([]),
        text => json!([{"type": "text", "text": text}]),
    };
    let whole = json!({
        "type": "message", "id": "msg_1", "role": "assistant", "model": by, "content": content,
        "stop_reason": finish, "usage": usage,
    });
    let whole = counted(called, "application/json", whole.to_string()).await;
    let mut first = usage.clone();
    first["output_tokens"] = json!(usage["output_tokens"].as_u64().unwrap().min(1));
    first.as_object_mut().unwrap().remove("iterations");
    let message = json!({
        "type": "message", "id": "msg_1", "role": "assistant", "model": by, "content": [],
        "stop_reason": null, "usage": first,
    });
    let delta = json!({"type": "text_delta", "text": text});
    let events = [
        json!({"type": "message_start", "message": message}),
        json!({"type": "content_block_delta", "index": 0, "delta": delta}),
        json!({"type": "message_delta", "delta": {"stop_reason": finish}, "usage": usage}),
        json!({"type": "message_stop"}),
    ];
    let events = events.map(|event| {
        let name = event["type"].as_str().unwrap();
        format!("event: {name}\ndata: {event}\n\n")
    });
    let streamed = counted(called, STREAM, events.concat()).await;
    assert_eq!(streamed, whole, "{usage}");
    whole
}

fn usage(input: u64, output: u64) -> Value {
    json!({
        "input_tokens": input, "output_tokens": output,
        "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0,
    })
}

/// One time that a model was asked.
fn iteration(kind: &str, model: Option<&str>, input: u64, output: u64) -> Value {
    let mut iteration = usage(input, output);
    iteration["type"] = json!(kind);
    if let Some(model) = model {
        iteration["model"] = json!(model);
    }
    iteration
}

fn with(mut usage: Value, iterations: Vec<Value>) -> Value {
    usage["iterations"] = Value::from(iterations);
    usage
}

const SONNET: &str = "claude-sonnet-5-5";
const OPUS: &str = "claude-opus-5-5";

#[tokio::test(start_paused = true)]
async fn compaction_is_paid_for_by_its_kinds_of_tokens() {
    let mut compaction = iteration("compaction", None, 10, 20);
    compaction["cache_read_input_tokens"] = json!(1_000);
    compaction["cache_creation_input_tokens"] = json!(200);
    compaction["cache_creation"] =
        json!({"ephemeral_5m_input_tokens": 50, "ephemeral_1h_input_tokens": 150});
    let message = iteration("message", None, 100, 50);
    let usage = with(usage(100, 50), vec![compaction, message]);
    let counted = both(SONNET, SONNET, "end_turn", "Quartz.", &usage).await;
    // $2 a million in, $10 out, $0.10 read, $2.50 written and $4 for long.
    let money = 110 * 2_000 + 70 * 10_000 + 1_000 * 100 + 50 * 2_500 + 150 * 4_000;
    assert_eq!(counted, (70, money, 0));
}

#[tokio::test(start_paused = true)]
async fn an_advisor_is_paid_for_at_its_own_price() {
    let iterations = |advisor| {
        vec![
            iteration("message", None, 412, 89),
            iteration("advisor_message", Some(advisor), 823, 1_612),
            iteration("message", None, 1_760, 442),
        ]
    };
    let own = 2_172 * 2_000 + 531 * 10_000;
    for (advisor, beside, unpriced) in [
        // $4 a million in, and $20 out.
        (OPUS, 823 * 4_000 + 1_612 * 20_000, 0),
        // Nobody knows its price: it is paid for as the other one, and that is said.
        ("claude-next", 823 * 2_000 + 1_612 * 10_000, 1),
    ] {
        let usage = with(usage(412, 531), iterations(advisor));
        let counted = both(SONNET, SONNET, "end_turn", "Quartz.", &usage).await;
        assert_eq!(counted, (531, own + beside, unpriced), "{advisor}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_model_that_takes_over_is_paid_for_at_its_own_price() {
    let (called, by) = ("claude-fable-5-1", "claude-opus-4-8");
    let served = || iteration("fallback_message", Some(by), 412, 264);
    // $5 a million in, and $25 out; of the one that was called $10, and $50.
    let money = 412 * 5_000 + 264 * 25_000;
    for (refused, beside) in [
        (None, 0),
        // Before a word: that is free.
        (Some(0), 0),
        (Some(30), 408 * 10_000 + 30 * 50_000),
    ] {
        let refused = refused.map(|output| iteration("message", Some(called), 408, output));
        let iterations = refused.into_iter().chain([served()]).collect();
        let usage = with(usage(412, 264), iterations);
        let counted = both(called, by, "end_turn", "Quartz.", &usage).await;
        assert_eq!(counted, (264, money + beside, 0), "{usage}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_before_a_word_is_free_and_a_later_one_is_not() {
    let refused = |usage: Value, text: &'static str| async move {
        both(SONNET, SONNET, "refusal", text, &usage).await
    };
    assert_eq!(refused(usage(18, 0), "").await, (0, 0, 0));
    let money = 18 * 2_000 + 5 * 10_000;
    assert_eq!(refused(usage(18, 5), "Qua").await, (5, money, 0));
    let advised = vec![
        iteration("advisor_message", Some(OPUS), 20, 2),
        iteration("message", None, 18, 0),
    ];
    let advised = refused(with(usage(18, 0), advised), "").await;
    assert_eq!(advised, (0, 20 * 4_000 + 2 * 20_000, 0));
    // Warming a cache up is no refusal.
    let warm = both(SONNET, SONNET, "max_tokens", "", &usage(18, 0)).await;
    assert_eq!(warm, (0, 18 * 2_000, 0));
}

/// Answers of one shape are read by the first of them.
#[tokio::test(start_paused = true)]
async fn a_refusal_that_looks_like_one_that_was_paid_for_is_free() {
    let answer = |text: &str, output: u64| {
        let answer = json!({
            "type": "message", "id": "msg_1", "role": "assistant", "model": SONNET,
            "content": [{"type": "text", "text": text}], "stop_reason": "refusal",
            "usage": usage(18, output),
        });
        counted(SONNET, "application/json", answer.to_string())
    };
    assert_eq!(answer("Qua", 5).await, (5, 18 * 2_000 + 5 * 10_000, 0));
    assert_eq!(answer("", 0).await, (0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn the_model_that_takes_over_is_paid_for_without_output() {
    let (called, by) = ("claude-fable-5-1", "claude-opus-4-8");
    let written = |mut usage: Value| {
        usage["cache_creation_input_tokens"] = json!(500_000);
        usage
    };
    let served = written(iteration("fallback_message", Some(by), 0, 0));
    let refused = iteration("message", Some(called), 408, 0);
    let usage = with(written(usage(0, 0)), vec![refused, served]);
    let counted = both(called, by, "max_tokens", "", &usage).await;
    // $6.25 a million that are written.
    assert_eq!(counted, (0, 500_000 * 6_250, 0));
}

#[tokio::test(start_paused = true)]
async fn what_the_iterations_leave_out_is_paid_for() {
    let (called, by) = ("claude-fable-5-1", "claude-opus-4-8");
    for served in [
        iteration("fallback_message", Some(by), 400, 4),
        iteration("fallback_message", None, 412, 264),
    ] {
        let usage = with(usage(412, 264), vec![served]);
        let counted = both(called, by, "end_turn", "Quartz.", &usage).await;
        assert_eq!(counted, (264, 412 * 5_000 + 264 * 25_000, 0), "{usage}");
    }
}

/// Nothing for a text that was seen is no report, whoever has taken over.
#[tokio::test(start_paused = true)]
async fn the_model_that_takes_over_gives_no_text_for_nothing() {
    let (called, by) = ("claude-fable-5-1", "claude-opus-4-8");
    let served = iteration("fallback_message", Some(by), 412, 0);
    let usage = with(usage(412, 0), vec![served]);
    let text = "Quartz. ".repeat(500);
    let (output, money, _) = both(called, by, "end_turn", &text, &usage).await;
    assert!(output >= 1_000, "{output}");
    assert!(money >= 412 * 5_000 + output * 25_000, "{money}");
}

/// A caller who hangs up pays for what was seen, whoever has taken over.
#[tokio::test(start_paused = true)]
async fn the_model_that_takes_over_is_paid_for_where_nobody_reads_on() {
    let (called, by) = ("claude-fable-5-1", "claude-opus-4-8");
    let served = iteration("fallback_message", Some(by), 412, 1);
    let message = json!({
        "type": "message", "id": "msg_1", "role": "assistant", "model": by, "content": [],
        "stop_reason": null, "usage": with(usage(412, 1), vec![served]),
    });
    let delta = json!({"type": "text_delta", "text": "Quartz. ".repeat(2_000)});
    let events = [
        json!({"type": "message_start", "message": message}),
        json!({"type": "content_block_delta", "index": 0, "delta": delta}),
    ];
    let events = events.map(|event| {
        let name = event["type"].as_str().unwrap();
        format!("event: {name}\ndata: {event}\n\n")
    });
    let (output, money, _) = counted(called, STREAM, events.concat()).await;
    assert!(output >= 4_000, "{output}");
    assert!(money >= 412 * 5_000 + output * 25_000, "{money}");
}
