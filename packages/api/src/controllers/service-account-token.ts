// Secrets of type kubernetes.io/service-account-token: filled with token, CA and namespace, and gone with their account.
// Started by start-loops.ts. `istioctl create-remote-secret` and older clients read tokens from such Secrets.
// Ref: kubernetes/pkg/controller/serviceaccount/tokens_controller.go

import type { KubeObject } from '@podless/apimachinery'
import { claimedIssuer, LEGACY_ISSUER, type ServiceAccountTokens } from '@podless/identity'
import type { CacheEvent } from '@podless/storage'
import type { Log } from '../log.ts'
import { decodeStored, keyOf, prefixOf } from '../objects/stored-form.ts'
import type { Resource } from '../resource.ts'
import { ensureObject, objectsAt, textAt } from '../resources/reading.ts'
import { type Loop, startLoop } from './loop.ts'
import type { Objects } from './objects.ts'

const TYPE = 'kubernetes.io/service-account-token'
const NAME = 'kubernetes.io/service-account.name'
const UID = 'kubernetes.io/service-account.uid'

export interface ServiceAccountTokenOptions {
  readonly objects: Objects
  readonly secrets: Resource
  readonly serviceAccounts: Resource
  readonly tokens: Pick<ServiceAccountTokens, 'signForSecret' | 'verify'>
  /** PEM that verifies this server. */
  readonly rootCa: () => string
  readonly log: Log
}

/** Starts the loop; its keys are those of Secrets. */
export function startServiceAccountTokens(options: ServiceAccountTokenOptions): Loop {
  const { objects, secrets, serviceAccounts, log } = options
  return startLoop({
    name: 'service-account-token',
    cacher: objects.storage.cacher,
    prefixes: [prefixOf(secrets, ''), prefixOf(serviceAccounts, '')],
    keysOf: event => touched(options, event),
    reconcile: async key => await reconcile(options, key),
    log,
  })
}

const isTokenSecret = (secret: KubeObject): boolean => secret.type === TYPE
const accountNameOf = ({ metadata }: KubeObject): string => metadata.annotations?.[NAME] ?? ''

/** A token Secret itself, or those of an account that left. */
function touched(
  { objects, secrets, serviceAccounts }: ServiceAccountTokenOptions,
  { type, object }: CacheEvent,
): string[] {
  const { namespace, name } = object.header
  if (object.key.startsWith(prefixOf(secrets, '')))
    return isTokenSecret(decodeStored(object, secrets)) ? [object.key] : []
  // An account marked deleted may be held by finalizers; its tokens end with the mark.
  const account = objects.get(serviceAccounts, namespace, name)
  if (type === 'ADDED' || (account !== undefined && !isLeaving(account))) return []
  return [...objects.list(secrets, namespace)]
    .filter(secret => isTokenSecret(secret) && accountNameOf(secret) === name)
    .map(({ metadata }) => keyOf(secrets, namespace, metadata.name ?? ''))
}

const isLeaving = ({ metadata }: KubeObject): boolean => metadata.deletionTimestamp !== undefined

async function reconcile(options: ServiceAccountTokenOptions, key: string): Promise<void> {
  const { objects, secrets, serviceAccounts } = options
  const [namespace = '', name = ''] = key.slice(prefixOf(secrets, '').length).split('/')
  const secret = objects.get(secrets, namespace, name)
  if (secret === undefined) return await forget(options, namespace, name)
  if (!isTokenSecret(secret) || isLeaving(secret)) return
  const accountName = accountNameOf(secret)
  const account =
    accountName === '' ? undefined : objects.get(serviceAccounts, namespace, accountName)
  const uid = secret.metadata.annotations?.[UID] ?? ''
  const isOther = account !== undefined && uid !== '' && account.metadata.uid !== uid
  if (account === undefined || isLeaving(account) || isOther) {
    await objects.delete(secrets, { namespace, name, uid: secret.metadata.uid })
    return
  }
  await objects.change(secrets, namespace, name, live => {
    if (live.metadata.uid === secret.metadata.uid) fill(live, account, options)
  })
}

/** Sets what is missing; a token that is there stays, as somebody uses it, unless its key counts no more. */
function fill(
  secret: KubeObject,
  account: KubeObject,
  { tokens, rootCa }: ServiceAccountTokenOptions,
): void {
  if (secret.immutable === true) return
  const { namespace = '', name: secretName = '' } = secret.metadata
  const { name = '', uid = '' } = account.metadata
  const data = ensureObject(secret, 'data')
  const missing = (key: string): boolean => textAt(data, [key]) === ''
  const encode = (text: string): string => Buffer.from(text).toString('base64')
  data['ca.crt'] = encode(rootCa())
  if (missing('namespace')) data.namespace = encode(namespace)
  const held = Buffer.from(textAt(data, ['token']), 'base64').toString('latin1')
  if (missing('token') || isOutdated(held, tokens)) {
    const serviceAccount = { name, uid }
    data.token = encode(tokens.signForSecret({ namespace, serviceAccount, secretName }))
  }
  secret.metadata.annotations = { ...secret.metadata.annotations, [NAME]: name, [UID]: uid }
}

/** A token of ours whose key was replaced, and whose overlap has ended. What somebody else put there is left alone. */
function isOutdated(token: string, tokens: Pick<ServiceAccountTokens, 'verify'>): boolean {
  return claimedIssuer(token) === LEGACY_ISSUER && 'error' in tokens.verify(token)
}

/** A Secret that is gone is no longer listed by its account. */
async function forget(
  { objects, serviceAccounts }: ServiceAccountTokenOptions,
  namespace: string,
  secret: string,
): Promise<void> {
  const others = (account: KubeObject) =>
    objectsAt(account, 'secrets').filter(reference => reference.name !== secret)
  for (const account of objects.list(serviceAccounts, namespace)) {
    if (others(account).length === objectsAt(account, 'secrets').length) continue
    await objects.change(serviceAccounts, namespace, account.metadata.name ?? '', live => {
      const left = others(live)
      if (left.length === 0) delete live.secrets
      else live.secrets = left
    })
  }
}
