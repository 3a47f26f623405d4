//! Whoever calls invents names. The number of series is bounded, and no name breaks the text.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower::{Layer as _, Service as _, ServiceExt as _, service_fn};
use tower_quota::{AdmissionLayer, Tag, Tags, limit::Limit, metrics::Metrics};

use super::{
    Text, read,
    support::{HOUR, Upstream, limiter},
};

/// Values, of five labels a call.
const VALUES: usize = 100_000;
const CALLS: usize = VALUES / 5;

/// One of many names that nobody should have.
fn hostile(number: usize) -> String {
    match number % 9 {
        0 => format!("\"}} 1\ntower_quota_cost_usd_total{{a=\"{number}"),
        1 => format!("{number}\n# HELP x y\n# TYPE x counter"),
        2 => format!("ü\u{202e}\u{0}\u{1b}[31m{number}"),
        3 => "x".repeat(600) + &number.to_string(),
        4 => format!("\\\"\\n\\{number}"),
        5 => format!("{{le=\"+Inf\"}} {number}"),
        6 => "\u{1F980}".repeat(number % 90) + &number.to_string(),
        7 => String::new(),
        _ => number.to_string(),
    }
}

/// A line of the format, read to its end: the name, the labels, the value.
fn parse(line: &str) -> Option<(String, Vec<(String, String)>)> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let end = line.find(|c| !is_name(c))?;
    let (name, mut rest) = line.split_at(end);
    let mut labels = Vec::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            let (label, after) = rest.split_once("=\"")?;
            if label.is_empty() || !label.chars().all(is_name) {
                return None;
            }
            let (mut value, mut chars) = (String::new(), after.char_indices());
            let end = loop {
                match chars.next()? {
                    (at, '"') => break at,
                    (_, '\\') => value.push(match chars.next()?.1 {
                        'n' => '\n',
                        '"' => '"',
                        '\\' => '\\',
                        _ => return None,
                    }),
                    (_, c) => value.push(c),
                }
            };
            labels.push((label.to_owned(), value));
            rest = &after[end + 1..];
            match rest.strip_prefix(',') {
                Some(after) => rest = after,
                None => break,
            }
        }
        rest = rest.strip_prefix('}')?;
    }
    rest.strip_prefix(' ')?.parse::<f64>().ok()?;
    Some((name.to_owned(), labels))
}

#[tokio::test(start_paused = true)]
async fn a_hundred_thousand_hostile_names_make_a_bounded_number_of_series_and_a_text_that_can_be_read()
 {
    let limiter = limiter([Limit::requests(1_000_000).every(HOUR).per(Tag::Agent)]);
    let metrics = Metrics::builder()
        .tags([Tag::Agent, Tag::User, Tag::Team, Tag::from("tenant")])
        .max_values(20)
        .max_series(300)
        .build();
    metrics.watch(&limiter);
    let mut service = AdmissionLayer::new(limiter)
        .observe(metrics.clone())
        .layer(service_fn(|request: Request<Full<Bytes>>| async move {
            let model = request.extensions().get::<Model>().unwrap().0.clone();
            let model = serde_json::to_string(&model).unwrap();
            let body = format!(
                r#"{{"model":{model},"choices":[],"usage":{{"prompt_tokens":1,"completion_tokens":1}}}}"#
            );
            let response = Response::builder().header("content-type", "application/json");
            Ok::<_, Infallible>(response.body(Full::<Bytes>::from(body)).unwrap())
        }));
    for number in 0..CALLS {
        let [name, agent, user, team, tenant] = [0, 1, 2, 3, 4].map(|of| hostile(5 * number + of));
        let body = serde_json::json!({"model": name, "max_tokens": 1, "messages": []});
        let tags = Tags::new()
            .with(Tag::Agent, agent)
            .with(Tag::User, user)
            .with(Tag::Team, team)
            .with(Tag::Run, name.as_str())
            .with(Tag::from("tenant"), tenant);
        let request = Request::post("http://upstream/v1/chat/completions")
            .extension(tags)
            .extension(Model(name))
            .body(Full::from(body.to_string()))
            .unwrap();
        let response = service.call(request).await.unwrap();
        read(response.into_body()).await.unwrap();
    }
    let text = metrics.render().await;
    let mut series = std::collections::HashMap::<String, usize>::new();
    let mut values = std::collections::HashMap::<String, std::collections::HashSet<String>>::new();
    let mut seen = std::collections::HashSet::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, labels) =
            parse(line).unwrap_or_else(|| panic!("no line of the format: {line:?}"));
        if !labels.iter().any(|(label, _)| label == "le") {
            *series.entry(name.clone()).or_default() += 1;
        }
        let said = labels.iter().filter(|(_, value)| !value.is_empty());
        let mut said: Vec<(String, String)> = said.cloned().collect();
        said.sort();
        assert!(seen.insert((name, said)), "a series is there twice: {line}");
        for (label, value) in labels {
            assert!(value.len() <= 256, "{label} of {} bytes", value.len());
            values.entry(label).or_default().insert(value);
        }
    }
    for label in [
        "tower_quota_agent",
        "tower_quota_user",
        "tower_quota_team",
        "tower_quota_tenant",
        "gen_ai_request_model",
        "gen_ai_response_model",
    ] {
        // So many, and `other`.
        assert_eq!(values[label].len(), 21, "{label}");
    }
    assert!(!values.contains_key("tower_quota_run"));
    for (name, number) in &series {
        assert!(*number <= 301, "{name} has {number} series");
    }
    let comments = text.lines().filter(|line| line.starts_with('#'));
    for line in comments {
        assert!(
            line.starts_with("# HELP ") || line.starts_with("# TYPE "),
            "{line}"
        );
        assert!(!line.contains("# HELP x"), "{line}");
    }
    // Nothing is lost: what has no series of its own is counted all the same.
    let said = Text::of(&text);
    assert_eq!(said.sum("tower_quota_calls_total", &[]), CALLS as f64);
    assert_eq!(
        said.sum("tower_quota_tokens_total", &[]),
        2.0 * CALLS as f64
    );
}

