//! Embedded mode: its settings, and the handler of the trials as a program, since `raincheck up` has none in Rust.

/// Sections besides `[store]`. In the place of the handler in Rust there is a script of the same ways.
pub const SETTINGS: &str = r#"
[worker]
lease = "3s"
heartbeat = "500ms"
concurrency = 24
[jobs]
cancel_grace = "3s"
max_crashes = 50
[upkeep]
blobs = "10s"
[kinds.journaled]
command = ["sh", "run.sh"]
directory = "."
output_type = "application/json"
retry_exit_codes = [75]
timeout = "20s"
backoff = "200ms"
max_backoff = "1s"
concurrency = 24
[kinds.shell]
command = ["cat"]
timeout = "20s"
backoff = "200ms"
max_backoff = "1s"
"#;

/// Does as the order says that is its input, and writes down when it started and how it ended. Its process is the parent
/// of the supervisor that is its own parent: that is who is killed and frozen.
pub const SCRIPT: &str = r#"
order=$(cat)
field() { printf '%s' "$order" | sed "s/.*\"$1\":\([a-z0-9]*\).*/\1/"; }
number=$(field number) millis=$(field millis) failures=$(field failures) fatal=$(field fatal)
run=$(cat /proc/sys/kernel/random/uuid)
now() { date +%s%6N; }
say() { printf '%s\n' "$1" >> runs-up.jsonl; }
end() { say "{\"run\":\"$run\",\"end_wall\":$(now),\"how\":\"$1\"}"; }
trap 'end stopped; exit 143' TERM
mkdir -p live
worker=$(sed -n 's/^PPid:[^0-9]*//p' /proc/$PPID/status)
beside=
for other in live/"$RAINCHECK_JOB_ID".*; do
  if [ -e "$other" ] && kill -0 "$(cat "$other")" 2>/dev/null; then beside="$beside ${other##*.}"; fi
done
echo $$ > "live/$RAINCHECK_JOB_ID.$run"
say "{\"run\":\"$run\",\"job\":\"$RAINCHECK_JOB_ID\",\"attempt\":$RAINCHECK_ATTEMPT,\"process\":\"up\",\"pid\":$worker,\"beside\":\"$beside\",\"start_wall\":$(now)}"
sleep "$((millis / 1000)).$(printf %03d $((millis % 1000)))" & wait $!
if [ "$RAINCHECK_ATTEMPT" -le "$failures" ]; then
  end failed
  echo "[run $run]" >&2
  if [ "$fatal" = true ]; then exit 1; else exit 75; fi
fi
end complete
printf '{"job":"%s","attempt":%s,"run":"%s","number":%s}' "$RAINCHECK_JOB_ID" "$RAINCHECK_ATTEMPT" "$run" "$number"
"#;
