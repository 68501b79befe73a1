// Services: defaults, and addresses out of the service range. Part of core.ts; calls core-service-node-ports.ts.
// Ref: kubernetes/pkg/registry/core/service

import { isIP } from 'node:net'
import {
  equalJson,
  invalid,
  invalidValue,
  type JsonObject,
  type KubeObject,
  nameIsDnsLabel,
} from '@podless/apimachinery'
import type { Resource, RuleContext, Strategy } from '../resource.ts'
import { builtin, nodeOnly } from './builtin.ts'
import { AGE, column, formatLabels, NAME, textColumn } from './columns.ts'
import { endpoints } from './core-endpoints.ts'
import { addressFieldErrors, type Family, settleFamilies } from './core-service-families.ts'
import { allocateNodePorts, keepNodePorts, releaseNodePorts } from './core-service-node-ports.ts'
import {
  addressChangeErrors,
  HEADLESS,
  isExternal,
  isHeadless,
  listIsEmpty,
  reachesNodes,
  serviceErrors,
  serviceWarnings,
  TYPES,
  typeOf,
} from './core-service-rules.ts'
import {
  ensureObject,
  fillDefaults,
  fillEmpty,
  listAt,
  mapAt,
  numberAt,
  objectAt,
  objectsAt,
  textAt,
  textsAt,
  valueAt,
} from './reading.ts'

const CLIENT_IP_TIMEOUT_SECONDS = 10_800

/** Ref: kubernetes/pkg/apis/core/v1/defaults.go SetDefaults_Service */
function setDefaults(obj: KubeObject): void {
  const spec = ensureObject(obj, 'spec')
  fillEmpty(spec, { sessionAffinity: 'None', type: 'ClusterIP' })
  if (spec.sessionAffinity === 'None') delete spec.sessionAffinityConfig
  if (spec.sessionAffinity === 'ClientIP') {
    const config = ensureObject(ensureObject(spec, 'sessionAffinityConfig'), 'clientIP')
    fillDefaults(config, { timeoutSeconds: CLIENT_IP_TIMEOUT_SECONDS })
  }
  for (const port of objectsAt(spec, 'ports') as readonly JsonObject[]) {
    fillEmpty(port, { protocol: 'TCP' })
    const target = port.targetPort
    if (target === undefined || target === null || target === 0 || target === '') {
      port.targetPort = port.port ?? 0
    }
  }
  if (reachesNodes(obj) || listAt(spec, 'externalIPs').length > 0) {
    fillEmpty(spec, { externalTrafficPolicy: 'Cluster' })
  }
  if (!isExternal(obj)) fillEmpty(spec, { internalTrafficPolicy: 'Cluster' })
  if (typeOf(obj) === 'LoadBalancer') fillDefaults(spec, { allocateLoadBalancerNodePorts: true })
}

/** clusterIP is the first of clusterIPs, for clients that know no more. */
function joinClusterIps(spec: JsonObject): void {
  const single = textAt(spec, 'clusterIP')
  if (single !== '' && textsAt(spec, 'clusterIPs').length === 0) spec.clusterIPs = [single]
}

/** A client that knows clusterIP only sends the old clusterIPs along. Ref: service/strategy.go NormalizeClusterIPs */
function followClusterIp(obj: KubeObject, old: KubeObject): void {
  const spec = ensureObject(obj, 'spec')
  const [single, before] = [textAt(spec, 'clusterIP'), textAt(old, 'spec.clusterIP')]
  const addresses = textsAt(spec, 'clusterIPs')
  joinClusterIps(spec)
  if (single === before || !equalJson([...addresses], [...textsAt(old, 'spec.clusterIPs')])) return
  if (addresses.length > 0) spec.clusterIPs = single === '' ? [] : [single, ...addresses.slice(1)]
}

/** Throws 422 when what is said of addresses does not fit together, or cannot be had here. */
function settleAddresses(obj: KubeObject): void {
  const wrong = addressFieldErrors(obj)
  const errors = wrong.length > 0 ? wrong : settleFamilies(obj)
  if (errors.length === 0) return
  throw invalid({ group: '', kind: 'Service' }, obj.metadata.name ?? '', errors)
}

/** Reserves what the Service asks for, or a free address for each family it has. Throws 422 when that cannot be. */
function allocate(obj: KubeObject, ctx: RuleContext): void {
  const spec = ensureObject(obj, 'spec')
  if (isExternal(obj) || textsAt(spec, 'clusterIPs')[0] === HEADLESS) return
  if (!TYPES.includes(typeOf(obj))) return
  const { serviceAddresses } = ctx.services
  const { uid } = obj.metadata
  const asked = textsAt(spec, 'clusterIPs')
  const got: string[] = []
  for (const [index, family] of (textsAt(spec, 'ipFamilies') as Family[]).entries()) {
    const ip = asked[index]
    const answer = serviceAddresses.allocate(family, ip, uid)
    if ('ip' in answer) {
      got.push(answer.ip)
      continue
    }
    // A second family that the server has no range for is left out, as on a single-stack cluster.
    if (index > 0 && ip === undefined) break
    for (const taken of got) serviceAddresses.release(taken, uid)
    const detail = `failed to allocate IP ${ip ?? ''}: ${answer.error}`
    const wrong = invalidValue('spec.clusterIPs', [...asked], detail)
    throw invalid({ group: '', kind: 'Service' }, obj.metadata.name ?? '', [wrong])
  }
  if (ctx.dryRun) for (const ip of got) serviceAddresses.release(ip, uid)
  spec.clusterIPs = got
  spec.clusterIP = got[0] ?? ''
}

