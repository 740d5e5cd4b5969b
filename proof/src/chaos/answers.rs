//! What an answer says, as the history keeps it.

use serde_json::Value;

use super::history::{Ask, Heard, JobSeen};
use crate::stage::client::Answer;

/// An answer about one job.
pub fn understand(ask: &Ask, answer: &Answer) -> Heard {
    let code = answer.status;
    let body: Option<Value> = serde_json::from_slice(&answer.body).ok();
    match (ask, &body) {
        (Ask::Output(_), Some(body)) if code == 200 => Heard::Output(serde_json::from_value(body.clone()).ok()),
        (Ask::Submit { .. } | Ask::Read(_) | Ask::Cancel(_), Some(body)) if matches!(code, 200 | 202) => {
            // Behind the version of a job with a webhook stands how far that is.
            let etag = answer.header("etag").trim_matches('"').split('.').next().and_then(|text| text.parse().ok());
            job_in(body).map_or_else(|| other(answer, Some(body)), |job| Heard::Job { code, job, etag })
        }
        _ => other(answer, body.as_ref()),
    }
}

/// The answer to a batch: what it says of each job, in their order.
pub fn understand_batch(asks: &[Ask], answer: &Answer) -> Vec<Heard> {
    let body: Option<Value> = serde_json::from_slice(&answer.body).ok();
    let items = body.as_ref().and_then(|body| body["items"].as_array()).filter(|_| answer.status == 207);
    match items.filter(|items| items.len() == asks.len()) {
        Some(items) => items.iter().map(item).collect(),
        // One refusal, of all of them.
        None => vec![other(answer, body.as_ref()); asks.len()],
    }
}

fn item(item: &Value) -> Heard {
    let code = item["status"].as_u64().and_then(|code| code.try_into().ok()).unwrap_or_default();
    let problem = item["problem"]["code"].as_str().map_or_else(|| item.to_string(), ToOwned::to_owned);
    // Only a whole answer can have a header: of an item that it may be tried again says its problem.
    let retry_after = item["problem"]["retryable"] == true;
    match job_in(&item["job"]) {
        Some(job) if matches!(code, 200 | 202) => Heard::Job { code, job, etag: None },
        _ => Heard::Other { code, problem, retry_after },
    }
}

fn job_in(body: &Value) -> Option<JobSeen> {
    Some(JobSeen {
        id: body["id"].as_str()?.to_owned(),
        version: body["version"].as_i64()?,
        status: body["status"].as_str()?.to_owned(),
        done: body["done"].as_bool()?,
        attempt: body["attempt"].as_i64()?,
        output: serde_json::from_value(body["result"]["value"].clone()).ok(),
    })
}

fn other(answer: &Answer, body: Option<&Value>) -> Heard {
    let code = body.and_then(|body| body["code"].as_str()).map(ToOwned::to_owned);
    let start = || String::from_utf8_lossy(&answer.body).chars().take(200).collect();
    Heard::Other {
        code: answer.status,
        problem: code.unwrap_or_else(start),
        retry_after: !answer.header("retry-after").is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer(status: u16, body: &Value) -> Answer {
        Answer { status, headers: [].into_iter().collect(), body: body.to_string().into() }
    }

    fn asks() -> Vec<Ask> {
        [1, 2].map(|number| Ask::Submit { number, key: None, id: None }).into()
    }

    #[test]
    fn each_job_of_a_batch_has_its_answer_and_a_refusal_is_of_all() {
        let job = json!({ "id": "a", "version": 1, "status": "queued", "done": false, "attempt": 0 });
        let items = json!([
            { "index": 0, "status": 202, "job": job },
            { "index": 1, "status": 503, "problem": { "code": "store-unavailable", "retryable": true } },
        ]);
        let heard = understand_batch(&asks(), &answer(207, &json!({ "items": items })));
        assert!(matches!(&heard[0], Heard::Job { code: 202, job, etag: None } if job.id == "a"));
        assert!(matches!(&heard[1], Heard::Other { code: 503, retry_after: true, .. }));

        let refused = understand_batch(&asks(), &answer(409, &json!({ "code": "idempotency-in-flight" })));
        let in_flight = |heard: &Heard| matches!(heard, Heard::Other { code: 409, problem, .. } if problem == "idempotency-in-flight");
        assert!(refused.len() == 2 && refused.iter().all(in_flight));
        // An answer that leaves one out answers none.
        let short = understand_batch(&asks(), &answer(207, &json!({ "items": [] })));
        assert!(short.len() == 2 && short.iter().all(|heard| matches!(heard, Heard::Other { code: 207, .. })));
    }
}
