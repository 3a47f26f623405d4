//! The names of tags.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Serialize};

/// The name of a tag.
///
/// The first three say where an attempt goes (the *provider's* tags), the others who made the call (the *caller's*
/// tags). The difference matters to a limit: see [`Count`](crate::limit::Count).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
#[non_exhaustive]
pub enum Tag {
    /// The company or server that answers: `openai`, `anthropic`.
    Provider,
    /// The model's name, as the provider writes it.
    Model,
    /// The API key that is used: its label, never the secret.
    ApiKey,
    /// The agent that makes the call.
    Agent,
    /// The person for whom the agent works.
    User,
    /// The team that pays.
    Team,
    /// One run of an agent, from its start to its end.
    Run,
    /// Any other name, made by `Tag::from("tenant")`.
    Free(FreeTag),
}

/// A name that is not one of the others. Only `Tag::from` makes it, so that each name is one tag.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FreeTag(pub(super) Arc<str>);

impl Tag {
    pub(super) const KNOWN: usize = 7;

    /// Returns the tag's name, as written in configuration and messages.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Tag::Provider => "provider",
            Tag::Model => "model",
            Tag::ApiKey => "api_key",
            Tag::Agent => "agent",
            Tag::User => "user",
            Tag::Team => "team",
            Tag::Run => "run",
            Tag::Free(name) => &name.0,
        }
    }

    /// Returns whether this tag says who calls (true) or where the attempt goes (false).
    #[must_use]
    pub fn is_callers(&self) -> bool {
        !matches!(self, Tag::Provider | Tag::Model | Tag::ApiKey)
    }

    pub(super) fn place(&self) -> Option<usize> {
        Some(match self {
            Tag::Provider => 0,
            Tag::Model => 1,
            Tag::ApiKey => 2,
            Tag::Agent => 3,
            Tag::User => 4,
            Tag::Team => 5,
            Tag::Run => 6,
            Tag::Free(_) => return None,
        })
    }

    pub(super) fn known(place: usize) -> Tag {
        match place {
            0 => Tag::Provider,
            1 => Tag::Model,
            2 => Tag::ApiKey,
            3 => Tag::Agent,
            4 => Tag::User,
            5 => Tag::Team,
            _ => Tag::Run,
        }
    }
}

impl From<&str> for Tag {
    fn from(name: &str) -> Self {
        match name {
            "provider" => Tag::Provider,
            "model" => Tag::Model,
            "api_key" => Tag::ApiKey,
            "agent" => Tag::Agent,
            "user" => Tag::User,
            "team" => Tag::Team,
            "run" => Tag::Run,
            other => Tag::Free(FreeTag(other.into())),
        }
    }
}

impl From<String> for Tag {
    fn from(name: String) -> Self {
        Tag::from(name.as_str())
    }
}

impl From<Tag> for String {
    fn from(tag: Tag) -> Self {
        tag.name().to_owned()
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_name_leads_back_to_its_tag() {
        for place in 0..Tag::KNOWN {
            let tag = Tag::known(place);
            assert_eq!(Tag::from(tag.name()), tag);
            assert_eq!(tag.place(), Some(place));
        }
        assert_eq!(Tag::from("tenant"), Tag::Free(FreeTag("tenant".into())));
    }

    #[test]
    fn only_provider_model_and_key_are_the_providers_side() {
        let callers: Vec<bool> = (0..Tag::KNOWN)
            .map(|p| Tag::known(p).is_callers())
            .collect();
        assert_eq!(callers, [false, false, false, true, true, true, true]);
        assert!(Tag::from("tenant").is_callers());
    }
}
