// Webhooks, believed only when they are signed as Standard Webhooks say: https://www.standardwebhooks.com

import { fromBase64, webCrypto } from "./cryptography.js"
import { WebhookRejected } from "./errors.js"
import { type Job, isJob } from "./job.js"

/** A webhook that is genuine. */
export interface WebhookEvent {
  /** The same each time it is delivered: keep it, to do its work once. */
  id: string
  /** For instance `job.succeeded`. */
  type: string | undefined
  /** The whole job, if the webhook is about one. Older versions may arrive later than newer ones. */
  job: Job | undefined
  /** The parsed body. */
  raw: unknown
}

/** How to judge a webhook's age. */
export interface WebhookSettings {
  /** How many seconds it may be old or ahead. 300. */
  toleranceSeconds?: number
  /** Seconds since 1970. */
  now?: number
}

/**
 * The event in a webhook; throws `WebhookRejected` for what is not genuine.
 *
 * `body`: the bytes as they came; parsed and written again they are other bytes. `headers`: a `Headers`, or an object with
 * names in any case, as Node's servers give it. `secret`: `whsec_…`, or several during a rotation. `whpk_…`
 * is a public key, which checks `v1a` signatures: `whpk_` and the `x` of a key in the server's `/.well-known/jwks.json`, or the
 * same bytes in plain base64. For that the runtime needs Ed25519, as Node and browsers have it.
 */
export async function verifyWebhook(
  body: Uint8Array | string,
  headers: Headers | Record<string, string | string[] | undefined>,
  secret: string | readonly string[],
  { toleranceSeconds = 300, now = Date.now() / 1000 }: WebhookSettings = {},
): Promise<WebhookEvent> {
  const pairs = headers instanceof Headers ? [...headers] : Object.entries(headers)
  const named = new Map(pairs.map(([name, value]) => [name.toLowerCase(), value]))
  const header = (part: string): string => {
    const value = named.get(`webhook-${part}`)
    if (typeof value !== "string") throw new WebhookRejected(`the header webhook-${part} is missing`)
    return value
  }
  const [id, timestamp, signatures] = [header("id"), header("timestamp"), header("signature")]
  if (!/^\d{1,15}$/.test(timestamp)) throw new WebhookRejected("webhook-timestamp is not a whole number of seconds")
  if (Math.abs(now - Number(timestamp)) > toleranceSeconds) {
    throw new WebhookRejected("webhook-timestamp is too old, or too far ahead")
  }
  const bytes = typeof body === "string" ? new TextEncoder().encode(body) : new Uint8Array(body)
  const start = new TextEncoder().encode(`${id}.${timestamp}.`)
  const signed = new Uint8Array(start.length + bytes.length)
  signed.set(start)
  signed.set(bytes, start.length)
  const given = (version: string): Uint8Array<ArrayBuffer>[] =>
    signatures.split(" ").flatMap(text => (text.startsWith(`${version},`) ? (fromBase64(text.slice(version.length + 1)) ?? []) : []))

  const { subtle } = await webCrypto()
  const algorithm = { name: "HMAC", hash: "SHA-256" }
  const fits: boolean[] = []
  for (const one of typeof secret === "string" ? [secret] : secret) {
    if (one.startsWith("whpk_")) {
      const key = await subtle.importKey("raw", publicKey(one.slice(5)), "Ed25519", false, ["verify"])
      for (const signature of given("v1a")) fits.push(await subtle.verify("Ed25519", key, signature, signed))
      continue
    }
    const raw = fromBase64(one.replace(/^whsec_/, ""))
    if (!raw?.length) throw new TypeError("a webhook secret is base64, with `whsec_` before it or without")
    const key = await subtle.importKey("raw", raw, algorithm, false, ["verify"])
    // `verify` takes the same time wherever two signatures differ. All are tried, whichever fits.
    for (const signature of given("v1")) fits.push(await subtle.verify("HMAC", key, signature, signed))
  }
  if (!fits.includes(true)) throw new WebhookRejected("no signature fits")

  let raw: unknown
  try {
    raw = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes))
  } catch {
    throw new WebhookRejected("the body is not JSON")
  }
  const { type, data } = Object(raw) as { type?: unknown; data?: unknown }
  return { id, type: typeof type === "string" ? type : undefined, job: isJob(data) ? data : undefined, raw }
}

/** The bytes of a public key, in either alphabet of base64. */
function publicKey(text: string): Uint8Array<ArrayBuffer> {
  const plain = text.replaceAll("-", "+").replaceAll("_", "/")
  const bytes = fromBase64(plain.padEnd(Math.ceil(plain.length / 4) * 4, "="))
  if (bytes?.length !== 32) throw new TypeError("a public key of webhooks is `whpk_` and 32 bytes in base64")
  return bytes
}
