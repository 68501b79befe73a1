// The core group, v1: everything under /api. Read by resources/all.ts; each file beside it holds a few kinds.

import type { Resource, Subresource } from '../resource.ts'
import { serviceAccounts } from './core-account.ts'
import { configResources } from './core-config.ts'
import { coreEvents } from './core-event.ts'
import { namespaces } from './core-namespace.ts'
import { quotaResources } from './core-quota.ts'
import { serviceResources } from './core-service.ts'
import { volumeResources } from './core-volume.ts'
import { workloadResources } from './core-workload.ts'

/** All kinds of the core group; `token` is the subresource that issues ServiceAccount tokens. */
export function coreResources(token: Subresource): readonly Resource[] {
  return [
    ...configResources,
    coreEvents,
    namespaces,
    ...quotaResources,
    serviceAccounts(token),
    ...serviceResources,
    ...volumeResources,
    ...workloadResources,
  ]
}
