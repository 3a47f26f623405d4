//! A store that is put down and taken up again decides as one that went on.

use crate::{prove, world::World};

#[test]
fn snapshots_and_restores_at_random_points_change_no_later_decision() {
    prove("decisions after restores", 80, async |seed| {
        let mut random = fastrand::Rng::with_seed(!seed);
        let mut stays = World::listening(seed);
        for _ in 0..200 {
            stays.step().await;
            if random.u8(..20) == 0 {
                stays.end_all();
                stays.pass(random.u64(..2_000_000)).await;
            }
        }
        let mut random = fastrand::Rng::with_seed(!seed);
        let mut moves = World::listening(seed);
        for _ in 0..200 {
            moves.step().await;
            if random.u8(..20) == 0 {
                moves.move_out(random.u64(..2_000_000)).await;
            }
        }
        let admissions = stays.seen.admissions + moves.seen.admissions;
        let (stays, moves) = (stays.said(), moves.said());
        let differs = stays
            .iter()
            .zip(&moves)
            .position(|(one, other)| one != other);
        if let Some(at) = differs {
            panic!("decision {at}: {:?}, restored {:?}", stays[at], moves[at]);
        }
        assert_eq!(stays.len(), moves.len());
        admissions
    });
}
