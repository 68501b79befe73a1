// Adds the two bearer tokens of VMs to those a request may carry, on the paths of VMs only: a join token, and a VM's
// credential, which is a ServiceAccount token for an audience of its own. Wraps auth/authenticate.ts; set up by api-server.ts.

import type { ServiceAccountTokens } from '@podless/identity'
import type { Authenticator, TokenCheck } from '../auth/authenticate.ts'
import type { UserInfo } from '../resource.ts'
import type { Incoming } from '../serving/exchange.ts'
import { parseJoinToken } from './join-token.ts'
import { JOINING_GROUP, VM_AUDIENCE, VM_PATH, vmUser } from './vm-policy.ts'
import { vmSecretName } from './vm-record.ts'

export interface VmAuthenticatorOptions {
  readonly tokens: Pick<ServiceAccountTokens, 'verify'>
  readonly check: TokenCheck['check']
}

/** The bearer token of a request, '' without one. */
export function bearerOf({ header }: Pick<Incoming, 'header'>): string {
  return /^bearer +(\S+)$/i.exec((header('authorization') ?? '').trim())?.[1] ?? ''
}

export function withVmTokens(inner: Authenticator, options: VmAuthenticatorOptions): Authenticator {
  return {
    ...inner,
    async authenticate(request) {
      const isForVms = request.target?.startsWith(VM_PATH) ?? false
      const vm = isForVms ? vmUserOf(bearerOf(request), options) : undefined
      return vm ?? (await inner.authenticate(request))
    },
  }
}

function vmUserOf(token: string, { tokens, check }: VmAuthenticatorOptions): UserInfo | undefined {
  if (token === '') return undefined
  if (parseJoinToken(token) !== undefined)
    return { name: 'podless:joining', groups: [JOINING_GROUP] }
  if ('error' in check(token, [VM_AUDIENCE])) return undefined
  const verified = tokens.verify(token)
  if (!('token' in verified)) return undefined
  const { namespace, secret } = verified.token
  const prefix = vmSecretName('')
  // A token for this audience that is bound to no VM's Secret was asked for by hand: it is nobody's.
  if (secret === undefined || !secret.name.startsWith(prefix)) return undefined
  return vmUser(namespace, secret.name.slice(prefix.length), secret.uid)
}
