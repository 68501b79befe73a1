// podless istio remote-secret: what another istiod needs to read this server as one of its clusters.
// Makes a reader ServiceAccount with its rights here and prints the Secret to apply over there. docs/remote-istiod.md
// Ref: istio/istioctl/pkg/multicluster/remote_secret.go; istio/pkg/kube/util.go sanitizeKubeConfig

import { encodeYaml, type JsonObject } from '@podless/apimachinery'
import { kubeconfig } from '@podless/identity'
import { parseDuration } from '../duration.ts'
import { type OutputFormat, printJson } from '../output.ts'
import { objectPath, openServer, type ServerClient } from '../server-client.ts'
import { ISTIO_NAMESPACE } from './install.ts'

export interface RemoteSecretOptions {
  readonly data: string
  readonly kubeconfig?: string
  readonly name: string
  readonly namespace: string
  readonly server?: string
  readonly ttl: string
  readonly output: OutputFormat
}

const ACCOUNT = 'istio-reader-service-account'
const ROLE = `istio-reader-clusterrole-${ISTIO_NAMESPACE}`
const RBAC = 'rbac.authorization.k8s.io'
const READ = ['get', 'list', 'watch']

/** What a remote istiod asks of a cluster that is not its own. Ref: istio-discovery/templates/reader-clusterrole.yaml */
const RULES: readonly [groups: string[], resources: string[], verbs: string[]][] = [
  [
    ['networking.istio.io', 'security.istio.io', 'telemetry.istio.io', 'extensions.istio.io'],
    ['*'],
    READ,
  ],
  [[''], ['endpoints', 'pods', 'services', 'nodes', 'namespaces', 'secrets', 'configmaps'], READ],
  [['gateway.networking.k8s.io'], ['gateways'], READ],
  [['apiextensions.k8s.io'], ['customresourcedefinitions'], READ],
  [['discovery.k8s.io'], ['endpointslices'], READ],
  [['apps'], ['replicasets'], READ],
  [['authentication.k8s.io'], ['tokenreviews'], ['create']],
  [['authorization.k8s.io'], ['subjectaccessreviews'], ['create']],
]

export async function remoteSecret(options: RemoteSecretOptions): Promise<void> {
  const expirationSeconds = parseDuration(options.ttl, '--ttl')
  const client = await openServer(options)
  try {
    const token = await readerToken(client, options.name, expirationSeconds)
    const { ca = '', server } = client.access
    const config = kubeconfig({
      name: options.name,
      server: options.server ?? server,
      ca,
      user: { token },
    })
    const secret = secretOf(options, config)
    if (options.output === 'json') printJson(secret)
    else process.stdout.write(encodeYaml(secret))
  } finally {
    client.close()
  }
}

function secretOf({ name, namespace }: RemoteSecretOptions, config: string): JsonObject {
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: {
      name: `istio-remote-secret-${name}`,
      namespace,
      labels: { 'istio/multiCluster': 'true' },
      annotations: { 'networking.istio.io/cluster': name },
    },
    stringData: { [name]: config },
  }
}

/** A token bound to a Secret here: deleting that Secret locks the other istiod out. */
async function readerToken(
  client: ServerClient,
  cluster: string,
  expirationSeconds: number,
): Promise<string> {
  for (const [resource, body] of readerObjects()) {
    const { name, namespace } = body.metadata
    await client.apply(objectPath(resource, name, namespace ?? ''), body)
  }
  const bound = {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: `istio-remote-reader-${cluster}`, namespace: ISTIO_NAMESPACE },
  }
  const path = objectPath('secrets', bound.metadata.name, ISTIO_NAMESPACE)
  const { uid = '' } = (await client.apply(path, bound)).metadata
  const account = objectPath('serviceaccounts', ACCOUNT, ISTIO_NAMESPACE)
  const answer = await client.create(`${account}/token`, {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    spec: {
      expirationSeconds,
      boundObjectRef: { apiVersion: 'v1', kind: 'Secret', name: bound.metadata.name, uid },
    },
  })
  return (answer as unknown as { status: { token: string } }).status.token
}

type NamedObject = JsonObject & { metadata: { name: string; namespace?: string } }

function readerObjects(): [resource: string, body: NamedObject][] {
  const rules = RULES.map(([apiGroups, resources, verbs]) => ({ apiGroups, resources, verbs }))
  return [
    ['namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name: ISTIO_NAMESPACE } }],
    [
      'serviceaccounts',
      {
        apiVersion: 'v1',
        kind: 'ServiceAccount',
        metadata: { name: ACCOUNT, namespace: ISTIO_NAMESPACE },
      },
    ],
    [
      `${RBAC}/v1/clusterroles`,
      { apiVersion: `${RBAC}/v1`, kind: 'ClusterRole', metadata: { name: ROLE }, rules },
    ],
    [
      `${RBAC}/v1/clusterrolebindings`,
      {
        apiVersion: `${RBAC}/v1`,
        kind: 'ClusterRoleBinding',
        metadata: { name: ROLE },
        roleRef: { apiGroup: RBAC, kind: 'ClusterRole', name: ROLE },
        subjects: [{ kind: 'ServiceAccount', name: ACCOUNT, namespace: ISTIO_NAMESPACE }],
      },
    ],
  ]
}
