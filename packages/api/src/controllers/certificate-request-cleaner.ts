// Deletes CertificateSigningRequests that nobody needs any more: an hour after they were decided, a day after they were made
// and nobody decided, and when their certificate has expired. Started by start-loops.ts.
// Ref: kubernetes/pkg/controller/certificates/cleaner/cleaner.go

import type { JsonObject, KubeObject } from '@podless/apimachinery'
import { parseCertificate } from '@podless/identity'
import type { Log } from '../log.ts'
import { prefixOf } from '../objects/stored-form.ts'
import type { Resource } from '../resource.ts'
import { objectsAt, textAt } from '../resources/reading.ts'
import { type Loop, startLoop } from './loop.ts'
import type { Objects } from './objects.ts'

const HOUR_MS = 60 * 60 * 1000
/** Approved, signed or not, denied, or failed: for as long after that. */
const DECIDED_MS = HOUR_MS
const PENDING_MS = 24 * HOUR_MS

export function startCertificateRequestCleaner(options: {
  readonly objects: Objects
  readonly requests: Resource
  readonly log: Log
}): Loop {
  const { objects, requests, log } = options
  const prefix = prefixOf(requests, '')
  const loop = startLoop({
    name: 'certificate-request-cleaner',
    cacher: objects.storage.cacher,
    prefixes: [prefix],
    reconcile: async key => {
      const name = key.slice(prefix.length)
      const request = objects.get(requests, '', name)
      if (request === undefined) return
      const leftMs = endMsOf(request) - objects.now().getTime()
      if (leftMs > 0) loop.enqueue(key, Math.min(leftMs + 1, PENDING_MS))
      else await objects.delete(requests, { name, uid: request.metadata.uid })
    },
    log,
  })
  return loop
}

/** When the request has been there for long enough; no end for a state that is none of those above. */
function endMsOf(request: KubeObject): number {
  const conditions = objectsAt(request, 'status.conditions')
  if (conditions.length === 0) return timeMs(request.metadata.creationTimestamp) + PENDING_MS
  const decided = conditions.filter(({ type }) =>
    ['Approved', 'Denied', 'Failed'].includes(String(type)),
  )
  const ends = decided.map((condition: JsonObject) => timeMs(condition.lastUpdateTime) + DECIDED_MS)
  return Math.min(...ends, certificateEndMs(request))
}

function certificateEndMs(request: KubeObject): number {
  const text = Buffer.from(textAt(request, 'status.certificate'), 'base64').toString('latin1')
  const certificate = parseCertificate(text)
  return certificate === undefined ? Number.POSITIVE_INFINITY : Date.parse(certificate.validTo)
}

/** A time that is not told never comes. */
function timeMs(value: unknown): number {
  const time = typeof value === 'string' ? Date.parse(value) : Number.NaN
  return Number.isNaN(time) ? Number.POSITIVE_INFINITY : time
}
