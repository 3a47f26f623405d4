//! A limit in words: `tokens 90000/min for model=gpt-4o per agent`.

use std::{fmt, time::Duration};

use super::{Charge, ChargedAt, Count, Limit, Period, TokenCharge};

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.paused {
            let whose = Some(self.whose()).filter(|whose| !whose.is_empty());
            return write!(f, "{} is paused", whose.as_deref().unwrap_or("everything"));
        }
        let amount = |amount| self.quantity.amount(amount);
        write!(f, "{} {}", self.quantity, amount(self.usable(self.amount)))?;
        match self.period {
            Some(Period::Total) => f.write_str(" in total")?,
            Some(period) => write!(f, "/{period}")?,
            None => {}
        }
        if let Some(zone) = &self.zone {
            write!(f, " in {zone}")?;
        }
        let whole = self
            .whole
            .map(|whole| (self.usable_of_whole(self.amount), Period::Sliding(whole)));
        match (whole, self.headroom) {
            (Some((used, whole)), None) => write!(f, " (a slice of {used}/{whole})")?,
            (Some((used, whole)), Some(share)) => {
                write!(
                    f,
                    " (a slice of {used}/{whole}, {share} of {})",
                    self.amount
                )?;
            }
            (None, _) if self.part.is_some() => {
                write!(f, " (a share of {}", self.usable_of_whole(self.amount))?;
                let period = self.period.iter();
                period
                    .into_iter()
                    .try_for_each(|period| write!(f, "/{period}"))?;
                f.write_str(")")?;
            }
            (None, Some(share)) => write!(f, " ({share} of {})", amount(self.amount))?,
            (None, None) => {}
        }
        for (i, (tag, values)) in self.when.iter().enumerate() {
            let values = values.join("|");
            write!(f, "{}{tag}={values}", if i > 0 { ", " } else { " for " })?;
        }
        for (i, tag) in self.per.iter().enumerate() {
            write!(f, "{}{tag}", if i > 0 { ", " } else { " per " })?;
        }
        if !self.amounts.is_empty() {
            write!(f, " (other amounts for {})", self.amounts.len())?;
        }
        if !self.shares.is_empty() {
            write!(f, " (guaranteed shares for {})", self.shares.len())?;
        }
        if self.adaptive.is_some() {
            f.write_str(" (adaptive)")?;
        }
        if self.circuit {
            f.write_str(" (circuit)")?;
        }
        let shadow = self.shadow && self.part.is_none();
        f.write_str(if shadow { " (shadow)" } else { "" })
    }
}

impl Limit {
    /// A field in words, by its name in a configuration; `None`, where the words for the limit say it.
    pub(super) fn unsaid(&self, field: &str) -> Option<String> {
        let by_default = || "by default".to_owned();
        let span = |span: Duration| format!("{span:?}");
        Some(match field {
            "thresholds" => listed(self.thresholds.iter().map(f64::to_string)),
            "shares" => listed(self.shares.iter().map(|share| {
                let (tag, value) = (&share.tag, &share.value);
                format!("{} for {tag}={value}", share.part)
            })),
            "margin" => self.margin.map_or_else(by_default, span),
            "slice" => self.slice.map_or_else(none, span),
            "charge" => charge(self.charge),
            "count" => match self.count {
                None => by_default(),
                Some(Count::Calls) => "calls".to_owned(),
                Some(Count::Attempts) => "attempts".to_owned(),
            },
            "count_refused" => self.count_refused.to_string(),
            "adaptive" => match self.adaptive {
                None => none(),
                Some(floor) => format!("{floor} at least"),
            },
            _ => return None,
        })
    }
}

fn none() -> String {
    "none".to_owned()
}

fn listed(all: impl Iterator<Item = String>) -> String {
    let all: Vec<String> = all.collect();
    match all.is_empty() {
        true => none(),
        false => all.join(", "),
    }
}

/// Whose charge it is, where it is somebody's; else all of it.
fn charge(charge: Charge) -> String {
    let known = ["openai", "azure", "anthropic", "bedrock", "groq"];
    if let Some(name) = known.into_iter().find(|name| Charge::of(name) == charge) {
        return name.to_owned();
    }
    if charge == Charge::default() {
        return "by default".to_owned();
    }
    let Charge {
        tokens,
        input,
        output,
        corrected,
        cache_reads,
        output_weight,
    } = charge;
    let tokens = match tokens {
        TokenCharge::Larger => "larger",
        TokenCharge::Sum => "sum",
    };
    let at = |at| match at {
        ChargedAt::Send => "send",
        ChargedAt::Completion => "completion",
    };
    let (input, output) = (at(input), at(output));
    format!(
        "tokens {tokens}, input at {input}, output at {output}, corrected {corrected}, cache reads {cache_reads}, \
         output weight {output_weight}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tags::Tag;

    /// Each limit is otherwise the same, and reads the same.
    #[test]
    fn what_the_words_for_a_limit_leave_out_can_be_said() {
        let tokens = || Limit::tokens(900).every(Duration::from_secs(60));
        let searched = |part| tokens().share(Tag::Team, "search", part);
        let weighed = Charge {
            output_weight: 3,
            ..Charge::default()
        };
        for (before, now, said) in [
            (
                tokens().margin(Duration::from_millis(1_500)),
                tokens(),
                "margin: 1.5s > by default",
            ),
            (
                tokens(),
                tokens().slice(Duration::from_secs(5)),
                "slice: none > 5s",
            ),
            (
                tokens().charge(Charge::anthropic()),
                tokens().charge(Charge::bedrock(5)),
                "charge: anthropic > bedrock",
            ),
            (
                tokens(),
                tokens().charge(weighed),
                "charge: by default > tokens sum, input at completion, output at completion, corrected true, \
                 cache reads true, output weight 3",
            ),
            (
                searched(0.3),
                searched(0.25),
                "shares: 0.3 for team=search > 0.25 for team=search",
            ),
            (
                tokens().adaptive(0.2),
                tokens().adaptive(0.5),
                "adaptive: 0.2 at least > 0.5 at least",
            ),
        ] {
            assert_eq!(before.to_string(), now.to_string());
            let differ = before.differs_unsaid(&now).into_iter();
            let differ: Vec<String> = differ
                .map(|field| format!("{}: {} > {}", field.name, field.before, field.now))
                .collect();
            assert_eq!(differ, [said]);
            assert_eq!(before.differs_unsaid(&before), []);
        }
    }

    #[test]
    fn what_the_words_for_a_limit_say_is_not_said_twice() {
        let requests = |amount| Limit::requests(amount).every(Duration::from_secs(60));
        for now in [requests(9), requests(5).headroom(0.5), requests(5).shadow()] {
            assert_eq!(requests(5).differs_unsaid(&now), []);
        }
    }
}
