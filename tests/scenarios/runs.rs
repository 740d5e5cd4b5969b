//! A kind that leaves a trace of every run, to tell how often and when each job ran.

use std::collections::HashMap;
use std::path::Path;

/// TOML of kind `traced`: appends a line when it starts and one when it ends; takes `seconds` in between.
pub(crate) fn traced_kind(seconds: f64) -> String {
    let script = format!(
        "echo \"start $RAINCHECK_JOB_ID\" >> runs; cat > /dev/null; sleep {seconds}; echo \"end $RAINCHECK_JOB_ID\" >> runs; echo done"
    );
    format!("[kinds.traced]\ncommand = [\"sh\", \"-c\", {script:?}]\ndirectory = \".\"\nconcurrency = 32\n")
}

/// How often each job was started, and how often one was started while an earlier run of it had not ended.
pub(crate) fn read(runs: &Path) -> (HashMap<String, usize>, usize) {
    let text = std::fs::read_to_string(runs).unwrap_or_default();
    let (mut started, mut live, mut overlaps) = (HashMap::new(), HashMap::<&str, usize>::new(), 0);
    for line in text.lines() {
        let (what, job) = line.split_once(' ').unwrap();
        let live = live.entry(job).or_default();
        if what == "start" {
            overlaps += usize::from(*live > 0);
            *live += 1;
            *started.entry(job.to_owned()).or_default() += 1;
        } else {
            *live -= 1;
        }
    }
    (started, overlaps)
}
