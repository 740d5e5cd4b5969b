// Runs the shared cases with this client, as the stage in clients/cases has it. Every name is printed with how it went.

import assert from "node:assert/strict"
import { randomBytes, randomUUID } from "node:crypto"
import { readFileSync } from "node:fs"
import * as rc from "raincheck-client"

const { RAINCHECK_CASES: CASES, RAINCHECK_CASES_PROXY: PROXY } = process.env
const KEYS = JSON.parse(process.env.RAINCHECK_CASES_KEYS)

const ERRORS = {
  api: rc.ApiError,
  unreachable: rc.Unreachable,
  redirected: rc.Redirected,
  timeout: rc.WaitTimeout,
  job_failed: rc.JobFailed,
  damaged: rc.ResultDamaged,
}
// What the cases call the settings of a client, in seconds.
const SETTINGS = {
  retry_budget: "retryBudgetMs",
  request_timeout: "requestTimeoutMs",
  stream_patience: "streamPatienceMs",
  long_poll: "longPollMs",
}

async function control(method, path, body) {
  const answer = await fetch(PROXY + path, { method, body: body && JSON.stringify(body) })
  return answer.json()
}

const version7 = milliseconds => {
  const hex = milliseconds.toString(16).padStart(12, "0") + "7000" + "8000" + randomBytes(6).toString("hex")
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-")
}

/** One case. `handle` is the job of the latest submit, `key` its idempotency key. */
class Run {
  unique = randomUUID()

  constructor(case_, base) {
    const settings = { apiKey: KEYS[case_.api_key ?? "usual"], retryBudgetMs: 30_000 }
    for (const [name, seconds] of Object.entries(case_.client ?? {})) settings[SETTINGS[name]] = seconds * 1000
    this.client = new rc.Client(PROXY + base + (case_.slash ? "/" : ""), settings)
  }

  async step(step) {
    const started = Date.now()
    if (step.error) await this.fails(step, step.error)
    else await this[step.do](step, step.expect ?? {})
    const took = (Date.now() - started) / 1000
    assert.ok(took <= (step.within ?? Infinity), `it took ${took} s, wanted: ${step.within}`)
  }

  async fails(step, wanted) {
    let error
    try {
      await this[step.do](step, {})
    } catch (thrown) {
      error = thrown
    }
    assert.ok(error, `${step.do} went well, wanted: ${JSON.stringify(wanted)}`)
    if (wanted.type === "invalid") {
      assert.ok(error instanceof TypeError && error.message.includes(wanted.says), error.stack)
      return
    }
    if (error.constructor !== ERRORS[wanted.type]) throw new Error(`not an error of type ${wanted.type}`, { cause: error })
    assert.ok(error instanceof rc.RaincheckError)
    if (error.idempotencyKey !== undefined) this.key = error.idempotencyKey
    for (const [name, field] of [["status", "status"], ["code", "code"], ["detail", "detail"], ["request_id", "requestId"]]) {
      if (name in wanted) assert.equal(error[field], wanted[name], name)
    }
    if (wanted.job_status) {
      assert.equal(error.job.status, wanted.job_status)
      assert.equal(error.code, wanted.job_code)
    }
    if (wanted.has_request_id) assert.ok(error.requestId, "the error has no request id")
    if (wanted.names_key) {
      assert.ok(error.idempotencyKey && error.message.includes(error.idempotencyKey), "the error does not name the key")
    }
    if (wanted.names_job) {
      assert.equal(error.jobId, this.job.id, "the job of the error")
      assert.ok(error.message.includes(this.job.id), "the message does not name the job")
    }
  }

  get job() {
    assert.ok(this.handle, "no job was submitted")
    return this.handle
  }

  settings(step) {
    const key = step.key === "$unique" ? this.unique : step.key
    return { ...(key && { idempotencyKey: key }), ...(step.options && { options: step.options }) }
  }

  async submit(step) {
    this.submitted(await this.client.submit(step.kind, step.input, this.settings(step)))
  }

  async submit_bytes(step) {
    this.sent = Uint8Array.from({ length: step.size }, (_, i) => (i * 31) % 251)
    this.submitted(await this.client.submitBytes(step.kind, this.sent, step.content_type, this.settings(step)))
  }

