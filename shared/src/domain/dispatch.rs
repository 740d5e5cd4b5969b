//! A dispatch says: these jobs wait. It is a row in the store until they are claimed, and a message on the broker.

use super::ids::JobId;
use super::names::{KindName, QueueName};

/// Number of a dispatch, rising with time within one store.
pub type DispatchId = i64;

/// How urgent, in as many steps as have a broker queue of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Band {
    /// Priorities 0 to 2.
    Low,
    /// Priorities 3 to 6.
    Normal,
    /// Priorities 7 to 9.
    High,
    /// Any priority: jobs of a tenant that had little waiting when others had a lot. Takes turns with all of the others,
    /// so that one tenant's flood does not starve another. Nothing is in it while there is one tenant only.
    Express,
}

impl Band {
    /// All bands.
    pub const ALL: [Self; 4] = [Self::Express, Self::High, Self::Normal, Self::Low];

    /// Those that priorities fall in, most urgent first.
    pub const OF_PRIORITIES: [Self; 3] = [Self::High, Self::Normal, Self::Low];

    /// The band in which a job of this priority waits.
    pub const fn of(priority: u8, express: bool) -> Self {
        if express { Self::Express } else { Self::of_priority(priority) }
    }

    /// The band of a priority from 0 to 9.
    pub const fn of_priority(priority: u8) -> Self {
        match priority {
            0..=2 => Self::Low,
            3..=6 => Self::Normal,
            _ => Self::High,
        }
    }

    /// The number in the store; higher goes first where bands cannot take turns.
    pub const fn as_i16(self) -> i16 {
        match self {
            Self::Low => 0,
            Self::Normal => 1,
            Self::High => 2,
            Self::Express => 3,
        }
    }

    /// The band of a stored number.
    pub const fn from_i16(number: i16) -> Option<Self> {
        match number {
            0 => Some(Self::Low),
            1 => Some(Self::Normal),
            2 => Some(Self::High),
            3 => Some(Self::Express),
            _ => None,
        }
    }

    /// The last part of a broker queue's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
            Self::Express => "express",
        }
    }
}

/// Jobs of one kind that wait in one queue and travel in one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dispatch {
    /// Its number in the store.
    pub id: DispatchId,
    /// Where the jobs wait.
    pub queue: QueueName,
    /// How urgent they are.
    pub band: Band,
    /// Their kind, so that a worker can tell whether it has a slot before it claims.
    pub kind: KindName,
    /// The jobs, never none.
    pub jobs: Vec<JobId>,
}
