// A job that was submitted: follow it, wait for it, get its result, cancel it.

import { toBase64, webCrypto } from "./cryptography.js"
import { Download } from "./download.js"
import { JobFailed, RaincheckError, ResultDamaged, Unreachable, WaitTimeout } from "./errors.js"
import { Follower } from "./follow.js"
import type { Job } from "./job.js"
import { type Caller, DeadlinePassed, Garbled, isTransient, readJob } from "./retry.js"
import { type Answer, TransportFault } from "./transport.js"

/** The output of a job, byte for byte. */
export interface Result {
  body: Uint8Array<ArrayBuffer>
  contentType: string
  /**
   * Whether it came with a SHA-256 that it matches. One that does not match is never given out. False where there was none,
   * and in browsers on pages that did not come by https, which cannot compute it.
   */
  verified: boolean
  json(): unknown
  text(): string
}

/** How long to wait. */
export interface WaitSettings {
  /** Milliseconds, after which `WaitTimeout` is thrown. Without one it goes on until the job ends. */
  timeoutMs?: number
  /** Ends it with the signal's reason. Does not cancel the job. */
  signal?: AbortSignal
}

/** One job on the server. Making a handle asks nothing; its methods do. */
export class JobHandle {
  private latest: Job | undefined

  /** @internal */
  constructor(
    private readonly caller: Caller,
    private readonly how: { streamPatienceMs: number; longPollMs: number },
    readonly id: string,
    job: Job | undefined,
    /** The key it was submitted with, for `Client.findByIdempotencyKey`. */
    readonly idempotencyKey: string | undefined,
  ) {
    this.latest = job
  }

  /** The latest state that this handle has seen; not set before it saw any. */
  get job(): Job | undefined {
    return this.latest
  }

  /** The job as it is now. */
  async refresh(): Promise<Job> {
    return this.see(await this.call("GET", "", undefined, readJob))
  }

  /**
   * The job at each version that can be had, in order: versions only rise, and the last one is `done`. A failure of the job
   * is no error here. It goes on over any number of lost connections.
   */
  async *stream(settings: WaitSettings = {}): AsyncGenerator<Job, void, void> {
    const { timeoutMs = Infinity, signal } = settings
    const follower = new Follower(this.caller, this.id, { ...this.how, deadline: Date.now() + timeoutMs, signal })
    try {
      for await (const job of follower.snapshots()) yield this.see(job)
    } catch (error) {
      if (error instanceof DeadlinePassed) throw new WaitTimeout(this.id, timeoutMs, this.latest)
      throw this.named(error)
    }
  }

  /** The job once it has succeeded. Throws `JobFailed` if it ends otherwise, `WaitTimeout` after `timeoutMs`. */
  async wait(settings: WaitSettings = {}): Promise<Job> {
    let job = this.latest
    if (!job?.done) for await (job of this.stream(settings));
    if (job?.status !== "succeeded") throw new JobFailed(job!)
    return job
  }

  /** Waits as `wait` does, then gets the output. Throws `ResultDamaged` if none came that matches its digest. */
  async result(settings: WaitSettings = {}): Promise<Result> {
    await this.wait(settings)
    return this.call("GET", "/result", undefined, readResult, settings.signal)
  }

  /** The output of a job that has succeeded, in pieces as they come: for what is too large to be held in memory. */
  download(settings: { signal?: AbortSignal } = {}): Download {
    return new Download(this.caller, this.id, settings.signal)
  }

  /**
   * Asks for a cancel. A waiting job is canceled at once; one that runs is told, and may still take a while: see `done`.
   * Throws `ApiError` with code `job-already-finished` if it has ended otherwise.
   */
  async cancel(reason?: string): Promise<Job> {
    return this.see(await this.call("POST", "/cancel", JSON.stringify({ reason }), readJob))
  }

  private async call<T>(
    method: string,
    path: string,
    body: string | undefined,
    read: (answer: Answer) => T | Promise<T>,
    signal?: AbortSignal,
  ): Promise<T> {
    const headers: Record<string, string> = body === undefined ? {} : { "Content-Type": "application/json" }
    const request = { method, target: `/v1/jobs/${this.id}${path}`, headers, ...(body === undefined ? {} : { body }) }
    try {
      return await this.caller.call(request, read, { signal, bounded: path !== "/result" })
    } catch (error) {
      throw this.named(error)
    }
  }

  private named(error: unknown): unknown {
    if (error instanceof Unreachable && error.cause instanceof Damaged) {
      return new ResultDamaged("the result does not match its Content-Digest").about({ jobId: this.id })
    }
    if (error instanceof RaincheckError) return error.about({ jobId: this.id })
    if (isTransient(error)) {
      const status = error instanceof Garbled ? error.status : undefined
      return new Unreachable(error, status).about({ jobId: this.id })
    }
    return error
  }

  private see(job: Job): Job {
    if (this.latest === undefined || job.version >= this.latest.version) this.latest = job
    return job
  }
}

/** The body is not the one that was sent. Like a broken connection, it is worth another try. */
class Damaged extends TransportFault {}

async function readResult(answer: Answer): Promise<Result> {
  const { body } = answer
  const given = /sha-256=:([A-Za-z0-9+/=]+):/.exec(answer.headers.get("content-digest") ?? "")?.[1]
  const subtle = (await webCrypto()).subtle as SubtleCrypto | undefined
  if (given !== undefined && subtle !== undefined) {
    const digest = toBase64(new Uint8Array(await subtle.digest("SHA-256", body)))
    if (digest !== given) throw new Damaged("the result does not match its Content-Digest", false)
  }
  const text = () => new TextDecoder().decode(body)
  return {
    body,
    contentType: answer.headers.get("content-type") ?? "application/octet-stream",
    verified: given !== undefined && subtle !== undefined,
    json: () => JSON.parse(text()),
    text,
  }
}