  submitted(handle) {
    assert.match(handle.id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    this.handle = handle
    this.key = handle.idempotencyKey
  }

  open(step) {
    this.handle = this.client.job(step.id === "$unknown" ? version7(Date.now()) : step.id)
  }

  async wait(step, expect) {
    this.ended(await this.job.wait({ timeoutMs: (step.timeout ?? 60) * 1000 }), expect)
  }

  ended(job, expect) {
    if ("status" in expect) assert.equal(job.status, expect.status)
    if ("value" in expect) assert.deepEqual(job.result.value, expect.value)
  }

  async stream(step, expect) {
    const jobs = []
    for await (const job of this.job.stream({ timeoutMs: (step.timeout ?? 60) * 1000 })) jobs.push(job)
    const versions = jobs.map(job => job.version)
    assert.ok(versions.every((version, i) => i === 0 || versions[i - 1] < version), `versions do not rise: ${versions}`)
    assert.ok(jobs.length >= expect.at_least, `${jobs.length} snapshots, wanted: ${expect.at_least}`)
    assert.deepEqual(jobs.map(job => job.done), jobs.map((_, i) => i === jobs.length - 1))
    assert.equal(jobs.at(-1).status, expect.last)
    if (expect.progress) {
      const percents = jobs.flatMap(job => job.progress?.percent ?? [])
      assert.ok(percents.length > 1, `progress: ${percents}`)
      assert.deepEqual(percents, [...percents].sort((a, b) => a - b))
    }
  }

  async result(step, expect) {
    this.came(await this.job.result({ timeoutMs: (step.timeout ?? 60) * 1000 }), expect)
  }

  async download(step, expect) {
    const download = this.job.download()
    const pieces = []
    for await (const piece of download) pieces.push(piece)
    const body = Buffer.concat(pieces)
    this.came({ body, contentType: download.contentType, verified: download.verified }, expect)
  }

  came(result, expect) {
    if ("json" in expect) assert.deepEqual(result.json(), expect.json)
    if (expect.bytes_of_input) assert.ok(Buffer.from(result.body).equals(Buffer.from(this.sent)), "not the bytes that were sent")
    if ("content_type" in expect) assert.equal(result.contentType, expect.content_type)
    if ("verified" in expect) assert.equal(result.verified, expect.verified)
  }

  async cancel(step, expect) {
    this.ended(await this.job.cancel(step.reason), expect)
  }

  async schedule(step, expect) {
    const { call, name, cron, kind } = step
    const { schedules } = this.client
    if (call === "delete") return assert.equal(await schedules.delete(name), expect.deleted)
    const found =
      call === "put" || call === "preview" ? await schedules[call](name, { cron, kind })
      : call === "get" ? await schedules.get(name, step.count)
      : call === "list" ? (await schedules.list()).find(one => one.name === name)
      : await schedules[call](name)
    if ("name" in expect) assert.equal(found.name, expect.name)
    if ("paused" in expect) assert.equal(found.paused ?? false, expect.paused)
    if ("runs" in expect) assert.equal(found.next.length, expect.runs)
    for (const run of found.next) assert.ok(run.local.includes(expect.local ?? ""), run.local)
  }

  async trigger(step) {
    this.submitted(await this.client.schedules.trigger(step.name))
  }

  async redrive(step, expect) {
    const done = await this.client.redrive({ kind: step.kind, tags: step.tags }, { dryRun: step.dry_run })
    assert.deepEqual([done.jobs.length, done.refused, done.more], [expect.jobs, [], false])
    for (const { id, retried_by } of done.jobs) {
      assert.equal(id, this.job.id)
      assert.equal(retried_by === null, step.dry_run)
      if (retried_by !== null) assert.equal((await this.client.job(retried_by).refresh()).retry_of, id)
    }
  }

  async find(step, expect) {
    const found = await this.client.findByIdempotencyKey(step.key ?? this.key)
    assert.equal(found !== undefined, expect.found, "found")
    if (expect.adopt) this.handle = found
    else if (found) assert.equal(found.id, this.job.id)
  }
}

async function runCase(case_) {
  const { base } = await control("POST", "/_cases", case_)
  const failures = []
  const run = new Run(case_, base)
  for (const [number, step] of case_.steps.entries()) {
    try {
      await run.step(step)
    } catch (error) {
      failures.push(`step ${number + 1}, ${step.do}: ${error.stack}\n${error.cause?.stack ?? ""}`)
      break
    }
  }
  const verdict = await control("GET", `/_cases/${base.split("/").at(-1)}/verdict`)
  failures.push(...verdict.failures)
  if (failures.length > 0) {
    for (const r of verdict.requests) {
      failures.push(`${(r.at - verdict.requests[0].at).toFixed(3)} s  ${r.class} ${r.target}: ${r.fault}`)
    }
  }
  return failures
}

async function runWebhook(case_) {
  try {
    const event = await rc.verifyWebhook(Buffer.from(case_.body), case_.headers, case_.secret, { now: case_.now })
    if (!case_.accepted) return ["accepted"]
    assert.deepEqual(event.raw, JSON.parse(case_.body))
    return []
  } catch (error) {
    return error instanceof rc.WebhookRejected && !case_.accepted ? [] : [`${error.stack}`]
  }
}

const read = name => JSON.parse(readFileSync(`${CASES}/${name}`, "utf8"))
const wanted = process.argv[2] ?? ""
const work = [
  ...read("cases.json").map(case_ => [runCase, case_]),
  ...read("webhooks.json").cases.map(case_ => [runWebhook, case_]),
].filter(([, case_]) => case_.name.includes(wanted))

// A dozen at once; what they found is printed in the order of the file.
const waiting = work.entries()
const found = []
const worker = async () => {
  for (const [at, [run, case_]] of waiting) found[at] = await run(case_)
}
await Promise.all(Array.from({ length: 12 }, worker))

for (const [at, [, case_]] of work.entries()) {
  console.log((found[at].length > 0 ? "not ok  " : "ok      ") + case_.name)
  for (const failure of found[at]) console.log(`        ${failure.replaceAll("\n", "\n        ")}`)
}
const passed = found.filter(failures => failures.length === 0).length
console.log(`node ${process.version}: ${passed} of ${work.length} cases passed`)
process.exitCode = passed === work.length && passed > 0 ? 0 : 1
