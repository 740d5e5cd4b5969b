// What can go wrong, by what the caller can do about it. All of it is a `RaincheckError`.

import type { Job } from "./job.js"

/** A problem document (RFC 9457) of raincheck. */
export interface Problem {
  code: string
  title?: string
  detail?: string
  retryable?: boolean
  request_id?: string
  errors?: { pointer: string; detail: string }[]
  [field: string]: unknown
}

/** The base of all errors here. */
export class RaincheckError extends Error {
  /** The job it is about, once that has an id. */
  readonly jobId: string | undefined
  /** On errors of a submit: with it `Client.findByIdempotencyKey` tells whether the job was accepted all the same. */
  readonly idempotencyKey: string | undefined

  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options)
    this.name = new.target.name
  }

  /** Says what it is about, once: the code that knows is not the code that fails. */
  about(names: { jobId?: string; idempotencyKey?: string }): this {
    const [what, name] = names.jobId !== undefined ? ["job", names.jobId] : ["idempotency key", names.idempotencyKey]
    if (!this.message.includes(`(${what} ${name})`)) this.message += ` (${what} ${name})`
    return Object.assign(this, names)
  }
}

/** raincheck refused, or kept saying until the retry budget was spent that it cannot now. */
export class ApiError extends RaincheckError {
  /** Stable, for programs: docs/errors has a page for each. */
  readonly code: string
  readonly detail: string
  readonly requestId: string | undefined
  /** Whether the very same request may succeed later. */
  readonly retryable: boolean

  constructor(
    readonly status: number,
    /** The whole document, `errors` with its pointers included. */
    readonly problem: Problem,
    /** Milliseconds after which the server wants to be asked again. */
    readonly retryAfterMs: number | undefined,
  ) {
    const detail = problem.detail ?? problem.title ?? ""
    super(`${status} ${problem.code}: ${detail} [request ${problem.request_id}]`)
    this.code = problem.code
    this.detail = detail
    this.requestId = problem.request_id
    this.retryable = problem.retryable === true
  }
}

/** No answer of raincheck came through within the retry budget. `cause` has the last fault. */
export class Unreachable extends RaincheckError {
  constructor(
    cause: unknown,
    /** The HTTP status of the last answer, if there was one that was not raincheck's. */
    readonly status: number | undefined,
  ) {
    super(`raincheck cannot be reached: ${cause instanceof Error ? cause.message : cause}`, { cause })
  }
}

/** The base URL leads elsewhere. A redirected POST may turn into a GET, so redirects are not followed. */
export class Redirected extends RaincheckError {
  constructor(
    readonly status: number,
    /** Browsers do not tell. */
    readonly location: string | undefined,
  ) {
    super(`${status}: redirected to ${location ?? "another address"}; use that as the base URL`)
  }
}

/** The job did not end in time. It goes on. */
export class WaitTimeout extends RaincheckError {
  declare readonly jobId: string

  constructor(
    jobId: string,
    timeoutMs: number,
    /** Its latest known state, if any. */
    readonly job: Job | undefined,
  ) {
    super(`the job has not ended within ${timeoutMs} ms`)
    this.about({ jobId })
  }
}

/** The job ended without success: it failed, was canceled, or expired. */
export class JobFailed extends RaincheckError {
  declare readonly jobId: string
  /** For instance `handler-error` or `run-timeout`. Not set when it was canceled or expired. */
  readonly code: string | undefined

  constructor(readonly job: Job) {
    super(`the job ${job.status}${job.error ? `: ${job.error.code}: ${job.error.message}` : ""}`)
    this.code = job.error?.code
    this.about({ jobId: job.id })
  }
}

/** Each time the result arrived within the retry budget, it did not match its Content-Digest. */
export class ResultDamaged extends RaincheckError {}

/** The webhook is not to be believed: its signature, its age or its form is wrong. */
export class WebhookRejected extends RaincheckError {}
