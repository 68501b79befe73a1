// Join tokens: what one VM shows once, shortly after a person asked for it, to get its first credentials.
// The server keeps a digest in a Secret that is deleted by its use. Made by the cli, checked by vm-pages.ts.

import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import type { JsonObject, KubeObject } from '@podless/apimachinery'
import { JOIN_TOKEN_SECRET_TYPE, VM_LABEL, type VmRecord } from './vm-record.ts'

/** NAMESPACE.ID.SECRET after the prefix: the first two find the Secret, the last is compared with it. */
const FORM = /^podless-join\.([a-z0-9-]{1,63})\.([a-z0-9]{10})\.([A-Za-z0-9_-]{43})$/
const SECRET_BYTES = 32
const ID_BYTES = 5

export interface JoinToken {
  readonly namespace: string
  readonly id: string
  readonly secret: string
}

export const joinSecretName = (id: string): string => `podless-join-${id}`

/** A new token for the VM, and the Secret that the server checks it with. */
export function createJoinToken(
  vm: Pick<VmRecord, 'name' | 'namespace' | 'secretName' | 'uid'>,
  expires: Date,
): { token: string; object: JsonObject } {
  const id = randomBytes(ID_BYTES).toString('hex')
  const secret = randomBytes(SECRET_BYTES).toString('base64url')
  const { name, namespace, secretName, uid } = vm
  return {
    token: `podless-join.${namespace}.${id}.${secret}`,
    object: {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: {
        name: joinSecretName(id),
        namespace,
        labels: { [VM_LABEL]: name },
        ownerReferences: [{ apiVersion: 'v1', kind: 'Secret', name: secretName, uid }],
      },
      type: JOIN_TOKEN_SECRET_TYPE,
      stringData: { digest: digestOf(secret).toString('hex'), expires: expires.toISOString() },
    },
  }
}

/** Undefined for anything that is no join token. */
export function parseJoinToken(text: string): JoinToken | undefined {
  const match = FORM.exec(text)
  if (match === null) return undefined
  const [, namespace = '', id = '', secret = ''] = match
  return { namespace, id, secret }
}

/** Whether the Secret is that of this token, and the token has not expired. Takes as long for a near miss as for any. */
export function checkJoinToken(
  { secret }: JoinToken,
  stored: KubeObject | undefined,
  now: Date,
): 'expired' | 'unknown' | 'valid' {
  const { data } = (stored ?? {}) as { data?: Record<string, string> }
  const digest = Buffer.from(decoded(data?.digest), 'hex')
  const given = digestOf(secret)
  if (digest.length !== given.length || !timingSafeEqual(digest, given)) return 'unknown'
  if (stored?.type !== JOIN_TOKEN_SECRET_TYPE) return 'unknown'
  return now.getTime() < Date.parse(decoded(data?.expires)) ? 'valid' : 'expired'
}

const digestOf = (secret: string): Buffer => createHash('sha256').update(secret).digest()
const decoded = (base64 = ''): string => Buffer.from(base64, 'base64').toString()
