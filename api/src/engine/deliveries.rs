//! What became of webhooks, and once more.

use std::sync::Arc;

use raincheck_shared::domain::{BatchId, BatchWebhook, Delivery, DeliveryId, Event, Job, JobId, TenantName, Version};

use super::{Desk, Refusal};

/// A page of deliveries, the latest first.
#[derive(Debug)]
pub(crate) struct DeliveryPage {
    pub(crate) deliveries: Vec<Delivery>,
    job: Arc<Job>,
    /// Below which version the next page starts; `None`: there is none.
    pub(crate) next: Option<Version>,
}

/// Where a delivery goes.
struct Addressee {
    url: String,
    /// The job it is of, if that has ended.
    ended: Option<JobId>,
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
        let next = deliveries.last().filter(|_| more).and_then(|delivery| delivery.id.version());
        Ok(DeliveryPage { deliveries, job, next })
    }

    /// Makes a delivery due once more, whatever became of it; progress only of a job that goes on. Answers where it goes as
    /// well.
    pub(crate) async fn redeliver(&self, tenant: &TenantName, id: DeliveryId) -> Result<(Delivery, String), Refusal> {
        let addressee = self.told_at(tenant, id).await.map_err(|refusal| match refusal {
            Refusal::UnknownJob(_) | Refusal::ExpiredJob(_) | Refusal::UnknownBatch(_) | Refusal::ExpiredBatch(_) => {
                Refusal::UnknownDelivery(id)
            }
            other => other,
        })?;
        if let Some(job) = addressee.ended {
            let found = self.calls.ask(move |store| async move { store.deliveries.find_delivery(id).await }).await?;
            if found.is_some_and(|delivery| delivery.event == Event::Progress) {
                return Err(Refusal::NoProgress(job));
            }
        }
        let found = self.calls.ask(move |store| async move { store.deliveries.redeliver(id).await }).await?;
        let delivery = found.ok_or(Refusal::UnknownDelivery(id))?;
        Ok((delivery, addressee.url))
    }

    /// Where a tenant's job, or batch, is told of.
    async fn told_at(&self, tenant: &TenantName, id: DeliveryId) -> Result<Addressee, Refusal> {
        let (url, ended) = match id {
            DeliveryId::Job { id, .. } => {
                let job = self.job(tenant, id).await?;
                let url = job.webhook.as_ref().map(|webhook| webhook.wish.url.to_string());
                (url, job.status.is_done().then_some(id))
            }
            DeliveryId::Batch(id) => {
                (self.batch(tenant, id).await?.webhook.map(|webhook| webhook.url.to_string()), None)
            }
        };
        Ok(Addressee { url: url.ok_or(Refusal::UnknownDelivery(id))?, ended })
    }

    /// The delivery of a batch's end, once it has ended, and where it goes. `None`: it is told to nobody, or has not ended.
    pub(crate) async fn delivery_of_batch(
        &self,
        tenant: &TenantName,
        id: BatchId,
    ) -> Result<Option<(Delivery, BatchWebhook)>, Refusal> {
        let Some(webhook) = self.batch(tenant, id).await?.webhook else { return Ok(None) };
        let delivery = DeliveryId::Batch(id);
        let found = self.calls.ask(move |store| async move { store.deliveries.find_delivery(delivery).await }).await?;
        Ok(found.map(|delivery| (delivery, webhook)))
    }
}
