// What a server's store holds from its first start on: the system namespaces, RBAC's bootstrap policy, the APIServices of
// built-in groups, the `kubernetes` Service and the ServiceCIDR of that name. Called once by api-server.ts; writes nothing
// that is already as it should be.
// Ref: kubernetes/pkg/controlplane/controller/{systemnamespaces,kubernetesservice,defaultservicecidr}, rbac/rest/storage_rbac.go

import { type KubeObject, parseApiVersion } from '@podless/apimachinery'
import { builtinServices } from './aggregation/local-services.ts'
import { bootstrapPolicy, reconcileBootstrap } from './auth/bootstrap-policy.ts'
import { istiodPolicy } from './auth/istiod-policy.ts'
import type { NewObject, Objects } from './controllers/objects.ts'
import { encodeForStorage, keyOf } from './objects/stored-form.ts'
import type { Resource } from './resource.ts'
import { vmPolicy } from './vm/vm-policy.ts'
import { timestamp } from './writing/write.ts'

const SYSTEM_NAMESPACES = ['default', 'kube-system', 'kube-public', 'kube-node-lease']
const CORE = { group: '', version: 'v1' }

export interface BootstrapOptions {
  readonly objects: Objects
  /** ClusterIP of the `kubernetes` Service. */
  readonly serverAddress: string
  /** Where ClusterIPs come from. */
  readonly serviceRange: string
  /** Port that the server listens on. */
  readonly port: number
}

export async function bootstrap(options: BootstrapOptions): Promise<void> {
  const { objects, serverAddress, port } = options
  const namespaces = SYSTEM_NAMESPACES.map(name => ensure(objects, namespaceObject(name)))
  const policy = [...bootstrapPolicy(), ...istiodPolicy(), ...vmPolicy()].map(expected =>
    reconcile(objects, expected),
  )
  const services = builtinServices(objects.registry, objects.now()).map(obj => ensure(objects, obj))
  await Promise.all([...namespaces, ...policy, ...services])
  await ensure(objects, kubernetesService(serverAddress, port))
  await ensure(objects, kubernetesServiceCidr(options))
}

function namespaceObject(name: string): NewObject {
  return {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name, labels: { 'kubernetes.io/metadata.name': name } },
    spec: { finalizers: ['kubernetes'] },
    status: { phase: 'Active' },
  }
}

function kubernetesService(clusterIP: string, targetPort: number): NewObject {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      name: 'kubernetes',
      namespace: 'default',
      labels: { component: 'apiserver', provider: 'kubernetes' },
    },
    spec: {
      ports: [{ name: 'https', protocol: 'TCP', port: 443, targetPort }],
      clusterIP,
      clusterIPs: [clusterIP],
      type: 'ClusterIP',
      sessionAffinity: 'None',
      ipFamilies: ['IPv4'],
      ipFamilyPolicy: 'SingleStack',
      internalTrafficPolicy: 'Cluster',
    },
    status: { loadBalancer: {} },
  }
}

function kubernetesServiceCidr({ serviceRange, objects }: BootstrapOptions): NewObject {
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'ServiceCIDR',
    metadata: { name: 'kubernetes' },
    spec: { cidrs: [serviceRange] },
    status: {
      conditions: [
        {
          type: 'Ready',
          status: 'True',
          reason: '',
          message: 'Kubernetes default Service CIDR is ready',
          lastTransitionTime: timestamp(objects.now()),
        },
      ],
    },
  }
}

async function ensure(objects: Objects, obj: NewObject): Promise<void> {
  const resource = resourceOf(objects, obj)
  if (objects.get(resource, obj.metadata.namespace ?? '', obj.metadata.name) !== undefined) return
  await objects.create(resource, obj)
}

async function reconcile(objects: Objects, expected: KubeObject): Promise<void> {
  const resource = resourceOf(objects, expected)
  const { namespace = '', name = '' } = expected.metadata
  const existing = objects.get(resource, namespace, name)
  if (existing === undefined) {
    await objects.create(resource, expected as NewObject)
    return
  }
  const next = reconcileBootstrap(existing, expected)
  if (next === undefined) return
  await objects.storage.update(keyOf(resource, namespace, name), current =>
    current?.stored.header.uid === existing.metadata.uid
      ? encodeForStorage(next, resource)
      : 'unchanged',
  )
}

function resourceOf({ registry }: Objects, obj: { apiVersion: string; kind: string }): Resource {
  const resource = registry.lookupKind({
    ...CORE,
    ...parseApiVersion(obj.apiVersion),
    kind: obj.kind,
  })
  if (resource === undefined) throw new Error(`${obj.apiVersion} ${obj.kind} is not served`)
  return resource
}
