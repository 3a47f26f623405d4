//! Everything that the text of an answer depends on, whatever its dialect.

use std::iter::repeat;

use bytes::{Bytes, BytesMut};

use super::anthropic::Message;
use super::chat::Chat;
use super::embeddings::{GeminiEmbeddings, OpenAiEmbeddings};
use super::gemini::Content;
use super::responses::Response;
use crate::sim::ask::{Ask, Call, Embed};
use crate::sim::dialect::Dialect;

/// An answer to be told, in one piece or as a stream of so many chunks of content.
#[derive(Debug)]
pub(crate) struct Story {
    pub(super) dialect: Dialect,
    pub(super) seq: u64,
    /// Seconds since the Unix epoch.
    pub(super) created: u64,
    /// The model's name as JSON, quotes included.
    pub(super) model: String,
    pub(super) prompt: u64,
    pub(super) output: u64,
    /// Bytes of text to a token.
    pub(super) token_bytes: usize,
    /// The output cap, if one was named.
    pub(super) cap: Option<u64>,
    /// Whether the answer tells its usage.
    pub(super) usage: bool,
    /// Whether a stream is a JSON list.
    pub(super) list: bool,
    /// How many chunks of content a stream has.
    pub(super) chunks: u64,
    pub(super) call: Option<Called>,
    pub(super) embed: Embed,
}

/// A call of a tool, which takes the place of the text.
#[derive(Debug)]
pub(super) struct Called {
    pub(super) tool: Call,
    /// Its arguments as JSON.
    pub(super) text: String,
}

/// How a dialect tells a story. Only dialects that stream need more than the whole.
pub(super) trait Form {
    /// The answer in one piece.
    fn whole(&self, story: &Story, to: &mut BytesMut);

    /// The events before anything is generated.
    fn opening(&self, _story: &Story, _to: &mut BytesMut) {}

    /// The chunk of content with this number.
    fn content(&self, _story: &Story, _index: u64, _to: &mut BytesMut) {}

    /// The last events, with the usage of the whole where it is told.
    fn closing(&self, _story: &Story, _to: &mut BytesMut) {}

    /// An error in the place of an event, after so many chunks of content; `None`: before everything. Nothing that marks a
    /// good end follows it.
    fn error(&self, _story: &Story, _after: Option<u64>, _to: &mut BytesMut) {}

    /// Whether the arguments of a call come in one chunk.
    fn calls_at_once(&self) -> bool {
        false
    }
}

/// What the story of an answer has besides what was asked for.
#[derive(Debug)]
pub(super) struct Facts {
    pub(super) seq: u64,
    pub(super) created: u64,
    pub(super) output: u64,
    pub(super) token_bytes: usize,
    pub(super) usage: bool,
    pub(super) most_chunks: u64,
}

impl Story {
    pub(super) fn new(ask: Ask<'_>, facts: &Facts) -> Self {
        let call = ask.call.filter(|_| facts.output > 0).map(|tool| Called {
            text: tool.arguments.to_string(),
            tool,
        });
        let most = match form(ask.dialect).calls_at_once() && call.is_some() {
            true => 1,
            false => facts.most_chunks.max(1),
        };
        Self {
            dialect: ask.dialect,
            seq: facts.seq,
            created: facts.created,
            model: serde_json::Value::from(&*ask.model).to_string(),
            prompt: ask.prompt,
            output: facts.output,
            token_bytes: facts.token_bytes,
            cap: ask.max_tokens,
            usage: facts.usage,
            list: ask.list,
            chunks: most.min(facts.output),
            call,
            embed: ask.embed,
        }
    }

    /// How many chunks of content a stream of it has.
    pub(crate) fn chunks(&self) -> u64 {
        self.chunks
    }

    /// The tokens that have been generated after so many chunks.
    pub(crate) fn generated(&self, chunks: u64) -> u64 {
        match self.chunks {
            0 => 0,
            all => self.output * chunks / all,
        }
    }

    pub(crate) fn whole(&self) -> Bytes {
        let mut to = BytesMut::with_capacity(768);
        self.form().whole(self, &mut to);
        to.freeze()
    }

    pub(crate) fn opening(&self, to: &mut BytesMut) {
        self.form().opening(self, to);
    }

    pub(crate) fn content(&self, index: u64, to: &mut BytesMut) {
        self.form().content(self, index, to);
    }

    pub(crate) fn closing(&self, to: &mut BytesMut) {
        self.form().closing(self, to);
    }

    pub(crate) fn error(&self, after: Option<u64>, to: &mut BytesMut) {
        self.form().error(self, after, to);
    }

    fn form(&self) -> &'static dyn Form {
        form(self.dialect)
    }

    /// Whether the text ends because the cap is reached.
    pub(super) fn capped(&self) -> bool {
        self.cap == Some(self.output) && self.call.is_none()
    }

    /// Writes the whole text, none of which JSON escapes: ` ebb` where a token has four bytes.
    pub(super) fn text(&self, to: &mut BytesMut) {
        self.tokens(self.output, to);
    }

    /// Writes the text of one chunk.
    pub(super) fn chunk(&self, index: u64, to: &mut BytesMut) {
        self.tokens(self.generated(index + 1) - self.generated(index), to);
    }

    /// The text of one chunk, or all of it.
    pub(super) fn string(&self, index: Option<u64>) -> String {
        let mut to = BytesMut::new();
        match index {
            Some(index) => self.chunk(index, &mut to),
            None => self.text(&mut to),
        }
        String::from_utf8_lossy(&to).into_owned()
    }

    fn tokens(&self, count: u64, to: &mut BytesMut) {
        let token = b" ebb".iter().chain(repeat(&b'b'));
        let token: Vec<u8> = token.copied().take(self.token_bytes).collect();
        for _ in 0..count {
            to.extend_from_slice(&token);
        }
    }
}

impl Called {
    /// The arguments' piece in one chunk of so many.
    pub(super) fn piece(&self, index: u64, chunks: u64) -> &str {
        let length = self.text.len();
        let at = |chunk: u64| {
            let share = length as u64 * chunk / chunks.max(1);
            let mut at = usize::try_from(share).unwrap_or(length);
            while !self.text.is_char_boundary(at) {
                at -= 1;
            }
            at
        };
        &self.text[at(index)..at(index + 1)]
    }
}

fn form(dialect: Dialect) -> &'static dyn Form {
    match dialect {
        Dialect::OpenAi => &Chat,
        Dialect::OpenAiResponses => &Response,
        Dialect::OpenAiEmbeddings => &OpenAiEmbeddings,
        Dialect::Anthropic => &Message,
        Dialect::Gemini => &Content,
        Dialect::GeminiEmbeddings => &GeminiEmbeddings,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn pieces_of_arguments_make_them_whole_again() {
        let text = r#"{"où":"là-bas","n":12}"#.to_owned();
        let tool = Call {
            name: "f".to_owned(),
            arguments: Value::Null,
        };
        let called = Called { tool, text };
        for chunks in 1..40 {
            let pieces = (0..chunks).map(|index| called.piece(index, chunks));
            assert_eq!(pieces.collect::<String>(), called.text, "{chunks}");
        }
    }
}
