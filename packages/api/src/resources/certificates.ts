// The group certificates.k8s.io: CertificateSigningRequests, stored with who asked. Read by resources/index.ts.
// Signing is a controller's business. Ref: kubernetes/pkg/registry/certificates/certificates/strategy.go,
// kubernetes/pkg/apis/certificates/validation, kubernetes/plugin/pkg/admission/certificates

import {
  duplicate,
  equalJson,
  type FieldError,
  forbidden,
  forbiddenField,
  invalidValue,
  isDns1123Label,
  isDns1123Subdomain,
  type JsonObject,
  type JsonValue,
  type KubeObject,
  notSupported,
  required,
} from '@podless/apimachinery'
import { parseCertificateRequest, pemBlocks } from '@podless/identity'
import { PRIVILEGED_GROUP } from '../auth/authorize.ts'
import type { Resource, RuleContext, StoredSubresource, Strategy } from '../resource.ts'
import { allButFields, builtin } from './builtin.ts'
import { AGE, column, humanDuration, NAME, textColumn } from './columns.ts'
import { ensureObject, numberAt, objectsAt, textAt, textsAt } from './reading.ts'

const GROUP = 'certificates.k8s.io'
const PLURAL = 'certificatesigningrequests'
const LEGACY_SIGNER = 'kubernetes.io/legacy-unknown'
const CLIENT_SIGNER = 'kubernetes.io/kube-apiserver-client'
/** The name under which this server tells extension servers who asks: whoever had it could be anybody to them. */
export const FRONT_PROXY = 'front-proxy-client'
const EXPIRATION_SECONDS_MIN = 600
const USAGES = [
  'any',
  'cert sign',
  'client auth',
  'code signing',
  'content commitment',
  'crl sign',
  'data encipherment',
  'decipher only',
  'digital signature',
  'email protection',
  'encipher only',
  'ipsec end system',
  'ipsec tunnel',
  'ipsec user',
  'key agreement',
  'key encipherment',
  'microsoft sgc',
  'netscape sgc',
  'ocsp signing',
  's/mime',
  'server auth',
  'signing',
  'timestamping',
]

/** The spec says who asked, and only the server knows that. */
function recordUser(obj: KubeObject, { user }: RuleContext): void {
  const spec = ensureObject(obj, 'spec')
  for (const field of ['username', 'uid', 'groups', 'extra']) delete spec[field]
  spec.username = user.name
  if ((user.uid ?? '') !== '') spec.uid = user.uid
  if (user.groups.length > 0) spec.groups = [...user.groups]
  const extra = Object.entries(user.extra ?? {})
  if (extra.length > 0) {
    spec.extra = Object.fromEntries(extra.map(([key, values]) => [key, [...values]]))
  }
}

const conditionsOf = (obj: KubeObject) => objectsAt(obj, 'status.conditions')

/** Conditions get their times from the server where the client leaves them out. */
function fillConditionTimes(obj: KubeObject, old: KubeObject, now: Date): void {
  const time = `${now.toISOString().slice(0, 19)}Z`
  const before = conditionsOf(old)
  for (const condition of conditionsOf(obj)) {
    if (textAt(condition, 'lastUpdateTime') === '') condition.lastUpdateTime = time
    if (textAt(condition, 'lastTransitionTime') !== '') continue
    const same = before.find(
      entry =>
        entry.type === condition.type &&
        entry.status === condition.status &&
        textAt(entry, 'lastTransitionTime') !== '',
    )
    condition.lastTransitionTime = same === undefined ? time : same.lastTransitionTime
  }
}

function pemTypes(base64: string): string[] {
  const text = Buffer.from(base64, 'base64').toString('latin1')
  return pemBlocks(text).map(({ type }) => type)
}

function requestErrors(obj: KubeObject): FieldError[] {
  const request = textAt(obj, 'spec.request')
  if (pemTypes(request)[0] === 'CERTIFICATE REQUEST') return []
  const detail = 'PEM block type must be CERTIFICATE REQUEST'
  return [invalidValue('spec.request', request || null, detail)]
}

function signerErrors(signer: string): FieldError[] {
  const path = 'spec.signerName'
  if (signer === '') return [required(path)]
  const [domain = '', name = '', ...rest] = signer.split('/')
  const form = "must be a fully qualified domain and path of the form 'example.com/signer-name'"
  if (name === '' || rest.length > 0) return [invalidValue(path, signer, form)]
  const errors = labelErrors(domain, isDns1123Label, path)
  if (!domain.includes('.')) {
    const detail = 'should be a domain with at least two segments separated by dots'
    errors.push(invalidValue(path, domain, detail))
  }
  errors.push(...labelErrors(name, isDns1123Subdomain, path))
  if (signer === LEGACY_SIGNER) {
    const detail = 'the legacy signerName is not allowed via this API version'
    errors.push(invalidValue(path, signer, detail))
  }
  return errors
}

