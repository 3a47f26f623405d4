//! Where a request goes, by its method, its path and its headers.

use http::request::Parts;
use http::{HeaderMap, HeaderName, Method, header};
use percent_encoding::percent_decode_str;

use super::dialect::{Dialect, Provider};

const GOOGLE_KEY: HeaderName = HeaderName::from_static("x-goog-api-key");

/// What is done with a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// It is held against the limits, answered and billed.
    Answer(Place),
    /// Its tokens are counted, which costs nothing.
    Count(Place),
    Models(Provider),
    Nowhere(Provider),
}

/// What the URL says of a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) dialect: Dialect,
    /// The model, where the URL has it.
    pub(crate) model: String,
    /// Whether it asks for a stream; elsewhere the body says so.
    pub(crate) stream: bool,
    /// Whether that stream is a JSON list and not one of events.
    pub(crate) list: bool,
}

impl Place {
    pub(crate) fn of(dialect: Dialect) -> Self {
        Self {
            dialect,
            model: String::new(),
            stream: false,
            list: false,
        }
    }
}

pub(crate) fn route(parts: &Parts) -> Route {
    let path = parts.uri.path();
    let provider = provider(path, &parts.headers);
    let nowhere = Route::Nowhere(provider);
    match (&parts.method, path, provider) {
        (&Method::POST, "/v1/chat/completions", _) => Route::Answer(Place::of(Dialect::OpenAi)),
        (&Method::POST, "/v1/responses", _) => Route::Answer(Place::of(Dialect::OpenAiResponses)),
        (&Method::POST, "/v1/embeddings", _) => Route::Answer(Place::of(Dialect::OpenAiEmbeddings)),
        (&Method::POST, "/v1/messages", _) => Route::Answer(Place::of(Dialect::Anthropic)),
        (&Method::POST, "/v1/messages/count_tokens", _) => {
            Route::Count(Place::of(Dialect::Anthropic))
        }
        (&Method::POST, _, Provider::Gemini) => {
            let list = query(parts, "alt") != Some("sse");
            gemini(path, list).unwrap_or(nowhere)
        }
        (&Method::GET, "/v1/models", _) | (&Method::GET, "/v1beta/models", Provider::Gemini) => {
            Route::Models(provider)
        }
        _ => nowhere,
    }
}

/// `/v1beta/models/{model}:{method}`, or with `/v1`.
fn gemini(path: &str, list: bool) -> Option<Route> {
    let below = ["/v1beta/models/", "/v1/models/"];
    let rest = below.iter().find_map(|below| path.strip_prefix(below))?;
    let (model, method) = rest.rsplit_once(':')?;
    let model = percent_decode_str(model).decode_utf8_lossy().into_owned();
    let place = |dialect, stream| Place {
        dialect,
        model,
        stream,
        list,
    };
    Some(match method {
        "generateContent" => Route::Answer(place(Dialect::Gemini, false)),
        "streamGenerateContent" => Route::Answer(place(Dialect::Gemini, true)),
        "embedContent" | "batchEmbedContents" => {
            Route::Answer(place(Dialect::GeminiEmbeddings, false))
        }
        "countTokens" => Route::Count(place(Dialect::Gemini, false)),
        _ => return None,
    })
}

fn provider(path: &str, headers: &HeaderMap) -> Provider {
    if path.starts_with("/v1beta/") || headers.contains_key(GOOGLE_KEY) {
        Provider::Gemini
    } else if path.starts_with("/v1/messages")
        || headers.contains_key("anthropic-version")
        || headers.contains_key("x-api-key")
    {
        Provider::Anthropic
    } else {
        Provider::OpenAi
    }
}

/// The API key as sent, or nothing.
pub(crate) fn api_key(parts: &Parts) -> &str {
    let text = |name| {
        parts
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    text(HeaderName::from_static("x-api-key"))
        .or_else(|| text(GOOGLE_KEY))
        .or_else(|| text(header::AUTHORIZATION)?.strip_prefix("Bearer "))
        .or_else(|| query(parts, "key"))
        .unwrap_or("")
}

/// A value of the query, as it stands there.
fn query<'a>(parts: &'a Parts, name: &str) -> Option<&'a str> {
    let pairs = parts.uri.query()?.split('&');
    let mut pairs = pairs.filter_map(|pair| pair.split_once('='));
    pairs.find_map(|(key, value)| (key == name).then_some(value))
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn parts(method: Method, uri: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn post(uri: &str) -> Route {
        route(&parts(Method::POST, uri, &[]))
    }

    #[test]
    fn reads_the_model_and_the_form_of_the_stream_from_a_gemini_url() {
        let place = |stream, list| Place {
            dialect: Dialect::Gemini,
            model: "a/b".to_owned(),
            stream,
            list,
        };
        let events = post("/v1beta/models/a%2Fb:streamGenerateContent?x=1&alt=sse");
        assert_eq!(events, Route::Answer(place(true, false)));
        let list = post("/v1beta/models/a%2Fb:streamGenerateContent");
        assert_eq!(list, Route::Answer(place(true, true)));
        let count = post("/v1beta/models/a%2Fb:countTokens?alt=sse");
        assert_eq!(count, Route::Count(place(false, false)));
    }

    #[test]
    fn knows_gemini_by_its_key_where_the_path_does_not_say() {
        let key = [("x-goog-api-key", "k")];
        let uri = "/v1/models/m:generateContent";
        let Route::Answer(place) = route(&parts(Method::POST, uri, &key)) else {
            panic!("not found");
        };
        assert_eq!((place.dialect, &*place.model), (Dialect::Gemini, "m"));
        assert_eq!(post(uri), Route::Nowhere(Provider::OpenAi));
    }

    #[test]
    fn lists_models_for_whoever_asks() {
        let get = |uri, headers: &[_]| route(&parts(Method::GET, uri, headers));
        assert_eq!(get("/v1/models", &[]), Route::Models(Provider::OpenAi));
        let version = [("anthropic-version", "2023-06-01")];
        assert_eq!(
            get("/v1/models", &version),
            Route::Models(Provider::Anthropic)
        );
        assert_eq!(
            get("/v1beta/models?pageSize=50", &[]),
            Route::Models(Provider::Gemini)
        );
        let key = [("x-goog-api-key", "k")];
        assert_eq!(get("/v1/models", &key), Route::Models(Provider::Gemini));
    }

    #[test]
    fn knows_no_other_path() {
        for (path, provider) in [
            ("/v1/nothing", Provider::OpenAi),
            ("/v1/messages/batches", Provider::Anthropic),
            ("/v1beta/models/m:meditate", Provider::Gemini),
            ("/v1beta/models/m", Provider::Gemini),
        ] {
            assert_eq!(post(path), Route::Nowhere(provider), "{path}");
        }
    }

    #[test]
    fn finds_the_key_where_each_provider_has_it() {
        let key = |uri, headers: &[_]| api_key(&parts(Method::GET, uri, headers)).to_owned();
        assert_eq!(key("/", &[("authorization", "Bearer a")]), "a");
        assert_eq!(key("/", &[("x-api-key", "b")]), "b");
        assert_eq!(key("/", &[("x-goog-api-key", "c")]), "c");
        assert_eq!(key("/?alt=sse&key=d", &[]), "d");
        assert_eq!(key("/", &[("authorization", "Basic e")]), "");
    }
}
