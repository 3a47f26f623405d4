//! A chat completion as it is asked for.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::{Result, Value};

use super::Ask;
use super::text::Text;
use super::tool::Tool;

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow)]
    model: Cow<'a, str>,
    messages: Text,
    max_tokens: Option<u64>,
    max_completion_tokens: Option<u64>,
    stream: Option<bool>,
    stream_options: Option<StreamOptions>,
    tools: Option<Vec<Wrapped>>,
    tool_choice: Option<Value>,
}

#[derive(Deserialize)]
struct StreamOptions {
    include_usage: Option<bool>,
}

#[derive(Deserialize)]
struct Wrapped {
    function: Option<Tool>,
}

pub(super) fn read<'a>(ask: &mut Ask<'a>, body: &'a [u8]) -> Result<()> {
    let wire: Wire<'a> = serde_json::from_slice(body)?;
    ask.model = wire.model;
    ask.prompt = wire.messages.tokens();
    ask.max_tokens = wire.max_completion_tokens.or(wire.max_tokens);
    ask.stream = wire.stream.unwrap_or(false);
    let options = wire.stream_options;
    ask.include_usage = options.and_then(|o| o.include_usage).unwrap_or(false);
    let must_not = wire.tool_choice.is_some_and(|choice| choice == "none");
    if !must_not && !wire.messages.answers_tool() {
        let tools = wire.tools.into_iter().flatten();
        ask.call = Tool::call(tools.filter_map(|tool| tool.function));
    }
    Ok(())
}
