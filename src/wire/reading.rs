//! What was read of a response.

use super::{classify::Details, iterations::Iteration};
use crate::{money::Money, usage::Usage};

/// What a [`Meter`](super::Meter) knows so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reading {
    /// What the provider reported.
    ///
    /// Reports in streams are cumulative: the last one wins, and what it leaves out stays as it was. Negative,
    /// fractional and absurdly large numbers (beyond 10¹²) count as not reported; a side that was not reported is 0.
    ///
    /// If a reported total is more than input and output, the rest is reasoning that was left out of the output, and is
    /// added to it (xAI, Gemini).
    pub usage: Option<Usage>,
    /// Whether `usage` has both sides and is the provider's last word. Otherwise it is a lower bound.
    pub usage_is_final: bool,
    /// The tokens generated so far, estimated from the bytes of text: four to a token, rounded up, and at least one if
    /// anything was generated.
    ///
    /// If text cannot be told from the rest (JSON that is cut off or too large, broken frames, unknown and encoded
    /// bodies), all bytes count. 0 for APIs that generate nothing, for [`Dialect::Generic`](super::Dialect::Generic),
    /// and for statuses other than 2xx.
    pub output_seen: u64,
    /// The bytes of text from which `output_seen` was estimated; 0 where that is 0 for the reasons above.
    pub text_bytes: u64,
    /// Whether the response is complete: the end mark of a stream was seen, without an error before it; or a whole JSON
    /// body; or the clean end of a body that is only counted.
    ///
    /// A stream whose end mark says that it failed (`response.failed`) is complete.
    pub complete: bool,
    /// The error that the body or an event of the stream reported, whatever the status.
    pub error: Option<StreamError>,
    /// The bytes of the body so far.
    pub bytes: u64,
    /// The model that answered, as the response spells it.
    pub model: Option<String>,
    /// Why the answer ended, in the provider's word: `stop`, `end_turn`, `MAX_TOKENS`. With several choices, that of
    /// the last one.
    pub finish: Option<String>,
    /// How the call was served, where that changes the price.
    pub served: Served,
    /// What the provider says that it charges: OpenRouter's `usage.cost`, which leaves out what one's own upstream key
    /// pays for, and xAI's ticks. Rounded to whole nano-dollars.
    pub cost: Option<Money>,
    /// What is counted besides the tokens of `usage`.
    pub extras: Extras,
    /// How often models were asked for it, where that is told (Anthropic). What the model itself was asked is in `usage`;
    /// compaction and what other models used are not.
    pub iterations: Vec<Iteration>,
}

/// How a provider served a call, in its own words, as far as it says so. None of it is interpreted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Served {
    /// The service tier that served it, which may not be the one that was asked for: `default`, `priority`, `flex`
    /// (OpenAI), `standard`, `batch` (Anthropic, Gemini), `on_demand` (Groq), `PROVISIONED_THROUGHPUT` (Vertex).
    pub tier: Option<String>,
    /// Anthropic's `speed`, or Bedrock's latency.
    pub speed: Option<String>,
    /// Where it was computed: Anthropic's `inference_geo`.
    pub geography: Option<String>,
}

/// What is charged besides tokens, and counts of tokens that are in neither side of the usage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Extras {
    /// Web searches by the provider's tools (Anthropic, OpenAI, Gemini), and other tools that Groq says it has run. An
    /// answer that maps have a part in (Gemini), or that cites pages (OpenAI's models that search), counts as one at least,
    /// unless it is whole JSON of more than 1 MiB.
    pub web_searches: u64,
    /// Pages that the provider's tools fetched (Anthropic).
    pub web_fetches: u64,
    /// Searches in files that are stored with the provider (OpenAI).
    pub file_searches: u64,
    /// Runs of code on the provider's side (OpenAI, Anthropic, Groq).
    pub code_runs: u64,
    /// Images that the provider's tools made (OpenAI), or that are charged as such where they are input (Cohere).
    pub images: u64,
    /// Sources of live search (xAI).
    pub sources: u64,
    /// Cohere's units of rerank.
    pub search_units: u64,
    /// The part of the input that tools of the provider put in (Gemini).
    pub tool_input: u64,
    /// The input that Cohere charges, which may be less than what its models read.
    pub billed_input: Option<u64>,
    /// The output that Cohere charges.
    pub billed_output: Option<u64>,
    /// The part of the input that is audio, which has a price of its own (OpenAI, Gemini).
    pub audio_input: u64,
    /// The part of the output that is audio.
    pub audio_output: u64,
    /// The part of the output that is images, which have a price of their own (Gemini, OpenRouter).
    pub image_output: u64,
    /// The part of the input that is charged that is images, which have a price of their own (Cohere).
    pub image_input: u64,
    /// The input of compaction, which Anthropic leaves out of its usage.
    pub compaction_input: u64,
    /// The output of compaction, which Anthropic leaves out as well.
    pub compaction_output: u64,
}

impl Extras {
    /// Counts grow, whoever repeats them.
    pub(super) fn raise(&mut self, later: &Extras) {
        for (mine, later) in [
            (&mut self.web_searches, later.web_searches),
            (&mut self.web_fetches, later.web_fetches),
            (&mut self.file_searches, later.file_searches),
            (&mut self.code_runs, later.code_runs),
            (&mut self.images, later.images),
            (&mut self.sources, later.sources),
            (&mut self.search_units, later.search_units),
            (&mut self.audio_input, later.audio_input),
            (&mut self.audio_output, later.audio_output),
            (&mut self.image_output, later.image_output),
        ] {
            *mine = later.max(*mine);
        }
    }
}

/// An error object in a response, which may have begun with a 200.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamError {
    /// The provider's `type`, such as `overloaded_error`, or Google's `status`. Empty if there was none.
    pub kind: String,
    /// The provider's `code` (OpenAI) or `details.error_code` (Anthropic), which says more than the type, or the name
    /// of an exception (Bedrock). Numbers are written as text.
    pub code: Option<String>,
    /// The message for people. Empty if there was none. At most 2 KiB are kept.
    pub message: String,
    /// Google's details.
    pub(super) details: Details,
}
