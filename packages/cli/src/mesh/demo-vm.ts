// Registers a demo VM with the server. Called by up.ts, which has it join, and by prepare.ts for VMs in containers, which
// writes its bundle.

import type { VmRecord } from '@podless/api'
import { objectPath, type ServerClient } from '../server-client.ts'
import { addVm } from '../vm/add.ts'
import { readBundle } from '../vm/bundle.ts'
import { WORKLOAD_GROUPS } from '../vm/vm-objects.ts'
import { APP_PORT, INBOUND_PORT } from './demo-app.ts'
import { DEMO_NAMESPACE } from './demo-objects.ts'

const TOKEN_SECONDS = 86_400

/** The published root that a bundle carries; istiod writes it into each namespace. */
export const ROOT_CERTIFICATE = objectPath('configmaps', 'istio-ca-root-cert', DEMO_NAMESPACE)

export interface DemoVm {
  readonly data: string
  readonly name: string
  /** Without one its agent says what address it has. */
  readonly address?: string
}

export async function addDemoVm(
  client: ServerClient,
  { data, name, address }: DemoVm,
): Promise<VmRecord> {
  const vm = await addVm(client, name, {
    data,
    namespace: DEMO_NAMESPACE,
    serviceAccount: name,
    port: [`http:${INBOUND_PORT}`],
    probe: `http:${APP_PORT}/`,
    revision: 'default',
    joinTtl: '15m',
    tokenTtl: '24h',
    output: 'text',
    ...(address === undefined ? {} : { address }),
  })
  // Past Envoy: the app listens where only its own VM reaches it.
  await client.mergePatch(objectPath(WORKLOAD_GROUPS, name, DEMO_NAMESPACE), {
    spec: { probe: { periodSeconds: 1, httpGet: { host: '127.0.0.1' } } },
  })
  return vm
}

/** Its files by name, with a token for a day. */
export async function demoBundle(
  client: ServerClient,
  name: string,
): Promise<ReadonlyMap<string, string>> {
  const options = { namespace: DEMO_NAMESPACE, expirationSeconds: TOKEN_SECONDS }
  return await readBundle(client, name, options)
}
