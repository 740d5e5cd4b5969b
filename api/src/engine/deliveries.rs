//! What became of webhooks, and once more.

use std::sync::Arc;

use raincheck_shared::domain::{Delivery, DeliveryId, Job, JobId, TenantName, Version};

use super::{Desk, Refusal};

/// A page of deliveries, the latest first.
#[derive(Debug)]
pub(crate) struct DeliveryPage {
    pub(crate) deliveries: Vec<Delivery>,
    job: Arc<Job>,
    /// Below which version the next page starts; `None`: there is none.
    pub(crate) next: Option<Version>,
}

impl DeliveryPage {
    /// Where they go.
    pub(crate) fn url(&self) -> &str {
        self.job.webhook.as_ref().map_or("", |webhook| webhook.wish.url.as_str())
    }
}

impl Desk {
    /// Lists a job's deliveries, `limit` at most, below version `before`.
    pub(crate) async fn deliveries(
        &self,
        tenant: &TenantName,
        id: JobId,
        before: Option<Version>,
        limit: u32,
    ) -> Result<DeliveryPage, Refusal> {
        // Whether there is such a job is for the job to say.
        let job = self.job(tenant, id).await?;
        // One more than the page holds tells whether there is another page.
        let list = move |store: raincheck_shared::store::Store| async move {
            store.deliveries.list_deliveries(id, before, limit.saturating_add(1)).await
        };
        let mut deliveries = self.calls.ask(list).await?;
        let page = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = deliveries.len() > page;
        deliveries.truncate(page);
        let next = deliveries.last().filter(|_| more).map(|delivery| delivery.id.version);
        Ok(DeliveryPage { deliveries, job, next })
    }

    /// Makes a delivery due once more, whatever became of it. Answers where it goes as well.
    pub(crate) async fn redeliver(&self, tenant: &TenantName, id: DeliveryId) -> Result<(Delivery, String), Refusal> {
        let job = self.job(tenant, id.job).await.map_err(|refusal| match refusal {
            Refusal::UnknownJob(_) | Refusal::ExpiredJob(_) => Refusal::UnknownDelivery(id),
            other => other,
        })?;
        let Some(webhook) = &job.webhook else { return Err(Refusal::UnknownDelivery(id)) };
        let found = self.calls.ask(move |store| async move { store.deliveries.redeliver(id).await }).await?;
        let delivery = found.ok_or(Refusal::UnknownDelivery(id))?;
        Ok((delivery, webhook.wish.url.to_string()))
    }
}
