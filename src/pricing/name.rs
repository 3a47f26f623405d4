//! The many names of one model.

use std::borrow::Cow;

/// A price that was found, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Found<'t> {
    /// The price.
    pub price: &'t super::Price,
    /// The provider that the price is of.
    pub provider: &'t str,
    /// The name that the price is listed under.
    pub model: &'t str,
    /// The steps from the name that was asked for to that one, in words; none where it is the same.
    pub steps: Vec<&'static str>,
}

/// Providers by the names that users, SDKs and LiteLLM give them, and by ours.
const PROVIDERS: [(&str, &str); 12] = [
    ("azure_ai", "azure"),
    ("azure_openai", "azure"),
    ("bedrock_converse", "bedrock"),
    ("aws.bedrock", "bedrock"),
    ("cohere_chat", "cohere"),
    ("fireworks_ai", "fireworks"),
    ("gcp.gemini", "gemini"),
    ("google", "gemini"),
    ("together_ai", "together"),
    ("vertex_ai", "gemini"),
    ("mistral_ai", "mistral"),
    ("x_ai", "xai"),
];

/// Where Bedrock serves a model from, as its names begin.
const REGIONS: [&str; 7] = ["us.", "eu.", "apac.", "ap.", "jp.", "au.", "global."];

/// Our name of a provider.
pub(super) fn provider(name: &str) -> &str {
    // LiteLLM says whose models Vertex serves: `vertex_ai-anthropic_models`.
    let name = if name.starts_with("vertex_ai-") {
        "vertex_ai"
    } else {
        name
    };
    let known = PROVIDERS.iter().find(|(other, _)| *other == name);
    known.map_or(name, |(_, ours)| ours)
}

/// One step to a plainer name of the same model.
type Step = (&'static str, for<'n> fn(&'n str) -> Option<&'n str>);

/// The steps, each tried on what those before it left.
const STEPS: [Step; 6] = [
    ("the model of an ARN", of_arn),
    ("without the vendor in front", without_vendor),
    ("without the region", without_region),
    ("without the version behind", without_version),
    ("without the snapshot's date", without_date),
    ("the latest", without_latest),
];

/// The names to look a model up by, the most particular first, each with the steps that led to it.
pub(super) fn candidates(model: &str) -> Vec<(Cow<'_, str>, Vec<&'static str>)> {
    let mut found: Vec<(Cow<'_, str>, Vec<&'static str>)> = vec![(model.into(), Vec::new())];
    for (words, step) in STEPS {
        let further: Vec<_> = found
            .iter()
            .filter_map(|(name, steps)| {
                let plainer = step(name)?.to_owned();
                Some((Cow::Owned(plainer), [steps.as_slice(), &[words]].concat()))
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

/// `us.anthropic.claude-x`
fn without_region(name: &str) -> Option<&str> {
    REGIONS.iter().find_map(|region| name.strip_prefix(region))
}

/// `anthropic.claude-x-v1:0`
fn without_version(name: &str) -> Option<&str> {
    let (name, number) = name.rsplit_once(':')?;
    let (name, version) = name.rsplit_once("-v")?;
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    (is_number(number) && is_number(version)).then_some(name)
}

/// `gpt-4o-2024-08-06`, `claude-x-20250929`, `claude-x@20250929`
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
    let (model, date) = name.split_at(dated(name, 11)?);
    let separated = date.match_indices('-').map(|(at, _)| at).eq([0, 5, 8]);
    (separated && digits(&date.replace('-', "")) && !model.is_empty()).then_some(model)
}

/// `claude-x-latest`
fn without_latest(name: &str) -> Option<&str> {
    name.strip_suffix("-latest")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(model: &str) -> Vec<String> {
        let names = candidates(model).into_iter();
        names.map(|(name, _)| name.into_owned()).collect()
    }

    #[test]
    fn each_form_of_a_name_leads_to_the_plain_one() {
        for (form, plain) in [
            ("gpt-4o", "gpt-4o"),
            ("openai/gpt-4o", "gpt-4o"),
            ("gpt-4o-2024-08-06", "gpt-4o"),
            ("openai/gpt-4o-2024-08-06", "gpt-4o"),
            ("claude-sonnet-4-5-20250929", "claude-sonnet-4-5"),
            ("claude-sonnet-4-5@20250929", "claude-sonnet-4-5"),
            ("claude-sonnet-4-5-latest", "claude-sonnet-4-5"),
            ("models/gemini-2.5-pro", "gemini-2.5-pro"),
            ("us.anthropic.claude-x-20250514-v1:0", "anthropic.claude-x"),
            (
                "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-x",
                "anthropic.claude-x",
            ),
            (
                "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-pro-v1:0",
                "amazon.nova-pro-v1:0",
            ),
        ] {
            assert!(
                names(form).contains(&plain.to_owned()),
                "{form}: {:?}",
                names(form)
            );
        }
    }

    #[test]
    fn the_name_itself_comes_first_and_the_plainest_last() {
        let all = candidates("openai/gpt-4o-2024-08-06");
        assert_eq!(all[0], ("openai/gpt-4o-2024-08-06".into(), vec![]));
        let last = all.last().unwrap();
        assert_eq!(last.0, "gpt-4o");
        assert_eq!(
            last.1,
            ["without the vendor in front", "without the snapshot's date"]
        );
    }

    #[test]
    fn what_only_looks_like_a_date_or_a_version_stays() {
        for name in [
            "gpt-4o-mini",
            "command-r-08-2024",
            "o3",
            "x-12345678x",
            "20250929",
            "-20250929",
            "claude:free",
            "nova-v1:x",
            "ü-2024-08-06-ü",
            "2024-08-06",
        ] {
            assert_eq!(names(name), [name], "{name}");
        }
    }

    #[test]
    fn providers_have_one_name() {
        assert_eq!(provider("vertex_ai"), "gemini");
        assert_eq!(provider("vertex_ai-llama_models"), "gemini");
        assert_eq!(provider("openai"), "openai");
    }
}
