// Standard base64 as Go's encoding/base64 reads it. Called by typed.ts for []byte fields.

import { DecodeError } from './decode-error.ts'

/** Throws DecodeError `illegal base64 data at input byte N` where Go does. Line breaks count as nothing. */
export function checkBase64(text: string): void {
  if (text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text)) return
  const bad = firstBadByte(text)
  if (bad !== undefined) throw new DecodeError(`illegal base64 data at input byte ${bad}`)
}

/** The same bytes in the spelling Go writes. */
export function canonicalBase64(text: string): string {
  checkBase64(text)
  return Buffer.from(text, 'base64').toString('base64')
}

/** Go names the first byte that is not expected; the end counts from the start of the broken group of four. */
function firstBadByte(text: string): number | undefined {
  const bytes = Buffer.from(text)
  let at = 0
  let inGroup = 0
  const skipBreaks = (): void => {
    while (bytes[at] === 0x0a || bytes[at] === 0x0d) at++
  }
  for (;;) {
    skipBreaks()
    if (at >= bytes.length) return inGroup === 0 ? undefined : at - inGroup
    const char = String.fromCharCode(bytes[at] ?? 0)
    if (/[A-Za-z0-9+/]/.test(char)) {
      at++
      inGroup = (inGroup + 1) % 4
      continue
    }
    if (char !== '=' || inGroup < 2) return at
    at++
    if (inGroup === 2) {
      skipBreaks()
      if (at >= bytes.length) return bytes.length
      if (bytes[at] !== 0x3d) return at - 1
      at++
    }
    skipBreaks()
    return at < bytes.length ? at : undefined
  }
}