#[derive(Clone)]
struct Model(String);

/// What is refused costs nothing, so names without end can be invented for it.
#[tokio::test(start_paused = true)]
async fn names_that_only_refused_calls_have_take_no_room_from_others() {
    let metrics = Metrics::builder().tags([Tag::Agent]).max_values(3).build();
    let service = AdmissionLayer::new(limiter([Limit::tokens(1_000).every(HOUR)]))
        .observe(metrics.clone())
        .layer(Upstream::new());
    let ask = async |model: &str, agent: &str, most: u64| {
        let body = serde_json::json!({"model": model, "max_tokens": most, "messages": []});
        let request = Request::post("http://upstream/v1/chat/completions")
            .extension(Tags::new().with(Tag::Agent, agent))
            .body(Full::<Bytes>::from(body.to_string()))
            .unwrap();
        let response = service.clone().oneshot(request).await.unwrap();
        response.status().as_u16()
    };
    for number in 0..10 {
        let (model, agent) = (format!("invented-{number}"), format!("nobody-{number}"));
        assert_eq!(ask(&model, &agent, 5_000).await, 413);
    }
    // Nor has this one left before.
    assert_eq!(ask("m", "scout", 5_000).await, 413);
    for _ in 0..2 {
        assert_eq!(ask("m", "scout", 1).await, 200);
    }
    // It is known by now, whatever was said of it earlier.
    assert_eq!(ask("m", "scout", 5_000).await, 413);
    let text = metrics.render().await;
    // The first of them had room, of which the others leave half.
    assert!(text.contains("invented-0") && text.contains("nobody-0"));
    assert!(!text.contains("invented-1") && !text.contains("nobody-1"));
    let said = Text::of(&text);
    let unknown = [
        ("gen_ai_request_model", "other"),
        ("tower_quota_agent", "other"),
    ];
    let known = [
        ("gen_ai_request_model", "m"),
        ("tower_quota_agent", "scout"),
    ];
    for (name, of_unknown, of_known) in [
        ("tower_quota_refusals_total", 10.0, 1.0),
        ("tower_quota_calls_total", 10.0, 3.0),
        ("tower_quota_attempts_total", 0.0, 2.0),
    ] {
        let sums = (said.sum(name, &unknown), said.sum(name, &known));
        assert_eq!(sums, (of_unknown, of_known), "{name}");
    }
}
