//! The steps that are about schedules, and about many jobs at once.

use std::error::Error as StdError;

use raincheck_client::{Failed, NewSchedule};
use serde_json::Value;

use super::{Came, Run, same, text};

impl Run {
    pub(super) async fn schedule(&self, step: &Value) -> Result<Came, Box<dyn StdError>> {
        let (name, schedules) = (text(&step["name"]), self.client.schedules());
        let new = || NewSchedule::new(text(&step["cron"]), text(&step["kind"]));
        let found = match text(&step["call"]) {
            "delete" => {
                same("deleted", Some(schedules.delete(name).await?), step["expect"]["deleted"].as_bool())?;
                return Ok(Came::Nothing);
            }
            "put" => schedules.put(name, new()).await?,
            "preview" => schedules.preview(name, new()).await?,
            "get" => schedules.get(name, u32::try_from(step["count"].as_u64().unwrap_or(5))?).await?,
            "list" => {
                let all = schedules.list().await?;
                all.into_iter().find(|one| one.name == name).ok_or("it is not in the list")?
            }
            "pause" => schedules.pause(name).await?,
            "resume" => schedules.resume(name).await?,
            other => return Err(format!("no such call: {other}").into()),
        };
        let expect = &step["expect"];
        same("the name", found.name.as_str(), expect["name"].as_str().unwrap_or(name))?;
        same("paused", found.paused, expect["paused"].as_bool().unwrap_or(found.paused))?;
        let runs = found.next.len() as u64;
        same("the runs", runs, expect["runs"].as_u64().unwrap_or(runs))?;
        same("the local times", found.next.iter().all(|run| run.local.contains(text(&expect["local"]))), true)?;
        Ok(Came::Nothing)
    }

    pub(super) async fn redrive(&self, step: &Value) -> Result<Came, Box<dyn StdError>> {
        let which = Failed::all().kind(text(&step["kind"])).filter("tags", step["tags"].clone());
        let dry = step["dry_run"] == true;
        let done = if dry {
            self.client.redrive_dry_run(&which, 1000).await?
        } else {
            self.client.redrive(&which, 1000).await?
        };
        let jobs = done.jobs.len() as u64;
        same("the jobs", (Some(jobs), done.refused.len(), done.more), (step["expect"]["jobs"].as_u64(), 0, false))?;
        for job in &done.jobs {
            same("the job that failed", job.id.as_str(), self.job()?.id())?;
            same("whether it is tried", job.retried_by.is_none(), dry)?;
            if let Some(again) = &job.retried_by {
                let again = self.client.job(again).refresh().await?;
                same("what the new job tries", again.raw()["retry_of"].as_str(), Some(job.id.as_str()))?;
            }
        }
        Ok(Came::Nothing)
    }
}
