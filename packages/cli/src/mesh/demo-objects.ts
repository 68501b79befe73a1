// What the demo VMs need besides their groups: a Service each, mTLS for all, and listeners that work without a redirect.
// Applied by up.ts through the server.

import type { JsonObject } from '@podless/apimachinery'
import { objectPath, type ServerClient } from '../server-client.ts'
import { APP_PORT, INBOUND_PORT } from './demo-app.ts'

export const DEMO_NAMESPACE = 'demo'
const SERVICE_PORT = 80
const FIRST_LETTER = 'a'.charCodeAt(0)

/** echo-a, echo-b, ... */
export const vmNames = (count: number): readonly string[] =>
  Array.from({ length: count }, (_, i) => `echo-${String.fromCharCode(FIRST_LETTER + i)}`)

/** Applies all of them, as often as one likes. */
export async function applyDemo(client: ServerClient, names: readonly string[]): Promise<void> {
  const apply = async (resource: string, body: JsonObject): Promise<void> => {
    const { name } = body.metadata as { name: string }
    const namespaced = resource === 'namespaces' ? '' : DEMO_NAMESPACE
    await client.apply(objectPath(resource, name, namespaced), body)
  }
  await apply('namespaces', {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: DEMO_NAMESPACE },
  })
  await apply('security.istio.io/v1/peerauthentications', {
    apiVersion: 'security.istio.io/v1',
    kind: 'PeerAuthentication',
    metadata: { name: 'default', namespace: DEMO_NAMESPACE },
    spec: { mtls: { mode: 'STRICT' } },
  })
  for (const name of names) {
    await apply('serviceaccounts', {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { name, namespace: DEMO_NAMESPACE },
    })
    await apply('services', service(name))
    await apply('networking.istio.io/v1/sidecars', sidecar(name))
  }
}

const service = (name: string): JsonObject => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace: DEMO_NAMESPACE },
  spec: {
    selector: { app: name },
    ports: [{ name: 'http', port: SERVICE_PORT, targetPort: INBOUND_PORT }],
  },
})

/** Envoy itself listens on the port that others call, as nothing redirects their connections to it. */
const sidecar = (name: string): JsonObject => ({
  apiVersion: 'networking.istio.io/v1',
  kind: 'Sidecar',
  metadata: { name, namespace: DEMO_NAMESPACE },
  spec: {
    workloadSelector: { labels: { app: name } },
    ingress: [
      {
        port: { number: INBOUND_PORT, protocol: 'HTTP', name: 'http' },
        bind: '0.0.0.0',
        captureMode: 'NONE',
        defaultEndpoint: `127.0.0.1:${APP_PORT}`,
      },
    ],
    egress: [{ hosts: ['./*', 'istio-system/*'] }],
  },
})
