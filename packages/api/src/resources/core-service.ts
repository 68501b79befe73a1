// Services and Endpoints: defaults, addresses out of the service range, and validation. Part of core.ts.
// No node forwards traffic here: node ports are kept when given and never chosen.
// Ref: kubernetes/pkg/registry/core/service, kubernetes/pkg/apis/core/validation ValidateService

import { isIP } from 'node:net'
import {
  duplicate,
  type FieldError,
  forbiddenField,
  invalid,
  invalidValue,
  isDns1123Label,
  isDns1123Subdomain,
  isObject,
  isPortName,
  isPortNumber,
  isQualifiedName,
  type JsonObject,
  type JsonValue,
  type KubeObject,
  nameIsDns1035Label,
  notSupported,
  required,
  validateLabels,
} from '@podless/apimachinery'
import type { Resource, RuleContext, Strategy } from '../resource.ts'
import { builtin, nodeOnly } from './builtin.ts'
import { AGE, column, formatFirst, formatLabels, NAME, textColumn } from './columns.ts'
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

const TYPES = ['ClusterIP', 'ExternalName', 'LoadBalancer', 'NodePort']
const PROTOCOLS = ['SCTP', 'TCP', 'UDP']
const HEADLESS = 'None'
const CLIENT_IP_TIMEOUT_SECONDS = 10_800
const CLIENT_IP_TIMEOUT_SECONDS_MAX = 86_400

type Family = 'IPv4' | 'IPv6'
const familyOf = (ip: string): Family => (isIP(ip) === 6 ? 'IPv6' : 'IPv4')

const typeOf = (obj: KubeObject): string => textAt(obj, 'spec.type')
const isExternal = (obj: KubeObject): boolean => typeOf(obj) === 'ExternalName'
const isHeadless = (obj: KubeObject): boolean => textAt(obj, 'spec.clusterIP') === HEADLESS
const reachesNodes = (obj: KubeObject): boolean =>
  typeOf(obj) === 'NodePort' || typeOf(obj) === 'LoadBalancer'

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

/** clusterIP and clusterIPs[0] are one value with two names. */
function joinClusterIps(spec: JsonObject): void {
  const single = textAt(spec, 'clusterIP')
  const list = textsAt(spec, 'clusterIPs')
  if (single === '' && list.length > 0) spec.clusterIP = list[0] ?? ''
  if (single !== '' && list.length === 0) spec.clusterIPs = [single]
}

/** Which families the Service gets, as upstream fills them in on a server whose range has one family first. */
function fillFamilies(obj: KubeObject): void {
  const spec = ensureObject(obj, 'spec')
  const addresses = textsAt(spec, 'clusterIPs').filter(ip => isIP(ip) !== 0)
  const selectorless = isHeadless(obj) && Object.keys(mapAt(spec, 'selector')).length === 0
  const families = textsAt(spec, 'ipFamilies')
  const dual = selectorless ? 'RequireDualStack' : 'SingleStack'
  if (textAt(spec, 'ipFamilyPolicy') === '') {
    const two = addresses.length > 1 || families.length > 1
    spec.ipFamilyPolicy = two ? 'RequireDualStack' : dual
  }
  const wanted: Family[] =
    families.length > 0 ? (families as Family[]) : addresses.map(ip => familyOf(ip))
  const first = wanted[0] ?? 'IPv4'
  const policy = textAt(spec, 'ipFamilyPolicy')
  const both = policy === 'RequireDualStack' || (policy === 'PreferDualStack' && selectorless)
  const second: Family = first === 'IPv4' ? 'IPv6' : 'IPv4'
  spec.ipFamilies = wanted.length > 1 ? wanted : both ? [first, second] : [first]
}

/** Reserves what the Service asks for, or a free address for each family it has. Throws 422 when that cannot be. */
function allocate(obj: KubeObject, ctx: RuleContext): void {
  const spec = ensureObject(obj, 'spec')
  if (isExternal(obj) || isHeadless(obj) || !TYPES.includes(typeOf(obj))) return
  const { serviceAddresses } = ctx.services
  const asked = textsAt(spec, 'clusterIPs')
  if (asked.some(ip => isIP(ip) === 0)) return
  const got: string[] = []
  for (const [index, family] of (textsAt(spec, 'ipFamilies') as Family[]).entries()) {
    const ip = asked[index]
    const answer = serviceAddresses.allocate(family, ip)
    if ('ip' in answer) {
      got.push(answer.ip)
      continue
    }
    // A second family that the server has no range for is left out, as on a single-stack cluster.
    if (index > 0 && ip === undefined) break
    for (const taken of got) serviceAddresses.release(taken)
    const detail = `failed to allocate IP ${ip ?? ''}: ${answer.error}`
    const wrong = invalidValue('spec.clusterIPs', [...asked], detail)
    throw invalid({ group: '', kind: 'Service' }, obj.metadata.name ?? '', [wrong])
  }
  if (ctx.dryRun) for (const ip of got) serviceAddresses.release(ip)
  spec.clusterIPs = got
  spec.clusterIP = got[0] ?? ''
}

