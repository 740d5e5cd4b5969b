// Schedules: what the server makes jobs by, and when the next ones come.

import type { SubmitSettings } from "./client.js"
import { ApiError } from "./errors.js"
import type { JobHandle } from "./handle.js"
import { type Caller, Garbled, document } from "./retry.js"
import type { Answer, Request } from "./transport.js"

/** A run to come: RFC 3339, in UTC and as the clock of the schedule's time zone shows it. */
export interface NextRun {
  at: string
  local: string
}

/** A schedule as it was when it was read, with everything the API says about it. */
export interface Schedule {
  name: string
  /** `[ZONE] MINUTE HOUR DAY MONTH WEEKDAY`. */
  cron: string
  kind: string
  /** Whether it makes no jobs at the moment. A preview has none. */
  paused?: boolean
  /** Its next runs, soonest first. */
  next: NextRun[]
  [field: string]: unknown
}

/** What a schedule is to be: the fields of `PUT /v1/schedules/{name}`. Without a zone in `cron` it is UTC. */
export interface NewSchedule {
  cron: string
  kind: string
  input?: unknown
  catch_up?: "one" | "all" | "skip"
  queue?: string
  tags?: string[]
  [field: string]: unknown
}

/** The schedules of a server: `client.schedules`. */
export class Schedules {
  /** @internal */
  constructor(
    private readonly caller: Caller,
    private readonly submit: (target: string, settings: SubmitSettings<unknown>) => Promise<JobHandle>,
  ) {}

  /** All of them, by name, each with its next run, unless it is paused. */
  async list(): Promise<Schedule[]> {
    const all: Schedule[] = []
    let cursor: string | null = null
    do {
      const query = new URLSearchParams({ limit: "100", ...(cursor === null ? {} : { cursor }) })
      const page: Page = await this.caller.call({ method: "GET", target: `/v1/schedules?${query}` }, readPage)
      all.push(...page.schedules)
      cursor = page.next_cursor
    } while (cursor !== null)
    return all
  }

  /** One of them, with so many next runs. */
  get(name: string, runs = 5): Promise<Schedule> {
    return this.caller.call({ method: "GET", target: `${path(name)}?runs=${runs}` }, read)
  }

  /** Makes it, or makes what there is of that name into it. */
  put(name: string, schedule: NewSchedule): Promise<Schedule> {
    return this.caller.call(send("PUT", path(name), JSON.stringify(schedule)), read)
  }

  /** What `put` would make, and when that would run. Nothing is kept. */
  preview(name: string, schedule: NewSchedule): Promise<Schedule> {
    return this.put(name, { ...schedule, validate_only: true })
  }

  /** Lets it make no jobs until it is resumed. */
  pause(name: string): Promise<Schedule> {
    return this.caller.call(send("POST", `${path(name)}/pause`, ""), read)
  }

  /** Lets it go on with the next tick after the present. */
  resume(name: string): Promise<Schedule> {
    return this.caller.call(send("POST", `${path(name)}/resume`, ""), read)
  }

  /** A job of it now, beside its ticks. Sent again after any fault, it is one job; all errors carry the idempotency key. */
  trigger(name: string, settings: { idempotencyKey?: string; signal?: AbortSignal } = {}): Promise<JobHandle> {
    return this.submit(`${path(name)}/trigger`, settings)
  }

  /** Ends it. Jobs that it made stay. `false`: there was none, as after a delete whose answer was lost. */
  async delete(name: string): Promise<boolean> {
    try {
      await this.caller.call({ method: "DELETE", target: path(name) }, () => undefined)
      return true
    } catch (error) {
      if (error instanceof ApiError && error.code === "schedule-not-found") return false
      throw error
    }
  }
}

function path(name: string): string {
  return `/v1/schedules/${encodeURIComponent(name)}`
}

function send(method: string, target: string, body: string): Request {
  return { method, target, headers: { "Content-Type": "application/json" }, body }
}

interface Page {
  schedules: Schedule[]
  next_cursor: string | null
}

function isSchedule(value: unknown): value is Schedule {
  const fields = value as Partial<Schedule> | null
  const isText = [fields?.name, fields?.cron, fields?.kind].every(field => typeof field === "string")
  return isText && Array.isArray(fields?.next)
}

function read(answer: Answer): Schedule {
  const schedule = document(answer)
  if (!isSchedule(schedule)) throw new Garbled(answer)
  return schedule
}

function readPage(answer: Answer): Page {
  const page = document(answer) as Partial<Page> | null
  const isPage = Array.isArray(page?.schedules) && page.schedules.every(isSchedule) && page.next_cursor !== undefined
  if (!isPage) throw new Garbled(answer)
  return page as Page
}
