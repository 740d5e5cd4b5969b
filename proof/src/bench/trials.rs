//! What is measured of a raincheck on PostgreSQL and RabbitMQ.

use std::time::Duration;

use sqlx::Executor as _;

use super::figures::{Figures, ms, percentile};
use super::load::{self, Connection, Load, closed_loop};
use super::rig::Rig;
use crate::stage::wait::{alongside, now};

/// How much each trial does.
#[derive(Debug, Clone, Copy)]
pub struct Amount {
    /// Jobs of a flood.
    pub jobs: usize,
    /// How long a limit is measured, and a rate held.
    pub time: Duration,
    /// Finished jobs behind the backlog trial; a tenth of it waits.
    pub finished: u32,
}

/// Accept and end to end under a flood of 64 clients; what each job costs the database.
pub async fn flood(rig: &mut Rig, figures: &mut Figures, amount: Amount) {
    // Before and after: the machine is hardly as fast now as it was a minute ago.
    let limits = |rig: &Rig| (rig.limits.inserts(amount.time / 2), rig.limits.job_inserts(amount.time / 2));
    let (rows_before, jobs_before) = limits(rig);
    let before = Costs::read(rig).await;
    let busy_before = rig.processor_time();
    let (accepted, ended, to_202) = one_flood(rig, amount.jobs).await;
    let busy = rig.processor_time();
    let after = Costs::read(rig).await;
    let (rows_after, jobs_after) = limits(rig);
    let (limit, of_jobs) = (f64::midpoint(rows_before, rows_after), f64::midpoint(jobs_before, jobs_after));
    figures.note("one-row INSERT for each commit, 64 clients (the limit)", limit, "/s", "");
    figures.note("the same of a job's row, into `jobs`", of_jobs, "/s", "");
    figures.note("accept", accepted, "/s", "");
    figures.note("accept ÷ limit", accepted / limit, "×", "≥ 1.5");
    figures.note("accept ÷ the same of a job's row", accepted / of_jobs, "×", "");
    figures.note("accept, p99 wait", ms(percentile(&to_202, 0.99)), "ms", "");
    figures.note("end to end", ended, "/s", "");
    figures.note("end to end ÷ limit", ended / limit, "×", "≥ 1.0");
    figures.note("end to end ÷ the same of a job's row", ended / of_jobs, "×", "");
    let jobs = count(amount.jobs);
    figures.note("WAL for each job", (after.wal - before.wal) / jobs, "bytes", "< 2048");
    figures.note("commits for each job", (after.commits - before.commits) / jobs, "", "");
    figures.note("rows written for each job", (after.rows - before.rows) / jobs, "", "");
    for ((who, before), (_, after)) in busy_before.into_iter().zip(busy) {
        figures.note(&format!("processor time for each job: {who}"), (after - before) / jobs * 1e6, "µs", "");
    }
}

/// Rates of accepting and ending, and the waits for a 202.
async fn one_flood(rig: &mut Rig, jobs: usize) -> (f64, f64, Vec<Duration>) {
    let load = rig.submit(jobs, "default").await;
    ended(rig, load, jobs).await
}

async fn ended(rig: &mut Rig, load: Load, jobs: usize) -> (f64, f64, Vec<Duration>) {
    rig.all_done().await;
    (load.rate(), count(jobs) / load.began.elapsed().as_secs_f64(), load.waits)
}

/// Floods of jobs with an idempotency key each, as the client packages send them, in turn with jobs without.
pub async fn keys(rig: &mut Rig, figures: &mut Figures, amount: Amount) {
    let jobs = amount.jobs / 2;
    let (mut accept, mut end_to_end, mut busy) = ([0.0; 2], [0.0; 2], [[0.0; 5]; 2]);
    for which in [0, 1, 1, 0] {
        let before = rig.processor_time();
        let load = if which == 0 { rig.submit_with_keys(jobs).await } else { rig.submit(jobs, "default").await };
        let (accepted, ended, _) = ended(rig, load, jobs).await;
        accept[which] += accepted;
        end_to_end[which] += ended;
        for ((sum, (_, after)), (_, before)) in busy[which].iter_mut().zip(rig.processor_time()).zip(before) {
            *sum += (after - before) / count(jobs * 2) * 1e6;
        }
    }
    figures.note("jobs with idempotency keys: accept ÷ without", accept[0] / accept[1], "×", "");
    figures.note("jobs with idempotency keys: end to end ÷ without", end_to_end[0] / end_to_end[1], "×", "");
    for (who, (with, without)) in ["API", "worker", "PostgreSQL"].into_iter().zip(busy[0].into_iter().zip(busy[1])) {
        figures.note(
            &format!("jobs with idempotency keys: processor time more for each job: {who}"),
            with - without,
            "µs",
            "",
        );
    }
}

