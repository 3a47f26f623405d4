use super::*;

#[test]
fn a_tag_of_ones_own_is_doubted_only_where_its_name_is_nearly_another() {
    for tag in TAGS {
        assert!(!matches!(Tag::from(tag), Tag::Free(_)), "{tag}");
        assert_eq!(meant_tag(tag), None, "{tag}");
    }
    for (tag, meant) in [
        ("Agent", "agent"),
        ("agents", "agent"),
        ("Models", "model"),
        ("agnet", "agent"),
        ("API-Key", "api_key"),
        ("apikey", "api_key"),
        ("runs", "run"),
        ("porvider", "provider"),
    ] {
        assert_eq!(meant_tag(tag), Some(meant), "{tag}");
    }
    for tag in [
        "tenant", "project", "session", "ip", "key", "mode", "sun", "over", "client", "env",
    ] {
        assert_eq!(meant_tag(tag), None, "{tag}");
    }
}

#[test]
fn a_provider_is_doubted_only_where_its_name_is_nearly_a_known_one() {
    for (name, meant) in [
        ("OpenAI", "openai"),
        ("opanai", "openai"),
        ("open-ai", "openai"),
        ("Google", "google"),
        ("antropic", "anthropic"),
        ("azure-openai", "azure_openai"),
        ("aws-bedrock", "aws.bedrock"),
        ("vLLM", "vllm"),
        ("grok", "xai"),
        ("X_AI", "x_ai"),
    ] {
        assert_eq!(meant_provider(name), Some(meant), "{name}");
    }
    let own = [
        "east",
        "search",
        "openai-eu",
        "azure2",
        "cerebras",
        "m",
        "vertex_ai-llama_models",
    ];
    let known = known::all().chain(provider_names()).chain(PROVIDERS);
    for name in known.chain(own) {
        assert_eq!(meant_provider(name), None, "{name}");
    }
}
