//! What is done in as few words as can be read again: what is as it is by default is left out. Claims, sends and settlements
//! are most of what the log has, and the log is most of what is written: these are spelled out here, names and all.

use std::{ops::Range, sync::Arc};

use serde::Serialize;
use serde_json::Result;

use super::op::{Done, Op};
use crate::{
    limit::{Demand, NewTarget},
    store::{Claim, Settlement},
    tags::Tags,
    usage::Usage,
};

/// What is done, one after the other.
#[derive(Debug, Default)]
pub(super) struct Log {
    text: Vec<u8>,
    last: Option<Last>,
}

/// The tags of the claim that was written last, and where they stand: the next one is of the same attempt, as a rule.
type Last = (Arc<Tags>, Range<usize>);

impl Log {
    pub(super) fn push(&mut self, done: &Done) -> Result<()> {
        let before = if self.text.is_empty() { b'[' } else { b',' };
        self.text.push(before);
        write(done, &mut self.text, &mut self.last)
    }

    /// All of it, as a list.
    pub(super) fn end(mut self) -> Vec<u8> {
        if self.text.is_empty() {
            self.text.push(b'[');
        }
        self.text.push(b']');
        self.text
    }
}

fn write(done: &Done, text: &mut Vec<u8>, last: &mut Option<Last>) -> Result<()> {
    match &done.op {
        Op::Claim { grant, row, asked } => {
            let Some(claim) = asked.without_slots() else {
                return serde_json::to_writer(text, done);
            };
            begin(done, text)?;
            let mut op = Fields::begin(text, "\"claim\":{");
            op.put("grant", grant)?;
            op.put("row", row)?;
            op.name("asked");
            let mut asked = Fields::begin(op.text, "{");
            asked.name("claim");
            write_claim(claim, asked.text, last)?;
            text.extend_from_slice(b"}}}}");
        }
        Op::Settle(grant, Settlement::Usage(usage)) => {
            begin(done, text)?;
            text.extend_from_slice(b"\"settle\":[");
            serde_json::to_writer(&mut *text, grant)?;
            text.extend_from_slice(b",{\"usage\":");
            write_usage(usage, text)?;
            text.extend_from_slice(b"}]}}");
        }
        Op::Date(grant) => {
            begin(done, text)?;
            text.extend_from_slice(b"\"date\":");
            serde_json::to_writer(&mut *text, grant)?;
            text.extend_from_slice(b"}}");
        }
        _ => serde_json::to_writer(text, done)?,
    }
    Ok(())
}

/// The instant, up to what was done then.
fn begin(done: &Done, text: &mut Vec<u8>) -> Result<()> {
    let mut at = Fields::begin(text, "{\"at\":{");
    at.put("tick", &done.at.tick)?;
    at.put("wall", &done.at.wall)?;
    text.extend_from_slice(b"},\"op\":{");
    Ok(())
}

fn write_claim(claim: &Claim, text: &mut Vec<u8>, last: &mut Option<Last>) -> Result<()> {
    // Each by its name, here and below: what is added has to be written too.
    let Claim {
        tags,
        demand,
        quantities,
        repeat,
        new_target,
        held: _,
        attempt,
    } = claim;
    let mut fields = Fields::begin(text, "{");
    fields.name("tags");
    match last {
        Some((known, at)) if known == tags => fields.text.extend_from_within(at.clone()),
        _ => {
            let begin = fields.text.len();
            serde_json::to_writer(&mut *fields.text, &**tags)?;
            *last = Some((tags.clone(), begin..fields.text.len()));
        }
    }
    fields.name("demand");
    write_demand(*demand, fields.text)?;
    fields.put("quantities", quantities)?;
    fields.put_but(&false, "repeat", repeat)?;
    fields.put_but(&NewTarget::default(), "new_target", new_target)?;
    fields.put_but(&0, "attempt", attempt)?;
    text.push(b'}');
    Ok(())
}

fn write_demand(demand: Demand, text: &mut Vec<u8>) -> Result<()> {
    let Demand {
        requests,
        input,
        output,
        cost,
        input_declared,
        output_declared,
    } = demand;
    let mut fields = Fields::begin(text, "{");
    fields.put_but(&1, "requests", &requests)?;
    fields.put_but(&0, "input", &input)?;
    fields.put_but(&0, "output", &output)?;
    fields.put_but(&0, "cost", &cost)?;
    fields.put_but(&true, "input_declared", &input_declared)?;
    fields.put_but(&true, "output_declared", &output_declared)?;
    text.push(b'}');
    Ok(())
}

fn write_usage(usage: &Usage, text: &mut Vec<u8>) -> Result<()> {
    let Usage {
        input,
        cache_read,
        cache_write,
        cache_write_long,
        output,
        reasoning,
        cost,
        estimated,
    } = usage;
    let mut fields = Fields::begin(text, "{");
    fields.put_but(&0, "input", input)?;
    fields.put_but(&0, "cache_read", cache_read)?;
    fields.put_but(&0, "cache_write", cache_write)?;
    fields.put_but(&0, "cache_write_long", cache_write_long)?;
    fields.put_but(&0, "output", output)?;
    fields.put_but(&0, "reasoning", reasoning)?;
    fields.put_but(&None, "cost", cost)?;
    fields.put_but(&false, "estimated", estimated)?;
    text.push(b'}');
    Ok(())
}

