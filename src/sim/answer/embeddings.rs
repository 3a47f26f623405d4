//! Embeddings: numbers that are the same for the same input, and mean nothing.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::BytesMut;
use serde_json::{Value, json};

use super::story::{Form, Story};

// Writing to a `BytesMut` cannot fail, so the results of `write!` are dropped.

pub(super) struct OpenAiEmbeddings;

impl Form for OpenAiEmbeddings {
    fn whole(&self, story: &Story, to: &mut BytesMut) {
        let model: Value = serde_json::from_str(&story.model).unwrap_or_default();
        let data = vectors(story).enumerate().map(|(index, numbers)| {
            let embedding = match story.embed.base64 {
                true => Value::from(encoded(&numbers)),
                false => json!(numbers),
            };
            json!({"object": "embedding", "index": index, "embedding": embedding})
        });
        let mut answer = json!({"object": "list", "data": data.collect::<Value>(), "model": model});
        if story.usage {
            let prompt = story.prompt;
            answer["usage"] = json!({"prompt_tokens": prompt, "total_tokens": prompt});
        }
        let _ = write!(to, "{answer}");
    }
}

pub(super) struct GeminiEmbeddings;

impl Form for GeminiEmbeddings {
    fn whole(&self, story: &Story, to: &mut BytesMut) {
        let mut all = vectors(story).map(|numbers| json!({"values": numbers}));
        let mut answer = match story.embed.many {
            true => json!({"embeddings": all.collect::<Value>()}),
            false => json!({"embedding": all.next()}),
        };
        if story.usage {
            answer["usageMetadata"] = json!({"promptTokenCount": story.prompt});
        }
        let _ = write!(to, "{answer}");
    }
}

fn vectors(story: &Story) -> impl Iterator<Item = Vec<f32>> + '_ {
    let numbers = |seed: &u64| {
        let mut random = fastrand::Rng::with_seed(*seed);
        let numbers = (0..story.embed.dimensions).map(|_| random.f32() * 2.0 - 1.0);
        numbers.collect()
    };
    story.embed.seeds.iter().map(numbers)
}

fn encoded(numbers: &[f32]) -> String {
    let bytes: Vec<u8> = numbers
        .iter()
        .flat_map(|number| number.to_le_bytes())
        .collect();
    STANDARD.encode(bytes)
}
