//! Promises that a build with the feature `proof` can be made to break, to show that whoever checks them would see it.

/// A promise that is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutation {
    /// An end is recorded whoever holds the fence.
    NoFence,
    /// Messages are acknowledged before their jobs are claimed.
    EarlyAck,
    /// Jobs are answered with 202 before they are committed.
    Early202,
    /// A delivery counts as made before it is sent.
    EarlyDelivered,
}

impl Mutation {
    /// Whether `RAINCHECK_MUTATION` asks for it.
    pub fn is_on(self) -> bool {
        let name = match self {
            Self::NoFence => "no-fence",
            Self::EarlyAck => "early-ack",
            Self::Early202 => "early-202",
            Self::EarlyDelivered => "early-delivered",
        };
        std::env::var("RAINCHECK_MUTATION").is_ok_and(|asked| asked == name)
    }
}
