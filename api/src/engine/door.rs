//! The door: who comes in, and whether it may submit now.

use std::time::{Duration, Instant};

use raincheck_shared::domain::{JobId, NewJob, TenantName};

use super::desk::Desk;
use super::quotas::SubmitQuotas;
use super::tickets::{Ticket, Tickets};
use super::{Caller, Denied, Level, Refusal, Submission};

/// Asks a tenant's bucket for one submit.
type Draw = fn(&SubmitQuotas, &TenantName, u32, Instant) -> Result<Level, Level>;

/// What a submit has cost its tenant.
#[derive(Debug, Clone, Copy)]
pub(super) struct Charge {
    /// Where the tenant stands now, if it has a quota of submits.
    pub(super) level: Option<Level>,
    /// Whether one was taken, to be given back if nothing comes of the request.
    pub(super) paid: bool,
}

impl Desk {
    /// How long the store may take with what is left out without its answer.
    pub(crate) const A_MOMENT: Duration = Duration::from_secs(1);

    /// Whether this wants to be a ticket, and no key.
    pub(crate) fn is_ticket(shown: &str) -> bool {
        Tickets::is_one(shown)
    }

    /// Who shows this as its key or ticket. Where nobody has to show a key, nobody is asked.
    pub(crate) async fn caller(&self, shown: Option<&str>) -> Result<Caller, Denied> {
        if self.keyring.is_open().await? {
            return Ok(Caller::anybody());
        }
        match shown {
            None => Err(Denied::NothingShown),
            Some(shown) if Tickets::is_one(shown) => self.tickets.holder(shown).await,
            Some(shown) => self.keyring.holder(shown).await,
        }
    }

    /// The same for numbers about the installation, which say that the store is away: whoever was let in before it was is
    /// believed for as long as it is, and nobody waits for it.
    pub(crate) async fn watcher(&self, shown: Option<&str>) -> Result<Caller, Denied> {
        let decided = self.caller(shown);
        let Some(remembered) = self.keyring.remembered(shown) else { return decided.await };
        match tokio::time::timeout(Self::A_MOMENT, decided).await {
            Ok(Err(Denied::Undecided(refusal))) if refusal.is_outage() => Ok(remembered),
            Ok(decided) => decided,
            Err(_) => Ok(remembered),
        }
    }

    /// A ticket to read one of a tenant's jobs.
    pub(crate) async fn ticket(&self, tenant: &TenantName, id: JobId) -> Result<Ticket, Refusal> {
        self.job(tenant, id).await?;
        self.tickets.issue(tenant, id).await
    }

    /// Takes as many submits as a batch has jobs, or refuses all of it. Answers how many it took.
    pub(super) async fn charge_batch(&self, tenant: &TenantName, jobs: &[(usize, NewJob)]) -> Result<u32, Refusal> {
        let quotas = self.settings.quotas.of(tenant);
        if let Some(most) = quotas.queued.filter(|_| !jobs.is_empty()) {
            // One that is delayed waits for its time, and for a worker only then.
            let waiting = jobs.iter().filter(|(_, job)| job.run_at.is_none()).count() as u64;
            if waiting > most {
                return Err(Refusal::BatchOverQueued { waiting, most });
            }
            self.admission.admit_of(tenant, waiting.saturating_sub(1), most).await?;
        }
        let Some(quota) = quotas.submits_per_minute else { return Ok(0) };
        let count = u32::try_from(jobs.len()).unwrap_or(u32::MAX);
        let taken = self.submit_quotas.take_some(tenant, quota, count, self.clock.monotonic());
        taken.map(|_| count).map_err(Refusal::OverSubmits)
    }

    /// Gives back what of a batch's charge made no job.
    pub(super) fn settle(&self, tenant: &TenantName, paid: u32, made: usize) {
        let for_nothing = paid.saturating_sub(u32::try_from(made).unwrap_or(u32::MAX));
        self.submit_quotas.give_back(tenant, for_nothing);
    }

    /// Takes one submit of the tenant's quota, if it has one, and refuses what is beyond any of its quotas. A request that
    /// was kept already is let through, so that a client who missed the answer is told it however often it asks.
    pub(super) async fn charge(&self, submission: &Submission) -> Result<Charge, Refusal> {
        self.weigh(submission, SubmitQuotas::take).await
    }

    /// Refuses what would be refused then; takes nothing. For a large input, before it is read.
    pub(super) async fn expect_room(&self, submission: &Submission) -> Result<(), Refusal> {
        self.weigh(submission, SubmitQuotas::look).await.map(drop)
    }

    async fn weigh(&self, submission: &Submission, draw: Draw) -> Result<Charge, Refusal> {
        let tenant = &submission.tenant;
        let quotas = self.settings.quotas.of(tenant);
        let refusal = match quotas.queued {
            Some(most) => self.admission.admit_of(tenant, 0, most).await.err(),
            None => None,
        };
        let (level, refusal) = match (refusal, quotas.submits_per_minute) {
            (None, Some(quota)) => match draw(&self.submit_quotas, tenant, quota, self.clock.monotonic()) {
                Ok(level) => (Some(level), None),
                Err(level) => (Some(level), Some(Refusal::OverSubmits(level))),
            },
            (refusal, _) => (None, refusal),
        };
        let Some(refusal) = refusal else { return Ok(Charge { level, paid: level.is_some() }) };
        match &submission.key {
            Some(key) if self.holder(tenant, key).await?.is_some() => Ok(Charge { level, paid: false }),
            _ => Err(refusal),
        }
    }
}
