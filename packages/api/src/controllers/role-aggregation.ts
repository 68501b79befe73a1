// ClusterRoles with an aggregationRule hold the rules of all roles their selectors match.
// Ref: kubernetes/pkg/controller/clusterroleaggregation

import type { Log } from '../log.ts'
import { prefixOf } from '../objects/stored-form.ts'
import type { Resource } from '../resource.ts'
import { aggregate } from '../resources/rbac.ts'
import { type Loop, startLoop } from './loop.ts'
import type { Objects } from './objects.ts'

/** Any change of any role asks for one look at all of them. */
const ALL = 'all'

export function startRoleAggregation(objects: Objects, clusterRoles: Resource, log: Log): Loop {
  return startLoop({
    name: 'role-aggregation',
    cacher: objects.storage.cacher,
    prefixes: [prefixOf(clusterRoles, '')],
    keysOf: () => [ALL],
    reconcile: async () => {
      for (const changed of aggregate([...objects.list(clusterRoles)])) {
        await objects.change(clusterRoles, '', changed.metadata.name ?? '', live => {
          live.rules = changed.rules ?? []
        })
      }
    },
    log,
  })
}
