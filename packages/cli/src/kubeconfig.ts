// podless kubeconfig: prints credentials for a person, for istiod, or for a ServiceAccount.
// Certificates are signed here with the data folder's CA; ServiceAccount tokens are asked of the running server.

import { access } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { ISTIOD_GROUP } from '@podless/api'
import { parseYaml } from '@podless/apimachinery'
import {
  createClientCertificate,
  kubeconfig as kubeconfigText,
  openPki,
  type Pki,
  PkiError,
} from '@podless/identity'
import { checkLabel } from './checked-name.ts'
import { parseDuration } from './duration.ts'
import { CliError, EXIT } from './exit.ts'
import { type OutputFormat, printJson } from './output.ts'
import { objectPath, readServerAccess, ServerClient } from './server-client.ts'

export interface KubeconfigOptions {
  readonly data: string
  readonly group?: readonly string[]
  readonly ttl?: string
  readonly server?: string
  readonly namespace?: string
}

interface Profile {
  readonly user: string
  readonly groups: readonly string[]
  readonly ttl: string
}

/** Names that stand for a role; anything else is a user of that name. */
const PROFILES: Readonly<Record<string, Profile>> = {
  admin: { user: 'kubernetes-admin', groups: ['system:masters'], ttl: '365d' },
  istiod: { user: 'istiod', groups: [ISTIOD_GROUP], ttl: '365d' },
}
const USER_TTL = '24h'
const SERVICE_ACCOUNT_PREFIX = 'system:serviceaccount:'
const SERVICE_ACCOUNT = /^system:serviceaccount:([^:]+):([^:]+)$/

/** Prints it as YAML, or as JSON, which clients read as well. */
export async function kubeconfig(
  who: string,
  { output, ...options }: KubeconfigOptions & { readonly output: OutputFormat },
): Promise<void> {
  const text = await createKubeconfig(who, options)
  if (output === 'json') printJson(parseYaml(Buffer.from(text), { strict: true }).value)
  else process.stdout.write(text)
}

/** The kubeconfig's text. Needs a data folder in which the server has started once. */
export async function createKubeconfig(who: string, options: KubeconfigOptions): Promise<string> {
  checkNames(who, options)
  const data = resolve(options.data)
  const pki = await openExisting(data)
  const admin = await readServerAccess(join(data, 'admin.kubeconfig'))
  const server = options.server ?? admin.server
  const account = SERVICE_ACCOUNT.exec(who)
  const user =
    account === null
      ? certificateOf(pki, who, options)
      : await tokenOf(new ServerClient(admin), account[1]!, account[2]!, options)
  const namespace = options.namespace ?? account?.[1]
  return kubeconfigText({
    name: PROFILES[who] === undefined ? who : `podless-${who}`,
    server,
    ca: pki.bundle,
    user,
    ...(namespace === undefined ? {} : { namespace }),
  })
}

/** Throws a usage error for what no server would take. */
function checkNames(who: string, { namespace }: KubeconfigOptions): void {
  if (who === '' || (who.startsWith(SERVICE_ACCOUNT_PREFIX) && !SERVICE_ACCOUNT.test(who)))
    throw new CliError(
      EXIT.usage,
      `${JSON.stringify(who)} is nobody; a ServiceAccount is written system:serviceaccount:NAMESPACE:NAME`,
    )
  checkLabel('--namespace', namespace)
}

async function openExisting(data: string): Promise<Pki> {
  try {
    await access(join(data, 'pki', 'ca.crt'))
    return await openPki(data, { now: new Date() })
  } catch (error) {
    if (error instanceof PkiError) throw new CliError(EXIT.data, error.message, { cause: error })
    throw new CliError(
      EXIT.data,
      `${data} holds no keys yet; start the server there once with podless up, or name its folder with --data`,
      { cause: error },
    )
  }
}

function certificateOf(
  pki: Pki,
  who: string,
  { group, ttl }: KubeconfigOptions,
): { certificate: string; key: string } {
  const profile = PROFILES[who] ?? { user: who, groups: [], ttl: USER_TTL }
  const made = createClientCertificate(pki.authority, {
    user: profile.user,
    groups: [...profile.groups, ...(group ?? [])],
    now: new Date(),
    ttlSeconds: parseDuration(ttl ?? profile.ttl, '--ttl'),
  })
  return { certificate: made.certificate, key: made.key }
}

async function tokenOf(
  admin: ServerClient,
  namespace: string,
  name: string,
  { group, ttl }: KubeconfigOptions,
): Promise<{ token: string }> {
  if (group !== undefined)
    throw new CliError(
      EXIT.usage,
      '--group does not go with a ServiceAccount: its groups follow from its namespace',
    )
  const expirationSeconds = parseDuration(ttl ?? USER_TTL, '--ttl')
  const path = objectPath('serviceaccounts', name, namespace)
  const answer = await admin.send('POST', `${path}/token`, {
    body: {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: { expirationSeconds },
    },
  })
  admin.close()
  const { status, message } = JSON.parse(answer.text) as {
    status?: { token?: string }
    message?: string
  }
  if (typeof status?.token === 'string') return { token: status.token }
  const cure =
    answer.code === 404
      ? `; create it with kubectl create serviceaccount ${name} -n ${namespace}`
      : ''
  throw new CliError(
    EXIT.refused,
    `no token for ${namespace}/${name}: ${message ?? 'the server gave none'}${cure}`,
  )
}