/// From a submit to its result, seen by a long poll, at 100 jobs a second.
pub async fn latency(rig: &mut Rig, figures: &mut Figures, amount: Amount) {
    let limit = rig.limits.one_job(300).await;
    figures.note("two commits and a confirmed publish, each alone (the limit)", ms(limit), "ms", "");
    let (began, total) = (now(), amount.time.as_secs() * 100);
    let mut running = Vec::new();
    let mut idle: Vec<Connection> = Vec::new();
    let (release, mut released) = tokio::sync::mpsc::unbounded_channel();
    for n in 0..total {
        tokio::time::sleep_until((began + Duration::from_millis(n * 10)).into()).await;
        while let Ok(connection) = released.try_recv() {
            idle.push(connection);
        }
        let mut connection = match idle.pop() {
            Some(connection) => connection,
            None => Connection::open(&rig.address).await,
        };
        let release = release.clone();
        running.push(alongside(async move {
            let began = now();
            let reply = connection.ask(&load::submit("default")).await;
            assert_eq!(reply.status, 202);
            let path = format!("/v1/jobs/{}?wait=10s", load::id_of(reply.body));
            let reply = connection.ask(&load::read(&path)).await;
            assert!(std::str::from_utf8(reply.body).unwrap().contains("\"succeeded\""));
            let took = began.elapsed();
            let _ = release.send(connection);
            took
        }));
    }
    let mut waits = Vec::new();
    for one in running {
        waits.push(one.await.unwrap());
    }
    let (p50, p99) = (percentile(&waits, 0.5), percentile(&waits, 0.99));
    figures.note("POST → result by long poll, 100/s, p50", ms(p50), "ms", "");
    figures.note("POST → result p50 ÷ limit", ms(p50) / ms(limit), "×", "≤ 2");
    figures.note("POST → result by long poll, 100/s, p99", ms(p99), "ms", "≤ 5 where the limit is 1.2");
}

/// Status reads of finished and waiting jobs by 64 clients.
pub async fn reads(rig: &mut Rig, figures: &mut Figures, amount: Amount) {
    let limit = rig.limits.reads(amount.time);
    figures.note("point SELECT by key, 16 clients (the limit)", limit, "/s", "");
    let mut ids = Vec::new();
    let mut connection = Connection::open(&rig.address).await;
    for n in 0..1_000 {
        let queue = if n % 2 == 0 { "default" } else { "later" };
        ids.push(load::id_of(connection.ask(&load::submit(queue)).await.body));
    }
    rig.all_done().await;
    let address = std::slice::from_ref(&rig.address);
    let load = closed_loop(address, 64, usize::MAX, amount.time, 200, move |n, to| {
        // Any order will do that does not walk the table.
        let id = &ids[n.wrapping_mul(7_919) % ids.len()];
        to.extend(load::read(&format!("/v1/jobs/{id}")));
    })
    .await;
    figures.note("status reads, half live, 64 clients", load.rate(), "/s", "");
    figures.note("status reads ÷ limit", load.rate() / limit, "×", "≥ 1.5");
    figures.note("status reads, p99 wait", ms(percentile(&load.waits, 0.99)), "ms", "");
}

/// Floods while another session keeps an old snapshot open for minutes, in turn with the same on other servers without.
pub async fn snapshot(rig: &mut Rig, figures: &mut Figures, amount: Amount) {
    let mut without = Rig::start().await;
    let mut session = rig.session().await;
    session.execute("BEGIN ISOLATION LEVEL REPEATABLE READ").await.unwrap();
    session.execute("SELECT count(*) FROM workers").await.unwrap();
    let began = now();
    for (part, end) in [("first", 1), ("second", 2), ("third", 3)] {
        let (mut accept, mut end_to_end, mut comparisons) = (0.0, 0.0, 0.0);
        while began.elapsed() < Duration::from_mins(end) {
            let one = in_turn(rig, &mut without, amount.jobs).await;
            (accept, end_to_end, comparisons) = (accept + one.0, end_to_end + one.1, comparisons + 1.0);
        }
        let name = format!("old snapshot held, {part} minute");
        figures.note(&format!("{name}: accept ÷ without"), accept / comparisons, "×", "≥ 0.9");
        figures.note(&format!("{name}: end to end ÷ without"), end_to_end / comparisons, "×", "≥ 0.9");
    }
    session.execute("COMMIT").await.unwrap();
}

/// Floods over millions of finished and waiting jobs, in turn with the same on other servers that have none.
pub async fn backlog(rig: &mut Rig, figures: &mut Figures, amount: Amount) {
    rig.submit((amount.finished / 10) as usize, "later").await;
    // Finished jobs are copies of one that really finished, under ids of the days before: not in today's partition, whose
    // pages copies would leave emptier than jobs that run, so that new ones came to stand among them.
    rig.execute(PAST_DAYS.to_owned()).await;
    rig.execute(copies(amount.finished)).await;
    rig.execute("VACUUM ANALYZE jobs".to_owned()).await;
    rig.execute("CHECKPOINT".to_owned()).await;
    let mut empty = Rig::start().await;
    let name = format!("{} finished and {} waiting jobs", amount.finished, amount.finished / 10);
    for _ in 0..3 {
        let (accept, end_to_end) = in_turn(rig, &mut empty, amount.jobs).await;
        figures.note(&format!("{name}: accept ÷ empty"), accept, "×", "≥ 0.9");
        figures.note(&format!("{name}: end to end ÷ empty"), end_to_end, "×", "≥ 0.9");
    }
}

