//! Durations of budgets as LiteLLM writes them: `30s`, `30m`, `24h`, `7d`, `1w`, `1mo`.

use std::time::Duration;

use super::fields::Fields;
use crate::{
    config::{BudgetPeriod, Span},
    limit::CalendarUnit,
};

const DAY: u64 = 86_400;
/// No month is longer.
const MONTH: u64 = 31;
/// As long as a period can be: a budget without one.
const EVER: u64 = 3_650;

/// Takes the duration of a budget; without one it is for ever.
pub(super) fn taken(fields: &mut Fields<'_>, name: &str) -> Option<BudgetPeriod> {
    let at = fields.at(name);
    let Some(text) = fields.text(name) else {
        let is_missing = at.line == 0;
        return is_missing.then_some(days(EVER));
    };
    let period = period(&text);
    period.or_else(|| {
        let reason =
            "is no duration; the budget beside it is not read: write 30s, 30m, 24h, 7d, 1w or 1mo";
        fields.wrong(name, at, reason)
    })
}

fn period(text: &str) -> Option<BudgetPeriod> {
    let Some(months) = text.strip_suffix("mo") else {
        let span: Span = text.parse().ok()?;
        return (Duration::from(span) > Duration::ZERO).then_some(BudgetPeriod::Rolling(span));
    };
    match months.parse().ok()? {
        0 => None,
        1 => Some(BudgetPeriod::Calendar(CalendarUnit::Month)),
        months => u64::checked_mul(months, MONTH)
            .filter(|n| *n <= EVER)
            .map(days),
    }
}

fn days(days: u64) -> BudgetPeriod {
    BudgetPeriod::Rolling(Span::from_secs(days * DAY))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_their_users_know_them() {
        let rolling = |secs| Some(BudgetPeriod::Rolling(Span::from_secs(secs)));
        for (text, read) in [
            ("30s", rolling(30)),
            ("30m", rolling(1_800)),
            ("1h", rolling(3_600)),
            ("24h", rolling(DAY)),
            ("7d", rolling(7 * DAY)),
            ("1w", rolling(7 * DAY)),
            ("1mo", Some(BudgetPeriod::Calendar(CalendarUnit::Month))),
            ("2mo", rolling(62 * DAY)),
            ("0mo", None),
            ("0s", None),
            ("mo", None),
            ("1000mo", None),
            ("daily", None),
            ("", None),
        ] {
            assert_eq!(period(text), read, "{text}");
        }
    }
}
