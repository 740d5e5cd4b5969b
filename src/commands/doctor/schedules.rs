//! Could the schedules of the configuration make their jobs?

use std::collections::BTreeMap;

use raincheck_api::engine::schedule_problems;
use raincheck_shared::config::Settings;
use raincheck_shared::lifecycle::Clock;
use time::format_description::well_known::Rfc3339;

use super::Findings;

pub(super) fn check(settings: &Settings, clock: &dyn Clock, findings: &mut Findings) {
    let now = clock.now();
    let problems: BTreeMap<_, _> = schedule_problems(settings, now).collect();
    for schedule in &settings.schedules {
        let (name, cron) = (&schedule.name, &schedule.definition.cron);
        if let Some(problem) = problems.get(name) {
            findings.bad(
                format!("schedules.{name}: {problem}"),
                format!("correct `schedules.{name}`: no API starts with what could not be submitted"),
            );
            continue;
        }
        match cron.next_after(now).and_then(|next| cron.local(next).format(&Rfc3339).ok()) {
            Some(next) => findings.good(format!("schedules.{name}: next at {next}")),
            None => findings.doubt(
                format!("schedules.{name}: {cron} names no time ahead"),
                format!("remove it, or set another `schedules.{name}.cron`"),
            ),
        }
    }
}
