// What a verb gets: the request read so far, who asks, and the parts of the server it may use.
// Built by handler-chain.ts; verbs and writing/* read it.

import type { Cacher, Storage } from '@podless/storage'
import type { AdmissionChain } from './admission/chain.ts'
import type { ServerConfig } from './config.ts'
import type { Log } from './log.ts'
import type { Metrics } from './pages/metrics.ts'
import type { Registry } from './registry.ts'
import type { RequestInfo } from './request/request-info.ts'
import type { Resource, RuleContext, Services, Subresource, UserInfo } from './resource.ts'
import type { Incoming } from './serving/exchange.ts'

/** The running server's parts that live as long as it does. */
export interface ServerState {
  readonly config: ServerConfig
  readonly storage: Storage
  readonly cacher: Cacher
  readonly registry: Registry
  readonly admission: AdmissionChain
  readonly services: Services
  readonly log: Log
  readonly metrics: Metrics
  readonly now: () => Date
  /** Integers in [0, below): generateName suffixes, spread of watch ends. */
  readonly random: (below: number) => number
}

export interface RequestContext {
  readonly server: ServerState
  readonly request: Incoming
  readonly info: RequestInfo
  readonly resource: Resource
  /** Set when the path names one that the resource has. */
  readonly subresource: Subresource | undefined
  readonly user: UserInfo
  readonly query: URLSearchParams
  /** Adds a Warning header to the answer. */
  readonly warn: (text: string) => void
  /** Adds an annotation to the request's audit events, if it is audited. */
  readonly annotate: (key: string, value: string) => void
}

/** What the rules of a resource get to know about this request. */
export function ruleContext(ctx: RequestContext, dryRun: boolean): RuleContext {
  return {
    user: ctx.user,
    verb: ctx.info.verb,
    namespace: ctx.info.namespace,
    dryRun,
    now: ctx.server.now,
    warn: ctx.warn,
    services: ctx.server.services,
  }
}
