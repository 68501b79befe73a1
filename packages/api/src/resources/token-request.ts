// serviceaccounts/token: asks for a token of a ServiceAccount (`kubectl create token`, projected volumes, VM onboarding).
// Part of the serviceaccounts resource in core-account.ts; tokens are signed by the server's TokenService.
// Ref: kubernetes/pkg/registry/core/serviceaccount/storage/token.go

import {
  apiVersionOf,
  badRequest,
  conflict,
  type FieldError,
  invalid,
  invalidValue,
  isObject,
  type JsonObject,
  type KubeObject,
  notFound,
  parseApiVersion,
} from '@podless/apimachinery'
import type { RuleContext, TokenService, VirtualSubresource } from '../resource.ts'
import { VM_AUDIENCE } from '../vm/vm-policy.ts'
import { schemaOf } from './builtin.ts'
import { int64At, numberAt, textAt, textsAt } from './reading.ts'

const GVK = { group: 'authentication.k8s.io', version: 'v1', kind: 'TokenRequest' }
const EXPIRATION_SECONDS_DEFAULT = 3600
const EXPIRATION_SECONDS_MIN = 600
const EXPIRATION_SECONDS_MAX = 2 ** 32
/** Pods of older clients never reload their token. This odd lifetime marks them; they get a year and a warning. */
const EXTENDABLE_SECONDS = 3607
const EXTENDED_SECONDS = 365 * 24 * 60 * 60

/** The subresource /token: create answers a TokenRequest whose status holds the token. */
export const serviceAccountToken: VirtualSubresource = {
  type: 'virtual',
  gvk: GVK,
  verbs: ['create'],
  get schema() {
    return schemaOf(GVK)
  },
  create: createToken,
}

async function createToken(
  body: KubeObject,
  account: KubeObject,
  ctx: RuleContext,
): Promise<KubeObject> {
  refuseOtherAccount(body, account)
  const { name = '', namespace = '', uid = '' } = account.metadata
  const { tokens } = ctx.services
  const asked = textsAt(body, 'spec.audiences')
  const audiences = asked.length === 0 ? tokens.audiences : asked
  const expirationSeconds = numberAt(body, 'spec.expirationSeconds') ?? EXPIRATION_SECONDS_DEFAULT
  const errors = [...audienceErrors(asked), ...expirationErrors(body)]
  if (errors.length > 0) throw invalid(GVK, '', errors)
  const now = ctx.now()
  const boundObjectRef = isObject(body.spec) ? body.spec.boundObjectRef : undefined
  const bound = isObject(boundObjectRef) ? boundTo(boundObjectRef, account, ctx) : {}
  const lifetime = lifetimeOf(expirationSeconds, bound, tokens.audiences, audiences)
  const { token } = await tokens.issue({
    namespace,
    serviceAccount: { name, uid },
    audiences,
    ...lifetime,
    ...bound,
  })
  const expires = new Date(now.getTime() + expirationSeconds * 1000)
  return {
    apiVersion: apiVersionOf(GVK),
    kind: GVK.kind,
    metadata: { ...body.metadata, name, namespace, uid, creationTimestamp: timestamp(now) },
    spec: {
      audiences: [...audiences],
      expirationSeconds,
      boundObjectRef: boundObjectRef ?? null,
    },
    status: { token, expirationTimestamp: timestamp(expires) },
  }
}

const timestamp = (moment: Date): string => `${moment.toISOString().slice(0, 19)}Z`

/** What the body says about the account, if anything, must be so. */
function refuseOtherAccount(body: KubeObject, account: KubeObject): void {
  const { name = '', namespace = '', uid = '' } = account.metadata
  const differs = (key: 'name' | 'namespace', actual: string): FieldError[] => {
    const sent = body.metadata[key] ?? ''
    if (sent === '' || sent === actual) return []
    const detail = `must match the service account ${key} if specified`
    return [invalidValue(`metadata.${key}`, sent, detail)]
  }
  for (const errors of [differs('name', name), differs('namespace', namespace)]) {
    if (errors.length > 0) throw invalid(GVK, name, errors)
  }
  const sent = body.metadata.uid ?? ''
  if (sent === '' || sent === uid) return
  const why = `the UID in the token request (${sent}) does not match the UID of the service account (${uid})`
  throw conflict({ group: GVK.group, resource: GVK.kind }, name, why)
}

