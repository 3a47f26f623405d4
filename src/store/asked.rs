//! A claim as it is kept. Slots that are held around it are told by what they are of: the places of limits are those of
//! one process.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    limit::{Identity, LimitKey, Limits},
    store::{Claim, snapshot},
};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Asked {
    /// Without what is held.
    pub(super) claim: Claim,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    held: Vec<Slot>,
}

/// A count in which a slot is held.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Slot {
    of: Identity,
    values: Vec<Arc<str>>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    shared: bool,
}

impl Asked {
    pub(super) fn of(claim: &Claim, limits: &Limits) -> Self {
        let mut claim = claim.clone();
        let held = std::mem::take(&mut claim.held);
        let held = held.iter().filter_map(|key| {
            let rule = limits.rule_of(key)?;
            Some(Slot {
                of: Identity::of(&rule.limit),
                values: key.values().to_vec(),
                shared: key.is_shared(),
            })
        });
        let held = held.collect();
        Asked { claim, held }
    }

    /// One for which no slot is held.
    #[cfg(feature = "sqlite")]
    pub(super) fn alone(claim: Claim) -> Self {
        Asked {
            claim,
            held: Vec::new(),
        }
    }

    /// All of it, where no slot is held.
    #[cfg(feature = "sqlite")]
    pub(super) fn without_slots(&self) -> Option<&Claim> {
        self.held.is_empty().then_some(&self.claim)
    }

    /// The claim, to a store with these limits.
    pub(super) fn to(&self, limits: &Limits) -> Claim {
        let held = self.held.iter().filter_map(|slot| {
            let places = snapshot::places(limits, std::slice::from_ref(&slot.of));
            let place = places.into_iter().next()??;
            Some(LimitKey::of_values(place, &slot.values, slot.shared))
        });
        Claim {
            held: held.collect(),
            ..self.claim.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        limit::{Demand, Limit, NewTarget, Quantities},
        tags::{Tag, Tags},
    };

    #[test]
    fn a_slot_that_is_held_is_found_where_its_limit_is_and_nowhere_where_it_is_gone() {
        let slots = || Limit::concurrency(2).per(Tag::Agent);
        let limits = |limits: Vec<Limit>| Limits::new(limits).unwrap();
        let before = limits(vec![slots(), Limit::concurrency(9)]);
        let tags = Tags::new().with(Tag::Agent, "a");
        let claim = Claim {
            held: vec![LimitKey::of(0, &slots(), &tags), LimitKey::shared(0)],
            tags: tags.clone().into(),
            demand: Demand::default(),
            quantities: Quantities::ALL,
            repeat: false,
            new_target: NewTarget::default(),
            attempt: 7,
        };
        let asked = Asked::of(&claim, &before);
        let text = serde_json::to_string(&asked).unwrap();
        let asked: Asked = serde_json::from_str(&text).unwrap();
        assert_eq!(asked.to(&before), claim);
        let after = limits(vec![Limit::concurrency(9), slots()]);
        let held = vec![LimitKey::of(1, &slots(), &tags), LimitKey::shared(1)];
        assert_eq!(asked.to(&after), Claim { held, ..claim });
        assert_eq!(asked.to(&limits(vec![Limit::concurrency(9)])).held, []);
    }
}
