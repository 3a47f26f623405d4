//! The many names of one model.

use std::{borrow::Cow, sync::OnceLock};

use smallvec::{SmallVec, smallvec};

/// Where Bedrock serves a model from, as its names begin.
const REGIONS: [&str; 8] = [
    "us.", "us-gov.", "eu.", "apac.", "ap.", "jp.", "au.", "global.",
];

/// Who made a model, as Bedrock puts it in front of its name.
const MAKERS: [&str; 12] = [
    "ai21.",
    "amazon.",
    "anthropic.",
    "cohere.",
    "deepseek.",
    "meta.",
    "mistral.",
    "moonshot.",
    "openai.",
    "qwen.",
    "stability.",
    "writer.",
];

/// The plainer names of the model that tags name, found when they are first asked for. They make no two tags different.
#[derive(Clone, Default)]
pub(super) struct Plainer(OnceLock<Box<[Box<str>]>>);

impl Plainer {
    pub(super) fn of(&self, model: &str) -> &[Box<str>] {
        self.0.get_or_init(|| plainer(model))
    }
}

impl PartialEq for Plainer {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Plainer {}

/// One step to a plainer name of the same model.
type Step = (&'static str, for<'n> fn(&'n str) -> Option<&'n str>);

/// The steps, each tried on what those before it left.
const STEPS: [Step; 8] = [
    ("the model of an ARN", of_arn),
    ("without the way it is routed", without_routing),
    ("without the vendor in front", without_vendor),
    ("without the region", without_region),
    ("without the version behind", without_version),
    ("without the revision behind", without_revision),
    ("without the snapshot's date", without_date),
    ("the latest", without_latest),
];

/// A name of a model, with the steps that led to it.
pub(crate) type Named<'n> = (Cow<'n, str>, Vec<&'static str>);

/// Of most models there is one.
pub(crate) type Names<'n> = SmallVec<[Named<'n>; 1]>;

/// The names to look a price up by, the most particular first, each with the steps that led to it. What one provider
/// asks for another's model is its own: its maker in front stays.
pub(crate) fn candidates(model: &str) -> Names<'_> {
    through(&STEPS, model)
}

/// The names to look a limit up by, the name itself first. Here the maker in front goes as well: it is the same model.
pub(crate) fn limited(model: &str) -> Names<'_> {
    let mut steps = vec![(
        "without its searches",
        without_searches as fn(&str) -> Option<&str>,
    )];
    steps.extend(STEPS);
    steps.push(("without its maker in front", without_maker));
    through(&steps, model)
}

/// The plainer names of a model, without itself; nothing is allocated for a name that is plain.
pub(super) fn plainer(model: &str) -> Box<[Box<str>]> {
    if is_plain(model) {
        return Box::default();
    }
    let names = limited(model).into_iter().skip(1);
    names.map(|(name, _)| name.into()).collect()
}

/// Whether no step leads further: seen by a few bytes, because it is asked of every call.
fn is_plain(model: &str) -> bool {
    let bytes = model.as_bytes();
    // Whatever has a maker or a region in front begins with letters and a dot.
    let dotted = bytes.iter().position(|b| !b.is_ascii_lowercase());
    let is_dotted =
        dotted.is_some_and(|at| at > 0 && (bytes[at] == b'.' || bytes[at].is_ascii_digit()));
    let is_dated = bytes.len() > 4 && bytes[bytes.len() - 2..].iter().all(u8::is_ascii_digit);
    !is_dotted
        && !is_dated
        && !model.starts_with("us-gov.")
        && memchr::memchr3(b'/', b':', b'@', bytes).is_none()
        && !model.ends_with("-latest")
}

fn through<'n>(steps: &[Step], model: &'n str) -> Names<'n> {
    if is_plain(model) {
        return smallvec![(model.into(), Vec::new())];
    }
    let mut found: Names<'n> = smallvec![(model.into(), Vec::new())];
    for (words, step) in steps {
        let further: Vec<_> = found
            .iter()
            .filter_map(|(name, steps)| {
                let plainer = step(name)?.to_owned();
                Some((Cow::Owned(plainer), [steps.as_slice(), &[*words]].concat()))
            })
            .collect();
        found.extend(further);
    }
    found.sort_by_key(|(_, steps)| steps.len());
    found
}

