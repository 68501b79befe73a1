// Everything that is served before anyone adds a CRD, group by group. Called by api-server.ts to fill the registry.

import type { Resource } from '../resource.ts'
import { admissionregistrationResources } from './admissionregistration.ts'
import { apiextensionsResources } from './apiextensions.ts'
import { apiregistrationResources } from './apiregistration.ts'
import { appsResources } from './apps.ts'
import { authenticationResources } from './authentication.ts'
import { authorizationResources } from './authorization.ts'
import { autoscalingResources } from './autoscaling.ts'
import { batchResources } from './batch.ts'
import { certificatesResources } from './certificates.ts'
import { coordinationResources } from './coordination.ts'
import { coreResources } from './core.ts'
import { discoveryResources } from './discovery.ts'
import { dynamicResources } from './dynamic-resources.ts'
import { eventsResources } from './events.ts'
import { flowcontrolResources } from './flowcontrol.ts'
import { networkingResources } from './networking.ts'
import { nodeResources } from './node.ts'
import { policyResources } from './policy.ts'
import { rbacResources } from './rbac.ts'
import { schedulingResources } from './scheduling.ts'
import { storageResources } from './storage.ts'

// In the order in which kube-apiserver lists the groups.
const RESOURCES: readonly Resource[] = [
  ...coreResources,
  ...apiregistrationResources,
  ...appsResources,
  ...eventsResources,
  ...authenticationResources,
  ...authorizationResources,
  ...autoscalingResources,
  ...batchResources,
  ...certificatesResources,
  ...networkingResources,
  ...policyResources,
  ...rbacResources,
  ...storageResources,
  ...admissionregistrationResources,
  ...apiextensionsResources,
  ...schedulingResources,
  ...coordinationResources,
  ...nodeResources,
  ...discoveryResources,
  ...dynamicResources,
  ...flowcontrolResources,
]

/** The built-in resources of every group. */
export function builtinResources(): readonly Resource[] {
  return RESOURCES
}
