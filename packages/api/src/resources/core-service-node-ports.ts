// Which node ports a Service gets, keeps and gives back. Called by core-service.ts; calls the allocator through Services.
// Ref: kubernetes/pkg/registry/core/service/storage/alloc.go

import {
  internalError,
  invalid,
  invalidValue,
  type JsonObject,
  type KubeObject,
} from '@podless/apimachinery'
import { nodePortsOf } from '../allocation/node-ports.ts'
import type { RuleContext } from '../resource.ts'
import { reachesNodes, typeOf } from './core-service-rules.ts'
import { ensureObject, numberAt, objectAt, objectsAt, textAt } from './reading.ts'

const nodePortOf = (port: JsonObject | undefined): number => numberAt(port, 'nodePort') ?? 0

const takesAny = (obj: KubeObject): boolean =>
  typeOf(obj) === 'NodePort' ||
  (typeOf(obj) === 'LoadBalancer' && objectAt(obj, 'spec').allocateLoadBalancerNodePorts !== false)

const needsHealthCheck = (obj: KubeObject): boolean =>
  typeOf(obj) === 'LoadBalancer' && textAt(obj, 'spec.externalTrafficPolicy') === 'Local'

/**
 * Reserves the node ports that a Service asks for, or free ones. `old` is absent for a new Service. Throws 422 when one is
 * taken or out of range; nothing is reserved then.
 */
export function allocateNodePorts(
  obj: KubeObject,
  old: KubeObject | undefined,
  ctx: RuleContext,
): void {
  if (!reachesNodes(obj)) return
  try {
    allocatePorts(obj, ctx)
    const spec = ensureObject(obj, 'spec')
    if (needsHealthCheck(obj)) spec.healthCheckNodePort = allocateHealthCheck(obj, ctx)
  } catch (error) {
    releaseNodePorts(obj, old, ctx)
    throw error
  }
  if (ctx.dryRun) releaseNodePorts(obj, old, ctx)
}

function allocatePorts(obj: KubeObject, ctx: RuleContext): void {
  const { nodePorts } = ctx.services.serviceAddresses
  const { uid = '', name = '' } = obj.metadata
  const ports = objectsAt(obj, 'spec.ports') as readonly JsonObject[]
  /** Protocols of one port share its number on the nodes. */
  const chosen = new Map<number, number>()
  const taken = new Set<string>()
  for (const [index, port] of ports.entries()) {
    const number = numberAt(port, 'port') ?? 0
    const sibling = ports.find(other => numberAt(other, 'port') === number && nodePortOf(other) > 0)
    const wanted = nodePortOf(port) || chosen.get(number) || nodePortOf(sibling)
    if (wanted === 0 && !takesAny(obj)) continue
    const own = `${textAt(port, 'protocol')}/${wanted}`
    const answer =
      wanted > 0 && taken.has(own)
        ? { error: 'provided port is already allocated' }
        : nodePorts.allocate(uid, wanted === 0 ? undefined : wanted)
    taken.add(own)
    if ('error' in answer) {
      if (wanted === 0) throw internalError(`failed to allocate a nodePort: ${answer.error}`)
      const wrong = invalidValue(`spec.ports[${index}].nodePort`, wanted, answer.error)
      throw invalid({ group: '', kind: 'Service' }, name, [wrong])
    }
    port.nodePort = answer.port
    chosen.set(number, answer.port)
  }
}

function allocateHealthCheck(obj: KubeObject, ctx: RuleContext): number {
  const wanted = numberAt(obj, 'spec.healthCheckNodePort') ?? 0
  const { nodePorts } = ctx.services.serviceAddresses
  const answer = nodePorts.allocate(obj.metadata.uid ?? '', wanted === 0 ? undefined : wanted)
  if ('port' in answer) return answer.port
  const asked = wanted === 0 ? 'a HealthCheck NodePort' : `requested HealthCheck NodePort ${wanted}`
  throw internalError(`failed to allocate ${asked}: ${answer.error}`)
}

/** What a write that failed had reserved is free again; what the stored Service `old` has stays its own. */
export function releaseNodePorts(
  obj: KubeObject,
  old: KubeObject | undefined,
  ctx: RuleContext,
): void {
  const { nodePorts } = ctx.services.serviceAddresses
  const kept = new Set(old === undefined ? [] : nodePortsOf(old))
  for (const port of nodePortsOf(obj))
    if (!kept.has(port)) nodePorts.release(port, obj.metadata.uid ?? '')
}

/** What an update leaves out keeps its number; a type without node ports loses those the client only sent along. */
export function keepNodePorts(obj: KubeObject, old: KubeObject): void {
  const spec = ensureObject(obj, 'spec')
  if (!needsHealthCheck(obj)) {
    if (needsHealthCheck(old)) delete spec.healthCheckNodePort
  } else spec.healthCheckNodePort ??= objectAt(old, 'spec').healthCheckNodePort ?? 0
  if (!reachesNodes(old)) return
  const identity = (port: JsonObject) => `${textAt(port, 'protocol')}/${numberAt(port, 'port')}`
  const before = new Map(objectsAt(old, 'spec.ports').map(port => [identity(port), port]))
  for (const port of objectsAt(spec, 'ports') as readonly JsonObject[]) {
    const kept = nodePortOf(before.get(identity(port)))
    if (kept === 0) continue
    if (!reachesNodes(obj)) {
      if (nodePortOf(port) === kept) delete port.nodePort
    } else if (nodePortOf(port) === 0) port.nodePort = kept
  }
}
