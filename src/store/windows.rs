//! The counts of one entry: one, as a rule, found together with the entry.

use std::{
    ops::{Deref, DerefMut},
    slice,
};

use crate::limit::Window;

/// One for each limit of a level.
#[derive(Clone, Debug)]
pub(super) enum Windows {
    One(Window),
    Several(Box<[Window]>),
}

impl Windows {
    /// How much memory they take apart from this; without what each of them does.
    pub(super) fn bytes_apart(&self) -> usize {
        match self {
            Windows::One(_) => 0,
            Windows::Several(windows) => size_of_val::<[Window]>(windows),
        }
    }
}

impl FromIterator<Window> for Windows {
    fn from_iter<I: IntoIterator<Item = Window>>(windows: I) -> Self {
        let mut windows: Vec<Window> = windows.into_iter().collect();
        match windows.pop() {
            Some(one) if windows.is_empty() => Windows::One(one),
            last => {
                windows.extend(last);
                Windows::Several(windows.into())
            }
        }
    }
}

impl Default for Windows {
    fn default() -> Self {
        Windows::Several(Box::default())
    }
}

impl Deref for Windows {
    type Target = [Window];

    #[inline]
    fn deref(&self) -> &[Window] {
        match self {
            Windows::One(one) => slice::from_ref(one),
            Windows::Several(windows) => windows,
        }
    }
}

impl DerefMut for Windows {
    #[inline]
    fn deref_mut(&mut self) -> &mut [Window] {
        match self {
            Windows::One(one) => slice::from_mut(one),
            Windows::Several(windows) => windows,
        }
    }
}

impl<'a> IntoIterator for &'a Windows {
    type Item = &'a Window;
    type IntoIter = slice::Iter<'a, Window>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<'a> IntoIterator for &'a mut Windows {
    type Item = &'a mut Window;
    type IntoIter = slice::IterMut<'a, Window>;

    #[inline]
    fn into_iter(self) -> Self::IntoIter {
        self.iter_mut()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_as_there_are_in_their_order() {
        for count in 0..4 {
            let windows: Windows = (0..count).map(Window::new).collect();
            let amounts: Vec<u64> = windows.iter().map(Window::amount).collect();
            assert_eq!(amounts, (0..count).collect::<Vec<_>>());
            assert_eq!(matches!(windows, Windows::One(_)), count == 1);
        }
    }
}
