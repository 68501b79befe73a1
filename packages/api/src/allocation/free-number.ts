// Which free number of a range somebody gets who asks for none: the lower part of a range is for those who name theirs, so
// that they rarely find it taken. Called by node-ports.ts and service-addresses.ts.
// Ref: kubernetes/pkg/registry/core/service/portallocator/allocator.go, ipallocator/bitmap.go

export interface NumberRange {
  readonly first: number
  readonly size: number
  /** How many numbers, from the first on, are given away last. */
  readonly staticSize: number
}

/** Random draws before the range is searched in order: at half full, 32 misses are one in 10^9. */
const DRAWS_MAX = 32

/** Numbers from `step` for each one kept for those who name theirs; a range of `min` or fewer keeps none. */
export function staticSizeOf(
  size: number,
  { min, max, step }: { min: number; max: number; step: number },
): number {
  return size <= min ? 0 : Math.min(Math.max(Math.floor(size / step), min), max)
}

/** Undefined when nothing is free. `random` returns integers below its argument. */
export function freeNumber(
  { first, size, staticSize }: NumberRange,
  isFree: (value: number) => boolean,
  random: (below: number) => number,
): number | undefined {
  const dynamic = first + staticSize
  const dynamicSize = size - staticSize
  for (let i = 0; i < DRAWS_MAX && dynamicSize > 0; i += 1) {
    const value = dynamic + random(dynamicSize)
    if (isFree(value)) return value
  }
  return search(dynamic, dynamicSize, isFree) ?? search(first, staticSize, isFree)
}

function search(
  first: number,
  size: number,
  isFree: (value: number) => boolean,
): number | undefined {
  for (let value = first; value < first + size; value += 1) if (isFree(value)) return value
  return undefined
}
