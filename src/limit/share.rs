//! Guaranteed shares: a part of a limit for one party, which others use while it does not.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    Around, Limit, LimitError, Limits, Period, Rule,
    amount::{is_share, millionths},
};
use crate::tags::{Tag, Tags};

/// The part of a limit that is guaranteed to calls with this tag at this value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Share {
    pub(crate) tag: Tag,
    pub(crate) value: Arc<str>,
    pub(crate) part: f64,
}

impl Limit {
    /// What is guaranteed of this limit: for each share a limit that counts what its party uses and refuses
    /// nothing.
    pub(super) fn of_shares(&self) -> impl Iterator<Item = Limit> {
        self.shares.iter().map(|share| {
            let limit = Limit {
                part: Some(share.part),
                shadow: true,
                slice: None,
                shares: Vec::new(),
                thresholds: Vec::new(),
                circuit: false,
                ..self.clone()
            };
            limit.when(share.tag.clone(), share.value.clone())
        })
    }
}

impl Rule {
    /// Whether this is a share of another limit.
    pub(crate) fn is_share(&self) -> bool {
        self.limit.part.is_some()
    }
}

impl Limits {
    /// The places of the shares that a call with these tags has.
    pub(crate) fn shares(&self, tags: &Tags) -> impl Iterator<Item = (u32, &Rule)> {
        let around = Around::of(tags);
        let live = self.live();
        live.filter(move |(_, rule)| rule.is_share() && around.touch(&rule.limit))
    }
}

fn same(a: &Share, b: &Share) -> bool {
    (&a.tag, &a.value) == (&b.tag, &b.value)
}

/// Shares make sense where something comes back, by one tag, for each value once, and for all together no more
/// than there is.
pub(super) fn check_shares(place: usize, limit: &Limit) -> Result<(), LimitError> {
    let mut sum = 0;
    for (number, share) in limit.shares.iter().enumerate() {
        let earlier = &limit.shares[..number];
        let when = limit.when.iter().map(|(tag, _)| tag);
        let reason = if limit.shadow {
            "a limit that only watches guarantees nothing"
        } else if limit.period == Some(Period::Run) {
            "a run gives nothing back that could be guaranteed"
        } else if limit.period == Some(Period::Total) {
            "in total nothing comes back that could be guaranteed"
        } else if when.chain(&limit.per).any(|tag| *tag == share.tag) {
            "the limit is for values of this tag as it is; say another tag, or leave it out of `when` and `per`"
        } else if !is_share(share.part) {
            "must be more than 0 and at most 1: 0.3 guarantees three tenths"
        } else if earlier.iter().any(|other| other.tag != share.tag) {
            "the shares of one limit go by one tag"
        } else if earlier.iter().any(|other| same(other, share)) {
            "stands twice"
        } else {
            sum += millionths(share.part);
            if sum <= millionths(1.0) {
                continue;
            }
            "with the shares before it this is more than there is; 1 together is the most"
        };
        return Err(LimitError::BadShare {
            place,
            limit: limit.to_string(),
            tag: share.tag.to_string(),
            value: share.value.to_string(),
            reason,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn limit() -> Limit {
        Limit::tokens(1_000)
            .every(Duration::from_secs(60))
            .when(Tag::Model, "m")
            .per(Tag::User)
    }

    fn refused(limit: Limit) -> String {
        Limits::new([limit]).unwrap_err().to_string()
    }

    #[test]
    fn a_share_is_a_limit_of_its_own_that_only_counts() {
        let limits = Limits::new([limit().headroom(0.9).share(Tag::Team, "a", 0.3)]).unwrap();
        let rule = &limits.rules()[1];
        assert!(rule.is_share() && rule.limit.shadow);
        assert_eq!(rule.amount, 270);
        assert_eq!(
            rule.limit.to_string(),
            "tokens 270/min (a share of 900/min) for model=m, team=a per user"
        );
        let tags = |team: &str| Tags::new().with(Tag::Model, "m").with(Tag::Team, team);
        assert_eq!(limits.shares(&tags("a")).count(), 1);
        assert_eq!(limits.shares(&tags("b")).count(), 0);
        assert_eq!(limits.iter().count(), 1, "it was not given");
    }

    #[test]
    fn all_of_a_limit_can_be_guaranteed_and_no_more() {
        let thirds = |last| {
            let two = limit().share(Tag::Team, "a", 0.333_333);
            two.share(Tag::Team, "b", 0.333_333)
                .share(Tag::Team, "c", last)
        };
        assert!(Limits::new([thirds(0.333_334)]).is_ok());
        let text = refused(thirds(0.333_335));
        assert!(
            text.ends_with(
                "`shares` for `team=c`: with the shares before it this is more than there is; 1 together is the most"
            ),
            "{text}"
        );
    }

    #[test]
    fn what_can_guarantee_nothing_is_refused() {
        let run = Limit::requests(5).every_run();
        let other = limit().share(Tag::Team, "a", 0.1);
        let wrong = [
            limit().share(Tag::Team, "a", 0.0),
            limit().share(Tag::Team, "a", 1.1),
            limit().share(Tag::Team, "a", f64::NAN),
            limit().share(Tag::User, "a", 0.5),
            limit().share(Tag::Model, "m", 0.5),
            limit().shadow().share(Tag::Team, "a", 0.5),
            run.share(Tag::Team, "a", 0.5),
            other.clone().share(Tag::Team, "a", 0.2),
            other.share(Tag::Agent, "a", 0.2),
        ];
        for limit in wrong {
            let text = refused(limit);
            assert!(text.contains("`shares` for `"), "{text}");
        }
    }
}
