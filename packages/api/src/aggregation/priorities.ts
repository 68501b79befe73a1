// Where groups stand among each other in discovery, and versions within their group, unless an APIService says otherwise.
// Read by api-services.ts and local-services.ts. Ref: kubernetes/pkg/controlplane/apiserver/aggregator.go,
// kubernetes/cmd/kube-apiserver/app/aggregator.go, kubernetes/pkg/controlplane/controller/crdregistration

import { apiVersionOf, type GroupVersion } from '@podless/apimachinery'

export interface Priority {
  readonly group: number
  readonly version: number
}

/** A higher one comes first. */
const BUILTIN: Readonly<Record<string, Priority>> = {
  // Upstream calls it the crux of the API: it has no APIService, and is above all that have one.
  'apiregistration.k8s.io/v1': { group: 20_001, version: 18 },
  v1: { group: 18_000, version: 1 },
  'apps/v1': { group: 17_800, version: 15 },
  'events.k8s.io/v1': { group: 17_750, version: 15 },
  'authentication.k8s.io/v1': { group: 17_700, version: 15 },
  'authorization.k8s.io/v1': { group: 17_600, version: 15 },
  'autoscaling/v1': { group: 17_500, version: 15 },
  'autoscaling/v2': { group: 17_500, version: 30 },
  'batch/v1': { group: 17_400, version: 15 },
  'certificates.k8s.io/v1': { group: 17_300, version: 15 },
  'networking.k8s.io/v1': { group: 17_200, version: 15 },
  'policy/v1': { group: 17_100, version: 15 },
  'rbac.authorization.k8s.io/v1': { group: 17_000, version: 15 },
  'storage.k8s.io/v1': { group: 16_800, version: 15 },
  'admissionregistration.k8s.io/v1': { group: 16_700, version: 15 },
  'apiextensions.k8s.io/v1': { group: 16_700, version: 15 },
  'scheduling.k8s.io/v1': { group: 16_600, version: 15 },
  'coordination.k8s.io/v1': { group: 16_500, version: 15 },
  'node.k8s.io/v1': { group: 16_300, version: 15 },
  'discovery.k8s.io/v1': { group: 16_200, version: 15 },
  'resource.k8s.io/v1': { group: 16_200, version: 21 },
  'flowcontrol.apiserver.k8s.io/v1': { group: 16_100, version: 21 },
}

const CUSTOM: Priority = { group: 1000, version: 100 }

/** Of a built-in group version, or of one that CRDs make. */
export const usualPriority = (gv: GroupVersion): Priority => BUILTIN[apiVersionOf(gv)] ?? CUSTOM
