//! A report as people read it.

use std::fmt;

use super::{
    LevelUse, Report, Waits,
    columns::Columns,
    text::{number, share, span},
};
use crate::{simulate::plain::plain, tags::Tag};

/// So many values of a tag are printed; JSON has more.
const PRINTED: usize = 10;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.summary(f)?;
        self.waits(f)?;
        self.limits(f)?;
        self.budgets(f)?;
        self.no(f)
    }
}

impl Report {
    fn summary(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} calls in {}: {} answered, {} refused, {} failed; {} attempts",
            number(self.calls),
            span(self.makespan),
            number(self.answered),
            number(self.refused),
            number(self.failed),
            number(self.attempts),
        )?;
        write!(
            f,
            "{} input and {} output tokens, {}",
            number(self.input_tokens),
            number(self.output_tokens),
            self.cost
        )?;
        match self.unpriced {
            0 => writeln!(f)?,
            attempts => writeln!(f, " and {} attempts without a price", number(attempts))?,
        }
        if self.uncapped > 0 {
            let calls = number(self.uncapped);
            writeln!(
                f,
                "{calls} calls name no cap on output: what their models answer at most is reserved"
            )?;
        }
        match self.left_out {
            0 => Ok(()),
            attempts => writeln!(
                f,
                "{} attempts without a model are left out",
                number(attempts)
            ),
        }
    }

    fn waits(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Columns::titled([
            "", "calls", "refused", "waited", "mean", "p50", "p90", "p95", "p99", "longest", "cost",
        ]);
        let counts = [self.calls, self.refused, self.waits.calls].map(number);
        table.line(cells(
            "all".to_owned(),
            counts,
            &self.waits,
            self.cost.to_string(),
        ));
        // What hardly any call shares with another says nothing here.
        let told = self.by.iter().filter(|by| by.tag != Tag::Run);
        for by in told {
            let shown = by.values.iter().take(PRINTED);
            for level in shown {
                table.line(level_cells(&format!("{}={}", by.tag, level.value), level));
            }
            let hidden = by.values.len().saturating_sub(PRINTED);
            if hidden > 0 || by.others.is_some() {
                let more = match by.others {
                    Some(_) => "more".to_owned(),
                    None => format!("{hidden} more"),
                };
                let mut line = [const { String::new() }; 11];
                line[0] = format!("{}: {more}", by.tag);
                table.line(line);
            }
        }
        write!(f, "\n{table}")
    }

    fn limits(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Columns::titled([
            "limit", "fullest", "waits", "in all", "longest", "refused", "",
        ]);
        for limit in self.tightest_first() {
            let of = limit.fullest_of.as_ref().map(|of| format!("fullest: {of}"));
            let shadow = limit
                .would_have_refused
                .map(|claims| format!("would have refused {}", number(claims)));
            table.line([
                limit.limit.clone(),
                share(limit.fullest),
                number(limit.held),
                span(limit.held_for),
                span(limit.longest),
                number(limit.refused),
                of.into_iter().chain(shadow).collect::<Vec<_>>().join("; "),
            ]);
        }
        match table.is_empty() {
            true => Ok(()),
            false => write!(f, "\n{table}"),
        }
    }

    fn budgets(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Columns::titled(["budget", "amount", "spent", "left"]);
        for budget in self.budgets.iter().take(PRINTED) {
            table.line([
                budget.budget.clone(),
                budget.amount.to_string(),
                budget.spent.to_string(),
                budget.left.to_string(),
            ]);
        }
        match table.is_empty() {
            true => return Ok(()),
            false => write!(f, "\n{table}")?,
        }
        match self.budgets.len().saturating_sub(PRINTED) {
            0 => Ok(()),
            more => writeln!(f, "{more} more"),
        }
    }

    fn no(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for refused in &self.refusals {
            let (kind, calls) = (refused.kind, number(refused.calls));
            let message = plain(&refused.message);
            write!(f, "\nrefused {calls} calls ({kind}): {message}")?;
        }
        for (kind, attempts) in &self.errors {
            write!(f, "\n{} attempts ended with {kind}", number(*attempts))?;
        }
        match self.refusals.is_empty() && self.errors.is_empty() {
            true => Ok(()),
            false => writeln!(f),
        }
    }
}

fn level_cells(name: &str, level: &LevelUse) -> [String; 11] {
    let counts = [level.calls, level.refused, level.waits.calls].map(number);
    cells(
        name.to_owned(),
        counts,
        &level.waits,
        level.cost.to_string(),
    )
}

fn cells(name: String, counts: [String; 3], waits: &Waits, cost: String) -> [String; 11] {
    let [calls, refused, waited] = counts;
    let spans = [
        waits.mean,
        waits.p50,
        waits.p90,
        waits.p95,
        waits.p99,
        waits.longest,
    ];
    let [mean, p50, p90, p95, p99, longest] = spans.map(span);
    [
        name, calls, refused, waited, mean, p50, p90, p95, p99, longest, cost,
    ]
}
