// Stands in for istiod's validating webhook: serves HTTPS as istiod.istio-system.svc and denies everything.
// Used by trace.test.ts.

import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:https'
import {
  createAuthorityCertificate,
  createServingCertificate,
} from '../../../packages/identity/src/index.ts'

export interface DenyingWebhook {
  /** PEM that verifies it. */
  readonly ca: string
  /** The dry-run flag of each review so far. */
  readonly reviews: readonly boolean[]
  listen(port: number): Promise<void>
  close(): void
}

interface Review {
  readonly request: { readonly uid: string; readonly dryRun?: boolean }
}

const TTL_SECONDS = 3_600

/** Ready to listen; nobody answers before. */
export function denyingWebhook(now: Date): DenyingWebhook {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const ca = createAuthorityCertificate({
    commonName: 'webhook-ca',
    key: privateKey,
    publicKey,
    now,
    ttlSeconds: TTL_SECONDS,
  })
  const serving = createServingCertificate(
    { certificate: ca, key: privateKey },
    { names: ['istiod.istio-system.svc'], now, ttlSeconds: TTL_SECONDS },
  )
  const reviews: boolean[] = []
  const server = createServer(
    { key: serving.key, cert: serving.certificate },
    (request, response) => {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        const review = JSON.parse(Buffer.concat(chunks).toString()) as Review
        reviews.push(review.request.dryRun === true)
        const { uid } = review.request
        response.setHeader('content-type', 'application/json')
        response.end(
          JSON.stringify({
            apiVersion: 'admission.k8s.io/v1',
            kind: 'AdmissionReview',
            response: { uid, allowed: false, status: { message: 'always rejected', code: 400 } },
          }),
        )
      })
    },
  )
  return {
    ca,
    reviews,
    listen: async port => {
      server.listen(port, '127.0.0.1')
      await once(server, 'listening')
    },
    close: () => {
      server.close()
      server.closeAllConnections()
    },
  }
}
