// Reads what a VM's bundle and credentials are made of from the objects that are served. Used by vm-pages.ts.

import {
  type GroupVersionResource,
  isObject,
  type JsonObject,
  type KubeObject,
  notFound,
  serviceUnavailable,
} from '@podless/apimachinery'
import type { Services } from '../resource.ts'
import type { BundleInputs } from './bundle.ts'
import { type VmRecord, vmRecord, vmSecretName } from './vm-record.ts'

const ISTIO_NAMESPACE = 'istio-system'
const SECRETS = core('secrets')
const WORKLOAD_GROUPS = {
  group: 'networking.istio.io',
  version: 'v1',
  resource: 'workloadgroups',
}

function core(resource: string): GroupVersionResource {
  return { group: '', version: 'v1', resource }
}

export class VmWorld {
  readonly #services: Services

  constructor(services: Services) {
    this.#services = services
  }

  /** Throws 404 when no such VM was added, or it was removed. */
  vm(namespace: string, name: string): VmRecord {
    const secret = this.#services.lookup(SECRETS, namespace, vmSecretName(name))
    const record = secret === undefined ? undefined : vmRecord(secret)
    if (record === undefined) throw notFound({ group: 'podless.dev', resource: 'vms' }, name)
    return record
  }

  secret(namespace: string, name: string): KubeObject | undefined {
    return this.#services.lookup(SECRETS, namespace, name)
  }

  group({ namespace, group }: VmRecord): KubeObject {
    const found = this.#services.lookup(WORKLOAD_GROUPS, namespace, group)
    if (found !== undefined) return found
    throw serviceUnavailable(
      `the WorkloadGroup ${namespace}/${group} is gone; podless vm add makes it again`,
    )
  }

  /** The ServiceAccount the VMs of a group run as. */
  account(vm: VmRecord): { name: string; uid: string } {
    const { spec } = this.group(vm)
    const template = isObject(spec) && isObject(spec.template) ? spec.template : {}
    const name = typeof template.serviceAccount === 'string' ? template.serviceAccount : 'default'
    const account = this.#services.lookup(core('serviceaccounts'), vm.namespace, name)
    if (account !== undefined) return { name, uid: account.metadata.uid ?? '' }
    throw serviceUnavailable(
      `the ServiceAccount ${vm.namespace}/${name} is gone; kubectl create serviceaccount ${name} -n ${vm.namespace}`,
    )
  }

  /** What createBundle needs. Throws 503 with what has to be done first. */
  bundleInputs(vm: VmRecord): BundleInputs {
    const { revision, namespace } = vm
    const suffix = revision === 'default' ? '' : `-${revision}`
    const mesh = this.#configMap(ISTIO_NAMESPACE, `istio${suffix}`).mesh
    if (mesh === undefined)
      throw serviceUnavailable(
        `the ConfigMap ${ISTIO_NAMESPACE}/istio${suffix} holds no mesh config; run podless istio install`,
      )
    const rootCert = this.#configMap(namespace, 'istio-ca-root-cert')['root-cert.pem']
    if (rootCert === undefined)
      throw serviceUnavailable(
        `istiod has not published its root certificate in namespace ${namespace} yet; start istiod (podless istio env)`,
      )
    const values = this.#configMap(ISTIO_NAMESPACE, `istio-sidecar-injector${suffix}`).values
    const istiodAddress = vm.istiodAddress ?? this.#gatewayAddress()
    return {
      group: this.group(vm),
      mesh,
      rootCert,
      clusterId: clusterName(values) ?? 'Kubernetes',
      revision,
      istioNamespace: ISTIO_NAMESPACE,
      ...(vm.address === undefined ? {} : { address: vm.address }),
      ...(istiodAddress === undefined ? {} : { istiodAddress }),
    }
  }

  #configMap(namespace: string, name: string): Readonly<Record<string, string | undefined>> {
    const found = this.#services.lookup(core('configmaps'), namespace, name)
    return (found?.data ?? {}) as Record<string, string>
  }

  /** As istioctl finds it: the first address of the east-west gateway. */
  #gatewayAddress(): string | undefined {
    const service = this.#services.lookup(
      core('services'),
      ISTIO_NAMESPACE,
      'istio-eastwestgateway',
    )
    const { status, spec } = (service ?? {}) as {
      status?: { loadBalancer?: { ingress?: { ip?: string }[] } }
      spec?: { externalIPs?: string[] }
    }
    return status?.loadBalancer?.ingress?.[0]?.ip ?? spec?.externalIPs?.[0]
  }
}

function clusterName(values: string | undefined): string | undefined {
  if (values === undefined) return undefined
  const { global } = JSON.parse(values) as { global?: { multiCluster?: JsonObject } }
  const name = global?.multiCluster?.clusterName
  return typeof name === 'string' && name !== '' ? name : undefined
}
