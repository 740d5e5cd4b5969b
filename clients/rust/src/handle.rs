//! A job that was submitted: follow it, wait for it, get its result, cancel it.

use std::time::Duration;

use serde_json::json;

use crate::client::Client;
use crate::error::{Error, ErrorKind};
use crate::fault::Fault;
use crate::job::Job;
use crate::pieces::Pieces;
use crate::request::{Answer, Request, encode};
use crate::result::JobResult;
use crate::snapshots::Snapshots;
use crate::transport::Size;

/// One job on the server. To make a handle asks nothing; its methods do.
#[derive(Debug, Clone)]
pub struct JobHandle {
    client: Client,
    id: String,
    idempotency_key: Option<String>,
    accepted: Option<Job>,
}

impl JobHandle {
    pub(crate) fn new(client: Client, id: String, idempotency_key: Option<String>, accepted: Option<Job>) -> Self {
        Self { client, id, idempotency_key, accepted }
    }

    /// Known before anything is waited for.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The key it was submitted with, or found by.
    pub fn idempotency_key(&self) -> Option<&str> {
        self.idempotency_key.as_deref()
    }

    /// The job as the answer to its submit had it.
    pub fn accepted(&self) -> Option<&Job> {
        self.accepted.as_ref()
    }

    /// The job as it is now.
    pub async fn refresh(&self) -> Result<Job, Error> {
        let request = Request::get(self.path(""));
        let read = self.client.with_retries(&request, None, Size::Document, read_job).await;
        read.map_err(|error| error.about_job(&self.id))
    }

    /// The job at each version that can be had, in order: versions only rise, and the last one is done.
    ///
    /// `within`: a duration, or `None` for as long as it takes, over any number of lost connections. When it is over the
    /// error is [`ErrorKind::Timeout`]. A failure of the job is no error here. Whoever stops listening does not cancel it.
    pub fn stream(&self, within: impl Into<Option<Duration>>) -> Snapshots {
        Snapshots::new(self.client.clone(), self.id.clone(), within.into())
    }

    /// The job once it has succeeded. [`ErrorKind::JobFailed`] if it ends otherwise, [`ErrorKind::Timeout`] when `within` is
    /// over.
    pub async fn wait(&self, within: impl Into<Option<Duration>>) -> Result<Job, Error> {
        let mut snapshots = self.stream(within);
        let mut last = self.accepted.clone().filter(Job::done);
        while last.as_ref().is_none_or(|job| !job.done()) {
            match snapshots.next().await {
                Some(job) => last = Some(job?),
                None => break,
            }
        }
        match last {
            Some(job) if job.succeeded() => Ok(job),
            Some(job) => Err(Error::new(ErrorKind::JobFailed(Box::new(job))).about_job(&self.id)),
            // A stream ends with a job that is done, or with an error.
            None => self.refresh().await,
        }
    }

    /// Waits as [`JobHandle::wait`] does, then gets the output. [`ErrorKind::ResultDamaged`] if none came that meets its
    /// digest.
    pub async fn result(&self, within: impl Into<Option<Duration>>) -> Result<JobResult, Error> {
        self.wait(within).await?;
        let request = Request::get(self.path("/result")).header("accept", "*/*");
        let read = self.client.with_retries(&request, None, Size::Any, JobResult::read).await;
        read.map_err(|error| error.about_job(&self.id))
    }

    /// The output of a job that has succeeded, as it comes: for what is too large to be held in memory.
    pub fn download(&self) -> Pieces {
        Pieces::new(self.client.clone(), self.id.clone(), self.path("/result"))
    }

    /// Asks for a cancel. A waiting job is canceled at once; one that runs is told, and may still take a while: see
    /// [`Job::done`]. `reason`: for people, or `None`. [`ErrorKind::Api`] with the code `job-already-finished` if it has
    /// ended otherwise.
    pub async fn cancel(&self, reason: impl Into<Option<&str>>) -> Result<Job, Error> {
        let body = reason.into().map_or_else(|| json!({}), |reason| json!({ "reason": reason }));
        let request = Request::post(self.path("/cancel"), "application/json", body.to_string());
        let read = self.client.with_retries(&request, None, Size::Document, read_job).await;
        read.map_err(|error| error.about_job(&self.id))
    }

    fn path(&self, below: &str) -> String {
        format!("/v1/jobs/{}{below}", encode(&self.id))
    }
}

/// The job in an answer that should have one.
pub(crate) fn read_job(answer: &Answer) -> Result<Job, Fault> {
    Job::read(answer.document()?).ok_or_else(|| answer.garbled())
}
