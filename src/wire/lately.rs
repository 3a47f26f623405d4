//! What was found out of late, in so many places that it takes no more memory than at first.

/// So many have one place; of more the one goes that was asked for the longest time ago.
const EACH: usize = 4;

/// Some of what was found out, the latest of each place first.
#[derive(Debug)]
pub(super) struct Lately<T> {
    places: Box<[[T; EACH]]>,
}

impl<T: Copy> Lately<T> {
    /// With room for so many, which are `none` at first: nobody looks for that.
    pub(super) fn with_room(many: usize, none: T) -> Self {
        Lately {
            places: vec![[none; EACH]; many.div_ceil(EACH).max(1)].into(),
        }
    }

    /// What is there under this hash and is it.
    pub(super) fn find(&mut self, hash: u64, is_it: impl Fn(&T) -> bool) -> Option<T> {
        let place = self.place(hash);
        let at = place.iter().position(is_it)?;
        place[..=at].rotate_right(1);
        Some(place[0])
    }

    pub(super) fn put(&mut self, hash: u64, new: T) {
        let place = self.place(hash);
        place.rotate_right(1);
        place[0] = new;
    }

    fn place(&mut self, hash: u64) -> &mut [T; EACH] {
        let number = hash % self.places.len() as u64;
        &mut self.places[usize::try_from(number).unwrap_or_default()]
    }

    #[cfg(test)]
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.places.as_flattened_mut().iter_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_those_that_share_a_place_the_one_goes_that_nobody_asks_for() {
        let mut lately = Lately::with_room(4, 0);
        for new in 1..=4 {
            lately.put(9, new);
        }
        let found = |lately: &mut Lately<u32>, it: u32| lately.find(2, |known| *known == it);
        assert_eq!(found(&mut lately, 1), Some(1));
        lately.put(7, 5);
        assert_eq!(found(&mut lately, 2), None);
        for it in [1, 3, 4, 5] {
            assert_eq!(found(&mut lately, it), Some(it));
        }
    }

    #[test]
    fn those_of_other_places_stay() {
        let mut lately = Lately::with_room(8, 0);
        lately.put(1, 100);
        (0..50).for_each(|new| lately.put(2, new));
        assert_eq!(lately.find(3, |known| *known == 100), Some(100));
        assert_eq!(lately.find(2, |known| *known == 100), None);
    }
}
