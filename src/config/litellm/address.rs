//! Which address calls to a deployment go to, by all that LiteLLM looks at.
//!
//! Only where none of it says anything is it the provider's usual one: who has named a server of their own does not
//! want calls to go anywhere else.

use super::{fields::Fields, place::is_local, settings::Router};

/// What is said of an address.
#[derive(Clone, Default)]
pub(super) enum Address {
    /// Nothing.
    #[default]
    Usual,
    /// This one.
    Other(Found),
    /// Something that is not understood, which was told.
    NotUnderstood,
}

/// An address that is not the provider's usual one.
#[derive(Clone)]
pub(super) struct Found {
    pub(super) url: String,
    /// The field that says it, or would.
    field: &'static str,
    /// What says it in place of the field.
    elsewhere: Option<String>,
}

impl Address {
    pub(super) fn found(&self) -> Option<&Found> {
        match self {
            Address::Other(found) => Some(found),
            Address::Usual | Address::NotUnderstood => None,
        }
    }

    pub(super) fn is_usual(&self) -> bool {
        matches!(self, Address::Usual)
    }
}

impl Found {
    /// Says that nothing can be sent there. It is not shown: it may be a secret.
    pub(super) fn refused<T>(&self, params: &Fields<'_>) -> Option<T> {
        let subject = match &self.elsewhere {
            Some(name) => format!("is missing, and `{name}` "),
            None => String::new(),
        };
        let reason = format!(
            "{subject}is no address, or names a user; no route leads there: write it as https://example.com/v1"
        );
        params.wrong(self.field, params.at("model"), reason)
    }
}

/// Of a deployment to this provider, by LiteLLM's name for it.
pub(super) fn of(params: &mut Fields<'_>, named: Option<&str>, router: &Router) -> Address {
    let own = own(params);
    let Some(named) = named else {
        return own;
    };
    let settings = router.address.clone();
    let variable = variable(named, params);
    let in_turn = match named {
        local if is_local(local) => {
            if let (Some(found), false) = (own.found(), settings.is_usual()) {
                let reason = "is not in force: for Ollama, LiteLLM takes `litellm_settings.api_base` before it";
                params.wrong::<()>(found.field, params.at("model"), reason);
            }
            [settings, own, variable]
        }
        "openai"
        | "text-completion-openai"
        | "custom_openai"
        | "azure"
        | "anthropic"
        | "anthropic_text"
        | "gemini"
        | "cohere"
        | "cohere_chat"
        | "openrouter" => [own, settings, variable],
        "hosted_vllm" | "lm_studio" => [own, variable, settings],
        // LiteLLM does not ask its settings for the others: it has an address of theirs by then.
        _ => [own, variable, Address::Usual],
    };
    let said = in_turn.into_iter().find(|address| !address.is_usual());
    said.unwrap_or_default()
}

/// `litellm_settings.api_base`, for deployments that do not say themselves.
pub(super) fn for_all(fields: &mut Fields<'_>) -> Address {
    let at = fields.at("api_base");
    match taken(fields, "api_base") {
        Address::Other(found) => Address::Other(Found {
            elsewhere: Some(fields.path_of("api_base")),
            ..found
        }),
        Address::NotUnderstood => {
            let reason = "is not understood; no route leads to the deployments that it is for";
            fields.wrong::<()>("api_base", at, reason);
            Address::NotUnderstood
        }
        Address::Usual => Address::Usual,
    }
}

/// What the deployment says itself.
fn own(params: &mut Fields<'_>) -> Address {
    if params.has("base_url") {
        params.pass("api_base", "is not in force, as `base_url` goes before it");
        return taken(params, "base_url");
    }
    // One that is null says nothing.
    params.take("base_url");
    taken(params, "api_base")
}

fn taken(fields: &mut Fields<'_>, field: &'static str) -> Address {
    let is_said = fields.has(field);
    match fields.text(field) {
        Some(url) => Address::Other(Found {
            url,
            field,
            elsewhere: None,
        }),
        None if is_said => Address::NotUnderstood,
        None => Address::Usual,
    }
}

/// What the environment says for all deployments to a provider. As in LiteLLM, a variable that is empty says nothing.
fn variable(named: &str, params: &Fields<'_>) -> Address {
    let look = params.notes.environment();
    let found = variables(named).into_iter().find_map(|name| {
        let url = look(&name).filter(|url| !url.is_empty())?;
        Some(Address::Other(Found {
            url,
            field: "api_base",
            elsewhere: Some(name),
        }))
    });
    found.unwrap_or_default()
}

/// The variables that LiteLLM looks at, the first before the second.
fn variables(named: &str) -> Vec<String> {
    let known: &[&str] = match named {
        "openai" | "text-completion-openai" | "custom_openai" => {
            &["OPENAI_BASE_URL", "OPENAI_API_BASE"]
        }
        "anthropic" | "anthropic_text" => &["ANTHROPIC_API_BASE", "ANTHROPIC_BASE_URL"],
        // The second is not for chats in LiteLLM; but who has set it has a server of their own.
        "mistral" => &["MISTRAL_AZURE_API_BASE", "MISTRAL_API_BASE"],
        // Those are addresses of their own APIs, and ours is that of OpenAI's there.
        "gemini" | "cohere" | "cohere_chat" => &[],
        "fireworks_ai" => &["FIREWORKS_API_BASE"],
        "ollama_chat" => &["OLLAMA_API_BASE"],
        _ => return vec![format!("{}_API_BASE", named.to_uppercase())],
    };
    known.iter().map(|name| (*name).to_owned()).collect()
}
