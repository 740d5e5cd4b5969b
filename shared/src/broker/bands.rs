//! Whose turn it is: urgent bands first, none starved.

use crate::domain::Band;

/// Of ten messages six are of the high band, three of the normal, one of the low, while all of them have some.
const TURNS: [Band; 10] = [
    Band::High,
    Band::High,
    Band::Normal,
    Band::High,
    Band::High,
    Band::Normal,
    Band::High,
    Band::Low,
    Band::High,
    Band::Normal,
];

/// One value for each band.
#[derive(Debug, Clone, Default)]
pub(super) struct PerBand<T> {
    high: T,
    normal: T,
    low: T,
}

impl<T> PerBand<T> {
    pub(super) const fn get(&self, band: Band) -> &T {
        match band {
            Band::High => &self.high,
            Band::Normal => &self.normal,
            Band::Low => &self.low,
        }
    }

    pub(super) const fn get_mut(&mut self, band: Band) -> &mut T {
        match band {
            Band::High => &mut self.high,
            Band::Normal => &mut self.normal,
            Band::Low => &mut self.low,
        }
    }
}

/// Goes round the bands by weight.
#[derive(Debug, Default)]
pub(super) struct Turns(usize);

impl Turns {
    /// Asks `take` for something of the band whose turn it is, then of the others, most urgent first. A turn on which
    /// nothing was found is not used up.
    pub(super) fn pick<T>(&mut self, mut take: impl FnMut(Band) -> Option<T>) -> Option<T> {
        let first = TURNS[self.0];
        let picked = take(first).or_else(|| Band::ALL.into_iter().filter(|band| *band != first).find_map(&mut take))?;
        self.0 = (self.0 + 1) % TURNS.len();
        Some(picked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(turns: &mut Turns, mut left: PerBand<u32>, count: usize) -> Vec<Band> {
        let mut order = Vec::new();
        for _ in 0..count {
            order.extend(turns.pick(|band| {
                let left = left.get_mut(band);
                *left = left.checked_sub(1)?;
                Some(band)
            }));
        }
        order
    }

    #[test]
    fn full_bands_share_six_to_three_to_one() {
        let order = drain(&mut Turns::default(), PerBand { high: 100, normal: 100, low: 100 }, 100);
        let count = |band| order.iter().filter(|b| **b == band).count();
        assert_eq!((count(Band::High), count(Band::Normal), count(Band::Low)), (60, 30, 10));
        assert_eq!(order[0], Band::High, "the most urgent goes first");
    }

    #[test]
    fn a_band_without_messages_leaves_its_turn_to_the_most_urgent_that_has_some() {
        let order = drain(&mut Turns::default(), PerBand { high: 0, normal: 2, low: 2 }, 10);
        assert_eq!(order, [Band::Normal, Band::Normal, Band::Low, Band::Low]);
    }
}
