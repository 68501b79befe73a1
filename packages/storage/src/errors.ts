// What storage throws. It never leaves the api package: api/src/errors.ts translates it to a Status.

export type StorageErrorCode =
  | 'notFound'
  | 'exists'
  | 'conflict'
  | 'compacted'
  | 'futureRevision'
  | 'unavailable'
  | 'corrupt'
  | 'tooLarge'

export class StorageError extends Error {
  override readonly name = 'StorageError'
  readonly code: StorageErrorCode
  readonly key: string
  /** conflict: the key's revision. compacted: the oldest readable one. futureRevision: the current one. Otherwise 0. */
  readonly revision: number

  constructor(
    code: StorageErrorCode,
    options: { key?: string; revision?: number; message?: string; cause?: unknown } = {},
  ) {
    const { key = '', revision = 0 } = options
    super(
      options.message ?? `storage: ${code}${key === '' ? '' : ` ${key}`}`,
      options.cause === undefined ? undefined : { cause: options.cause },
    )
    this.code = code
    this.key = key
    this.revision = revision
  }
}
