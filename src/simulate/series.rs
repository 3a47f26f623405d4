//! What happens over time, in steps that grow so that there are never many.

use std::time::Duration;

use super::report::Moment;
use crate::money::Money;

const MOST: usize = 240;
const FIRST_STEP: Duration = Duration::from_millis(10);

/// Steps of one length from the beginning on.
#[derive(Debug)]
pub(super) struct Series {
    step: Duration,
    steps: Vec<Step>,
    limits: usize,
}

/// What happened in one step.
#[derive(Clone, Debug, Default)]
pub(super) struct Step {
    pub(super) came: u64,
    pub(super) ended: u64,
    pub(super) refused: u64,
    /// The most that waited at a time.
    pub(super) waiting: u64,
    /// Of the calls that ended in it.
    pub(super) waited: Duration,
    pub(super) longest: Duration,
    pub(super) spent: Money,
    /// The fullest that each limit was.
    pub(super) shares: Vec<f64>,
}

impl Series {
    pub(super) fn new(limits: usize) -> Self {
        Series {
            step: FIRST_STEP,
            steps: Vec::new(),
            limits,
        }
    }

    pub(super) fn step(&self) -> Duration {
        self.step
    }

    /// The step of this instant. So many have waited since anything happened last.
    pub(super) fn at(&mut self, now: Duration, waiting: u64) -> &mut Step {
        let place = loop {
            let place = now.as_nanos() / self.step.as_nanos();
            match usize::try_from(place) {
                Ok(place) if place < MOST => break place,
                _ => self.double(),
            }
        };
        while self.steps.len() <= place {
            let shares = vec![0.0; self.limits];
            self.steps.push(Step {
                waiting,
                shares,
                ..Step::default()
            });
        }
        &mut self.steps[place]
    }

    fn double(&mut self) {
        self.step *= 2;
        let pairs = self.steps.chunks(2).map(|pair| match pair {
            [one, other] => one.with(other),
            rest => rest.first().cloned().unwrap_or_default(),
        });
        self.steps = pairs.collect();
    }

    pub(super) fn moments(&self) -> Vec<Moment> {
        let steps = (0..).zip(&self.steps);
        let moments = steps.map(|(place, step)| Moment {
            at: self.step * place,
            came: step.came,
            ended: step.ended,
            refused: step.refused,
            waiting: step.waiting,
            mean_wait: step.waited / u32::try_from(step.ended.max(1)).unwrap_or(u32::MAX),
            longest_wait: step.longest,
            spent: step.spent,
            full: step.shares.clone(),
        });
        moments.collect()
    }
}

impl Step {
    fn with(&self, next: &Step) -> Step {
        let shares = self.shares.iter().zip(&next.shares);
        Step {
            came: self.came + next.came,
            ended: self.ended + next.ended,
            refused: self.refused + next.refused,
            waiting: self.waiting.max(next.waiting),
            waited: self.waited.saturating_add(next.waited),
            longest: self.longest.max(next.longest),
            spent: self.spent + next.spent,
            shares: shares.map(|(one, other)| one.max(*other)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_as_steps_grow() {
        let mut series = Series::new(1);
        for second in 0..10_000 {
            let step = series.at(Duration::from_secs(second), 3);
            step.came += 1;
            step.shares[0] = if second == 4_321 { 0.9 } else { 0.1 };
        }
        let moments = series.moments();
        assert!((MOST / 2..=MOST).contains(&moments.len()));
        assert_eq!(
            moments.iter().map(|moment| moment.came).sum::<u64>(),
            10_000
        );
        assert!(moments.iter().all(|moment| moment.waiting == 3));
        let fullest = moments.iter().find(|moment| moment.full[0] > 0.8);
        let at = fullest.map(|moment| moment.at.as_secs()).unwrap();
        assert!(
            (4_321 - series.step().as_secs()..=4_321).contains(&at),
            "{at}"
        );
    }
}