/** An address that was reserved goes back when the node ports cannot be had. */
function prepareReachable(obj: KubeObject, ctx: RuleContext): void {
  prepareAddresses(obj, ctx)
  try {
    allocateNodePorts(obj, undefined, ctx)
  } catch (error) {
    release(obj, ctx)
    throw error
  }
}

function prepareAddresses(obj: KubeObject, ctx: RuleContext): void {
  const spec = ensureObject(obj, 'spec')
  joinClusterIps(spec)
  if (isExternal(obj)) return
  settleAddresses(obj)
  if (isHeadless(obj)) spec.clusterIPs = [HEADLESS]
  allocate(obj, ctx)
}

/** What an update leaves out keeps its allocated value. Ref: service/storage/storage.go patchAllocatedValues */
function keepAllocated(obj: KubeObject, old: KubeObject): void {
  keepNodePorts(obj, old)
  const spec = ensureObject(obj, 'spec')
  if (isExternal(obj)) {
    if (isExternal(old)) return
    // A client that only changes the type sends the old addresses along.
    for (const field of ['clusterIP', 'clusterIPs', 'ipFamilies', 'ipFamilyPolicy'] as const) {
      delete spec[field]
    }
    if (spec.internalTrafficPolicy === valueAt(old, 'spec.internalTrafficPolicy')) {
      delete spec.internalTrafficPolicy
    }
    return
  }
  if (isExternal(old)) return
  const oldSpec = objectAt(old, 'spec')
  for (const field of ['clusterIP', 'clusterIPs'] as const) {
    const value = spec[field]
    const empty = value === undefined || value === null || value === '' || listIsEmpty(value)
    if (empty && oldSpec[field] !== undefined) spec[field] = oldSpec[field]
  }
  for (const field of ['ipFamilies', 'ipFamilyPolicy'] as const) spec[field] ??= oldSpec[field]
}

function release(obj: KubeObject, ctx: RuleContext): void {
  if (ctx.dryRun) return
  for (const ip of textsAt(obj, 'spec.clusterIPs')) {
    if (isIP(ip) !== 0) ctx.services.serviceAddresses.release(ip, obj.metadata.uid)
  }
  releaseNodePorts(obj, undefined, ctx)
}

const strategy: Strategy = {
  validateName: nameIsDnsLabel,
  default: setDefaults,
  prepareForCreate: (obj, ctx) => {
    obj.status = { loadBalancer: {} }
    prepareReachable(obj, ctx)
  },
  prepareForUpdate: (obj, old, ctx) => {
    if (!isExternal(obj) && !isExternal(old)) followClusterIp(obj, old)
    keepAllocated(obj, old)
    // The address of a Service that becomes ExternalName is free once that is stored, not before.
    if (isExternal(old) && !isExternal(obj)) prepareReachable(obj, ctx)
    else if (!isExternal(obj)) {
      const changes = addressChangeErrors(obj, old)
      if (changes.length === 0) settleAddresses(obj)
      allocateNodePorts(obj, old, ctx)
    }
  },
  validate: obj => serviceErrors(obj),
  validateUpdate: (obj, old) => [...addressChangeErrors(obj, old), ...serviceErrors(obj)],
  warnings: serviceWarnings,
  release,
  releaseUpdate: (obj, old, ctx) => {
    if (isExternal(old)) release(obj, ctx)
    else releaseNodePorts(obj, old, ctx)
  },
}

// --- how a Service is printed

function externalAddress(obj: KubeObject): string {
  const external = textsAt(obj, 'spec.externalIPs')
  const balanced = objectsAt(obj, 'status.loadBalancer.ingress').map(
    entry => textAt(entry, 'ip') || textAt(entry, 'hostname'),
  )
  switch (typeOf(obj)) {
    case 'ExternalName':
      return textAt(obj, 'spec.externalName')
    case 'LoadBalancer': {
      const all = [...new Set([...balanced.filter(text => text !== ''), ...external])]
      return all.length === 0 ? '<pending>' : all.join(',')
    }
    default:
      return external.length === 0 ? '<none>' : external.join(',')
  }
}

function formatPorts(obj: KubeObject): string {
  const ports = objectsAt(obj, 'spec.ports').map(port => {
    const nodePort = numberAt(port, 'nodePort') ?? 0
    const number = nodePort > 0 ? `${numberAt(port, 'port')}:${nodePort}` : numberAt(port, 'port')
    return `${number}/${textAt(port, 'protocol')}`
  })
  return ports.length === 0 ? '<none>' : ports.join(',')
}

const services = builtin({
  group: '',
  kind: 'Service',
  plural: 'services',
  shortNames: ['svc'],
  categories: ['all'],
  keyPrefix: '/registry/services/specs',
  strategy,
  status: true,
  subresources: {
    proxy: nodeOnly(['create', 'delete', 'get', 'patch', 'update'], {
      group: '',
      version: 'v1',
      kind: 'ServiceProxyOptions',
    }),
  },
  selectableFields: {
    'spec.clusterIP': obj => textAt(obj, 'spec.clusterIP'),
    'spec.type': typeOf,
  },
  columns: [
    NAME,
    textColumn('Type', 'spec.type', 'How the Service can be reached.'),
    column('Cluster-IP', 'The virtual address of the Service.', obj =>
      textAt(obj, 'spec.clusterIP') === '' ? '<none>' : textAt(obj, 'spec.clusterIP'),
    ),
    column('External-IP', 'Where the Service is reached from outside.', externalAddress),
    column('Port(s)', 'The ports of the Service, with node ports after a colon.', formatPorts),
    AGE,
    column(
      'Selector',
      'The labels of the pods behind the Service.',
      obj => formatLabels(mapAt(obj, 'spec.selector')),
      { priority: 1 },
    ),
  ],
  more: { returnsDeleted: true },
})

export const serviceResources: readonly Resource[] = [services, endpoints]
