// A result as it comes. One that is cut is gone on with where it was cut; whether all is right, its digest says at the end.

import { toBase64 } from "./cryptography.js"
import { RaincheckError, ResultDamaged } from "./errors.js"
import { Backoff, type Caller, Garbled, refuseFailures } from "./retry.js"
import { Sha256 } from "./sha256.js"
import { type OpenAnswer, TransportFault, whole } from "./transport.js"

/**
 * The pieces of one result, in order; `for await` gives them, once. With `ResultDamaged` at the end all pieces are worth
 * nothing. The retry budget is for the time without a byte, and begins anew with each piece.
 */
export class Download implements AsyncIterable<Uint8Array<ArrayBuffer>> {
  private type: string | undefined
  private isVerified = false
  private given = 0
  private readonly hashed = new Sha256()
  private digest: string | undefined
  private etag: string | undefined

  /** @internal */
  constructor(
    private readonly caller: Caller,
    private readonly jobId: string,
    private readonly signal: AbortSignal | undefined,
  ) {}

  /** What the result is; known from the first piece on. */
  get contentType(): string | undefined {
    return this.type
  }

  /** Whether all came and met the SHA-256 that it came with. False until the end. */
  get verified(): boolean {
    return this.isVerified
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
    if (this.given > 0) throw new TypeError("a download gives its pieces once")
    let backoff = new Backoff()
    let end = this.caller.end()
    try {
      for (;;) {
        try {
          for await (const piece of this.once()) {
            this.given += piece.length
            this.hashed.update(piece)
            yield piece
            backoff = new Backoff()
            end = this.caller.end()
          }
          break
        } catch (error) {
          await this.caller.pause(error, backoff, end, this.signal)
        }
      }
      if (this.digest === undefined) return
      if (toBase64(this.hashed.digest()) !== this.digest) throw new ResultDamaged("the result does not match its Content-Digest")
      this.isVerified = true
    } catch (error) {
      throw error instanceof RaincheckError ? error.about({ jobId: this.jobId }) : error
    }
  }

  /** What is still to come, by one request. */
  private async *once(): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void> {
    const headers: Record<string, string> = { Accept: "*/*" }
    if (this.given > 0 && this.etag !== undefined) {
      headers["Range"] = `bytes=${this.given}-`
      headers["If-Range"] = this.etag
    }
    const timeout = this.caller.requestTimeoutMs
    const request = { method: "GET", target: `/v1/jobs/${this.jobId}/result`, headers }
    const opened = await this.caller.transport.open(request, timeout, this.signal)
    try {
      const here = opened.headers.get("content-range")?.startsWith(`bytes ${this.given}-`) ?? false
      if (![200, 206].includes(opened.status) || (opened.status === 206 && !here)) {
        const end = Date.now() + timeout
        const page = { status: opened.status, headers: opened.headers, body: await whole(opened.pieces(() => end - Date.now())) }
        refuseFailures(page)
        throw new Garbled(page)
      }
      if (this.given === 0) this.know(opened)
      // Who knows nothing of ranges sends all of it once more.
      let again = opened.status === 200 ? this.given : 0
      for await (const piece of opened.pieces(() => timeout)) {
        const known = Math.min(again, piece.length)
        again -= known
        if (known < piece.length) yield piece.subarray(known)
      }
      if (again > 0) throw new TransportFault("the result is shorter than it was", false)
    } finally {
      opened.close()
    }
  }

  private know({ headers }: OpenAnswer): void {
    this.type = headers.get("content-type") ?? "application/octet-stream"
    this.digest = /sha-256=:([A-Za-z0-9+/=]+):/.exec(headers.get("content-digest") ?? "")?.[1]
    const etag = headers.get("etag") ?? undefined
    // A weak one says nothing of bytes.
    this.etag = etag?.startsWith("W/") ? undefined : etag
  }
}
