//! What alerts are made of.

use std::time::SystemTime;

use jiff::Timestamp;

use super::{Alerts, Kind, ahead::TooEarly};
use crate::{
    clock::time_of_day,
    error::Rejection,
    event::{Event, ObservedCall, Observer},
    failover::FailoverEvent,
    store::{BudgetChange, BudgetEvent},
};

impl Alerts {
    /// Something happened to a budget.
    pub(super) fn budget_changed(&self, event: &BudgetEvent) {
        let budget = &event.budget;
        match event.change {
            BudgetChange::Passed { share } => {
                let subject = format!("{budget} at {share}");
                self.tell(Kind::Threshold, &subject, false, || event.to_string());
            }
            BudgetChange::Tripped => {
                self.tell(Kind::Circuit, &unamounted(event), false, || {
                    event.to_string()
                });
            }
            BudgetChange::Reset { .. } => {
                self.tell(Kind::Circuit, &unamounted(event), true, || {
                    event.to_string()
                });
            }
            _ => {}
        }
    }

    /// Reports what happened to a target: for a [`FailoverLayer`](crate::FailoverLayer) that you set up yourself.
    pub fn target_changed(&self, event: &FailoverEvent) {
        let subject = event.target().to_string();
        match event {
            FailoverEvent::BreakerOpened { .. } => {
                self.tell(Kind::Breaker, &subject, false, || event.to_string());
            }
            FailoverEvent::BreakerClosed { .. } => {
                self.tell(Kind::Breaker, &subject, true, || event.to_string());
            }
            FailoverEvent::Parked { span, .. } => {
                self.tell(Kind::Parked, &subject, false, || {
                    match time_of_day().checked_add(*span) {
                        Some(until) => format!("{event}, until {}", moment(until)),
                        None => event.to_string(),
                    }
                });
            }
            FailoverEvent::Unparked { .. } => {
                self.tell(Kind::Parked, &subject, true, || event.to_string());
            }
        }
    }

    /// A circuit is found to be closed, whoever has closed it.
    pub(super) fn circuit_closed(&self, name: &str) {
        self.tell(Kind::Circuit, name, true, || {
            format!("{name}: it stops calls no more")
        });
    }

    pub(super) fn ends_early(&self, early: &TooEarly) {
        let TooEarly {
            budget,
            ends,
            turns,
            per_hour,
        } = early;
        self.tell(Kind::Forecast, budget, false, || {
            let (ends, turns) = (moment(*ends), moment(*turns));
            format!("{budget}: at the pace of late, {per_hour} an hour, all of it is spent at {ends}; its period ends at {turns}")
        });
    }
}

/// It hears of calls that are refused because a budget is spent.
impl Observer for Alerts {
    fn on_event(&self, _: &ObservedCall, event: &Event<'_>) {
        if let Event::Refused {
            rejection: rejection @ Rejection::BudgetExceeded(shortage),
            ..
        } = event
        {
            self.tell(Kind::Spent, &shortage.limit, false, || {
                format!("attempts are refused: {rejection}")
            });
        }
    }
}

/// A budget without how much it is: it may have been raised before its circuit is closed.
pub(super) fn unamounted(event: &BudgetEvent) -> String {
    let amount = format!(" {}", event.amount);
    event.budget.replacen(&amount, "", 1)
}

/// To the second.
fn moment(at: SystemTime) -> String {
    let at = Timestamp::try_from(at).ok();
    let at = at.and_then(|at| Timestamp::from_second(at.as_second()).ok());
    at.map_or_else(|| "a time out of range".to_owned(), |at| at.to_string())
}
