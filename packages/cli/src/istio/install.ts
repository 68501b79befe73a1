// podless istio install: Istio's CRDs and the few objects a mesh of VMs needs, by server-side apply, as often as one likes.
// Calls crd-source.ts, mesh-config.ts and the running server.

import { setTimeout as sleep } from 'node:timers/promises'
import type { JsonObject } from '@podless/apimachinery'
import { CliError, EXIT } from '../exit.ts'
import { type OutputFormat, printJson, printLines } from '../output.ts'
import { type ApiObject, objectPath, openServer, type ServerClient } from '../server-client.ts'
import { readCrds } from './crd-source.ts'
import { type MeshSettings, meshConfig } from './mesh-config.ts'

export interface InstallOptions extends MeshSettings {
  readonly data: string
  readonly kubeconfig?: string
  readonly from?: string
  readonly revision: string
  readonly clusterId: string
  readonly output: OutputFormat
}

export const ISTIO_NAMESPACE = 'istio-system'
/** No pods, nothing to inject; but istioctl reads the cluster's name here, and istiod ends without a `config` beside it. */
const INJECTOR_CONFIG = 'policy: disabled\ntemplates: {}\n'
const CRDS = 'apiextensions.k8s.io/v1/customresourcedefinitions'
const ESTABLISHED_MS_MAX = 30_000
const POLL_MS = 50

type Outcome = 'configured' | 'created' | 'unchanged'

interface Applied {
  readonly kind: string
  readonly name: string
  readonly outcome: Outcome
}

export async function install(options: InstallOptions): Promise<void> {
  const crds = await readCrds(options.from)
  const client = await openServer(options)
  try {
    const results = await installInto(client, crds, options)
    if (options.output === 'json') {
      printJson({ objects: results })
      return
    }
    printLines(results.map(({ kind, name, outcome }) => `${kind.toLowerCase()}/${name} ${outcome}`))
  } finally {
    client.close()
  }
}

/** Applies the CRDs and the minimal set; returns when all CRDs are served. */
export async function installInto(
  client: ServerClient,
  crds: readonly JsonObject[],
  options: Pick<InstallOptions, 'clusterId' | 'revision' | keyof MeshSettings>,
): Promise<readonly Applied[]> {
  const results: Applied[] = []
  const apply = async (path: string, body: JsonObject): Promise<void> => {
    results.push(await applied(client, path, body))
  }
  for (const crd of crds) {
    const { name } = (crd as ApiObject).metadata
    await apply(objectPath(CRDS, name), crd)
  }
  const namespace = objectPath('namespaces', ISTIO_NAMESPACE)
  // Applied only when absent: there is nothing in it to own, and an owner of nothing would be noted each time anew.
  if ((await client.get(namespace)) === undefined)
    await apply(namespace, {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: ISTIO_NAMESPACE },
    })
  else results.push({ kind: 'Namespace', name: ISTIO_NAMESPACE, outcome: 'unchanged' })
  const mesh = configMapName('istio', options.revision)
  const existing = await client.get(objectPath('configmaps', mesh, ISTIO_NAMESPACE))
  const data = existing?.data as { mesh?: string } | undefined
  await apply(
    ...configMap(mesh, { mesh: meshConfig(data?.mesh, options), meshNetworks: 'networks: {}' }),
  )
  const values = { global: { multiCluster: { clusterName: options.clusterId } } }
  const injector = configMapName('istio-sidecar-injector', options.revision)
  const current = await client.get(objectPath('configmaps', injector, ISTIO_NAMESPACE))
  await apply(
    ...configMap(injector, {
      config: INJECTOR_CONFIG,
      values: JSON.stringify(values),
      ...(current?.data as JsonObject | undefined),
    }),
  )
  await established(client, crds)
  return results
}

/** Names of a revision's ConfigMaps carry its name, but for the default one. */
export const configMapName = (name: string, revision: string): string =>
  revision === '' || revision === 'default' ? name : `${name}-${revision}`

function configMap(name: string, data: JsonObject): [path: string, body: JsonObject] {
  const metadata = { name, namespace: ISTIO_NAMESPACE }
  const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata, data }
  return [objectPath('configmaps', name, ISTIO_NAMESPACE), body]
}

async function applied(client: ServerClient, path: string, body: JsonObject): Promise<Applied> {
  const before = await client.get(path)
  const after = await client.apply(path, body)
  const same = before?.metadata.resourceVersion === after.metadata.resourceVersion
  const outcome = before === undefined ? 'created' : same ? 'unchanged' : 'configured'
  return { kind: String(body.kind), name: after.metadata.name, outcome }
}

async function established(client: ServerClient, crds: readonly JsonObject[]): Promise<void> {
  const deadline = performance.now() + ESTABLISHED_MS_MAX
  for (const crd of crds) {
    const { name } = (crd as ApiObject).metadata
    while (!isEstablished(await client.get(objectPath(CRDS, name)))) {
      if (performance.now() > deadline)
        throw new CliError(
          EXIT.unavailable,
          `the CRD ${name} is not served after ${ESTABLISHED_MS_MAX / 1000} s; kubectl get crd ${name} -o yaml shows why in its conditions`,
        )
      await sleep(POLL_MS)
    }
  }
}

function isEstablished(crd: ApiObject | undefined): boolean {
  const status = crd?.status as { conditions?: { type: string; status: string }[] } | undefined
  return (
    status?.conditions?.some(one => one.type === 'Established' && one.status === 'True') ?? false
  )
}
