// A job as it was at one version, as the server sends it.

/** Why a job failed. `code` is stable, for programs: `handler-error`, `run-timeout`, … */
export interface JobError {
  code: string
  message: string
  retryable?: boolean
  [field: string]: unknown
}

/** What came out. `value` is there where it is short JSON or text; `JobHandle.result` gets it always. */
export interface JobResult {
  content_type: string
  size: number
  digest?: string
  value?: unknown
  url?: string
}

/** A snapshot. Loop on `done`, never on the list of statuses. Instants are RFC 3339 in UTC. */
export interface Job {
  id: string
  kind: string
  queue: string
  /** Rises by one with each visible change. */
  version: number
  status: "scheduled" | "queued" | "in_progress" | "retrying" | "succeeded" | "failed" | "canceled" | "expired" | (string & {})
  done: boolean
  created_at: string
  started_at: string | null
  finished_at: string | null
  attempt: number
  progress: { percent: number | null; message: string | null } | null
  /** Milliseconds after which another look is worth it. */
  poll_after_ms: number | null
  result: JobResult | null
  error: JobError | null
  idempotency_key: string | null
  metadata: Record<string, string>
  tags: string[]
  [field: string]: unknown
}

/** Whether a parsed JSON document is a job. */
export function isJob(value: unknown): value is Job {
  const job = value as Partial<Job> | null
  return (
    typeof job === "object" &&
    job !== null &&
    typeof job.id === "string" &&
    typeof job.kind === "string" &&
    typeof job.status === "string" &&
    typeof job.done === "boolean" &&
    Number.isInteger(job.version)
  )
}
