// Deletes the Secrets of bootstrap tokens that have expired. Started by start-loops.ts; auth/bootstrap-token.ts refuses them
// from the moment they do. Ref: kubernetes/pkg/controller/bootstrap/tokencleaner.go

import {
  BOOTSTRAP_TOKEN_NAMESPACE,
  BOOTSTRAP_TOKEN_TYPE,
  bootstrapTokenEndMs,
} from '../auth/bootstrap-token.ts'
import type { Log } from '../log.ts'
import { prefixOf } from '../objects/stored-form.ts'
import type { Resource } from '../resource.ts'
import { type Loop, startLoop } from './loop.ts'
import type { Objects } from './objects.ts'

/** Timers hold 24 days; looking once a day is as good. */
const DELAY_MS_MAX = 24 * 60 * 60 * 1000

export function startBootstrapTokenCleaner(options: {
  readonly objects: Objects
  readonly secrets: Resource
  readonly log: Log
}): Loop {
  const { objects, secrets, log } = options
  const prefix = prefixOf(secrets, BOOTSTRAP_TOKEN_NAMESPACE)
  const loop = startLoop({
    name: 'bootstrap-token-cleaner',
    cacher: objects.storage.cacher,
    prefixes: [prefix],
    reconcile: async key => {
      const name = key.slice(prefix.length)
      const secret = objects.get(secrets, BOOTSTRAP_TOKEN_NAMESPACE, name)
      if (secret === undefined || secret.type !== BOOTSTRAP_TOKEN_TYPE) return
      const leftMs = bootstrapTokenEndMs(secret) - objects.now().getTime()
      const { uid } = secret.metadata
      if (leftMs <= 0)
        await objects.delete(secrets, { namespace: BOOTSTRAP_TOKEN_NAMESPACE, name, uid })
      else if (leftMs < Number.POSITIVE_INFINITY)
        loop.enqueue(key, Math.min(leftMs + 1, DELAY_MS_MAX))
    },
    log,
  })
  return loop
}
