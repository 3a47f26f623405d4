//! A message as it is asked for.

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
    #[serde(default)]
    system: Text,
    max_tokens: Option<u64>,
    stream: Option<bool>,
    tools: Option<Vec<Tool>>,
    tool_choice: Option<Value>,
}

pub(super) fn read<'a>(ask: &mut Ask<'a>, body: &'a [u8]) -> Result<()> {
    let wire: Wire<'a> = serde_json::from_slice(body)?;
    ask.model = wire.model;
    ask.prompt = wire.messages.and(wire.system).tokens();
    ask.max_tokens = wire.max_tokens;
    ask.stream = wire.stream.unwrap_or(false);
    let must_not = wire
        .tool_choice
        .is_some_and(|choice| choice["type"] == "none");
    if !must_not && !wire.messages.answers_tool() {
        ask.call = Tool::call(wire.tools.into_iter().flatten());
    }
    Ok(())
}
