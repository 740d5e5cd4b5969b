// Where raincheck is, and how jobs get there.

import { randomUuid } from "./cryptography.js"
import { RaincheckError } from "./errors.js"
import { JobHandle } from "./handle.js"
import type { Job } from "./job.js"
import { type FailedFilter, type RedriveSettings, type Redriven, redrive } from "./redrive.js"
import { Caller, Garbled, document, readJob } from "./retry.js"
import { Schedules } from "./schedules.js"
import { type Answer, Transport } from "./transport.js"

/** All times are in milliseconds. */
export interface ClientSettings {
  /** Sent as Bearer. */
  apiKey?: string
  /** How long one request is sent again and again before its error is thrown. 60 s. */
  retryBudgetMs?: number
  /**
   * The longest that one try may take until all of an answer about a job is there, and of a result the longest until its next
   * byte. 30 s. A body that is sent gets a second more for each 32 KiB, since `fetch` does not tell how far it is.
   */
  requestTimeoutMs?: number
  /** How long an event stream may keep silent at its start until it is given up for long polls. 5 s. */
  streamPatienceMs?: number
  /** How long a long poll is held. 25 s: proxies tend to cut idle connections after 60 s. */
  longPollMs?: number
}

/** The other fields of `POST /v1/jobs`. Durations as in `"30s"`, instants as in RFC 3339. */
export interface JobOptions {
  queue?: string
  priority?: number
  run_at?: string
  delay?: string
  timeouts?: { start?: string; run?: string }
  deadline?: string
  retention?: { input?: string; result?: string }
  max_attempts?: number
  metadata?: Record<string, string>
  tags?: string[]
  [field: string]: unknown
}

/** Options as query parameters, such as `run_timeout`; a list becomes several of the same name, such as `tag`. */
export type QueryOptions = Record<string, string | number | boolean | string[]>

/** How to submit. */
export interface SubmitSettings<Options> {
  /** Without one a key is made. */
  idempotencyKey?: string
  options?: Options
  signal?: AbortSignal
}

/** A raincheck server. */
export class Client {
  /** What the server makes jobs by. */
  readonly schedules: Schedules
  private readonly caller: Caller
  private readonly how: { streamPatienceMs: number; longPollMs: number }

  /** `baseUrl`: with or without a path and a slash at its end. */
  constructor(baseUrl: string, settings: ClientSettings = {}) {
    const { retryBudgetMs = 60_000, requestTimeoutMs = 30_000, streamPatienceMs = 5_000, longPollMs = 25_000 } = settings
    this.caller = new Caller(new Transport(baseUrl, settings.apiKey), retryBudgetMs, requestTimeoutMs)
    this.schedules = new Schedules(this.caller, (target, how) => this.send(target, "application/json", "", how))
    this.how = { streamPatienceMs, longPollMs }
  }

  /**
   * Submits a job whose input is JSON, and returns once it is kept: sent again after any fault, it is accepted once. All
   * errors carry the idempotency key, for `findByIdempotencyKey`.
   */
  async submit(kind: string, input: unknown = null, settings: SubmitSettings<JobOptions> = {}): Promise<JobHandle> {
    refuseValidateOnly(settings.options)
    return this.send("/v1/jobs", "application/json", JSON.stringify({ ...settings.options, kind, input }), settings)
  }

  /** Submits a job whose input is these bytes. */
  async submitBytes(
    kind: string,
    body: Uint8Array<ArrayBuffer>,
    contentType = "application/octet-stream",
    settings: SubmitSettings<QueryOptions> = {},
  ): Promise<JobHandle> {
    refuseValidateOnly(settings.options)
    const query = new URLSearchParams()
    for (const [name, value] of Object.entries(settings.options ?? {})) {
      for (const one of Array.isArray(value) ? value : [value]) query.append(name, String(one))
    }
    const target = `/v1/kinds/${encodeURIComponent(kind)}/jobs?${query}`.replace(/\?$/, "")
    return this.send(target, contentType, body, settings)
  }

  /** A handle for a job whose id is known. Asks nothing. */
  job(id: string): JobHandle {
    return this.handle(encodeURIComponent(id), undefined, undefined)
  }

  /** The job that was accepted under a key, if there is one. For who does not know whether a submit arrived. */
  async findByIdempotencyKey(key: string): Promise<JobHandle | undefined> {
    let cursor: string | null = null
    do {
      const query = new URLSearchParams({ idempotency_key: key, ...(cursor === null ? {} : { cursor }) })
      const page: Page = await this.caller.call({ method: "GET", target: `/v1/jobs?${query}` }, readPage)
      const found = page.jobs[0]
      if (found !== undefined) return this.handle(found.id, undefined, key)
      cursor = page.next_cursor
    } while (cursor !== null)
    return undefined
  }

  /**
   * Tries failed jobs once more, newest first; with `dryRun` it only says which. Each is tried once, however often this is
   * called and whatever answers are lost; those whose answer was lost are not named.
   */
  redrive(filter: FailedFilter = {}, settings: RedriveSettings = {}): Promise<Redriven> {
    return redrive(this.caller, filter, settings)
  }

  private async send(
    target: string,
    contentType: string,
    body: string | Uint8Array<ArrayBuffer>,
    { idempotencyKey, signal }: SubmitSettings<unknown>,
  ): Promise<JobHandle> {
    // Minted once, outside of the retries: it is what makes the second request the same as the first.
    const key = idempotencyKey ?? (await randomUuid())
    if (!/^[ !#-[\]-~]{1,255}$/.test(key)) {
      throw new TypeError("an idempotency key is 1 to 255 printable ASCII characters without quotes and backslashes")
    }
    const headers = { "Content-Type": contentType, "Idempotency-Key": `"${key}"`, Prefer: "respond-async" }
    try {
      const job = await this.caller.call({ method: "POST", target, headers, body }, readJob, { signal })
      return this.handle(job.id, job, key)
    } catch (error) {
      throw error instanceof RaincheckError ? error.about({ idempotencyKey: key }) : error
    }
  }

  private handle(id: string, job: Job | undefined, key: string | undefined): JobHandle {
    return new JobHandle(this.caller, this.how, id, job, key)
  }
}

function refuseValidateOnly(options: Record<string, unknown> = {}): void {
  // Its answer has no job in it, and would be asked for again and again as one that was garbled on its way.
  const asked = options.validate_only ?? false
  if (asked !== false && asked !== "false") {
    throw new TypeError("validate_only makes no job: ask POST /v1/jobs itself instead, and read what it answers")
  }
}

interface Page {
  jobs: { id: string }[]
  next_cursor: string | null
}

function readPage(answer: Answer): Page {
  const page = document(answer) as Partial<Page> | null
  if (!Array.isArray(page?.jobs) || page.next_cursor === undefined) throw new Garbled(answer)
  return page as Page
}
