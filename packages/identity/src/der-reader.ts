// Reads ASN.1 DER: just enough to take a certificate request apart. Called by certificate-request.ts only.
// Everything a client sends comes through here, so lengths are checked before anything is cut. Ref: ITU-T X.690

export interface DerElement {
  readonly tag: number
  /** Without tag and length. */
  readonly content: Buffer
  /** With tag and length. */
  readonly whole: Buffer
}

/** Bytes that are no DER, or not the expected kind of it. */
export class DerError extends Error {
  override readonly name = 'DerError'
}

/** The elements that lie one after another in `bytes`. Throws DerError. */
export function elements(bytes: Buffer): DerElement[] {
  const found: DerElement[] = []
  for (let at = 0; at < bytes.length; ) {
    const element = elementAt(bytes, at)
    found.push(element)
    at += element.whole.length
  }
  return found
}

/** The parts of a constructed element of `tag`. Throws DerError for another one. */
export function partsOf(element: DerElement | undefined, tag: number): DerElement[] {
  if (element === undefined || element.tag !== tag) throw new DerError('unexpected element')
  return elements(element.content)
}

function elementAt(bytes: Buffer, start: number): DerElement {
  const tag = bytes[start] ?? 0
  const first = bytes[start + 1]
  if (first === undefined || (tag & 0x1f) === 0x1f) throw new DerError('cut short')
  let at = start + 2
  let length = first
  if (first >= 0x80) {
    const count = first & 0x7f
    if (count === 0 || count > 3 || at + count > bytes.length) throw new DerError('bad length')
    length = bytes.readUIntBE(at, count)
    at += count
  }
  if (at + length > bytes.length) throw new DerError('cut short')
  return {
    tag,
    content: bytes.subarray(at, at + length),
    whole: bytes.subarray(start, at + length),
  }
}

/** The dotted form of an object identifier's content. */
export function oidText(content: Buffer): string {
  const arcs: number[] = []
  let value = 0
  for (const byte of content) {
    value = value * 128 + (byte & 0x7f)
    if (byte >= 0x80) continue
    arcs.push(value)
    value = 0
  }
  const [head = 0, ...rest] = arcs
  const first = Math.min(2, Math.floor(head / 40))
  return [first, head - first * 40, ...rest].join('.')
}
