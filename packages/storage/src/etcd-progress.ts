// How a watch of etcd learns that it has everything up to a revision when no events come.
// Called by etcd-watch.ts and etcd.ts; calls nothing.

/**
 * Last byte of a marker key. It is no UTF-8, so that no key of ours ends with it or sorts after it
 * under its prefix.
 */
const MARKER_BYTE = 0xff

/**
 * A manual progress request is answered truthfully from 3.4.31 and 3.5.13 on; older servers may
 * answer before they have sent all events.
 * Ref: apiserver/pkg/storage/feature/feature_support_checker.go
 */
export function answersProgress(version: string): boolean {
  const [major = 0, minor = 0, patch = 0] = version
    .split('.')
    .map(part => Number.parseInt(part, 10))
  if (major !== 3) return major > 3
  if (minor === 4) return patch >= 31
  if (minor === 5) return patch >= 13
  return minor > 5
}

/**
 * The key that is written to make an older server send something: its event comes after all earlier
 * ones. It is inside the watched range, and lists and watches hide it.
 */
export function markerKey(prefix: string): Buffer {
  return Buffer.concat([Buffer.from(prefix), Buffer.from([MARKER_BYTE])])
}

export function isMarker(key: Uint8Array): boolean {
  return key.at(-1) === MARKER_BYTE
}
