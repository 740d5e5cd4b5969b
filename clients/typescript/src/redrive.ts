// Failed jobs once more, many at a time.

import { type Caller, Garbled, document } from "./retry.js"
import type { Answer } from "./transport.js"

/** Jobs of one request. */
const PAGE = 100

/** Which failed jobs: all of the caller's tenant, unless it says less. Instants are RFC 3339, of `created_at`. */
export interface FailedFilter {
  kind?: string
  queue?: string
  error_code?: string
  since?: string
  until?: string
  /** With all of them. */
  tags?: string[]
}

/** How many, and whether only to say which. */
export interface RedriveSettings {
  /** 1000. */
  limit?: number
  dryRun?: boolean
  signal?: AbortSignal
}

/** What came of a redrive. */
export interface Redriven {
  /** What was tried once more by a new job, or in a dry run would be. */
  jobs: { id: string; retried_by: string | null }[]
  /** What cannot be, or not now, with the problem document that a retry would have had. */
  refused: { id: string; problem: Record<string, unknown> }[]
  /** Whether there may be more, beyond the limit. */
  more: boolean
}

/** All pages of it. */
export async function redrive(caller: Caller, filter: FailedFilter, settings: RedriveSettings): Promise<Redriven> {
  const { limit = 1000, dryRun = false, signal } = settings
  const all: Redriven = { jobs: [], refused: [], more: false }
  let cursor: string | null = null
  do {
    const left = limit - all.jobs.length - all.refused.length
    if (left <= 0) return { ...all, more: true }
    const body = JSON.stringify({ filter, limit: Math.min(left, PAGE), dry_run: dryRun, cursor })
    const headers = { "Content-Type": "application/json" }
    const page: Page = await caller.call({ method: "POST", target: "/v1/jobs/redrive", headers, body }, read, { signal })
    all.jobs.push(...page.jobs)
    all.refused.push(...page.refused)
    cursor = page.next_cursor
  } while (cursor !== null)
  return all
}

type Page = Pick<Redriven, "jobs" | "refused"> & { next_cursor: string | null }

function read(answer: Answer): Page {
  const page = document(answer) as Partial<Page> | null
  if (!Array.isArray(page?.jobs) || !Array.isArray(page.refused) || page.next_cursor === undefined) throw new Garbled(answer)
  return page as Page
}