/// `arn:aws:bedrock:us-east-1:123:inference-profile/us.anthropic.claude-x`
fn of_arn(name: &str) -> Option<&str> {
    name.strip_prefix("arn:")?
        .rsplit_once('/')
        .map(|(_, model)| model)
}

/// `openai/gpt-4o`, `models/gemini-2.5-pro`
fn without_vendor(name: &str) -> Option<&str> {
    name.split_once('/').map(|(_, model)| model)
}

/// `anthropic/claude-x:nitro`: how OpenRouter is to choose who serves it. `:free` is another product.
fn without_routing(name: &str) -> Option<&str> {
    const WAYS: [&str; 3] = [":nitro", ":floor", ":exacto"];
    WAYS.iter().find_map(|way| name.strip_suffix(way))
}

/// `openai/gpt-4o:online`: the same model, with searches that have a price of their own.
fn without_searches(name: &str) -> Option<&str> {
    name.strip_suffix(":online")
}

/// `gemini-2.0-flash-001`
fn without_revision(name: &str) -> Option<&str> {
    let (model, revision) = name.rsplit_once('-')?;
    let is_revision = revision.len() == 3 && revision.bytes().all(|b| b.is_ascii_digit());
    (is_revision && name.starts_with("gemini-")).then_some(model)
}

/// `us.anthropic.claude-x`
fn without_region(name: &str) -> Option<&str> {
    REGIONS.iter().find_map(|region| name.strip_prefix(region))
}

/// `anthropic.claude-x`
fn without_maker(name: &str) -> Option<&str> {
    MAKERS.iter().find_map(|maker| name.strip_prefix(maker))
}

/// `anthropic.claude-x-v1:0`
fn without_version(name: &str) -> Option<&str> {
    let (name, number) = name.rsplit_once(':')?;
    let (name, version) = name.rsplit_once("-v")?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    (is_number(number) && is_number(version)).then_some(name)
}

/// `gpt-4o-2024-08-06`, `claude-x-20250929`, `claude-x@20250929`, `gpt-4-0613`
fn without_date(name: &str) -> Option<&str> {
    let dated = |name: &'_ str, length: usize| -> Option<usize> {
        let at = name.len().checked_sub(length)?;
        name.is_char_boundary(at).then_some(at)
    };
    let digits = |text: &str| text.len() == 8 && text.bytes().all(|b| b.is_ascii_digit());
    if let Some(at) = dated(name, 9) {
        let (model, date) = name.split_at(at);
        if date.starts_with(['-', '@']) && digits(&date[1..]) {
            return Some(model).filter(|model| !model.is_empty());
        }
    }
    if let Some(model) = without_month_and_day(name) {
        return Some(model);
    }
    let (model, date) = name.split_at(dated(name, 11)?);
    let separated = date.match_indices('-').map(|(at, _)| at).eq([0, 5, 8]);
    (separated && digits(&date.replace('-', "")) && !model.is_empty()).then_some(model)
}

/// `gpt-4-0613`: four digits that are a month and a day. A year is none, nor a year and a month.
fn without_month_and_day(name: &str) -> Option<&str> {
    let (model, date) = name.rsplit_once('-')?;
    let is_date = date.len() == 4 && date.bytes().all(|b| b.is_ascii_digit());
    let (month, day) = date.split_at_checked(2).filter(|_| is_date)?;
    let within = |text: &str, most: u8| text.parse().is_ok_and(|n: u8| (1..=most).contains(&n));
    // What is left of a date written in full is no model: `x-2024-0806`.
    let is_year = |last: &str| last.len() == 4 && last.bytes().all(|b| b.is_ascii_digit());
    let is_model = !model.is_empty() && !is_year(model.rsplit('-').next().unwrap_or_default());
    (is_model && within(month, 12) && within(day, 31)).then_some(model)
}

/// `claude-x-latest`, and as Vertex has it `claude-x@default`
fn without_latest(name: &str) -> Option<&str> {
    let model = name.strip_suffix("-latest");
    model.or_else(|| name.strip_suffix("@default"))
}

#[cfg(test)]
#[path = "model_tests.rs"]
mod tests;
