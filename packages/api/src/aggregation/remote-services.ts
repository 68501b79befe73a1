// Looks again and again whether extension servers answer, says so in the status of their APIServices, and shows in discovery
// what they serve. Started by start-loops.ts; calls service-problem.ts and remote-documents.ts.
// Ref: kube-aggregator/pkg/controllers/status/{local,remote}

import { equalJson, type KubeObject } from '@podless/apimachinery'
import type { CacheEvent } from '@podless/storage'
import type { ServiceReader } from '../admission/service-resolver.ts'
import { type Condition, setCondition } from '../controllers/condition.ts'
import { type Loop, startLoop } from '../controllers/loop.ts'
import type { Objects } from '../controllers/objects.ts'
import type { Log } from '../log.ts'
import { prefixOf } from '../objects/stored-form.ts'
import type { Registry } from '../registry.ts'
import type { Resource } from '../resource.ts'
import { LOCAL_CONDITION } from '../resources/apiregistration.ts'
import { ensureObject, objectAt, objectsAt } from '../resources/reading.ts'
import { timestamp } from '../writing/write.ts'
import type { ApiServices, RemoteService } from './api-services.ts'
import { type ExtensionServers, ExtensionUnreachable } from './extension-servers.ts'
import { pathOf, RemoteReader } from './remote-documents.ts'
import { type Problem, serviceProblem } from './service-problem.ts'

/** As upstream: a server that answers is asked this often whether it still does. */
const RECHECK_MS = 30_000
const RETRY_MS_MIN = 500
/** As upstream's clients of discovery. */
const ANSWER_MS = 5000

export interface RemoteServicesOptions {
  readonly objects: Objects
  readonly registry: Registry
  readonly apiServices: ApiServices
  readonly servers: ExtensionServers
  readonly reader: ServiceReader
  readonly log: Log
}

/** Starts looking. Nothing waits for a server: one that does not answer holds up neither a start nor the others. */
export function startRemoteServices(options: RemoteServicesOptions): Loop {
  const { objects, registry, apiServices, log } = options
  const resource = registry.builtin('apiregistration.k8s.io', 'apiservices')
  const prefix = prefixOf(resource, '')
  const concerned = [
    registry.builtin('', 'services'),
    registry.builtin('', 'endpoints'),
    registry.builtin('discovery.k8s.io', 'endpointslices'),
  ]
  const checks = new Checks(options, resource, (name, delayMs) =>
    loop.enqueue(`${prefix}${name}`, delayMs),
  )
  const loop = startLoop({
    name: 'remote-apiservices',
    cacher: objects.storage.cacher,
    prefixes: [prefix, ...concerned.map(kind => prefixOf(kind, ''))],
    keysOf: ({ object }: CacheEvent) => {
      if (object.key.startsWith(prefix)) return [object.key]
      const { namespace } = object.header
      const near = apiServices.remotes().filter(({ service }) => service.namespace === namespace)
      return near.map(({ name }) => `${prefix}${name}`)
    },
    reconcile: async key => await checks.look(key.slice(prefix.length)),
    log,
  })
  return {
    enqueue: (key, delayMs) => loop.enqueue(key, delayMs),
    resync: () => loop.resync(),
    idle: () => loop.idle(),
    close: async () => {
      await loop.close()
      await checks.close()
    },
  }
}

/** One look at one server, and whether somebody wants another one after it. */
interface Look {
  readonly done: Promise<void>
  isOld: boolean
}

class Checks {
  readonly #options: RemoteServicesOptions
  readonly #resource: Resource
  readonly #again: (name: string, delayMs: number) => void
  readonly #reader: RemoteReader
  readonly #stop = new AbortController()
  readonly #looks = new Map<string, Look>()
  readonly #failures = new Map<string, number>()

  constructor(
    options: RemoteServicesOptions,
    resource: Resource,
    again: (name: string, delayMs: number) => void,
  ) {
    this.#options = options
    this.#resource = resource
    this.#again = again
    this.#reader = new RemoteReader(options.servers)
  }

