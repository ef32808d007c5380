//! Choices from random bytes: fewer bytes and smaller ones make simpler choices, so proptest's
//! shrinking finds simple failures.

pub(crate) struct Dice<'a>(pub(crate) &'a [u8]);

impl Dice<'_> {
    /// A number below `sides`; 0 if the bytes have run out.
    pub(crate) fn below(&mut self, sides: usize) -> usize {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        usize::from(*first) % sides.max(1)
    }

    /// True once in `often` times.
    pub(crate) fn once_in(&mut self, often: usize) -> bool {
        self.below(often) == often - 1
    }

    pub(crate) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// A number below `sides`, or none.
    pub(crate) fn maybe(&mut self, sides: usize) -> Option<usize> {
        if self.once_in(2) { Some(self.below(sides)) } else { None }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