/// The fields of an object that has begun.
struct Fields<'t> {
    text: &'t mut Vec<u8>,
    /// Where the first one is.
    first: usize,
}

impl<'t> Fields<'t> {
    fn begin(text: &'t mut Vec<u8>, with: &str) -> Self {
        text.extend_from_slice(with.as_bytes());
        let first = text.len();
        Fields { text, first }
    }

    /// Names are ours: nothing in them is to be escaped.
    fn name(&mut self, name: &'static str) {
        let before: &[u8] = if self.text.len() == self.first {
            b"\""
        } else {
            b",\""
        };
        self.text.extend_from_slice(before);
        self.text.extend_from_slice(name.as_bytes());
        self.text.extend_from_slice(b"\":");
    }

    fn put<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<()> {
        self.name(name);
        serde_json::to_writer(&mut *self.text, value)
    }

    /// Puts it, where it is not that.
    fn put_but<T: Serialize + PartialEq>(
        &mut self,
        that: &T,
        name: &'static str,
        value: &T,
    ) -> Result<()> {
        if value == that {
            Ok(())
        } else {
            self.put(name, value)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        limit::{Limit, LimitKey, Limits, Quantities, Tick},
        money::Money,
        store::{asked::Asked, clock::told::At},
        tags::Tag,
    };

    fn few() -> impl Strategy<Value = u64> {
        prop_oneof![Just(0), Just(1), any::<u64>()]
    }

    /// Written and read again.
    fn read(op: Op) -> Op {
        let at = At {
            tick: Tick::from_micros(7),
            wall: -3,
        };
        read_all(&[Done { at, op }]).remove(0)
    }

    fn read_all(all: &[Done]) -> Vec<Op> {
        let mut log = Log::default();
        all.iter().for_each(|done| log.push(done).unwrap());
        let found: Vec<Done> = serde_json::from_slice(&log.end()).unwrap();
        let at = |done: &Done| done.at;
        assert!(found.iter().map(at).eq(all.iter().map(at)));
        found.into_iter().map(|done| done.op).collect()
    }

    #[test]
    fn nothing_is_a_list_too() {
        assert_eq!(Log::default().end(), b"[]");
    }

    #[test]
    fn claims_have_their_own_tags_whatever_the_one_before_had() {
        let limits = Limits::new([Limit::concurrency(2)]).unwrap();
        let claim = |agent: &str| {
            let claim = Claim::new(Tags::new().with(Tag::Agent, agent), Demand::default());
            let (at, asked) = (At::default(), Asked::of(&claim, &limits));
            let (grant, row) = (1, 2);
            let op = Op::Claim { grant, row, asked };
            Done { at, op }
        };
        let agents = ["a", "a", "b", "a", "\"", "\""];
        let found = read_all(&agents.map(claim));
        let found = found.iter().map(|op| match op {
            Op::Claim { asked, .. } => asked.claim.tags.get(&Tag::Agent).unwrap(),
            other => panic!("{other:?}"),
        });
        assert!(found.eq(agents));
    }

    #[test]
    fn a_send_and_what_is_rare_are_read_as_they_were_written() {
        assert!(matches!(read(Op::Date(8)), Op::Date(8)));
        assert!(matches!(read(Op::Release(9)), Op::Release(9)));
    }

    proptest! {
        #[test]
        fn a_claim_is_read_as_it_was_written(
            amounts in [few(), few(), few(), few()],
            flags in any::<[bool; 5]>(),
            attempt in prop_oneof![Just(0), any::<u32>()],
            tag in prop::option::of(".{0,9}"),
        ) {
            let limits = Limits::new([Limit::concurrency(2)]).unwrap();
            let [requests, input, output, cost] = amounts;
            let [input_declared, output_declared, repeat, moves, holds] = flags;
            let tags = tag.map_or_else(Tags::new, |tag| Tags::new().with(Tag::Agent, tag));
            let elsewhere = Tags::new().with(Tag::Model, "m");
            let new_target = NewTarget::of(&tags, moves.then_some(&elsewhere));
            let claim = Claim {
                tags: tags.into(),
                demand: Demand { requests, input, output, cost, input_declared, output_declared },
                quantities: Quantities::BUDGET,
                repeat,
                new_target,
                held: holds.then(|| LimitKey::shared(0)).into_iter().collect(),
                attempt,
            };
            let asked = Asked::of(&claim, &limits);
            let Op::Claim { asked, grant: 1, row: -2 } = read(Op::Claim { grant: 1, row: -2, asked }) else {
                panic!("another thing was done");
            };
            prop_assert_eq!(asked.to(&limits), claim);
        }

        #[test]
        fn so_is_a_settlement(
            [input, cache_read, cache_write, cache_write_long] in [few(), few(), few(), few()],
            (output, reasoning) in (few(), few()),
            cost in prop::option::of(any::<u64>()),
            (estimated, unknown) in any::<(bool, bool)>(),
        ) {
            let cost = cost.map(Money::from_nanos);
            let usage = Usage {
                input, cache_read, cache_write, cache_write_long, output, reasoning, cost, estimated,
            };
            let settled = if unknown { Settlement::Unknown } else { Settlement::Usage(usage) };
            let Op::Settle(7, found) = read(Op::Settle(7, settled)) else {
                panic!("another thing was done");
            };
            prop_assert_eq!(found, settled);
        }
    }
}
