//! A limit in words: `tokens 90000/min for model=gpt-4o per agent`.

use std::fmt;

use super::{Limit, Period};

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
