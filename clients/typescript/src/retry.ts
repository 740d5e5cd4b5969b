// When a request is sent again, how long that goes on, and what an answer means.

import { ApiError, type Problem, RaincheckError, Redirected, Unreachable } from "./errors.js"
import { type Job, isJob } from "./job.js"
import { type Answer, type Request, type Transport, TransportFault } from "./transport.js"

const FIRST_PAUSE = 200
const LONGEST_PAUSE = 10_000

/** An answer came, but not one of raincheck's: a page of a proxy, half a document. */
export class Garbled extends Error {
  readonly status: number

  constructor(answer: Answer) {
    const kind = answer.headers.get("content-type") ?? "no media type"
    const said = new TextDecoder().decode(answer.body.slice(0, 120))
    super(`${answer.status} with ${kind} is no answer of raincheck: ${said}`)
    this.status = answer.status
  }
}

/** The time that the caller gave is over. */
export class DeadlinePassed extends Error {}

/** Pauses with full jitter: anything from nothing to a bound that doubles. Milliseconds. */
export class Backoff {
  private bound = FIRST_PAUSE

  /** Until the next try; never less than the server asked for. */
  pause(retryAfterMs = 0): number {
    const pause = Math.random() * this.bound + retryAfterMs
    this.bound = Math.min(this.bound * 2, LONGEST_PAUSE)
    return pause
  }
}

/** The header in milliseconds, given in seconds or as a date. */
export function retryAfterMs(headers: Headers): number | undefined {
  const text = headers.get("retry-after")?.trim() ?? ""
  if (/^\d+$/.test(text)) return Number(text) * 1000
  const date = Date.parse(text)
  return Number.isNaN(date) ? undefined : Math.max(date - Date.now(), 0)
}

/** The JSON of an answer that should have some. */
export function document(answer: Answer): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(answer.body))
  } catch {
    throw new Garbled(answer)
  }
}

/** The job in an answer that should have one. */
export function readJob(answer: Answer): Job {
  const job = document(answer)
  if (!isJob(job)) throw new Garbled(answer)
  return job
}

/** Throws what an answer says that is no success. */
export function refuseFailures(answer: Answer): void {
  if (answer.status < 300 || answer.status === 304) return
  if (answer.status < 400) throw new Redirected(answer.status, answer.headers.get("location") ?? undefined)
  const problem = document(answer) as Problem | null
  if (typeof problem !== "object" || typeof problem?.code !== "string") throw new Garbled(answer)
  throw new ApiError(answer.status, problem, retryAfterMs(answer.headers))
}

/** Whether the same request may go better in a while. */
export function isTransient(error: unknown): boolean {
  if (error instanceof ApiError) {
    // A job may take as long as it does, and whoever can wait for it waits for the job.
    if (error.code === "job-not-finished") return false
    return error.retryable || error.status === 408 || error.status === 429 || error.status >= 500
  }
  return error instanceof Garbled || error instanceof TransportFault
}

/** Sleeps; throws the reason of the signal as soon as that is aborted. */
export function sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer)
      reject(signal?.reason)
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop)
      resolve()
    }, ms)
    if (signal?.aborted) stop()
    else signal?.addEventListener("abort", stop, { once: true })
  })
}

/** How long a call may go on, besides the retry budget. */
export interface Bounds {
  /** An instant of `Date.now()`, at which `DeadlinePassed` is thrown. */
  deadline?: number | undefined
  signal?: AbortSignal | undefined
  /** False: the answer may be of any length. */
  bounded?: boolean
}

/** Sends requests until they are answered or the budget is spent. */
export class Caller {
  constructor(
    readonly transport: Transport,
    private readonly budgetMs: number,
    readonly requestTimeoutMs: number,
  ) {}

  /**
   * What `read` makes of the answer. `read` throws `Garbled` or `TransportFault` for what is not to be believed. Ends with
   * an error that says how it stood when the retry budget was spent.
   */
  async call<T>(request: Request, read: (answer: Answer) => T | Promise<T>, bounds: Bounds = {}): Promise<T> {
    const { deadline = Infinity, signal, bounded } = bounds
    const end = this.end()
    const backoff = new Backoff()
    for (;;) {
      if (Date.now() >= deadline) throw new DeadlinePassed()
      try {
        const timeout = Math.min(this.requestTimeoutMs, deadline - Date.now())
        const answer = await this.transport.send(request, timeout, signal, bounded)
        refuseFailures(answer)
        return await read(answer)
      } catch (error) {
        await this.pause(error, backoff, end, signal, deadline)
      }
    }
  }

  /** When a retry budget that begins now is spent. */
  end(): number {
    return Date.now() + this.budgetMs
  }

  /** Waits before the next try, or throws what there is to say: there is none, or none before `end` or `deadline`. */
  async pause(error: unknown, backoff: Backoff, end: number, signal: AbortSignal | undefined, deadline = Infinity): Promise<void> {
    if (!isTransient(error)) throw error
    const pause = backoff.pause(error instanceof ApiError ? error.retryAfterMs : undefined)
    // The earlier of the two ends it: a deadline that comes later does not lengthen the budget.
    if (deadline < end && Date.now() + pause >= deadline) {
      await sleep(Math.max(deadline - Date.now(), 0), signal)
      throw new DeadlinePassed(undefined, { cause: error })
    }
    if (Date.now() + pause >= end) throw lastWord(error)
    await sleep(pause, signal)
  }
}

function lastWord(error: unknown): RaincheckError {
  return error instanceof RaincheckError ? error : new Unreachable(error, error instanceof Garbled ? error.status : undefined)
}
