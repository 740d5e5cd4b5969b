//! Chance that can be repeated: the same seed draws the same.

use std::time::Duration;

/// A small generator (`SplitMix64`). Good enough to choose faults with, and of no use for secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dice(u64);

impl Dice {
    /// The dice of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed ^ 0x5DEE_CE66_D1CE_4E5B)
    }

    /// Other dice for a part of the same trial, so that what one part draws does not depend on how often another did.
    #[must_use]
    pub fn of_part(&self, part: &str) -> Self {
        let mixed = part.bytes().fold(self.0, |mixed, byte| (mixed ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3));
        let mut dice = Self(mixed);
        dice.draw();
        dice
    }

    /// Any number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; 0 if that is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.draw() % bound.max(1)
    }

    /// Whether something that happens `percent` times in a hundred happens now.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// A time from `least` to `most` milliseconds.
    pub fn millis(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(least + self.below(most.saturating_sub(least) + 1))
    }

    /// One of several; `None` of none.
    pub fn pick<'a, T>(&mut self, among: &'a [T]) -> Option<&'a T> {
        among.get(usize::try_from(self.below(among.len() as u64)).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_draws_the_same_and_parts_draw_apart() {
        let draw = |mut dice: Dice| (0..20).map(|_| dice.draw()).collect::<Vec<_>>();
        assert_eq!(draw(Dice::new(7)), draw(Dice::new(7)));
        assert_ne!(draw(Dice::new(7)), draw(Dice::new(8)));
        assert_ne!(draw(Dice::new(7).of_part("load")), draw(Dice::new(7).of_part("faults")));
    }

    #[test]
    fn draws_stay_within_their_bounds_and_reach_them() {
        let mut dice = Dice::new(1);
        let drawn: Vec<_> = (0..200).map(|_| dice.millis(3, 5).as_millis()).collect();
        assert!(drawn.iter().all(|millis| (3..=5).contains(millis)));
        assert!(drawn.contains(&3) && drawn.contains(&5));
        assert_eq!(dice.below(0), 0);
        assert_eq!(dice.pick::<u8>(&[]), None);
    }
}
