// Writes ASN.1 DER: just the types an X.509 certificate is made of. Called by certificate.ts only.
// A certificate library costs more start time (80 ms) than all keys and certificates together, hence these few lines.
// Ref: ITU-T X.690; RFC 5280 section 4.1

const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  oid: 0x06,
  utf8String: 0x0c,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const

/** One tag-length-value with the lengths in their shortest form. */
function tlv(tag: number, ...content: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(content)
  if (body.length < 0x80) return Buffer.concat([Buffer.from([tag, body.length]), body])
  const length: number[] = []
  for (let rest = body.length; rest > 0; rest = Math.floor(rest / 256)) length.unshift(rest % 256)
  return Buffer.concat([Buffer.from([tag, 0x80 | length.length, ...length]), body])
}

export const sequence = (...items: readonly Uint8Array[]): Buffer => tlv(TAG.sequence, ...items)
export const set = (...items: readonly Uint8Array[]): Buffer => tlv(TAG.set, ...items)
export const octetString = (bytes: Uint8Array): Buffer => tlv(TAG.octetString, bytes)
export const utf8String = (text: string): Buffer => tlv(TAG.utf8String, Buffer.from(text, 'utf8'))
export const TRUE = tlv(TAG.boolean, Buffer.from([0xff]))

/** A non-negative integer from its big-endian bytes. */
export function integer(bytes: Uint8Array): Buffer {
  let start = 0
  while (start < bytes.length - 1 && bytes[start] === 0) start += 1
  const trimmed = bytes.subarray(start)
  const signed = (trimmed[0] ?? 0) >= 0x80 ? Buffer.from([0]) : Buffer.alloc(0)
  return tlv(TAG.integer, signed, trimmed)
}

/** A bit string. `unusedBits` counts the low bits of the last byte that do not belong to it. */
export function bitString(bytes: Uint8Array, unusedBits = 0): Buffer {
  return tlv(TAG.bitString, Buffer.from([unusedBits]), bytes)
}

/** An object identifier from its dotted form. */
export function oid(dotted: string): Buffer {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number)
  const bytes = [first * 40 + second]
  for (const arc of rest) {
    const groups = [arc % 128]
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128)) {
      groups.unshift((left % 128) | 0x80)
    }
    bytes.push(...groups)
  }
  return tlv(TAG.oid, Buffer.from(bytes))
}

/** A moment, whole seconds: UTCTime until 2049 and GeneralizedTime after, as RFC 5280 asks. */
export function time(moment: Date): Buffer {
  const digits = moment.toISOString().replaceAll(/[-:T]|\.\d+/g, '')
  return moment.getUTCFullYear() < 2050
    ? tlv(TAG.utcTime, Buffer.from(digits.slice(2), 'latin1'))
    : tlv(TAG.generalizedTime, Buffer.from(digits, 'latin1'))
}

/** [n] EXPLICIT: wraps whole elements. */
export const explicit = (n: number, ...items: readonly Uint8Array[]): Buffer =>
  tlv(0xa0 | n, ...items)

/** [n] IMPLICIT of a primitive type: replaces the tag, so only the content is given. */
export const implicit = (n: number, content: Uint8Array): Buffer => tlv(0x80 | n, content)
