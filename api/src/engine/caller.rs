//! Who asks, and what it may do.

use raincheck_shared::domain::{ApiKey, JobId, Scope, TenantName};

/// Whoever sent a request, once it is known.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// Whose jobs are all that there are for it.
    pub(crate) tenant: TenantName,
    rights: Rights,
}

#[derive(Debug, Clone)]
enum Rights {
    /// Nobody has to show a key.
    All,
    Key(Vec<Scope>),
    /// To read this job and nothing else.
    Ticket(JobId),
}

impl Caller {
    /// A caller who needs no key.
    pub(crate) fn anybody() -> Self {
        Self { tenant: TenantName::default(), rights: Rights::All }
    }

    /// The holder of a key.
    pub(crate) fn with_key(key: &ApiKey) -> Self {
        Self { tenant: key.tenant.clone(), rights: Rights::Key(key.scopes.clone()) }
    }

    /// The holder of a ticket for one of a tenant's jobs.
    pub(crate) fn with_ticket(tenant: TenantName, job: JobId) -> Self {
        Self { tenant, rights: Rights::Ticket(job) }
    }

    /// Whether it may do what `scope` allows. `reads`: the one job that would be read, if that is all that it asks for.
    pub(crate) fn may(&self, scope: Scope, reads: Option<JobId>) -> bool {
        match &self.rights {
            Rights::All => true,
            Rights::Key(scopes) => scopes.contains(&scope),
            Rights::Ticket(job) => scope == Scope::JobsRead && reads == Some(*job),
        }
    }

    /// Whether it was let in because nobody has to show a key.
    pub(crate) fn is_anybody(&self) -> bool {
        matches!(self.rights, Rights::All)
    }

    /// Whether it showed a ticket.
    pub(crate) fn has_ticket(&self) -> bool {
        matches!(self.rights, Rights::Ticket(_))
    }
}