  /** Resolves once the look is under way. */
  async look(name: string): Promise<void> {
    const { objects, apiServices, servers } = this.#options
    const found = objects.get(this.#resource, '', name)
    const remote = this.#remote(name)
    if (remote === undefined) {
      servers.forget(name)
      this.#failures.delete(name)
      if (found !== undefined && isWronglyLocal(found)) await this.#tell(name, LOCAL_CONDITION)
      return
    }
    const known = this.#looks.get(name)
    if (known !== undefined) {
      known.isOld = true
      return
    }
    apiServices.documents(remote)
    const look: Look = { isOld: false, done: this.#finish(name, remote) }
    this.#looks.set(name, look)
  }

  async close(): Promise<void> {
    this.#stop.abort()
    await Promise.all([...this.#looks.values()].map(({ done }) => done))
  }

  #remote(name: string): RemoteService | undefined {
    return this.#options.apiServices.remotes().find(remote => remote.name === name)
  }

  async #finish(name: string, remote: RemoteService): Promise<void> {
    let delayMs = RECHECK_MS
    try {
      const problem = await this.#check(remote)
      if (this.#stop.signal.aborted) return
      await this.#tell(name, conditionOf(problem))
      if (problem === undefined) this.#failures.delete(name)
      else delayMs = this.#retryMs(name)
    } catch (error) {
      delayMs = this.#retryMs(name)
      this.#options.log.error('the status of an APIService could not be told', error, { name })
    } finally {
      const isOld = this.#looks.get(name)?.isOld === true
      this.#looks.delete(name)
      if (!this.#stop.signal.aborted) this.#again(name, isOld ? 0 : delayMs)
    }
  }

  #retryMs(name: string): number {
    const failures = this.#failures.get(name) ?? 0
    this.#failures.set(name, failures + 1)
    return Math.min(RETRY_MS_MIN * 2 ** failures, RECHECK_MS)
  }

  async #check(remote: RemoteService): Promise<Problem | undefined> {
    const { apiServices, servers, reader, log } = this.#options
    const isReachable = !('error' in servers.resolve(remote))
    const problem = isReachable
      ? await this.#probe(remote)
      : (serviceProblem(remote.service, reader) ?? (await this.#probe(remote)))
    if (problem !== undefined) {
      const discovery = { version: remote.gv.version, freshness: 'Stale' }
      this.#show(remote, { discovery })
      return problem
    }
    try {
      this.#show(remote, await this.#reader.documents(remote, this.#bound()))
    } catch (error) {
      const known = apiServices.documents(remote)
      this.#show(remote, { ...known, discovery: { ...known.discovery, freshness: 'Stale' } })
      log.debug('no discovery of an extension server', { name: remote.name, why: String(error) })
    }
    return undefined
  }

  /** Discovery is made anew for what is new only. */
  #show(remote: RemoteService, next: ReturnType<ApiServices['documents']>): void {
    const { apiServices } = this.#options
    const known = apiServices.documents(remote)
    const isSame =
      equalJson(known.discovery, next.discovery) && known.openApiHash === next.openApiHash
    if (!isSame) apiServices.setDocuments(remote.name, next)
  }

  async #probe(remote: RemoteService): Promise<Problem | undefined> {
    const failing = (host: string | undefined, why: string): Problem => {
      const url = `https://${host ?? remote.service.name}${pathOf(remote)}`
      const message = `failing or missing response from ${url}: ${why.replaceAll('URL', url)}`
      return { reason: 'FailedDiscoveryCheck', message }
    }
    const bound = this.#bound()
    try {
      const code = await this.#reader.probe(remote, bound)
      if (code >= 200 && code < 300) return undefined
      return failing(hostOf(remote, this.#options.servers), `bad status from URL: ${code}`)
    } catch (error) {
      if (!(error instanceof ExtensionUnreachable)) throw error
      const late = 'context deadline exceeded (Client.Timeout exceeded while awaiting headers)'
      const why = bound.aborted ? late : error.message
      return failing(error.host, `Get "URL": ${why}`)
    }
  }

  #bound(): AbortSignal {
    return AbortSignal.any([this.#stop.signal, AbortSignal.timeout(ANSWER_MS)])
  }

  async #tell(name: string, condition: Condition): Promise<void> {
    const { objects } = this.#options
    await objects.change(this.#resource, '', name, live => {
      const now = timestamp(objects.now())
      const before = objectsAt(live, 'status.conditions') as Condition[]
      ensureObject(live, 'status').conditions = setCondition(before, condition, now)
    })
  }
}

function hostOf(remote: RemoteService, servers: ExtensionServers): string | undefined {
  const addresses = servers.resolve(remote)
  if ('error' in addresses) return undefined
  const [first] = addresses
  return first === undefined ? undefined : `${first.host}:${first.port}`
}

const conditionOf = (problem: Problem | undefined): Condition =>
  problem === undefined
    ? { type: 'Available', status: 'True', reason: 'Passed', message: 'all checks passed' }
    : { type: 'Available', status: 'False', ...problem }

/** One that has become local, or whose status somebody wrote. */
function isWronglyLocal(obj: KubeObject): boolean {
  if (objectAt(obj, 'spec').service !== undefined) return false
  const { type, status, reason, message } = LOCAL_CONDITION
  return !objectsAt(obj, 'status.conditions').some(
    found =>
      found.type === type &&
      found.status === status &&
      found.reason === reason &&
      found.message === message,
  )
}
