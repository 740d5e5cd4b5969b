//! A client as raincheck's users write one: HTTP and JSON, nothing else.

use std::time::Duration;

use reqwest::Method;
use serde_json::Value;

use super::contract::{CONTRACT, Contract};
use super::events::EventStream;

/// An answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: reqwest::header::HeaderMap,
    /// The body, whole.
    pub body: bytes::Bytes,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {}", String::from_utf8_lossy(&self.body)))
    }

    /// A header as text, empty without it.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The id of the job it describes.
    pub fn job_id(&self) -> String {
        self.json()["id"].as_str().unwrap().to_owned()
    }
}

/// Talks to one API.
#[derive(Debug, Clone)]
pub struct Client {
    base: String,
    http: reqwest::Client,
    /// For what has no end of its own.
    endless: reqwest::Client,
    contract: Option<&'static Contract>,
}

impl Client {
    /// `address`: `HOST:PORT`. Every answer is checked against the OpenAPI document of this build.
    pub fn new(address: &str) -> Self {
        Self { contract: Some(&CONTRACT), ..Self::unchecked(address) }
    }

    /// The same for load, where checking would cost too much, for other releases, which have other documents, and for other
    /// servers.
    pub fn unchecked(address: &str) -> Self {
        raincheck_shared::tls::install();
        let http = reqwest::Client::builder().timeout(Duration::from_secs(70)).no_proxy().build().unwrap();
        let endless = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { base: format!("http://{address}"), http, endless, contract: None }
    }

    /// `HOST:PORT`.
    pub fn address(&self) -> &str {
        self.base.trim_start_matches("http://")
    }

    /// Sends a request. `Err` when there is no HTTP answer at all.
    pub async fn try_send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<reqwest::Body>,
    ) -> Result<Answer, reqwest::Error> {
        let mut request = self.http.request(method.clone(), format!("{}{path}", self.base)).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let answer = Answer { status, headers, body: response.bytes().await? };
        if let Some(contract) = self.contract {
            contract.check(&method, path, &answer);
        }
        Ok(answer)
    }

    /// Sends a request to an API that is there.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<reqwest::Body>,
    ) -> Answer {
        self.try_send(method, path, headers, body).await.unwrap()
    }

    /// Opens a stream of events. `Err` when there is no answer, or another than 200.
    pub async fn try_events(&self, path: &str, headers: &[(&str, &str)]) -> Result<EventStream, reqwest::Error> {
        let mut request = self.endless.get(format!("{}{path}", self.base)).header("accept", "text/event-stream");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Ok(EventStream::new(request.send().await?.error_for_status()?))
    }

    /// Opens the stream of a job's events; `seen`: the `Last-Event-ID`.
    pub async fn events(&self, id: &str, seen: Option<&str>) -> EventStream {
        let headers: Vec<_> = seen.map(|seen| ("last-event-id", seen)).into_iter().collect();
        self.try_events(&format!("/v1/jobs/{id}/events"), &headers).await.unwrap()
    }

    /// Submits a job of `kind` with a JSON input.
    pub async fn try_submit(&self, kind: &str, input: &Value) -> Result<Answer, reqwest::Error> {
        let path = format!("/v1/kinds/{kind}/jobs");
        self.try_send(Method::POST, &path, &[("content-type", "application/json")], input.to_string()).await
    }

    /// Submits a job that must be accepted; answers its id.
    pub async fn submit(&self, kind: &str, input: &Value) -> String {
        let answer = self.try_submit(kind, input).await.unwrap();
        assert_eq!(answer.status, 202, "{}", String::from_utf8_lossy(&answer.body));
        answer.job_id()
    }

    /// Reads a job.
    pub async fn job(&self, id: &str) -> Value {
        self.send(Method::GET, &format!("/v1/jobs/{id}"), &[], "").await.json()
    }

    /// Waits, by long polls, until a job has ended.
    pub async fn done(&self, id: &str) -> Value {
        for _ in 0..6 {
            let Ok(answer) = self.try_send(Method::GET, &format!("/v1/jobs/{id}?wait=20s"), &[], "").await else {
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            };
            if answer.status == 503 {
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
            assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
            let job = answer.json();
            if job["done"] == true {
                return job;
            }
        }
        panic!("job {id} did not end: {}", self.job(id).await);
    }

    /// Whether the API is ready.
    pub async fn is_ready(&self) -> bool {
        self.try_send(Method::GET, "/readyz", &[], "").await.is_ok_and(|answer| answer.status == 200)
    }
}