/// A flood here, two there and one here: how this accepts and ends by that. The machine may grow slower meanwhile.
async fn in_turn(this: &mut Rig, that: &mut Rig, jobs: usize) -> (f64, f64) {
    let (mut accept, mut end_to_end) = ([0.0; 2], [0.0; 2]);
    for which in [0, 1, 1, 0] {
        let (accepted, ended, _) = one_flood(if which == 0 { this } else { that }, jobs / 2).await;
        accept[which] += accepted;
        end_to_end[which] += ended;
    }
    (accept[0] / accept[1], end_to_end[0] / end_to_end[1])
}

/// Partitions of the days before today, which raincheck had made if it had run then. Filled to the end, as those are that jobs
/// have run in.
const PAST_DAYS: &str = "
    DO $$ DECLARE
      day date;
      bounds uuid[];
    BEGIN
      FOR day IN SELECT (now() AT TIME ZONE 'UTC')::date - n FROM generate_series(1, 4) n LOOP
        SELECT array_agg((lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || repeat('0', 20))::uuid ORDER BY at)
          INTO bounds FROM unnest(ARRAY[day, day + 1]) at;
        EXECUTE format('CREATE TABLE jobs_%s (LIKE jobs INCLUDING ALL)', to_char(day, 'YYYYMMDD'));
        EXECUTE format('ALTER TABLE jobs ATTACH PARTITION jobs_%s FOR VALUES FROM (%L) TO (%L)',
                       to_char(day, 'YYYYMMDD'), bounds[1], bounds[2]);
      END LOOP;
    END $$";

fn copies(count: u32) -> String {
    format!(
        "SET synchronous_commit = off;
         DO $$ DECLARE columns text; BEGIN
           SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) INTO columns FROM pg_attribute
             WHERE attrelid = 'jobs'::regclass AND attnum > 0 AND NOT attisdropped AND attname <> 'id';
           EXECUTE 'INSERT INTO jobs (id, ' || columns || ') SELECT
             (lpad(to_hex((extract(epoch FROM date_trunc(''day'', now(), ''UTC'')) * 1000)::bigint - n * 20), 12, ''0'') || ''7'' ||
              substr(md5(n::text), 1, 3) || ''8'' || substr(md5(n::text), 4, 15))::uuid, ' || columns || '
             FROM generate_series(1, {count}) n,
                  (SELECT * FROM jobs WHERE status = ''succeeded'' LIMIT 1) one';
         END $$;
         RESET synchronous_commit"
    )
}

/// Jobs of 5 ms on one, two and four workers of eight slots each.
pub async fn scaling(rig: &mut Rig, figures: &mut Figures, amount: Amount) {
    let jobs = amount.jobs / 10;
    let mut alone = 0.0;
    for workers in [1_usize, 2, 4] {
        for n in 0..workers {
            let name = format!("sleeper-{n}");
            rig.cluster.run(&name, &["worker", "--name", &name, "--queue", "naps", "--concurrency", "8"]);
        }
        let load = closed_loop(std::slice::from_ref(&rig.address), 64, jobs, Duration::from_mins(5), 202, |_, to| {
            to.extend_from_slice(
                b"POST /v1/kinds/nap/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
                Content-Length: 18\r\n\r\n{\"seconds\": 0.005}",
            );
        })
        .await;
        rig.all_done().await;
        let rate = count(jobs) / load.began.elapsed().as_secs_f64();
        for n in 0..workers {
            rig.cluster.process(&format!("sleeper-{n}")).terminate().await;
        }
        if workers == 1 {
            alone = rate;
        }
        figures.note(&format!("jobs of 5 ms, {workers} × 8 slots"), rate, "/s", "");
        figures.note(&format!("jobs of 5 ms, {workers} × 8 slots ÷ 1 × 8"), rate / alone, "×", "");
    }
}

/// What the database did so far.
struct Costs {
    wal: f64,
    commits: f64,
    rows: f64,
}

impl Costs {
    async fn read(rig: &mut Rig) -> Self {
        // Statistics of sessions reach the view a while after the fact.
        tokio::time::sleep(Duration::from_secs(2)).await;
        Self {
            wal: rig.number("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8").await,
            commits: rig
                .number("SELECT xact_commit::float8 FROM pg_stat_database WHERE datname = current_database()")
                .await,
            rows: rig
                .number(
                    "SELECT (tup_inserted + tup_updated + tup_deleted)::float8 FROM pg_stat_database
                     WHERE datname = current_database()",
                )
                .await,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of a trial are far below 2^52")]
pub(super) fn count(jobs: usize) -> f64 {
    jobs as f64
}
