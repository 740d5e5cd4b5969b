//! Precautions that can be taken away, to see that the checker notices.

/// A way to build raincheck wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Flaw {
    /// 202 is answered before the job is committed.
    AnswerBeforeCommit,
    /// A dispatch is noted as published before the broker has confirmed it.
    NoteBeforeConfirm,
    /// A message is acknowledged before its claim is committed.
    AckBeforeClaim,
    /// Any worker may record an end, whoever runs the job.
    NoFence,
    /// The fence is the job and the number of the attempt, without a token.
    NoToken,
    /// The first end of a claim takes its lease along, not the last.
    LeaseGoesEarly,
    /// A worker that cannot renew its lease lets its handlers run on.
    HandlersRunOn,
    /// A worker does not look for what a claim took whose answer was lost.
    NoStrayCheck,
    /// A worker that looks for strays takes a job for held because the end of an earlier attempt is on its way.
    StraysByJob,
    /// Nobody looks for dead workers.
    NoRescue,
    /// Nobody looks for dispatches that the broker has lost.
    NoFinder,
    /// Workers do not take from the table while the broker is away.
    NoFallback,
    /// Nobody fires timers.
    NoTimers,
}
