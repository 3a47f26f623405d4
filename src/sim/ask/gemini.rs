//! Content as it is asked for. The model and the form of the answer stand in the URL.

use serde::Deserialize;
use serde_json::{Result, Value};

use super::Ask;
use super::text::Text;
use super::tool::Tool;

/// Google reads keys in both spellings.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    contents: Text,
    #[serde(default, alias = "system_instruction")]
    system_instruction: Text,
    #[serde(alias = "generation_config")]
    generation_config: Option<Settings>,
    tools: Option<Vec<Tools>>,
    #[serde(default, alias = "tool_config")]
    tool_config: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Settings {
    #[serde(alias = "max_output_tokens")]
    max_output_tokens: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Tools {
    #[serde(alias = "function_declarations")]
    function_declarations: Option<Vec<Tool>>,
}

pub(super) fn read(ask: &mut Ask<'_>, body: &[u8]) -> Result<()> {
    let wire: Wire = serde_json::from_slice(body)?;
    ask.prompt = wire.contents.and(wire.system_instruction).tokens();
    ask.max_tokens = wire.generation_config.and_then(|set| set.max_output_tokens);
    let must_not = wire.tool_config["functionCallingConfig"]["mode"] == "NONE";
    if !must_not && !wire.contents.answers_tool() {
        let tools = wire.tools.into_iter().flatten();
        ask.call = Tool::call(
            tools
                .filter_map(|tools| tools.function_declarations)
                .flatten(),
        );
    }
    Ok(())
}
