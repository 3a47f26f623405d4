//! What a command asks of a gateway.

use http::Method;
use jiff::{SignedDuration, Timestamp};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};
use tower_quota::config::Span;

use super::super::failure::Failure;
use super::args::{
    BudgetWhat, CircuitWhat, CreateArgs, KeyWhat, LimitWhat, PauseWhat, SpendWhat, TargetWhat, What,
};

type Asked = (Method, String, Option<Value>);

/// The method, the path and the body.
pub(super) fn of(what: &What, why: Option<&str>) -> Result<Asked, Failure> {
    let get = |path: &str| (Method::GET, path.to_owned(), None);
    let post = |path: &str, mut body: Value| {
        if let Some(why) = why {
            body["why"] = why.into();
        }
        (Method::POST, path.to_owned(), Some(body))
    };
    Ok(match what {
        What::Key { what } => match what {
            KeyWhat::Create(args) => post("/quota/keys", key(args)?),
            KeyWhat::List => get("/quota/keys"),
            KeyWhat::Disable { name } => post(&of_key(name, "/disable")?, json!({})),
            KeyWhat::Enable { name } => post(&of_key(name, "/enable")?, json!({})),
            KeyWhat::Delete { name } => {
                let (_, path, body) = post(&of_key(name, "")?, json!({}));
                (Method::DELETE, path, body)
            }
        },
        What::Budget {
            what: BudgetWhat::List,
        } => get("/quota/budgets"),
        What::Limit { what } => match what {
            LimitWhat::List => get("/quota/limits"),
            LimitWhat::Set { limit, amount, of } => {
                let body = json!({ "limit": limit, "amount": amount, "of": of });
                post("/quota/limits/amount", body)
            }
        },
        What::Pause { what } => match what {
            PauseWhat::List => get("/quota/pauses"),
            PauseWhat::Begin { tags } => post("/quota/pauses", json!({ "tags": object(tags)? })),
            PauseWhat::End { tags } => post("/quota/pauses/end", json!({ "tags": object(tags)? })),
        },
        What::Target {
            what:
                TargetWhat::Unpark {
                    provider,
                    model,
                    api_key,
                },
        } => {
            let body = json!({ "provider": provider, "model": model, "api_key": api_key });
            post("/quota/targets/unpark", body)
        }
        What::Spend {
            what: SpendWhat::Correct { tags, more, less },
        } => {
            let correction = match (more, less) {
                (Some(more), _) => json!({ "more": more }),
                (None, less) => json!({ "less": less }),
            };
            let body = json!({ "tags": object(tags)?, "correction": correction });
            post("/quota/spend/correct", body)
        }
        What::Circuit {
            what: CircuitWhat::Reset { tags },
        } => post("/quota/circuits/reset", json!({ "tags": object(tags)? })),
        What::Calls => get("/quota/calls"),
        What::Call { id } => get(&format!("/quota/calls/{id}")),
        What::Refusals { tags } => get(&refusals(tags)),
        What::Cancel { id } => post(&format!("/quota/calls/{id}/cancel"), json!({})),
        What::Audit => get("/quota/audit"),
    })
}

/// A key that is to be made, as the gateway wants it.
pub(super) fn key(args: &CreateArgs) -> Result<Value, Failure> {
    let mut key = json!({
        "name": args.name,
        "role": args.role,
        "tags": object(&args.tags)?,
        "max_priority": args.max_priority,
    });
    if !args.may.is_empty() {
        let mut may = Map::new();
        for (tag, value) in args.may.iter().filter(|(tag, _)| tag != "nothing") {
            let values = may.entry(tag.clone()).or_insert_with(|| json!([]));
            if let Value::Array(values) = values {
                values.push(value.as_str().into());
            }
        }
        key["may"] = may.into();
    }
    if let Some(when) = &args.expires {
        key["expires"] = later(when)?.to_string().into();
    }
    Ok(key)
}

/// An instant that is still to come.
fn later(text: &str) -> Result<Timestamp, Failure> {
    let instant = instant(text)?;
    match instant > Timestamp::now() {
        true => Ok(instant),
        false => Err(Failure::Argument(format!(
            "--expires: `{text}` is over already; name an instant to come, or a time from now, 90d"
        ))),
    }
}

fn instant(text: &str) -> Result<Timestamp, Failure> {
    if let Ok(instant) = text.parse() {
        return Ok(instant);
    }
    let span = text.parse::<Span>().ok();
    let span = span.and_then(|span| SignedDuration::try_from(std::time::Duration::from(span)).ok());
    span.and_then(|span| Timestamp::now().checked_add(span).ok())
        .ok_or_else(|| {
            let reason = format!(
                "--expires: `{text}` is neither an instant, 2027-01-01T00:00:00Z, nor a time from now, 90d"
            );
            Failure::Argument(reason)
        })
}

/// Each tag has one value.
fn object(pairs: &[(String, String)]) -> Result<Value, Failure> {
    let mut object = Map::new();
    for (tag, value) in pairs {
        if object.insert(tag.clone(), value.as_str().into()).is_some() {
            return Err(Failure::Argument(format!(
                "the tag `{tag}` is there more than once; name one value of it"
            )));
        }
    }
    Ok(object.into())
}

fn refusals(of: &[(String, String)]) -> String {
    let pairs = of.iter().enumerate().map(|(at, (tag, value))| {
        let value = format!("{tag}={value}");
        let value = utf8_percent_encode(&value, NON_ALPHANUMERIC);
        format!("{}tag={value}", if at == 0 { '?' } else { '&' })
    });
    format!("/quota/refusals{}", pairs.collect::<String>())
}

fn of_key(name: &str, end: &str) -> Result<String, Failure> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    match !name.is_empty() && name.chars().all(is_plain) {
        true => Ok(format!("/quota/keys/{name}{end}")),
        false => Err(Failure::Argument(format!("`{name}` is no name of a key"))),
    }
}