function prepareAddresses(obj: KubeObject, ctx: RuleContext): void {
  const spec = ensureObject(obj, 'spec')
  joinClusterIps(spec)
  if (isExternal(obj)) return
  fillFamilies(obj)
  if (isHeadless(obj)) spec.clusterIPs = [HEADLESS]
  allocate(obj, ctx)
}

/** What an update leaves out keeps its allocated value. Ref: service/storage/storage.go patchAllocatedValues */
function keepAllocated(obj: KubeObject, old: KubeObject): void {
  const spec = ensureObject(obj, 'spec')
  if (isExternal(obj)) {
    if (isExternal(old)) return
    // A client that only changes the type sends the old addresses along.
    for (const field of ['clusterIP', 'clusterIPs', 'ipFamilies', 'ipFamilyPolicy'] as const) {
      delete spec[field]
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
  if (reachesNodes(obj) && reachesNodes(old)) keepNodePorts(spec, oldSpec)
}

const listIsEmpty = (value: JsonValue): boolean => Array.isArray(value) && value.length === 0

function keepNodePorts(spec: JsonObject, oldSpec: JsonObject): void {
  const identity = (port: JsonObject) => `${textAt(port, 'protocol')}/${numberAt(port, 'port')}`
  const before = new Map(objectsAt(oldSpec, 'ports').map(port => [identity(port), port]))
  for (const port of objectsAt(spec, 'ports') as readonly JsonObject[]) {
    const kept = numberAt(before.get(identity(port)), 'nodePort')
    if ((numberAt(port, 'nodePort') ?? 0) === 0 && kept !== undefined) port.nodePort = kept
  }
}

const strategy: Strategy = {
  validateName: nameIsDns1035Label,
  default: setDefaults,
  prepareForCreate: (obj, ctx) => {
    obj.status = { loadBalancer: {} }
    prepareAddresses(obj, ctx)
  },
  prepareForUpdate: (obj, old, ctx) => {
    keepAllocated(obj, old)
    // NOTE: the address of a Service that becomes ExternalName stays reserved until the server starts anew,
    // because this update may still fail and the old Service then needs it.
    if (isExternal(old) && !isExternal(obj)) prepareAddresses(obj, ctx)
    else if (!isExternal(obj)) joinClusterIps(ensureObject(obj, 'spec'))
  },
  validate: obj => serviceErrors(obj),
  validateUpdate: (obj, old) => [...addressChangeErrors(obj, old), ...serviceErrors(obj)],
  release: (obj, ctx) => {
    if (ctx.dryRun) return
    for (const ip of textsAt(obj, 'spec.clusterIPs')) {
      if (isIP(ip) !== 0) ctx.services.serviceAddresses.release(ip)
    }
  },
}

function addressChangeErrors(obj: KubeObject, old: KubeObject): FieldError[] {
  if (isExternal(obj) || isExternal(old)) return []
  const [now, before] = [textsAt(obj, 'spec.clusterIPs'), textsAt(old, 'spec.clusterIPs')]
  if (before[0] === undefined || now[0] === before[0]) return []
  return [invalidValue('spec.clusterIPs[0]', [...now], 'may not change once set')]
}

function serviceErrors(obj: KubeObject): FieldError[] {
  const spec = objectAt(obj, 'spec')
  const errors: FieldError[] = []
  const ports = objectsAt(spec, 'ports')
  if (ports.length === 0 && !isHeadless(obj) && !isExternal(obj)) {
    errors.push(required('spec.ports'))
  }
  errors.push(...externalNameErrors(obj))
  errors.push(...portErrors(obj, ports))
  errors.push(...validateLabels(mapAt(spec, 'selector'), 'spec.selector'))
  errors.push(...affinityErrors(spec))
  errors.push(...clusterIpErrors(obj))
  for (const [index, ip] of textsAt(spec, 'externalIPs').entries()) {
    if (isIP(ip) !== 0) continue
    errors.push(invalidValue(`spec.externalIPs[${index}]`, ip, NOT_AN_IP))
  }
  const type = typeOf(obj)
  if (type === '') errors.push(required('spec.type'))
  else if (!TYPES.includes(type)) errors.push(notSupported('spec.type', type, TYPES))
  errors.push(...trafficPolicyErrors(obj))
  return errors
}

const NOT_AN_IP = 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'

function externalNameErrors(obj: KubeObject): FieldError[] {
  if (!isExternal(obj)) return []
  const name = textAt(obj, 'spec.externalName').replace(/\.$/, '')
  if (name === '') return [required('spec.externalName')]
  return isDns1123Subdomain(name).map(text => invalidValue('spec.externalName', name, text))
}

function affinityErrors(spec: JsonObject): FieldError[] {
  const affinity = textAt(spec, 'sessionAffinity')
  if (affinity === '') return [required('spec.sessionAffinity')]
  if (affinity !== 'ClientIP' && affinity !== 'None') {
    return [notSupported('spec.sessionAffinity', affinity, ['ClientIP', 'None'])]
  }
  const seconds = numberAt(spec, 'sessionAffinityConfig.clientIP.timeoutSeconds')
  if (affinity === 'None' || seconds === undefined) return []
  if (seconds > 0 && seconds <= CLIENT_IP_TIMEOUT_SECONDS_MAX) return []
  const path = 'spec.sessionAffinityConfig.clientIP.timeoutSeconds'
  const detail = `must be greater than 0 and less than ${CLIENT_IP_TIMEOUT_SECONDS_MAX}`
  return [invalidValue(path, seconds, detail)]
}

function portErrors(obj: KubeObject, ports: readonly JsonObject[]): FieldError[] {
  const errors: FieldError[] = []
  const names = new Set<string>()
  const numbers = new Set<string>()
  ports.forEach((port, index) => {
    const path = `spec.ports[${index}]`
    const name = textAt(port, 'name')
    if (name === '' && ports.length > 1) errors.push(required(`${path}.name`))
    if (name !== '') {
      errors.push(...isDns1123Label(name).map(text => invalidValue(`${path}.name`, name, text)))
      if (names.has(name)) errors.push(duplicate(`${path}.name`, name))
      names.add(name)
    }
    errors.push(...onePortErrors(port, path))
    const nodePort = numberAt(port, 'nodePort') ?? 0
    if (nodePort !== 0 && typeOf(obj) === 'ClusterIP') {
      const detail = "may not be used when `type` is 'ClusterIP'"
      errors.push(forbiddenField(`${path}.nodePort`, detail))
    }
    const protocol = textAt(port, 'protocol')
    const number = numberAt(port, 'port') ?? 0
    const key = `${protocol}/${number}`
    if (numbers.has(key)) errors.push(duplicate(path, { protocol, port: number }))
    numbers.add(key)
  })
  return errors
}

function onePortErrors(port: JsonObject, path: string): FieldError[] {
  const number = numberAt(port, 'port') ?? 0
  const errors = isPortNumber(number).map(text => invalidValue(`${path}.port`, number, text))
  const protocol = textAt(port, 'protocol')
  if (protocol === '') errors.push(required(`${path}.protocol`))
  else if (!PROTOCOLS.includes(protocol)) {
    errors.push(notSupported(`${path}.protocol`, protocol, PROTOCOLS))
  }
  const target = valueAt(port, 'targetPort')
  if (typeof target === 'number') {
    errors.push(
      ...isPortNumber(target).map(text => invalidValue(`${path}.targetPort`, target, text)),
    )
  } else if (typeof target === 'string') {
    errors.push(...isPortName(target).map(text => invalidValue(`${path}.targetPort`, target, text)))
  }
  const application = valueAt(port, 'appProtocol')
  if (typeof application === 'string') {
    for (const text of isQualifiedName(application)) {
      errors.push(invalidValue(`${path}.appProtocol`, application, text))
    }
  }
  return errors
}

function clusterIpErrors(obj: KubeObject): FieldError[] {
  const addresses = textsAt(obj, 'spec.clusterIPs')
  const single = textAt(obj, 'spec.clusterIP')
  if (isExternal(obj)) {
    const why = 'may not be set for ExternalName services'
    const set = ['clusterIPs', 'ipFamilies', 'ipFamilyPolicy'].filter(field => {
      const value = valueAt(obj, ['spec', field])
      return value !== undefined && value !== null && !listIsEmpty(value)
    })
    return set.map(field => forbiddenField(`spec.${field}`, why))
  }
  const errors: FieldError[] = []
  if (single !== '' && addresses.length > 0 && addresses[0] !== single) {
    errors.push(
      invalidValue('spec.clusterIPs', [...addresses], 'first value must match `clusterIP`'),
    )
  }
  for (const [index, ip] of addresses.entries()) {
    if (ip === HEADLESS && addresses.length > 1) {
      const detail = "'None' must be the first and only value"
      errors.push(invalidValue('spec.clusterIPs', [...addresses], detail))
    } else if (ip !== HEADLESS && isIP(ip) === 0) {
      errors.push(invalidValue(`spec.clusterIPs[${index}]`, ip, NOT_AN_IP))
    }
  }
  for (const [index, family] of textsAt(obj, 'spec.ipFamilies').entries()) {
    if (family === 'IPv4' || family === 'IPv6') continue
    errors.push(notSupported(`spec.ipFamilies[${index}]`, family, ['IPv4', 'IPv6']))
  }
  return errors
}

const TRAFFIC = ['Cluster', 'Local']

function trafficPolicyErrors(obj: KubeObject): FieldError[] {
  const errors: FieldError[] = []
  const external = textAt(obj, 'spec.externalTrafficPolicy')
  const reachable = reachesNodes(obj) || listAt(obj, 'spec.externalIPs').length > 0
  if (external !== '' && !reachable) {
    const detail = 'may only be set for externally-accessible services'
    errors.push(invalidValue('spec.externalTrafficPolicy', external, detail))
  } else if (external !== '' && !TRAFFIC.includes(external)) {
    errors.push(notSupported('spec.externalTrafficPolicy', external, TRAFFIC))
  }
  const internal = textAt(obj, 'spec.internalTrafficPolicy')
  if (internal !== '' && !TRAFFIC.includes(internal)) {
    errors.push(notSupported('spec.internalTrafficPolicy', internal, TRAFFIC))
  }
  return errors
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

// --- Endpoints

const ENDPOINTS_SHOWN = 3

function formatEndpoints(obj: KubeObject): string {
  const all = objectsAt(obj, 'subsets').flatMap(subset => {
    const addresses = objectsAt(subset, 'addresses').map(address => textAt(address, 'ip'))
    const ports = objectsAt(subset, 'ports').map(port => numberAt(port, 'port'))
    if (ports.length === 0) return addresses
    return ports.flatMap(port =>
      addresses.map(ip => (isIP(ip) === 6 ? `[${ip}]:${port}` : `${ip}:${port}`)),
    )
  })
  return formatFirst(all, ENDPOINTS_SHOWN)
}

function endpointsErrors(obj: KubeObject): FieldError[] {
  return objectsAt(obj, 'subsets').flatMap((subset, index) => {
    const path = `subsets[${index}]`
    const errors: FieldError[] = []
    const ready = objectsAt(subset, 'addresses')
    const unready = objectsAt(subset, 'notReadyAddresses')
    if (ready.length === 0 && unready.length === 0) {
      errors.push(required(path, 'must specify `addresses` or `notReadyAddresses`'))
    }
    for (const [field, addresses] of Object.entries({
      addresses: ready,
      notReadyAddresses: unready,
    })) {
      addresses.forEach((address, at) => {
        const ip = textAt(address, 'ip')
        if (isIP(ip) === 0) errors.push(invalidValue(`${path}.${field}[${at}].ip`, ip, NOT_AN_IP))
      })
    }
    const ports = objectsAt(subset, 'ports')
    ports.forEach((port, at) => {
      const where = `${path}.ports[${at}]`
      const name = textAt(port, 'name')
      if (name === '' && ports.length > 1) errors.push(required(`${where}.name`))
      const number = numberAt(port, 'port') ?? 0
      errors.push(...isPortNumber(number).map(text => invalidValue(`${where}.port`, number, text)))
    })
    return errors
  })
}

const endpoints = builtin({
  group: '',
  kind: 'Endpoints',
  plural: 'endpoints',
  shortNames: ['ep'],
  keyPrefix: '/registry/services/endpoints',
  strategy: {
    allowCreateOnUpdate: true,
    default: obj => {
      for (const subset of objectsAt(obj, 'subsets')) {
        for (const port of objectsAt(subset, 'ports')) {
          if (isObject(port)) fillEmpty(port, { protocol: 'TCP' })
        }
      }
    },
    validate: endpointsErrors,
    validateUpdate: endpointsErrors,
    warnings: () => ['v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice'],
  },
  columns: [NAME, column('Endpoints', 'The first addresses and ports.', formatEndpoints), AGE],
})

export const serviceResources: readonly Resource[] = [services, endpoints]
