//! How much is going on.

use crate::flaw::Flaw;
use crate::step::Step;

/// Jobs at most, and workers.
pub(crate) const MOST: usize = 2;

/// What is modelled in one go: the bounds, and the flaw if there is one.
#[derive(Debug, Clone, Copy)]
pub struct Scene {
    /// Jobs that a client submits: one or two.
    pub jobs: usize,
    /// How many surprises there may be in one run: crashes, losses, cancels, all that [`Step::is_surprise`] names.
    ///
    /// [`Step::is_surprise`]: crate::Step::is_surprise
    pub surprises: u8,
    /// Attempts that may count.
    pub max_attempts: i32,
    /// Crashes after which a job is held to be the cause.
    pub max_crashes: i32,
    /// Whether the first job is for later, and has to have started by a certain time.
    pub scheduled: bool,
    /// Which surprises there may be.
    pub of: fn(Step) -> bool,
    /// What is built wrong, a bit for each flaw.
    flaws: u32,
}

impl Scene {
    /// Two jobs, accepted together or one after the other, and so many surprises.
    pub const fn of_two_jobs(surprises: u8) -> Self {
        Self { jobs: 2, surprises, max_attempts: 2, max_crashes: 2, scheduled: false, of: |_| true, flaws: 0 }
    }

    /// One job, which leaves room for more surprises.
    pub const fn of_one_job(surprises: u8) -> Self {
        Self { jobs: 1, ..Self::of_two_jobs(surprises) }
    }

    /// The same with the first job for later.
    #[must_use]
    pub const fn scheduled(self) -> Self {
        Self { scheduled: true, ..self }
    }

    /// The same with one attempt that may count for each job: failures end it.
    #[must_use]
    pub const fn without_retries(self) -> Self {
        Self { max_attempts: 1, ..self }
    }

    /// The same with fewer kinds of surprises.
    #[must_use]
    pub const fn of(self, of: fn(Step) -> bool) -> Self {
        Self { of, ..self }
    }

    /// The same, built wrong.
    #[must_use]
    pub const fn with(self, flaw: Flaw) -> Self {
        Self { flaws: self.flaws | 1 << flaw as u32, ..self }
    }

    pub(crate) fn has(&self, flaw: Flaw) -> bool {
        self.flaws & (1 << flaw as u32) != 0
    }
}
