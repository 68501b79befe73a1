// The least that must exist before a recorded istiod finds what it looks for: CRDs by name and version, the webhook
// configurations it completes, and one VM's group. Used by the tests that need no binaries.

import { isObject, type JsonObject } from '../../../packages/apimachinery/src/index.ts'
import type { ApiAnswer, ApiClient } from '../../harness/api-client.ts'
import { until } from '../../harness/child-process.ts'

/** plural -> kind, by group and the version istiod asks for. Ref: istio/pkg/config/schema/collections */
const KINDS: readonly [group: string, version: string, kinds: Readonly<Record<string, string>>][] =
  [
    [
      'networking.istio.io',
      'v1',
      {
        destinationrules: 'DestinationRule',
        gateways: 'Gateway',
        serviceentries: 'ServiceEntry',
        sidecars: 'Sidecar',
        virtualservices: 'VirtualService',
        workloadentries: 'WorkloadEntry',
        workloadgroups: 'WorkloadGroup',
      },
    ],
    ['networking.istio.io', 'v1alpha3', { envoyfilters: 'EnvoyFilter' }],
    ['networking.istio.io', 'v1beta1', { proxyconfigs: 'ProxyConfig' }],
    [
      'security.istio.io',
      'v1',
      {
        authorizationpolicies: 'AuthorizationPolicy',
        peerauthentications: 'PeerAuthentication',
        requestauthentications: 'RequestAuthentication',
      },
    ],
    ['telemetry.istio.io', 'v1', { telemetries: 'Telemetry' }],
    [
      'extensions.istio.io',
      'v1alpha1',
      { wasmplugins: 'WasmPlugin', trafficextensions: 'TrafficExtension' },
    ],
  ]

const OPEN: JsonObject = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true }
/** A rule that the body of a status update, whose spec is empty, would break. */
const ADDRESSED: JsonObject = {
  ...OPEN,
  properties: { address: { type: 'string' }, network: { type: 'string' } },
  'x-kubernetes-validations': [
    { rule: 'has(self.address) || has(self.network)', message: 'an address is needed' },
  ],
}

function crd(group: string, version: string, plural: string, kind: string): JsonObject {
  const spec = kind === 'WorkloadEntry' ? ADDRESSED : OPEN
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      scope: 'Namespaced',
      names: { plural, kind, singular: kind.toLowerCase() },
      versions: [
        {
          name: version,
          served: true,
          storage: true,
          subresources: { status: {} },
          schema: { openAPIV3Schema: { type: 'object', properties: { spec, status: OPEN } } },
        },
      ],
    },
  }
}

function webhooks(kind: string, name: string, webhook: string, resources: string[]): JsonObject {
  return {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind,
    metadata: { name, labels: { 'istio.io/rev': 'default' } },
    webhooks: [
      {
        name: webhook,
        admissionReviewVersions: ['v1'],
        sideEffects: 'None',
        failurePolicy: 'Ignore',
        clientConfig: { service: { name: 'istiod', namespace: 'istio-system', path: '/any' } },
        objectSelector: { matchLabels: { 'istio.io/rev': 'default' } },
        rules: [{ apiGroups: ['*'], apiVersions: ['*'], operations: ['CREATE'], resources }],
      },
    ],
  }
}

const named = (kind: string, name: string, namespace?: string): JsonObject => ({
  apiVersion: 'v1',
  kind,
  metadata: { name, ...(namespace === undefined ? {} : { namespace }) },
})

const CORE = '/api/v1'
const REGISTRATION = '/apis/admissionregistration.k8s.io/v1'
const NETWORKING = '/apis/networking.istio.io/v1/namespaces/vm'

/** collection -> the objects to create there, in order. */
const OBJECTS: readonly [path: string, object: JsonObject][] = [
  [`${CORE}/namespaces`, named('Namespace', 'istio-system')],
  [`${CORE}/namespaces`, named('Namespace', 'vm')],
  [
    `${CORE}/namespaces/istio-system/configmaps`,
    { ...named('ConfigMap', 'istio'), data: { mesh: 'rootNamespace: istio-system' } },
  ],
  [
    `${CORE}/namespaces/istio-system/configmaps`,
    { ...named('ConfigMap', 'istio-sidecar-injector'), data: { config: '', values: '{}' } },
  ],
  [`${CORE}/namespaces/vm/serviceaccounts`, named('ServiceAccount', 'app-sa')],
  [
    `${REGISTRATION}/mutatingwebhookconfigurations`,
    webhooks(
      'MutatingWebhookConfiguration',
      'istio-sidecar-injector',
      'rev.namespace.sidecar-injector.istio.io',
      ['pods'],
    ),
  ],
  [
    `${REGISTRATION}/validatingwebhookconfigurations`,
    webhooks(
      'ValidatingWebhookConfiguration',
      'istio-validator-istio-system',
      'rev.validation.istio.io',
      ['gateways'],
    ),
  ],
  [
    `${NETWORKING}/workloadgroups`,
    {
      apiVersion: 'networking.istio.io/v1',
      kind: 'WorkloadGroup',
      metadata: { name: 'app' },
      spec: { template: { serviceAccount: 'app-sa' } },
    },
  ],
  [
    `${NETWORKING}/serviceentries`,
    {
      apiVersion: 'networking.istio.io/v1',
      kind: 'ServiceEntry',
      metadata: { name: 'one' },
      spec: { hosts: ['one.example.com'], resolution: 'STATIC' },
    },
  ],
]

/** Creates all of it and waits until the CRDs are served. */
export async function installMinimalIstio(client: ApiClient): Promise<void> {
  const crds = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
  for (const [group, version, kinds] of KINDS) {
    for (const [plural, kind] of Object.entries(kinds)) {
      await created(client, crds, crd(group, version, plural, kind))
      await until(`${plural}.${group} is served`, async () => {
        const { status } = await client.send({ path: `/apis/${group}/${version}/${plural}` })
        return status === 200 || undefined
      })
    }
  }
  for (const [path, object] of OBJECTS) await created(client, path, object)
}

/** POSTs an object that has to be taken. */
export async function created(
  client: ApiClient,
  path: string,
  body: JsonObject,
): Promise<ApiAnswer> {
  const answer = await client.send({ method: 'POST', path, body })
  if (answer.status !== 201) throw new Error(`POST ${path}: ${answer.bytes.toString()}`)
  return answer
}

/** The `metadata` of an answered object. */
export function metadataOf(answer: ApiAnswer): JsonObject {
  const { metadata } = answer.json()
  return isObject(metadata) ? metadata : {}
}

/** A token of ServiceAccount vm/app-sa for the audience. */
export async function vmToken(client: ApiClient, audience: string): Promise<string> {
  const answer = await created(client, `${CORE}/namespaces/vm/serviceaccounts/app-sa/token`, {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    spec: { audiences: [audience], expirationSeconds: 3600 },
  })
  const { status } = answer.json()
  return isObject(status) && typeof status.token === 'string' ? status.token : ''
}
