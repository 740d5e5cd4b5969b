// SHA-256 of bytes that come piece by piece, which Web Crypto cannot do.

const ROOTS = primes(64)
const K = Uint32Array.from(ROOTS, prime => fraction(Math.cbrt(prime)))
const FIRST = Uint32Array.from(ROOTS.slice(0, 8), prime => fraction(Math.sqrt(prime)))

/** The digest of all that it was given. */
export class Sha256 {
  private readonly state = FIRST.slice()
  private readonly block = new Uint8Array(64)
  private readonly words = new Uint32Array(64)
  private filled = 0
  private size = 0

  update(bytes: Uint8Array): void {
    this.size += bytes.length
    for (let at = 0; at < bytes.length; ) {
      const piece = bytes.subarray(at, at + 64 - this.filled)
      this.block.set(piece, this.filled)
      this.filled += piece.length
      at += piece.length
      if (this.filled === 64) this.mix()
    }
  }

  /** Ends it. */
  digest(): Uint8Array {
    const bits = this.size * 8
    this.block[this.filled++] = 0x80
    if (this.filled > 56) {
      this.block.fill(0, this.filled)
      this.mix()
    }
    this.block.fill(0, this.filled)
    const end = new DataView(this.block.buffer)
    end.setUint32(56, Math.floor(bits / 2 ** 32))
    end.setUint32(60, bits >>> 0)
    this.mix()
    const digest = new DataView(new ArrayBuffer(32))
    this.state.forEach((word, at) => digest.setUint32(at * 4, word))
    return new Uint8Array(digest.buffer)
  }

  private mix(): void {
    const { state, words: w } = this
    const view = new DataView(this.block.buffer)
    for (let i = 0; i < 16; i++) w[i] = view.getUint32(i * 4)
    for (let i = 16; i < 64; i++) {
      const [x, y] = [w[i - 15]!, w[i - 2]!]
      const small = turn(x, 7) ^ turn(x, 18) ^ (x >>> 3)
      w[i] = w[i - 16]! + small + w[i - 7]! + (turn(y, 17) ^ turn(y, 19) ^ (y >>> 10))
    }
    let [a, b, c, d, e, f, g, h] = state as unknown as [number, number, number, number, number, number, number, number]
    for (let i = 0; i < 64; i++) {
      const one = (h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & f) ^ (~e & g)) + K[i]! + w[i]!) | 0
      const two = ((turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0
      h = g
      g = f
      f = e
      e = (d + one) | 0
      d = c
      c = b
      b = a
      a = (one + two) | 0
    }
    for (const [at, word] of [a, b, c, d, e, f, g, h].entries()) state[at] = state[at]! + word
    this.filled = 0
  }
}

function turn(word: number, by: number): number {
  return (word >>> by) | (word << (32 - by))
}

function primes(count: number): number[] {
  const found: number[] = []
  for (let n = 2; found.length < count; n++) if (found.every(prime => n % prime !== 0)) found.push(n)
  return found
}

/** The first 32 bits after the point. */
function fraction(root: number): number {
  return Math.floor((root % 1) * 2 ** 32)
}