/** The first part between dots that is no label. */
function labelErrors(text: string, check: (label: string) => string[], path: string): FieldError[] {
  const wrong = text.split('.').find(label => check(label).length > 0)
  if (wrong === undefined) return []
  return check(wrong).map(why =>
    invalidValue(path, text, `validating label ${JSON.stringify(wrong)}: ${why}`),
  )
}

function usageErrors(obj: KubeObject): FieldError[] {
  const usages = textsAt(obj, 'spec.usages')
  if (usages.length === 0) return [required('spec.usages')]
  const seen = new Set<string>()
  return usages.flatMap((usage, index) => {
    const path = `spec.usages[${index}]`
    const errors = USAGES.includes(usage) ? [] : [notSupported(path, usage, USAGES)]
    if (seen.has(usage)) return [...errors, duplicate(path, usage)]
    seen.add(usage)
    return errors
  })
}

function conditionErrors(obj: KubeObject): FieldError[] {
  const types = new Set<string>()
  const errors: FieldError[] = []
  conditionsOf(obj).forEach((condition, index) => {
    const path = `status.conditions[${index}]`
    const type = textAt(condition, 'type')
    const status = textAt(condition, 'status')
    if (type === '') errors.push(required(`${path}.type`))
    if (status === '') errors.push(required(`${path}.status`))
    else if (['Approved', 'Denied', 'Failed'].includes(type) && status !== 'True') {
      errors.push(notSupported(`${path}.status`, status, ['True']))
    }
    if (types.has(type)) errors.push(duplicate(`${path}.type`, type))
    types.add(type)
  })
  if (types.has('Approved') && types.has('Denied')) {
    const detail = 'Approved and Denied conditions are mutually exclusive'
    errors.push(invalidValue('status.conditions', 'Denied', detail))
  }
  return errors
}

function errorsOf(obj: KubeObject): FieldError[] {
  const seconds = numberAt(obj, 'spec.expirationSeconds')
  const short = seconds !== undefined && seconds < EXPIRATION_SECONDS_MIN
  const detail = 'may not specify a duration less than 600 seconds (10 minutes)'
  return [
    ...requestErrors(obj),
    ...usageErrors(obj),
    ...signerErrors(textAt(obj, 'spec.signerName')),
    ...(short ? [invalidValue('spec.expirationSeconds', seconds, detail)] : []),
    ...conditionErrors(obj),
  ]
}

const has = (obj: KubeObject, type: string): JsonObject | undefined =>
  conditionsOf(obj).find(condition => condition.type === type)

/** Approved, Denied and Failed are there to stay; `settable` may be added through this door. */
function conditionChangeErrors(
  obj: KubeObject,
  old: KubeObject,
  settable: readonly string[],
): FieldError[] {
  const path = 'status.conditions'
  return ['Approved', 'Denied', 'Failed'].flatMap(type => {
    const [now, before] = [has(obj, type), has(old, type)]
    const change = (what: string) =>
      forbiddenField(path, `updates may not ${what} a condition of type "${type}"`)
    if (before !== undefined && now === undefined) return [change('remove')]
    if (before === undefined && now !== undefined && !settable.includes(type))
      return [change('add')]
    return []
  })
}

const CERTIFICATE = 'status.certificate'

function certificateErrors(obj: KubeObject, old: KubeObject): FieldError[] {
  const [now, before] = [textAt(obj, CERTIFICATE), textAt(old, CERTIFICATE)]
  if (before !== '' && now !== before) {
    const detail = 'updates may not modify existing certificate content'
    return [forbiddenField(CERTIFICATE, detail)]
  }
  if (now === '' || now === before) return []
  const types = pemTypes(now)
  const data = '<certificate data>'
  if (!types.includes('CERTIFICATE')) {
    const detail = 'must contain at least one CERTIFICATE PEM block'
    return [invalidValue(CERTIFICATE, data, detail)]
  }
  const other = types.find(type => type !== 'CERTIFICATE')
  if (other === undefined) return []
  const detail = `only CERTIFICATE PEM blocks are allowed, found ${JSON.stringify(other)}`
  return [invalidValue(CERTIFICATE, data, detail)]
}

