// One request by `fetch`, bounded in time. Knows HTTP, nothing of jobs.

/** More than any answer about a job can be; results are read without this bound. */
const LARGEST_DOCUMENT = 64 * 1024 * 1024

/** `fetch` does not tell how far an upload is, so a body gets a second more for each of these: a line of a quarter megabit. */
const UPLOAD_BYTES_PER_SECOND = 32 * 1024

/** The connection broke, or nothing came in time. */
export class TransportFault extends Error {
  constructor(
    message: string,
    readonly isTimeout: boolean,
    cause?: unknown,
  ) {
    super(message, { cause })
  }
}

/** A whole answer. */
export interface Answer {
  status: number
  headers: Headers
  body: Uint8Array<ArrayBuffer>
}

/** What to send. */
export interface Request {
  method: string
  /** The path below the base URL, with its query. */
  target: string
  headers?: Record<string, string>
  body?: string | Uint8Array<ArrayBuffer>
}

/** A timer that cuts a request off; it can be wound up again. Also cut off by the caller's own signal. */
class Fuse {
  private readonly controller = new AbortController()
  private timer: ReturnType<typeof setTimeout> | undefined
  private readonly pass = () => this.controller.abort(this.outer?.reason)

  constructor(private readonly outer: AbortSignal | undefined) {
    if (outer?.aborted) this.pass()
    outer?.addEventListener("abort", this.pass)
  }

  get signal(): AbortSignal {
    return this.controller.signal
  }

  burn(ms: number): void {
    clearTimeout(this.timer)
    const fault = new TransportFault("nothing came in time", true)
    this.timer = setTimeout(() => this.controller.abort(fault), Math.max(ms, 1))
  }

  /** What is to be thrown instead of what `fetch` threw. */
  fault(error: unknown): unknown {
    if (this.outer?.aborted) return this.outer.reason
    if (this.signal.reason instanceof TransportFault) return this.signal.reason
    if (error instanceof TransportFault) return error
    const inner = (error as { cause?: unknown })?.cause
    const said = inner instanceof Error ? `${inner.message}` : `${error instanceof Error ? error.message : error}`
    return new TransportFault(said, false, error)
  }

  /** Ends what is still open, and leaves nothing behind. */
  end(): void {
    clearTimeout(this.timer)
    this.outer?.removeEventListener("abort", this.pass)
    this.controller.abort()
  }
}

/** An answer whose body is still coming. `close` has to be called. */
export interface OpenAnswer {
  status: number
  headers: Headers
  /** The body as it comes; each piece within `patience()` milliseconds of the one before. */
  pieces(patience: () => number): AsyncGenerator<Uint8Array<ArrayBuffer>, void, void>
  close(): void
}

/** Where raincheck is, and how to talk to it. */
export class Transport {
  private readonly base: string
  private readonly headers: Record<string, string>

  constructor(baseUrl: string, apiKey: string | undefined) {
    const url = new URL(baseUrl)
    if (!/^https?:$/.test(url.protocol) || url.search || url.hash || url.username) {
      throw new TypeError(`the base URL must be http:// or https://, without a query or a user: ${baseUrl}`)
    }
    this.base = url.href.replace(/\/+$/, "")
    this.headers = apiKey === undefined ? {} : { Authorization: `Bearer ${apiKey}` }
    new Headers(this.headers) // refuses characters that no header can carry
  }

  /** Sends a request and reads the head of its answer within `patience` milliseconds, and what its body may take besides. */
  async open(request: Request, patience: number, signal: AbortSignal | undefined): Promise<OpenAnswer> {
    const fuse = new Fuse(signal)
    fuse.burn(patience + (request.body === undefined ? 0 : (request.body.length * 1000) / UPLOAD_BYTES_PER_SECOND))
    try {
      const response = await fetch(this.base + request.target, {
        method: request.method,
        headers: { ...this.headers, ...request.headers },
        body: request.body ?? null,
        signal: fuse.signal,
        redirect: "manual",
        cache: "no-store",
        credentials: "omit",
      })
      const reader = response.body?.getReader()
      return {
        status: response.type === "opaqueredirect" ? 302 : response.status,
        headers: response.headers,
        async *pieces(patience) {
          for (;;) {
            fuse.burn(patience())
            let piece
            try {
              piece = await reader?.read()
            } catch (error) {
              throw fuse.fault(error)
            }
            if (piece === undefined || piece.done) return
            yield piece.value as Uint8Array<ArrayBuffer>
          }
        },
        close: () => {
          reader?.cancel().catch(() => undefined)
          fuse.end()
        },
      }
    } catch (error) {
      fuse.end()
      throw fuse.fault(error)
    }
  }

  /**
   * Sends a request and reads all of its answer, or throws a `TransportFault`. A document has to be there within `timeoutMs`,
   * not counting what is sent; what is not `bounded` may take as long as it moves, with no pause as long as that.
   */
  async send(request: Request, timeoutMs: number, signal?: AbortSignal, bounded = true): Promise<Answer> {
    const started = Date.now()
    const opened = await this.open(request, timeoutMs, signal)
    const end = (request.body === undefined ? started : Date.now()) + timeoutMs
    const left = bounded ? () => end - Date.now() : () => timeoutMs
    try {
      return { status: opened.status, headers: opened.headers, body: await whole(opened.pieces(left), bounded) }
    } finally {
      opened.close()
    }
  }
}

/** All pieces in one. */
export async function whole(pieces: AsyncIterable<Uint8Array>, bounded = true): Promise<Uint8Array<ArrayBuffer>> {
  const all: Uint8Array[] = []
  let size = 0
  for await (const piece of pieces) {
    all.push(piece)
    size += piece.length
    if (bounded && size > LARGEST_DOCUMENT) throw new TransportFault("the answer is too long to be one of raincheck's", false)
  }
  const body = new Uint8Array(size)
  let at = 0
  for (const piece of all) {
    body.set(piece, at)
    at += piece.length
  }
  return body
}
