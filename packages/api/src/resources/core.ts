// The core group, v1: everything under /api. Read by resources/index.ts; each file beside it holds a few kinds.

import type { Resource } from '../resource.ts'
import { serviceAccounts } from './core-account.ts'
import { bindingResources } from './core-binding.ts'
import { configResources } from './core-config.ts'
import { coreEvents } from './core-event.ts'
import { namespaces } from './core-namespace.ts'
import { quotaResources } from './core-quota.ts'
import { serviceResources } from './core-service.ts'
import { volumeResources } from './core-volume.ts'
import { workloadResources } from './core-workload.ts'
import { serviceAccountToken } from './token-request.ts'

export const coreResources: readonly Resource[] = [
  ...configResources,
  ...bindingResources,
  coreEvents,
  namespaces,
  ...quotaResources,
  serviceAccounts(serviceAccountToken),
  ...serviceResources,
  ...volumeResources,
  ...workloadResources,
]
