// How keys sort: by their UTF-8 bytes, in every engine, whatever JavaScript's own string order
// says.
// Called by the engines and by testing/; calls nothing.

/**
 * Compares two keys by their UTF-8 bytes. Code units sort the same way unless a surrogate is
 * involved.
 */
export function compareKeys(a: string, b: string): number {
  if (a === b) return 0
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}

/**
 * The first byte string after everything that starts with `prefix`, for half-open ranges. The empty
 * prefix and one of only 0xff bytes have no end: undefined.
 */
export function prefixEnd(prefix: Uint8Array): Buffer | undefined {
  const end = Buffer.from(prefix)
  for (let i = end.length - 1; i >= 0; i--) {
    const byte = end[i] ?? 0xff
    if (byte === 0xff) continue
    end[i] = byte + 1
    return end.subarray(0, i + 1)
  }
  return undefined
}