/** /approval owns the conditions, and not the certificate. */
const approval: StoredSubresource = {
  type: 'stored',
  verbs: ['get', 'patch', 'update'],
  resetFields: [['spec'], ['status', 'certificate']],
  merge: (sent, live) => {
    const status: JsonObject = { ...(live.status as JsonObject | undefined) }
    const conditions = conditionsOf(sent)
    if (conditions.length === 0) delete status.conditions
    else status.conditions = conditions as JsonValue[]
    return { ...live, metadata: sent.metadata, status }
  },
  validateUpdate: (obj, old) => [
    ...conditionErrors(obj),
    ...conditionChangeErrors(obj, old, ['Approved', 'Denied']),
  ],
}

/** Who may approve or sign for a signer: for it by name, or for all of its domain. */
function mayActFor(verb: string, signer: string, { user, services }: RuleContext): boolean {
  const names = [signer, `${signer.split('/')[0]}/*`]
  const request = { user, verb, group: GROUP, version: '*', resource: 'signers' }
  return names.some(name => services.authorizer.authorize({ ...request, name }).allowed)
}

/**
 * By a signature nobody becomes the front proxy, or a member of the group that no rule binds.
 * Ref: plugin/pkg/admission/certificates
 */
function refusePrivilegedSubject(obj: KubeObject): void {
  const signer = textAt(obj, 'spec.signerName')
  const pem = Buffer.from(textAt(obj, 'spec.request'), 'base64').toString('latin1')
  const request = parseCertificateRequest(pem)
  if ('error' in request) return
  const refuse = (what: string) =>
    forbidden(
      { group: GROUP, resource: PLURAL },
      obj.metadata.name ?? '',
      `use of ${signer} signer with ${what} is not allowed`,
    )
  if (signer === CLIENT_SIGNER && request.organizations.includes(PRIVILEGED_GROUP))
    throw refuse(`${PRIVILEGED_GROUP} group`)
  if (request.commonName === FRONT_PROXY) throw refuse(`the name ${FRONT_PROXY}`)
}

function authorizeWrite(obj: KubeObject, old: KubeObject | undefined, ctx: RuleContext): void {
  if (old === undefined) {
    refusePrivilegedSubject(obj)
    return
  }
  const signer = textAt(old, 'spec.signerName')
  const refuse = (act: string) =>
    forbidden(
      { group: GROUP, resource: PLURAL },
      obj.metadata.name ?? '',
      `user not permitted to ${act} requests with signerName ${JSON.stringify(signer)}`,
    )
  const decided = (from: KubeObject) => ['Approved', 'Denied'].map(type => has(from, type) ?? null)
  if (!equalJson(decided(obj), decided(old)) && !mayActFor('approve', signer, ctx)) {
    throw refuse('approve')
  }
  const signed = textAt(obj, CERTIFICATE) !== textAt(old, CERTIFICATE)
  const failed = has(obj, 'Failed') !== undefined && has(old, 'Failed') === undefined
  if ((signed || failed) && !mayActFor('sign', signer, ctx)) throw refuse('sign')
}

const strategy: Strategy = {
  prepareForCreate: recordUser,
  prepareForUpdate: (obj, old, ctx) => fillConditionTimes(obj, old, ctx.now()),
  validate: errorsOf,
  validateUpdate: () => [],
  authorizeWrite,
}

function conditionText(obj: KubeObject): string {
  const types = new Set(conditionsOf(obj).map(condition => textAt(condition, 'type')))
  const decided = ['Denied', 'Approved'].find(type => types.has(type)) ?? 'Pending'
  const failed = types.has('Failed') ? ['Failed'] : []
  const issued = textAt(obj, CERTIFICATE) === '' ? [] : ['Issued']
  return [decided, ...failed, ...issued].join(',')
}

const requests = builtin({
  group: GROUP,
  kind: 'CertificateSigningRequest',
  plural: PLURAL,
  shortNames: ['csr'],
  namespaced: false,
  strategy,
  merge: allButFields('spec', 'status'),
  status: {
    validateUpdate: (obj, old) => [
      ...conditionErrors(obj),
      ...conditionChangeErrors(obj, old, ['Failed']),
      ...certificateErrors(obj, old),
    ],
  },
  subresources: { approval },
  more: { resetFields: [['spec'], ['status']] },
  selectableFields: { 'spec.signerName': obj => textAt(obj, 'spec.signerName') },
  columns: [
    NAME,
    AGE,
    textColumn('SignerName', 'spec.signerName', 'Who is to sign.'),
    textColumn('Requestor', 'spec.username', 'Who asks.'),
    column('RequestedDuration', 'For how long.', obj => {
      const seconds = numberAt(obj, 'spec.expirationSeconds')
      return seconds === undefined ? '<none>' : humanDuration(seconds * 1000)
    }),
    column('Condition', 'How it stands.', conditionText),
  ],
})

export const certificatesResources: readonly Resource[] = [requests]
