//! A status as text for people.

use serde_json::Value;

use super::{
    super::admin::table::{aligned, plain},
    bar::{bar, colour},
};

/// So many limits and budgets are shown where not all are wanted.
const FEW: usize = 12;
/// So many refusals.
const REFUSALS: usize = 5;

/// How it is shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    pub(super) all: bool,
    pub(super) colour: bool,
}

/// The whole, with a line break at its end.
pub(super) fn status(status: &Value, look: Look) -> String {
    let count = |name: &str| status[name].as_u64().unwrap_or_default();
    let mut text = format!(
        "{} in flight, {} waiting, {} to be repeated\n",
        count("sent"),
        count("waiting"),
        count("backing_off")
    );
    let limits = list(&status["limits"]);
    let limits = limits.iter().filter(|limit| limit["quantity"] != "cost");
    let limits = limits.map(Line::of_limit).collect();
    section(&mut text, "limits", lines(limits, look));
    let budgets = list(&status["budgets"]);
    let budgets = budgets.iter().map(Line::of_budget).collect();
    section(&mut text, "budgets", lines(budgets, look));
    let queues = list(&status["queues"]);
    let queues = queues.iter().map(|queue| {
        let next = queue["next_in"].as_f64();
        let next = next.map_or("when a call ends".to_owned(), |next| {
            format!("next in {next:.1} s")
        });
        let longest = queue["longest"].as_f64().unwrap_or_default();
        let waiting = format!("{} waiting", queue["waiting"]);
        vec![
            waiting,
            format!("longest {longest:.1} s"),
            next,
            said(&queue["limit"]),
        ]
    });
    section(
        &mut text,
        "queues",
        aligned(&queues.collect::<Vec<_>>()).collect(),
    );
    section(
        &mut text,
        "providers",
        list(&status["targets"]).iter().filter_map(target).collect(),
    );
    section(
        &mut text,
        "paused",
        list(&status["pauses"]).iter().map(said).collect(),
    );
    let refusals = list(&status["refusals"]).iter().rev().take(REFUSALS);
    let refusals = refusals.map(|refusal| {
        format!(
            "{}  call {}  {}: {}",
            said(&refusal["at"]),
            refusal["call"],
            said(&refusal["kind"]),
            said(&refusal["message"])
        )
    });
    section(&mut text, "refused lately", refusals.collect());
    text
}

fn list(of: &Value) -> &[Value] {
    of.as_array().map_or(&[], Vec::as_slice)
}

/// Text of somebody else's, without what a terminal would take for orders.
fn said(of: &Value) -> String {
    plain(of.as_str().unwrap_or_default())
}

fn number(of: &Value) -> f64 {
    of.as_str()
        .and_then(|text| text.parse().ok())
        .or(of.as_f64())
        .unwrap_or_default()
}

fn section(text: &mut String, title: &str, lines: Vec<String>) {
    if lines.is_empty() {
        return;
    }
    text.push_str(&format!("\n{title}\n"));
    for line in lines {
        text.push_str(&format!("  {line}\n"));
    }
}

/// A bar with its numbers.
struct Line {
    name: String,
    share: f64,
    held: f64,
    figures: String,
    note: String,
}

impl Line {
    fn of_limit(limit: &Value) -> Self {
        let of = list(&limit["of"]).iter();
        let of = of.map(|pair| format!("{}={}", said(&pair[0]), said(&pair[1])));
        let of: Vec<String> = of.collect();
        let amount = number(&limit["amount"]);
        Line {
            name: [vec![said(&limit["limit"])], of].concat().join(" "),
            share: limit["share"].as_f64().unwrap_or_default(),
            held: if amount > 0.0 {
                number(&limit["reserved"]) / amount
            } else {
                0.0
            },
            figures: format!("{} of {}", said(&limit["in_use"]), said(&limit["amount"])),
            note: if limit["shadow"] == true {
                "only watches".to_owned()
            } else {
                String::new()
            },
        }
    }

    fn of_budget(budget: &Value) -> Self {
        let [amount, settled, reserved] =
            ["amount", "settled", "reserved"].map(|name| number(&budget[name]));
        let part = |of: f64| if amount > 0.0 { of / amount } else { 1.0 };
        let ends = &budget["ends"];
        let note = match (
            budget["stopped"] == true,
            ends["at"].as_str(),
            ends["turns"].as_str(),
        ) {
            (true, ..) => "stopped until it is reset".to_owned(),
            (_, Some(at), _) => format!("at this pace it ends {at}"),
            (_, _, Some(at)) => format!("lasts until {at}"),
            _ => String::new(),
        };
        Line {
            name: said(&budget["budget"]),
            share: part(settled + reserved),
            held: part(reserved),
            figures: format!("${settled:.2} + ${reserved:.2} of ${amount:.2}"),
            note,
        }
    }
}

/// The fullest first.
fn lines(mut lines: Vec<Line>, look: Look) -> Vec<String> {
    lines.sort_by(|one, other| other.share.total_cmp(&one.share));
    let more = if look.all {
        0
    } else {
        lines.len().saturating_sub(FEW)
    };
    lines.truncate(lines.len() - more);
    let cells: Vec<Vec<String>> = lines
        .iter()
        .map(|line| {
            let percent = format!("{:>4.0} %", line.share * 100.0);
            vec![
                percent,
                line.figures.clone(),
                line.name.clone(),
                line.note.clone(),
            ]
        })
        .collect();
    let texts = aligned(&cells).zip(&lines).map(|(text, line)| {
        let bar = bar(line.share, line.held);
        match look.colour {
            true => format!("{}{bar}\x1b[0m {text}", colour(line.share)),
            false => format!("{bar} {text}"),
        }
    });
    let mut texts: Vec<String> = texts.collect();
    if more > 0 {
        texts.push(format!("and {more} more: --all"));
    }
    texts
}

fn target(target: &Value) -> Option<String> {
    let name = ["provider", "model", "api_key"].map(|part| said(&target[part]));
    let name: Vec<String> = name.into_iter().filter(|part| !part.is_empty()).collect();
    let name = if name.is_empty() {
        "any target".to_owned()
    } else {
        name.join("/")
    };
    let span = |of: &str| target[of].as_f64();
    match (span("parked"), target["is_open"] == true, span("cooling")) {
        (Some(left), ..) => Some(format!(
            "{name} is parked for {left:.0} s: out of money or quota, or its key is refused"
        )),
        (_, true, _) => Some(format!("{name} fails, and is passed over")),
        (_, _, Some(left)) => Some(format!("{name} told us to wait, {left:.1} s more")),
        _ => None,
    }
}
