// What the package gives out. See README.md.

export { Client, type ClientSettings, type JobOptions, type QueryOptions, type SubmitSettings } from "./client.js"
export { Download } from "./download.js"
export {
  ApiError,
  JobFailed,
  type Problem,
  RaincheckError,
  Redirected,
  ResultDamaged,
  Unreachable,
  WaitTimeout,
  WebhookRejected,
} from "./errors.js"
export { JobHandle, type Result, type WaitSettings } from "./handle.js"
export type { Job, JobError, JobResult } from "./job.js"
export type { FailedFilter, Redriven, RedriveSettings } from "./redrive.js"
export { type NewSchedule, type NextRun, type Schedule, Schedules } from "./schedules.js"
export { verifyWebhook, type WebhookEvent, type WebhookSettings } from "./webhook.js"
