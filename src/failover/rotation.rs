//! Who is first: each as often as its weight says, spread evenly.

use std::sync::{Mutex, PoisonError};

/// Smooth weighted round-robin: each turn everybody gains its weight, the first is who has most, and pays for all.
#[derive(Debug, Default)]
pub(super) struct Rotation(Mutex<Vec<i64>>);

impl Rotation {
    /// The places in the order of this turn. Those of weight 0 come last.
    pub(super) fn turn(&self, weights: &[u32]) -> Vec<usize> {
        let mut gains = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        gains.resize(weights.len(), 0);
        let mut all = 0;
        for (gain, weight) in gains.iter_mut().zip(weights) {
            *gain += i64::from(*weight);
            all += i64::from(*weight);
        }
        let mut order: Vec<usize> = (0..weights.len()).collect();
        order.sort_by_key(|place| (weights[*place] == 0, std::cmp::Reverse(gains[*place])));
        if let Some(first) = order.first() {
            gains[*first] -= all;
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn firsts(weights: &[u32], turns: usize) -> Vec<usize> {
        let rotation = Rotation::default();
        (0..turns).map(|_| rotation.turn(weights)[0]).collect()
    }

    #[test]
    fn equal_weights_take_turns() {
        assert_eq!(firsts(&[1, 1, 1], 6), [0, 1, 2, 0, 1, 2]);
    }

    #[test]
    fn each_is_first_as_often_as_its_weight_and_not_in_a_row() {
        assert_eq!(firsts(&[5, 1, 1], 7), [0, 0, 1, 0, 2, 0, 0]);
        let many = firsts(&[3, 0, 2], 500);
        let of = |place| many.iter().filter(|first| **first == place).count();
        assert_eq!([of(0), of(1), of(2)], [300, 0, 200]);
    }

    /// One that has no turn for a while leaves its turns to all, and takes up where it was.
    #[test]
    fn the_turns_of_one_that_is_out_are_shared_by_all_others() {
        let rotation = Rotation::default();
        let mut firsts = [[0; 3]; 3];
        for (place, weights) in [[1, 1, 1], [0, 1, 1], [1, 1, 1]].iter().enumerate() {
            for _ in 0..30 {
                firsts[place][rotation.turn(weights)[0]] += 1;
            }
        }
        assert_eq!(firsts, [[10, 10, 10], [0, 15, 15], [10, 10, 10]]);
    }

    #[test]
    fn everybody_is_in_the_order_once_and_weight_0_last() {
        let rotation = Rotation::default();
        for _ in 0..20 {
            let mut order = rotation.turn(&[1, 0, 4, 2]);
            assert_eq!(order[3], 1);
            order.sort_unstable();
            assert_eq!(order, [0, 1, 2, 3]);
        }
        assert!(rotation.turn(&[]).is_empty());
    }
}
