//! Whose turn it is: the express band every other time, else urgent bands first, none starved.

use super::dispatch::Band;

/// Of ten messages six are of the high band, three of the normal, one of the low, while all of them have some. The
/// express band takes turns with the three together.
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
pub struct PerBand<T> {
    express: T,
    high: T,
    normal: T,
    low: T,
}

impl<T> PerBand<T> {
    /// That of one band.
    pub const fn get(&self, band: Band) -> &T {
        match band {
            Band::Express => &self.express,
            Band::High => &self.high,
            Band::Normal => &self.normal,
            Band::Low => &self.low,
        }
    }

    /// That of one band, to change it.
    pub const fn get_mut(&mut self, band: Band) -> &mut T {
        match band {
            Band::Express => &mut self.express,
            Band::High => &mut self.high,
            Band::Normal => &mut self.normal,
            Band::Low => &mut self.low,
        }
    }
}

/// Goes round the bands by weight.
#[derive(Debug, Default)]
pub struct Turns {
    /// Where in [`TURNS`].
    next: usize,
    /// Whether the last turn was the express band's.
    was_express: bool,
}

impl Turns {
    /// Asks `take` for something of the band whose turn it is, then of the others, most urgent first. A turn on which
    /// nothing was found is not used up.
    pub fn pick<T>(&mut self, mut take: impl FnMut(Band) -> Option<T>) -> Option<T> {
        if !self.was_express
            && let Some(picked) = take(Band::Express)
        {
            self.was_express = true;
            return Some(picked);
        }
        let first = TURNS[self.next];
        let mut others = Band::OF_PRIORITIES.into_iter().filter(|band| *band != first);
        if let Some(picked) = take(first).or_else(|| others.find_map(&mut take)) {
            self.next = (self.next + 1) % TURNS.len();
            self.was_express = false;
            return Some(picked);
        }
        // Only the express band can have something left.
        if self.was_express { take(Band::Express) } else { None }
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
        let order = drain(&mut Turns::default(), PerBand { express: 0, high: 100, normal: 100, low: 100 }, 100);
        let count = |band| order.iter().filter(|b| **b == band).count();
        assert_eq!((count(Band::High), count(Band::Normal), count(Band::Low)), (60, 30, 10));
        assert_eq!(order[0], Band::High, "the most urgent goes first");
    }

    #[test]
    fn a_band_without_messages_leaves_its_turn_to_the_most_urgent_that_has_some() {
        let order = drain(&mut Turns::default(), PerBand { express: 0, high: 0, normal: 2, low: 2 }, 10);
        assert_eq!(order, [Band::Normal, Band::Normal, Band::Low, Band::Low]);
    }

    #[test]
    fn the_express_band_has_every_other_turn_and_takes_nothing_from_the_shares_of_the_others() {
        let left = PerBand { express: 100, high: 100, normal: 100, low: 100 };
        let order = drain(&mut Turns::default(), left, 200);
        let count = |band| order.iter().filter(|b| **b == band).count();
        let all = [count(Band::Express), count(Band::High), count(Band::Normal), count(Band::Low)];
        assert_eq!(all, [100, 60, 30, 10]);
        assert!(order.chunks(2).all(|pair| pair[0] == Band::Express && pair[1] != Band::Express));
    }

    #[test]
    fn the_express_band_has_all_turns_that_nobody_else_wants() {
        let order = drain(&mut Turns::default(), PerBand { express: 3, high: 0, normal: 1, low: 0 }, 10);
        assert_eq!(order, [Band::Express, Band::Normal, Band::Express, Band::Express]);
    }
}
