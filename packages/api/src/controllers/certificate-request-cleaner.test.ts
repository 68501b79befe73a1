// Which CertificateSigningRequests a server deletes when it finds them, by their age and state.

import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import type { JsonObject } from '@podless/apimachinery'
import { createClientCertificate, openPki } from '@podless/identity'
import { openMemory } from '@podless/storage/testing'
import { startServer } from '../../../../test/harness/server.ts'

const HOUR_MS = 3_600_000
const PREFIX = '/registry/certificatesigningrequests/'
const ago = (hours: number): string => new Date(Date.now() - hours * HOUR_MS).toISOString()
const condition = (type: string, hours: number): JsonObject => ({
  type,
  status: 'True',
  lastUpdateTime: ago(hours),
})

const keys = await startServer()
after(() => keys.close())

/** PEM of a certificate that ended, or will end, in base64. */
async function certificate(endsInSeconds: number): Promise<string> {
  const { authority } = await openPki(keys.directory, { now: new Date() })
  const ttlSeconds = 60
  const now = new Date(Date.now() + (endsInSeconds - ttlSeconds) * 1000)
  const made = createClientCertificate(authority, { user: 'ann', now, ttlSeconds })
  return Buffer.from(made.certificate).toString('base64')
}

test('decided requests stay an hour, pending ones a day, and none outlives its certificate', async () => {
  const [expired, current] = [await certificate(-60), await certificate(3600)]
  const requests: Readonly<Record<string, { age: number; status: JsonObject }>> = {
    'pending-new': { age: 23, status: {} },
    'pending-old': { age: 25, status: {} },
    'approved-new': { age: 30, status: { conditions: [condition('Approved', 0.9)] } },
    'approved-old': { age: 30, status: { conditions: [condition('Approved', 1.1)] } },
    'denied-new': { age: 30, status: { conditions: [condition('Denied', 0.9)] } },
    'denied-old': { age: 30, status: { conditions: [condition('Denied', 1.1)] } },
    'failed-old': { age: 2, status: { conditions: [condition('Failed', 1.1)] } },
    'other-old': { age: 48, status: { conditions: [condition('Other', 30)] } },
    'signed-expired': {
      age: 0.5,
      status: { conditions: [condition('Approved', 0.5)], certificate: expired },
    },
    'signed-current': {
      age: 0.5,
      status: { conditions: [condition('Approved', 0.5)], certificate: current },
    },
    'signed-odd': {
      age: 0.5,
      status: { conditions: [condition('Approved', 0.5)], certificate: 'eA==' },
    },
  }
  const backend = openMemory()
  for (const [name, { age, status }] of Object.entries(requests)) {
    const obj = {
      apiVersion: 'certificates.k8s.io/v1',
      kind: 'CertificateSigningRequest',
      metadata: { name, uid: name, creationTimestamp: ago(age) },
      spec: { request: '', signerName: 'example.org/mine', usages: ['client auth'] },
      status,
    }
    await backend.put(PREFIX + name, Buffer.from(JSON.stringify(obj)), { ifRevision: 0 })
  }
  const server = await startServer({ backend })
  const left = (await backend.list(PREFIX)).entries.map(({ key }) => key.slice(PREFIX.length))
  await server.close()
  assert.deepEqual(left, [
    'approved-new',
    'denied-new',
    'other-old',
    'pending-new',
    'signed-current',
    'signed-odd',
  ])
})
