//! How an input is taken apart: a few bytes that choose, and the rest.

use std::time::{Duration, SystemTime};

use tower_quota::wire::Dialect;

const DIALECTS: [Dialect; 11] = [
    Dialect::OpenAiChat,
    Dialect::AnthropicMessages,
    Dialect::Gemini,
    Dialect::OpenAiResponses,
    Dialect::OpenAiEmbeddings,
    Dialect::BedrockConverse,
    Dialect::BedrockInvoke,
    Dialect::CohereChat,
    Dialect::CohereEmbed,
    Dialect::Ollama,
    Dialect::Generic,
];

/// As in the wire samples: 2026-11-22T09:15:30Z.
const NOW: u64 = 1_795_338_930;

pub(crate) struct Input<'i>(pub(crate) &'i [u8]);

impl Input<'_> {
    /// The next byte; 0 behind the end.
    pub(crate) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    pub(crate) fn dialect(&mut self) -> Dialect {
        self.one_of(&DIALECTS)
    }

    pub(crate) fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::from(self.byte()) % all.len()]
    }

    /// Up to 100 days before or behind the day of the samples, or a year far away.
    pub(crate) fn now(&mut self) -> SystemTime {
        const DAY: u64 = 86_400;
        let at = match self.byte() {
            byte @ 0..=199 => NOW + u64::from(byte) * DAY - 100 * DAY,
            200 => 0,
            byte => NOW + u64::from(byte) * 3_650 * DAY,
        };
        SystemTime::UNIX_EPOCH + Duration::from_secs(at)
    }
}
