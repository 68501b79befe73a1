// Stands in for istiod's validating webhook: serves HTTPS as istiod.istio-system.svc and denies everything.
// Used by trace.test.ts.

import assert from 'node:assert/strict'
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
  /** Takes a free port, where connections are cut until answer() is called, and returns it. */
  listen(): Promise<number>
  answer(): void
  close(): void
}

interface Review {
  readonly request: { readonly uid: string; readonly dryRun?: boolean }
}

const TTL_SECONDS = 3_600

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
  let answers = false
  server.on('connection', socket => {
    if (!answers) socket.destroy()
  })
  return {
    ca,
    reviews,
    listen: async () => {
      server.listen(0, '127.0.0.1')
      await once(server, 'listening')
      const address = server.address()
      assert(typeof address === 'object' && address !== null)
      return address.port
    },
    answer: () => {
      answers = true
    },
    close: () => {
      server.close()
      server.closeAllConnections()
    },
  }
}
