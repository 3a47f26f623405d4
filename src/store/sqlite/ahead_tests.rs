use super::*;
use crate::tags::Tag;

fn claim(agent: &str, input: u64, attempt: u32) -> Claim {
    Claim {
        attempt,
        ..Claim::new(
            Tags::new().with(Tag::Agent, agent),
            Demand {
                input,
                ..Demand::default()
            },
        )
    }
}

/// What is queued, until it is written.
struct World {
    ahead: Ahead,
    parts: Vec<Part>,
    /// Blocks that are in the file: how much input each has room for.
    file: Vec<(u64, u64)>,
    ops: Vec<Op>,
}

impl World {
    fn of(claims: u32) -> Self {
        World {
            ahead: Ahead::new(claims),
            parts: Vec::new(),
            file: Vec::new(),
            ops: Vec::new(),
        }
    }

    /// Whether it is in a block.
    fn is_in(&mut self, claim: &Claim, is_last: bool) -> bool {
        match self.ahead.cover(claim, is_last) {
            Covered::By(part) => {
                self.parts.push(part);
                true
            }
            Covered::Bare(before) => {
                for (op, part) in before {
                    self.ops.push(op);
                    self.parts.extend(part);
                }
                false
            }
        }
    }

    fn write(&mut self) {
        self.ahead.taken();
        self.written();
    }

    fn written(&mut self) {
        self.ahead.written();
        self.parts.drain(..).for_each(Part::written);
        for op in self.ops.drain(..) {
            match op {
                Op::Ahead(number, asked) => {
                    let room = asked.without_slots().unwrap().demand.input;
                    self.file.push((number, room));
                }
                Op::Behind(gone) => self.file.retain(|(number, _)| *number != gone),
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn as_many_as_there_is_room_for_wait_for_nothing_until_they_are_written() {
    let mut world = World::of(2);
    let claim = claim("a", 10, 0);
    assert!(!world.is_in(&claim, true), "nothing is known of its like");
    assert!(!world.is_in(&claim, true), "a block is made");
    assert!(!world.is_in(&claim, true), "it is not written yet");
    world.write();
    assert_eq!(world.file, [(1, 20)]);
    for _ in 0..3 {
        assert!(world.is_in(&claim, true) && world.is_in(&claim, true));
        assert!(!world.is_in(&claim, true), "there is no more room");
        world.write();
    }
    assert_eq!(world.file, [(1, 20)], "one block is enough");
}

#[test]
fn without_blocks_and_under_other_tags_each_waits() {
    let mut world = World::of(0);
    for _ in 0..4 {
        assert!(!world.is_in(&claim("a", 10, 0), true));
        world.write();
    }
    assert!(world.file.is_empty());
    let mut world = World::of(9);
    for agent in ["a", "b", "c"] {
        assert!(!world.is_in(&claim(agent, 10, 0), true));
        world.write();
    }
    assert!(world.file.is_empty());
}

#[test]
fn one_that_is_too_large_has_a_larger_block_made() {
    let mut world = World::of(2);
    for _ in 0..2 {
        world.is_in(&claim("a", 10, 0), true);
    }
    world.write();
    assert!(world.is_in(&claim("a", 10, 0), true));
    assert!(!world.is_in(&claim("a", 11, 0), true));
    assert_eq!(world.ops.len(), 2, "the old one goes with what used it");
    world.write();
    assert_eq!(world.file, [(2, 2 * 16)]);
    assert!(world.is_in(&claim("a", 16, 0), true));
    assert!(!world.is_in(&claim("a", 17, 0), true));
}

#[test]
fn the_last_claim_of_an_attempt_waits_where_an_earlier_one_is_in_no_block() {
    let mut world = World::of(8);
    for _ in 0..2 {
        world.is_in(&claim("a", 10, 0), true);
    }
    world.write();
    assert!(!world.is_in(&claim("b", 10, 5), false));
    assert!(!world.is_in(&claim("a", 10, 5), true), "of one attempt");
    assert!(world.is_in(&claim("a", 10, 6), true), "of another one");
    world.ahead.taken();
    assert!(
        !world.is_in(&claim("a", 10, 5), true),
        "it is being written"
    );
    world.written();
    assert!(world.is_in(&claim("a", 10, 5), true), "it is written");
}

#[test]
fn what_nobody_uses_goes_and_at_the_end_everything() {
    let mut world = World::of(2);
    for _ in 0..2 {
        world.is_in(&claim("a", 10, 0), true);
    }
    world.write();
    let at = Tick::from_micros;
    assert!(!world.ahead.is_due(at(UNUSED - 1)) && world.ahead.is_due(at(UNUSED)));
    assert!(
        world.ahead.sweep(at(UNUSED), false).is_empty(),
        "it was used"
    );
    assert!(!world.ahead.is_due(at(2 * UNUSED - 1)));
    world.ops = world.ahead.sweep(at(2 * UNUSED), false);
    world.write();
    assert!(world.file.is_empty() && world.ahead.is_empty());
    for _ in 0..2 {
        world.is_in(&claim("a", 10, 0), true);
    }
    world.write();
    assert_eq!(world.file.len(), 1);
    world.ops = world.ahead.sweep(at(2 * UNUSED), true);
    world.write();
    assert!(world.file.is_empty() && world.ahead.is_empty());
}
