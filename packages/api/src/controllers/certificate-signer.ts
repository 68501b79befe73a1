// Signs approved CertificateSigningRequests of two signers: API clients in general, and VMs. Started by start-loops.ts.
// Approving is the security decision; this only checks that the request is one the signer signs at all.
// Ref: kubernetes/pkg/controller/certificates/signer/signer.go

import type { JsonObject, KubeObject } from '@podless/apimachinery'
import {
  type CertificateRequest,
  type Issuer,
  parseCertificateRequest,
  readClientCertificate,
  signCertificateRequest,
} from '@podless/identity'
import { PRIVILEGED_GROUP } from '../auth/authorize.ts'
import type { Log } from '../log.ts'
import { prefixOf } from '../objects/stored-form.ts'
import type { Resource } from '../resource.ts'
import { ensureObject, numberAt, objectsAt, textAt, textsAt } from '../resources/reading.ts'
import { vmCertificateUid } from '../vm/vm-certificate.ts'
import { timestamp } from '../writing/write.ts'
import { type Loop, startLoop } from './loop.ts'
import type { Objects } from './objects.ts'

const DAY_SECONDS = 24 * 60 * 60
/** Without a wish. Short, as a certificate is a credential that only a list can take back. */
const TTL_SECONDS_DEFAULT = DAY_SECONDS
const TTL_SECONDS_MAX = 30 * DAY_SECONDS
const TTL_SECONDS_MIN = 600

const CLIENT_AUTH = 'client auth'
const OPTIONAL_USAGES = ['digital signature', 'key encipherment'] as const

type Verdict = { readonly uid?: string } | { readonly error: string }

/** What each signer demands of a request besides its usages: why it is refused, or what it adds to the subject. */
const SIGNERS: Readonly<
  Record<
    string,
    (request: CertificateRequest, obj: KubeObject, options: CertificateSignerOptions) => Verdict
  >
> = {
  'kubernetes.io/kube-apiserver-client': () => ({}),
  'podless.dev/vm': (request, { metadata }, { objects, secrets }) =>
    vmCertificateUid(request, metadata.creationTimestamp ?? '', (namespace, name) =>
      objects.get(secrets, namespace, name),
    ),
}

export interface CertificateSignerOptions {
  readonly objects: Objects
  readonly requests: Resource
  readonly secrets: Resource
  readonly issuer: () => Issuer
  readonly log: Log
}

export function startCertificateSigner(options: CertificateSignerOptions): Loop {
  const { objects, requests, log } = options
  const prefix = prefixOf(requests, '')
  return startLoop({
    name: 'certificate-signer',
    cacher: objects.storage.cacher,
    prefixes: [prefix],
    reconcile: async key => {
      const name = key.slice(prefix.length)
      const request = objects.get(requests, '', name)
      if (request === undefined || !isOurs(request)) return
      await objects.change(requests, '', name, live => {
        if (isOurs(live)) sign(live, options)
      })
    },
    log,
  })
}

const has = (obj: KubeObject, type: string): boolean =>
  objectsAt(obj, 'status.conditions').some(condition => condition.type === type)

function isOurs(request: KubeObject): boolean {
  if (!Object.hasOwn(SIGNERS, textAt(request, 'spec.signerName'))) return false
  if (textAt(request, 'status.certificate') !== '') return false
  return has(request, 'Approved') && !has(request, 'Denied') && !has(request, 'Failed')
}

/** Puts the certificate, or a condition that says why there is none, into the status. */
function sign(obj: KubeObject, options: CertificateSignerOptions): void {
  const { objects } = options
  const status = ensureObject(obj, 'status')
  const made = certificateFor(obj, options)
  if ('error' in made) {
    const time = timestamp(objects.now())
    const failed: JsonObject = {
      type: 'Failed',
      status: 'True',
      reason: 'SignerValidationFailure',
      message: made.error,
      lastUpdateTime: time,
      lastTransitionTime: time,
    }
    status.conditions = [...objectsAt(obj, 'status.conditions'), failed]
    return
  }
  status.certificate = Buffer.from(made.certificate).toString('base64')
}

function certificateFor(
  obj: KubeObject,
  options: CertificateSignerOptions,
): { certificate: string } | { error: string } {
  const pem = Buffer.from(textAt(obj, 'spec.request'), 'base64').toString('latin1')
  const request = parseCertificateRequest(pem)
  if ('error' in request) return request
  const usages = textsAt(obj, 'spec.usages')
  const problem = usageProblem(usages)
  if (problem !== undefined) return { error: problem }
  const verdict = SIGNERS[textAt(obj, 'spec.signerName')]?.(request, obj, options) ?? {}
  if ('error' in verdict) return verdict
  const certificate = signCertificateRequest(options.issuer(), request, {
    ...verdict,
    usages: OPTIONAL_USAGES.filter(usage => usages.includes(usage)),
    now: options.objects.now(),
    ttlSeconds: lifetimeOf(numberAt(obj, 'spec.expirationSeconds')),
  })
  // What counts is how the server will read it.
  const identity = readClientCertificate(certificate)
  if (identity === undefined) return { error: 'the subject has no common name' }
  if (identity.groups.includes(PRIVILEGED_GROUP)) {
    return { error: `the group ${PRIVILEGED_GROUP} is not given by signature` }
  }
  return { certificate }
}

function usageProblem(usages: readonly string[]): string | undefined {
  const known: readonly string[] = [CLIENT_AUTH, ...OPTIONAL_USAGES]
  const other = usages.find(usage => !known.includes(usage))
  if (other !== undefined) return `invalid usage for client certificate: ${other}`
  return usages.includes(CLIENT_AUTH)
    ? undefined
    : `missing required usage for client certificate: ${CLIENT_AUTH}`
}

const lifetimeOf = (asked = TTL_SECONDS_DEFAULT): number =>
  Math.min(TTL_SECONDS_MAX, Math.max(TTL_SECONDS_MIN, asked))