/** Who may ask for tokens of a namespace's accounts must not become its VMs by that. */
function audienceErrors(audiences: readonly string[]): FieldError[] {
  const at = audiences.indexOf(VM_AUDIENCE)
  const detail = 'is the audience of VM credentials, which only VMs get'
  return at < 0 ? [] : [invalidValue(`spec.audiences[${at}]`, VM_AUDIENCE, detail)]
}

function expirationErrors(body: KubeObject): FieldError[] {
  const seconds = int64At(body, 'spec.expirationSeconds') ?? EXPIRATION_SECONDS_DEFAULT
  const refuse = (detail: string) => [invalidValue('spec.expirationSeconds', seconds, detail)]
  if (seconds < EXPIRATION_SECONDS_MIN) {
    return refuse('may not specify a duration less than 10 minutes')
  }
  return seconds > EXPIRATION_SECONDS_MAX
    ? refuse('may not specify a duration larger than 2^32 seconds')
    : []
}

type IssueRequest = Parameters<TokenService['issue']>[0]
type Bound = Pick<IssueRequest, 'bound' | 'node'>

function lifetimeOf(
  seconds: number,
  { bound }: Bound,
  own: readonly string[],
  audiences: readonly string[],
): Pick<IssueRequest, 'expirationSeconds' | 'warnAfterSeconds'> {
  const isOwn = audiences.every(audience => own.includes(audience))
  return bound?.kind === 'Pod' && seconds === EXTENDABLE_SECONDS && isOwn
    ? { expirationSeconds: EXTENDED_SECONDS, warnAfterSeconds: seconds }
    : { expirationSeconds: seconds }
}

/** The resource of each kind a token may be bound to, and whether it lives in the account's namespace. */
const BINDABLE: Readonly<Record<string, { resource: string; namespaced: boolean } | undefined>> = {
  Pod: { resource: 'pods', namespaced: true },
  Secret: { resource: 'secrets', namespaced: true },
  Node: { resource: 'nodes', namespaced: false },
}

/** Finds the object the token shall not outlive. Throws 400, 404 or 409. */
function boundTo(ref: JsonObject, account: KubeObject, ctx: RuleContext): Bound {
  const kind = textAt(ref, 'kind')
  const name = textAt(ref, 'name')
  const wantedUid = textAt(ref, 'uid')
  const { group = '', version = '' } = parseApiVersion(textAt(ref, 'apiVersion')) ?? {}
  const bindable = group === '' && Object.hasOwn(BINDABLE, kind) ? BINDABLE[kind] : undefined
  if (bindable === undefined) {
    throw badRequest(`cannot bind token to object of type ${group}/${version}, Kind=${kind}`)
  }
  const gvr = { group: '', version: 'v1', resource: bindable.resource }
  const found = ctx.services.lookup(gvr, bindable.namespaced ? ctx.namespace : '', name)
  if (found === undefined) throw notFound(gvr, name)
  const owner = account.metadata.name ?? ''
  if (kind === 'Pod' && textAt(found, 'spec.serviceAccountName') !== owner) {
    throw badRequest(
      `cannot bind token for serviceaccount ${JSON.stringify(owner)} to pod running with different serviceaccount name.`,
    )
  }
  const uid = found.metadata.uid ?? ''
  if (wantedUid !== '' && wantedUid !== uid) {
    const why = `the UID in the bound object reference (${wantedUid}) does not match the UID in record. The object might have been deleted and then recreated`
    throw conflict({ group: '', resource: kind }, name, why)
  }
  const bound = { kind, apiVersion: 'v1', name, uid }
  const node = kind === 'Pod' ? nodeOf(found, ctx) : undefined
  return { bound, ...(node === undefined ? {} : { node }) }
}

/** A pod's token names its node too, by name alone when that node is not known. */
function nodeOf(pod: KubeObject, ctx: RuleContext): IssueRequest['node'] | undefined {
  const name = textAt(pod, 'spec.nodeName')
  if (name === '') return undefined
  const gvr = { group: '', version: 'v1', resource: 'nodes' }
  const uid = ctx.services.lookup(gvr, '', name)?.metadata.uid
  return { name, ...(uid === undefined ? {} : { uid }) }
}
