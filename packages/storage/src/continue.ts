// The token that goes on with a list where its last page ended. The format is upstream's, so that a client may meet either
// server half-way. Called by storage.ts; api/src/errors.ts turns the errors into 400 and 410.
// Ref: apiserver/pkg/storage/continue.go, apiserver/pkg/storage/etcd3/errors.go

import { isObject } from '@podless/apimachinery'

const VERSION = 'meta.k8s.io/v1'
const INVALID = 'continue key is not valid'

export interface ContinueToken {
  /** The revision of the first page, or -1: go on with whatever is there now. */
  readonly revision: number
  /** The last key given. */
  readonly after: string
}

/** The token cannot be read: 400. The message is the client's. */
export class ContinueError extends Error {
  override readonly name = 'ContinueError'

  constructor(problem: string) {
    super(`invalid continue token: ${problem}`)
  }
}

/** The token's revision is compacted: 410 Expired with this message and `metadata.continue` set to `continue`. */
export class ContinueExpiredError extends Error {
  override readonly name = 'ContinueExpiredError'
  /** Goes on inconsistently, with what is there now. */
  readonly continue: string

  constructor(token: string, options?: ErrorOptions) {
    super(
      'The provided continue parameter is too old to display a consistent list result. ' +
        'You can start a new list without the continue parameter, or use the continue token in this ' +
        'response to retrieve the remainder of the results. Continuing with the provided token ' +
        'results in an inconsistent list - objects that were created, modified, or deleted between ' +
        'the time the first chunk was returned and now may show up in the list.',
      options,
    )
    this.continue = token
  }
}

/** A token for the page after the key `after`, which starts with `prefix`. */
export function encodeContinue(prefix: string, { revision, after }: ContinueToken): string {
  const start = `${after.slice(prefix.length)}\0`
  return Buffer.from(JSON.stringify({ v: VERSION, rv: revision, start })).toString('base64url')
}

/** Reads a client's token for a list of `prefix` (with trailing slash); the key stays under it. Throws ContinueError. */
export function decodeContinue(prefix: string, token: string): ContinueToken {
  const { v, rv, start } = decodeJson(token)
  if (v !== VERSION) {
    throw new ContinueError(`${INVALID}: server does not recognize this encoded version ${v ?? ''}`)
  }
  if (!Number.isSafeInteger(rv) || rv === 0) {
    throw new ContinueError(
      `${INVALID}: incorrect encoded start resourceVersion (version ${VERSION})`,
    )
  }
  if (typeof start !== 'string' || start === '') {
    throw new ContinueError(`${INVALID}: encoded start key empty (version ${VERSION})`)
  }
  const key = start.startsWith('/') ? start.slice(1) : start
  // Every token ends right after a key, in the NUL that no key contains.
  if (!isClean(key) || !key.endsWith('\0')) throw new ContinueError(`${INVALID}: ${start}`)
  return { revision: Number(rv), after: prefix + key.slice(0, -1) }
}

function decodeJson(token: string): { v?: unknown; rv?: unknown; start?: unknown } {
  const bad = token.search(/[^A-Za-z0-9_-]/)
  if (bad >= 0) throw new ContinueError(`${INVALID}: illegal base64 data at input byte ${bad}`)
  const bytes = Buffer.from(token, 'base64url')
  let value: unknown
  try {
    value = JSON.parse(bytes.toString('utf8'))
  } catch {
    throw new ContinueError(`${INVALID}: ${jsonProblem(bytes)}`)
  }
  if (!isObject(value)) throw new ContinueError(`${INVALID}: not an object`)
  return value
}

/** Go's words for why bytes are not JSON, as far as the first byte tells. */
function jsonProblem(bytes: Buffer): string {
  const first = bytes[0]
  if (first === undefined || '{["-0123456789tfn'.includes(String.fromCharCode(first))) {
    return 'unexpected end of JSON input'
  }
  const printable = first > 0x20 && first < 0x7f
  const shown = printable ? String.fromCharCode(first) : `\\u${first.toString(16).padStart(4, '0')}`
  return `invalid character '${shown}' looking for beginning of value`
}

/** False for a key that would leave its prefix or be spelled shorter. */
function isClean(key: string): boolean {
  return key.split('/').every(segment => segment !== '' && segment !== '.' && segment !== '..')
}
