// `text/event-stream`, as the HTML standard has it: bytes in, events out.

/** More than an event can be: a job holds at most 1 MiB of result. Characters. */
const LARGEST_EVENT = 16 * 1024 * 1024

/** The events of one stream. What is left over at its end was cut, and is no event. */
export class EventStream {
  /** The pause before a reconnect, in milliseconds, as the stream asked for. */
  retryMs: number | undefined

  /** The data of each event. A job says by itself which version it is, so ids and names are not looked at. */
  async *events(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<string, void, void> {
    let data: string[] = []
    for await (const line of lines(pieces)) {
      if (line === "") {
        if (data.length > 0) yield data.join("\n")
        data = []
        continue
      }
      const colon = line.indexOf(":")
      const field = colon < 0 ? line : line.slice(0, colon)
      const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "")
      if (field === "data") data.push(value)
      else if (field === "retry" && /^\d+$/.test(value)) this.retryMs = Number(value)
    }
  }
}

/** Lines end with \n, \r\n or \r. A \r at the end of a piece may be half of an end; the \n that follows is dropped. */
async function* lines(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<string, void, void> {
  const decoder = new TextDecoder()
  let rest = ""
  let afterReturn = false
  for await (const piece of pieces) {
    let text = decoder.decode(piece, { stream: true })
    if (text === "") continue
    if (afterReturn && text.startsWith("\n")) text = text.slice(1)
    afterReturn = text.endsWith("\r")
    const found = (rest + text).split(/\r\n|\n|\r/)
    rest = found.pop() ?? ""
    if (rest.length > LARGEST_EVENT) throw new RangeError("an event is too long to be one of raincheck's")
    yield* found
  }
}
