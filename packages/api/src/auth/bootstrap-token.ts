// Bootstrap tokens: ID.SECRET, kept in Secrets of kube-system, by which a machine without any identity asks for one.
// Asked by authenticate.ts; controllers/bootstrap-token-cleaner.ts deletes what has expired. Reads Secrets, and marks those
// for one use. Ref: kubernetes/plugin/pkg/auth/authenticator/token/bootstrap/bootstrap.go

import { timingSafeEqual } from 'node:crypto'
import type { KubeObject } from '@podless/apimachinery'
import type { Objects } from '../controllers/objects.ts'
import type { Resource } from '../resource.ts'
import { ensureObject, textAt } from '../resources/reading.ts'
import { timestamp } from '../writing/write.ts'
import type { TokenAuthenticator, TokenOutcome, TokenUse } from './token-authenticator.ts'

export const BOOTSTRAP_TOKEN_TYPE = 'bootstrap.kubernetes.io/token'
export const BOOTSTRAP_TOKEN_NAMESPACE = 'kube-system'
/** On a Secret, `true`: the token is good for one request that is more than reading. */
const SINGLE_USE = 'podless.dev/single-use'
/** When that request came. */
const USED = 'podless.dev/used'
/** Afterwards the token still reads for this long, so that its holder can fetch the certificate it has asked for. */
const READS_AFTER_USE_MS = 10 * 60_000

/** Without an offset it would be the time of wherever this server stands. */
const RFC_3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:\d\d)$/
const FORM = /^([a-z0-9]{6})\.([a-z0-9]{16})$/
const GROUP = 'system:bootstrappers'
const EXTRA_GROUP = /^system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]$/

export interface BootstrapTokenOptions {
  readonly objects: Objects
  readonly secrets: Resource
  readonly now: () => Date
}

export class BootstrapTokens implements TokenAuthenticator {
  readonly #options: BootstrapTokenOptions

  constructor(options: BootstrapTokenOptions) {
    this.#options = options
  }

  async authenticate(token: string, use: TokenUse): Promise<TokenOutcome> {
    const [, id = '', secret = ''] = FORM.exec(token) ?? []
    if (id === '') return undefined
    const { objects, secrets, now } = this.#options
    const stored = objects.get(secrets, BOOTSTRAP_TOKEN_NAMESPACE, `bootstrap-token-${id}`)
    if (stored === undefined || !isTokenOf(stored, id, secret)) {
      return { error: `no bootstrap token ${id} that this one could be` }
    }
    const problem = problemOf(stored, use, now())
    if (problem !== undefined) return { error: `the bootstrap token ${id} ${problem}` }
    if (isForOneUse(stored) && !use.isRead && !(await this.#useUp(stored))) {
      return { error: `the bootstrap token ${id} was just used` }
    }
    return { user: { name: `system:bootstrap:${id}`, groups: [GROUP, ...extraGroups(stored)] } }
  }

  /** Marks the Secret; only one of several at once is told that it did. */
  async #useUp({ metadata }: KubeObject): Promise<boolean> {
    const { objects, secrets, now } = this.#options
    let isFirst = false
    await objects.change(secrets, BOOTSTRAP_TOKEN_NAMESPACE, metadata.name ?? '', live => {
      isFirst = live.metadata.uid === metadata.uid && !isUsed(live)
      if (!isFirst) return
      const time = now()
      live.metadata.annotations = { ...live.metadata.annotations, [USED]: timestamp(time) }
      const last = Math.min(time.getTime() + READS_AFTER_USE_MS, bootstrapTokenEndMs(live))
      const text = timestamp(new Date(last))
      ensureObject(live, 'data').expiration = Buffer.from(text).toString('base64')
    })
    return isFirst
  }
}

const dataOf = (secret: KubeObject, key: string): string =>
  Buffer.from(textAt(secret, ['data', key]), 'base64').toString('utf8')

/** Takes as long for a near miss as for any other. */
function isTokenOf(stored: KubeObject, id: string, secret: string): boolean {
  const [kept, given] = [Buffer.from(dataOf(stored, 'token-secret')), Buffer.from(secret)]
  if (kept.length !== given.length || !timingSafeEqual(kept, given)) return false
  return stored.type === BOOTSTRAP_TOKEN_TYPE && dataOf(stored, 'token-id') === id
}

function problemOf(stored: KubeObject, use: TokenUse, now: Date): string | undefined {
  if (stored.metadata.deletionTimestamp !== undefined) return 'is deleted and awaiting removal'
  if (bootstrapTokenEndMs(stored) < now.getTime()) return 'has expired'
  const usage = 'usage-bootstrap-authentication'
  if (dataOf(stored, usage) !== 'true') return `is not marked ${usage}=true`
  const odd = extraGroups(stored).find(group => !EXTRA_GROUP.test(group))
  if (odd !== undefined) return `has an extra group that is not below ${GROUP}`
  return isForOneUse(stored) && isUsed(stored) && !use.isRead ? 'was used' : undefined
}

/** When a bootstrap token ends, in milliseconds; at once for an end that cannot be read. */
export function bootstrapTokenEndMs(stored: KubeObject): number {
  const text = dataOf(stored, 'expiration')
  if (text === '') return Number.POSITIVE_INFINITY
  const end = RFC_3339.test(text) ? Date.parse(text) : Number.NaN
  return Number.isNaN(end) ? Number.NEGATIVE_INFINITY : end
}

const extraGroups = (stored: KubeObject): string[] =>
  dataOf(stored, 'auth-extra-groups')
    .split(',')
    .filter(group => group !== '')

const isForOneUse = ({ metadata }: KubeObject): boolean =>
  metadata.annotations?.[SINGLE_USE] === 'true'
const isUsed = ({ metadata }: KubeObject): boolean => metadata.annotations?.[USED] !== undefined
