// A job as it moves: by server-sent events, or else by long polls, or else by asking now and then.
//
// Proxies cut streams, buffer them for ever, or do not let requests stay open. So a way that failed twice in a row without
// bringing news is given up for the next one, and a stream that keeps silent from its start at once. After a failure the job
// is read the plain way, on the retry budget: that tells whether it was the way that failed or the server that is away.

import { ApiError } from "./errors.js"
import { EventStream } from "./event_stream.js"
import { type Job, isJob } from "./job.js"
import { Backoff, type Caller, DeadlinePassed, Garbled, isTransient, readJob, refuseFailures, retryAfterMs, sleep } from "./retry.js"
import { type OpenAnswer, TransportFault, whole } from "./transport.js"

/** Failures without news in between until a way is given up. */
const MISSES = 2
/** A stream that has begun says something every 15 s. Milliseconds. */
const SILENCE = 40_000

/** How to follow. Milliseconds; `deadline` is an instant of `Date.now()`. */
export interface Following {
  streamPatienceMs: number
  longPollMs: number
  deadline: number
  signal: AbortSignal | undefined
}

/** The stream was asked for, and nothing came: somebody holds it back. */
class Silent extends Error {}

/** Follows one job. */
export class Follower {
  private seen = 0
  /** What the stream last asked to wait before a reconnect, and a read before the next one. */
  private reconnectAfterMs = 0
  private pollAfterMs = 0
  private readonly target: string

  constructor(
    private readonly caller: Caller,
    jobId: string,
    private readonly how: Following,
  ) {
    this.target = `/v1/jobs/${jobId}`
  }

  /** Each version that comes, in order; the last one is `done`. Throws `DeadlinePassed` at the deadline. */
  async *snapshots(): AsyncGenerator<Job, void, void> {
    const ways = [() => this.events(), () => this.held(), () => this.nowAndThen()]
    let way = 0
    let misses = 0
    let backoff = new Backoff()
    for (;;) {
      const before = this.seen
      const streamed = way === 0
      let failed = false
      try {
        for await (const job of ways[way]!()) {
          if (!this.isNews(job)) continue
          yield job
          if (job.done) return
        }
      } catch (error) {
        this.checkDeadline()
        if (error instanceof Silent) misses = MISSES
        else if (way === ways.length - 1 || !isAMiss(error)) throw error
        else misses += 1
        failed = true
      }
      this.checkDeadline()
      if (this.seen > before) {
        misses = 0
        backoff = new Backoff()
      } else if (!failed && streamed) {
        misses += 1
      }
      if (misses >= MISSES) {
        misses = 0
        way += 1
      } else if (streamed) {
        await this.sleep(Math.max(this.reconnectAfterMs, backoff.pause()))
      }
      if (failed || streamed) {
        const job = await this.read()
        if (!this.isNews(job)) continue
        yield job
        if (job.done) return
      }
    }
  }

  private isNews(job: Job): boolean {
    if (job.version <= this.seen) return false
    this.seen = job.version
    return true
  }

  private checkDeadline(): void {
    if (Date.now() >= this.how.deadline) throw new DeadlinePassed()
  }

  /** As much of this as is left before the deadline. */
  private within(ms: number): number {
    return Math.max(Math.min(ms, this.how.deadline - Date.now()), 1)
  }

  private async sleep(ms: number): Promise<void> {
    await sleep(this.within(ms), this.how.signal)
    this.checkDeadline()
  }

  private async *events(): AsyncGenerator<Job, void, void> {
    const headers: Record<string, string> = { Accept: "text/event-stream" }
    if (this.seen) headers["Last-Event-ID"] = String(this.seen)
    let opened: OpenAnswer
    try {
      const request = { method: "GET", target: `${this.target}/events`, headers }
      opened = await this.caller.transport.open(request, this.within(this.how.streamPatienceMs), this.how.signal)
    } catch (error) {
      throw error instanceof TransportFault && error.isTimeout ? new Silent() : error
    }
    try {
      if (opened.status === 204) return
      const isStream = opened.headers.get("content-type")?.split(";")[0]?.trim() === "text/event-stream"
      if (opened.status !== 200 || !isStream) {
        const end = Date.now() + this.within(this.how.streamPatienceMs)
        const page = { status: opened.status, headers: opened.headers, body: await whole(opened.pieces(() => end - Date.now())) }
        refuseFailures(page)
        throw new Garbled(page)
      }
      const stream = new EventStream()
      for await (const data of stream.events(this.lively(opened))) {
        this.reconnectAfterMs = stream.retryMs ?? 0
        const job = parsed(data)
        if (isJob(job)) yield job
      }
      this.reconnectAfterMs = stream.retryMs ?? 0
    } finally {
      opened.close()
    }
  }

  /** The pieces of a stream. The server speaks at once, if only to say `retry`, and then says something now and then. */
  private async *lively(opened: OpenAnswer): AsyncGenerator<Uint8Array, void, void> {
    let begun = false
    try {
      for await (const piece of opened.pieces(() => this.within(begun ? SILENCE : this.how.streamPatienceMs))) {
        begun = true
        yield piece
      }
    } catch (error) {
      throw error instanceof TransportFault && error.isTimeout && !begun ? new Silent() : error
    }
  }

  private async *held(): AsyncGenerator<Job, void, void> {
    const seconds = Math.max(Math.floor(this.within(this.how.longPollMs) / 1000), 1)
    const headers: Record<string, string> = { Prefer: `wait=${seconds}` }
    if (this.seen) headers["If-None-Match"] = `"${this.seen}"`
    const started = Date.now()
    const request = { method: "GET", target: this.target, headers }
    const answer = await this.caller.transport.send(request, this.within(seconds * 1000 + 10_000), this.how.signal)
    refuseFailures(answer)
    const job = answer.status === 304 ? undefined : readJob(answer)
    if (job !== undefined && job.version > this.seen) yield job
    // Somebody took the wish off the request, and asking again at once would go round in circles.
    else if (Date.now() - started < seconds * 500) throw new Garbled(answer)
  }

  private async *nowAndThen(): AsyncGenerator<Job, void, void> {
    await this.sleep(this.pollAfterMs)
    yield await this.read()
  }

  private read(): Promise<Job> {
    const { deadline, signal } = this.how
    return this.caller.call({ method: "GET", target: this.target }, answer => {
      const job = readJob(answer)
      this.pollAfterMs = retryAfterMs(answer.headers) ?? Math.max(job.poll_after_ms ?? 1000, 100)
      return job
    }, { deadline, signal })
  }
}

/** Whether another way may do better: it is the connection's fault, the server's, or nobody speaks this here. */
function isAMiss(error: unknown): boolean {
  return isTransient(error) || error instanceof RangeError || (error instanceof ApiError && [405, 406].includes(error.status))
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
