//! The files of `tests/wire/`.

use std::{
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::Value;
use tower_quota::wire::{Dialect, Meter, ProviderError, Reading, classify};

pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) dialect: Dialect,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    pub(crate) expected: Value,
}

impl Sample {
    fn load(path: &Path) -> Sample {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let beside = |suffix: &str| path.with_file_name(format!("{name}{suffix}"));
        let mut headers: HeaderMap = fs::read_to_string(beside(".headers"))
            .unwrap_or_default()
            .lines()
            .map(|line| {
                let (name, value) = line.split_once(": ").unwrap();
                (
                    name.parse::<HeaderName>().unwrap(),
                    value.parse::<HeaderValue>().unwrap(),
                )
            })
            .collect();
        let content_type = match path.extension().unwrap().to_str().unwrap() {
            "json" => "application/json",
            "sse" => "text/event-stream",
            "ndjson" => "application/x-ndjson",
            "bin" => "application/vnd.amazon.eventstream",
            other => panic!("no content type for {other}"),
        };
        headers.insert("content-type", HeaderValue::from_static(content_type));
        let expected: Value =
            serde_json::from_slice(&fs::read(beside(".expect.json")).unwrap()).unwrap();
        if let Some(said) = expected["content_type"].as_str() {
            assert_eq!(said, content_type, "{name}");
        }
        Sample {
            dialect: dialect(&expected),
            headers,
            body: fs::read(path).unwrap(),
            expected,
            name,
        }
    }

    pub(crate) fn provider(&self) -> &str {
        self.expected["provider"].as_str().unwrap()
    }

    pub(crate) fn status(&self) -> StatusCode {
        let status = u16::try_from(self.expected["status"].as_u64().unwrap()).unwrap();
        StatusCode::from_u16(status).unwrap()
    }

    pub(crate) fn is_stream(&self) -> bool {
        !self.name.ends_with(".json")
    }

    pub(crate) fn error(&self, provider: &str) -> Option<ProviderError> {
        if self.status().is_success() {
            let error = self.read([&self.body[..]]).error;
            error.map(|error| ProviderError::in_stream(provider, &error))
        } else {
            let now = SystemTime::UNIX_EPOCH;
            classify(provider, self.status(), &self.headers, &self.body, now)
        }
    }

    pub(crate) fn meter(&self) -> Meter {
        Meter::new(self.dialect, self.status(), &self.headers)
    }

    pub(crate) fn read<'a>(&self, chunks: impl IntoIterator<Item = &'a [u8]>) -> Reading {
        let mut meter = self.meter();
        for chunk in chunks {
            meter.push(chunk);
        }
        meter.end();
        meter.reading()
    }

    /// The body, cut into its events: a plain look at the bytes.
    pub(crate) fn events(&self) -> Vec<&[u8]> {
        let mut events = Vec::new();
        let mut rest = &self.body[..];
        while !rest.is_empty() {
            let length = match self.name.rsplit('.').next().unwrap() {
                "sse" => after(rest, b"\n\n").or_else(|| after(rest, b"\r\n\r\n")),
                "ndjson" => after(rest, b"\n"),
                "bin" => Some(u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize),
                other => panic!("no events in {other}"),
            };
            let (event, others) = rest.split_at(length.unwrap_or(rest.len()));
            events.push(event);
            rest = others;
        }
        events
    }
}

fn after(bytes: &[u8], mark: &[u8]) -> Option<usize> {
    let at = bytes.windows(mark.len()).position(|part| part == mark);
    at.map(|at| at + mark.len())
}

/// By the path of the endpoint, as it is found for calls. Errors are often those of any endpoint.
fn dialect(expected: &Value) -> Dialect {
    let endpoint = expected["endpoint"].as_str().unwrap();
    let path = match (endpoint, expected["provider"].as_str().unwrap()) {
        ("*", "anthropic") => "/v1/messages",
        ("*", "gemini") => "/v1beta/models/{model}:generateContent",
        ("*", "bedrock") => "/model/{modelId}/converse",
        ("*", "cohere") => "/v2/chat",
        ("*", _) => "/v1/chat/completions",
        _ => endpoint.split([' ', '?']).nth(1).unwrap(),
    };
    let mut headers = HeaderMap::new();
    headers.insert("anthropic-version", HeaderValue::from_static("2023-06-01"));
    let dialect = Dialect::detect(path, &headers);
    assert_ne!(dialect, Dialect::Generic, "{path}");
    dialect
}

/// All of them. No file may be there that is not read.
pub(crate) fn samples() -> Vec<Sample> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wire");
    let files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    let with = |suffix: &str| -> Vec<String> {
        let names = files.iter().map(name);
        names
            .filter_map(|name| name.strip_suffix(suffix).map(str::to_owned))
            .collect()
    };
    let (sidecars, headers) = (with(".expect.json"), with(".headers"));
    let samples: Vec<Sample> = files
        .iter()
        .filter(|path| sidecars.contains(&name(path)))
        .map(|path| Sample::load(path))
        .collect();
    assert_eq!(samples.len(), sidecars.len(), "a sidecar without a body");
    assert!(headers.iter().all(|name| sidecars.contains(name)));
    let others = ["README.md", "header-values.tsv"];
    let read = 2 * samples.len() + headers.len() + others.len();
    assert_eq!(read, files.len(), "a file that nothing reads");
    assert!(samples.len() >= 61, "{}", samples.len());
    samples
}
