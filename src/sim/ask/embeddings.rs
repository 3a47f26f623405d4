//! Embeddings as they are asked for.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::{Result, Value};

use super::Ask;
use super::text::Text;

/// Numbers to an embedding where the request does not say, and at most.
const DIMENSIONS: usize = 8;
const MOST_DIMENSIONS: usize = 4_096;

/// What is to be embedded, and how.
#[derive(Debug, Default)]
pub(crate) struct Embed {
    /// A seed for each input. Equal inputs have equal seeds.
    pub(crate) seeds: Vec<u64>,
    pub(crate) dimensions: usize,
    /// Whether the numbers are sent as base64 of their bytes.
    pub(crate) base64: bool,
    /// Whether a list was asked for, be it of one.
    pub(crate) many: bool,
}

#[derive(Deserialize)]
struct OpenAi<'a> {
    #[serde(borrow)]
    model: Cow<'a, str>,
    input: Input,
    dimensions: Option<usize>,
    encoding_format: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Input {
    Text(String),
    Texts(Vec<String>),
    Tokens(Vec<u64>),
    Lists(Vec<Vec<u64>>),
}

pub(super) fn read_openai<'a>(ask: &mut Ask<'a>, body: &'a [u8]) -> Result<()> {
    let wire: OpenAi<'a> = serde_json::from_slice(body)?;
    ask.model = wire.model;
    let texts = |texts: &[String]| -> Vec<(u64, u64)> {
        let one = |text: &String| (estimate(text.len() as u64), seed(text.bytes()));
        texts.iter().map(one).collect()
    };
    let lists = |lists: &[Vec<u64>]| -> Vec<(u64, u64)> {
        let bytes = |list: &Vec<u64>| seed(list.iter().flat_map(|token| token.to_le_bytes()));
        let one = |list: &Vec<u64>| (list.len() as u64, bytes(list));
        lists.iter().map(one).collect()
    };
    let inputs = match wire.input {
        Input::Text(text) => texts(&[text]),
        Input::Texts(all) => texts(&all),
        Input::Tokens(list) => lists(&[list]),
        Input::Lists(all) => lists(&all),
    };
    ask.prompt = inputs.iter().map(|(tokens, _)| tokens).sum();
    ask.embed = Embed {
        seeds: inputs.into_iter().map(|(_, seed)| seed).collect(),
        dimensions: dimensions(wire.dimensions),
        base64: wire.encoding_format.as_deref() == Some("base64"),
        many: true,
    };
    Ok(())
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Gemini {
    requests: Option<Vec<One>>,
    content: Option<Value>,
    #[serde(alias = "output_dimensionality")]
    output_dimensionality: Option<usize>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct One {
    content: Value,
    #[serde(alias = "output_dimensionality")]
    output_dimensionality: Option<usize>,
}

pub(super) fn read_gemini(ask: &mut Ask<'_>, body: &[u8]) -> Result<()> {
    let wire: Gemini = serde_json::from_slice(body)?;
    let many = wire.requests.is_some();
    let single = wire.content.map(|content| One {
        content,
        output_dimensionality: wire.output_dimensionality,
    });
    let all: Vec<One> = wire.requests.into_iter().flatten().chain(single).collect();
    for one in &all {
        let text: Text = serde_json::from_value(one.content.clone())?;
        ask.prompt = ask.prompt.saturating_add(text.tokens());
    }
    let asked = all.first().and_then(|one| one.output_dimensionality);
    let seeds = all.iter().map(|one| seed(one.content.to_string().bytes()));
    ask.embed = Embed {
        seeds: seeds.collect(),
        dimensions: dimensions(asked),
        base64: false,
        many,
    };
    Ok(())
}

fn dimensions(asked: Option<usize>) -> usize {
    asked.unwrap_or(DIMENSIONS).min(MOST_DIMENSIONS)
}

fn estimate(bytes: u64) -> u64 {
    bytes.div_ceil(4)
}

/// FNV-1a.
fn seed(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::super::super::dialect::Dialect;
    use super::super::super::route::Place;
    use super::*;

    fn read(dialect: Dialect, body: &str) -> (u64, Embed) {
        let place = Place::of(dialect);
        let ask = Ask::read(&place, "", body.as_bytes()).unwrap();
        (ask.prompt, ask.embed)
    }

    #[test]
    fn counts_texts_and_tokens() {
        for (input, tokens, inputs) in [
            (r#""12345""#, 2, 1),
            (r#"["12345","1"]"#, 3, 2),
            ("[5,6,7]", 3, 1),
            ("[[5,6],[7]]", 3, 2),
        ] {
            let body = format!(r#"{{"model":"m","input":{input}}}"#);
            let (prompt, embed) = read(Dialect::OpenAiEmbeddings, &body);
            assert_eq!((prompt, embed.seeds.len()), (tokens, inputs), "{input}");
        }
    }

    #[test]
    fn takes_one_or_many_of_gemini() {
        let part = r#"{"parts":[{"text":"12345678"}]}"#;
        let one = format!(r#"{{"content":{part},"outputDimensionality":3}}"#);
        let (prompt, embed) = read(Dialect::GeminiEmbeddings, &one);
        assert_eq!((prompt, embed.many, embed.dimensions), (2, false, 3));
        let many = format!(r#"{{"requests":[{{"content":{part}}},{{"content":{part}}}]}}"#);
        let (prompt, embed) = read(Dialect::GeminiEmbeddings, &many);
        assert_eq!((prompt, embed.many, embed.dimensions), (4, true, 8));
        assert_eq!(embed.seeds[0], embed.seeds[1]);
    }
}
