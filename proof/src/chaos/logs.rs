//! What processes said of themselves in their logs.

use std::collections::HashMap;
use std::time::Duration;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::moment::Moment;

/// Logs by process.
type Logs = [(String, String)];

/// Whoever is off by so much was shown a false time.
const FALSE: Duration = Duration::from_mins(30);

/// Which process each incarnation of a worker was.
pub fn incarnations(logs: &Logs) -> HashMap<String, String> {
    let mut incarnations = HashMap::new();
    for (name, log) in logs {
        for line in log.lines().filter(|line| line.contains("worker is registered")) {
            if let Some((_, rest)) = line.split_once("worker.id=") {
                let id = rest.split_whitespace().next().unwrap_or_default();
                incarnations.insert(id.to_owned(), name.clone());
            }
        }
    }
    incarnations
}

/// When a replica announced jobs once more, and of which queue.
pub fn announced_again(logs: &Logs) -> Vec<(Moment, String)> {
    let lines = logs.iter().flat_map(|(_, log)| log.lines());
    let told = lines.filter(|line| line.contains("publishing again"));
    let told = told.filter_map(|line| Some((moment_of(line)?, queue_of(line)?)));
    // A process that was shown a false time cannot tell when.
    let now = Moment::now();
    told.filter(|(at, _)| now.since(*at).max(at.since(now)) < FALSE).collect()
}

/// Late results that were refused.
pub fn fenced(logs: &Logs) -> usize {
    let lines = logs.iter().flat_map(|(_, log)| log.lines());
    lines.filter(|line| line.contains("a late result was refused")).count()
}

fn queue_of(line: &str) -> Option<String> {
    line.split_once(" queue=")?.1.split_whitespace().next().map(ToOwned::to_owned)
}

fn moment_of(line: &str) -> Option<Moment> {
    let at = OffsetDateTime::parse(line.split_whitespace().next()?, &Rfc3339).ok()?;
    Some(Moment::of_wall(i64::try_from(at.unix_timestamp_nanos() / 1_000).ok()?))
}

#[cfg(test)]
mod tests {
    use raincheck_shared::lifecycle::SystemClock;

    use super::*;

    #[test]
    fn logs_tell_incarnations_and_times() {
        let registered = "2026-01-02T03:04:05.000006Z  INFO raincheck_worker::pipeline: worker is registered \
                          worker.id=0192-a worker.name=w1";
        let wall = SystemClock::shared().now().format(&Rfc3339).unwrap();
        let again = format!("{wall}  INFO raincheck_api: waiting for long: publishing again queue=q band=normal");
        let elsewhen = "2026-01-02T03:04:05.000006Z  INFO raincheck_api: waiting for long: publishing again queue=q";
        let logs = [("w1".to_owned(), registered.to_owned()), ("api-a".to_owned(), format!("{again}\n{elsewhen}"))];
        assert_eq!(incarnations(&logs), [("0192-a".to_owned(), "w1".to_owned())].into());
        let queues: Vec<String> = announced_again(&logs).into_iter().map(|(_, queue)| queue).collect();
        assert_eq!(queues, ["q"]);
    }
}
