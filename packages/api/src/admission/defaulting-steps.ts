// What upstream's built-in plugins fill in or refuse, in its order. Webhooks and policies see the result. Called by
// api-server.ts.
// Ref: kubernetes/pkg/kubeapiserver/options/plugins.go AllOrderedPlugins

import type { Objects } from '../controllers/objects.ts'
import type { Resource } from '../resource.ts'
import type { AdmissionStep } from './chain.ts'
import { defaultIngressClass, defaultStorageClass } from './default-class.ts'
import { defaultTolerations } from './default-tolerations.ts'
import { limitRanger } from './limit-ranger.ts'
import type { NamespaceReader } from './namespace-lifecycle.ts'
import { podPriority } from './pod-priority.ts'
import { podSecurity } from './pod-security/pod-security.ts'
import { runtimeClass } from './runtime-class.ts'

/** `resourceOf` finds a built-in resource that is served as v1. */
export function defaultingSteps(
  objects: Objects,
  resourceOf: (group: string, resource: string) => Resource,
  namespaces: NamespaceReader,
): readonly AdmissionStep[] {
  const all = (group: string, resource: string) => {
    const kind = resourceOf(group, resource)
    return {
      list: () => objects.list(kind, ''),
      get: (name: string) => objects.get(kind, '', name),
    }
  }
  const ranges = resourceOf('', 'limitranges')
  const pods = resourceOf('', 'pods')
  return [
    limitRanger(namespace => objects.list(ranges, namespace)),
    podSecurity({
      namespaces,
      pods: {
        list: namespace => objects.list(pods, namespace),
        count: namespace => objects.count(pods, namespace),
        elapsedMs: () => performance.now(),
      },
    }),
    podPriority(all('scheduling.k8s.io', 'priorityclasses')),
    defaultTolerations,
    defaultStorageClass(all('storage.k8s.io', 'storageclasses').list),
    runtimeClass(all('node.k8s.io', 'runtimeclasses').get),
    defaultIngressClass(all('networking.k8s.io', 'ingressclasses').list),
  ]
}
