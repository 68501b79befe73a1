// What must hold of a Service, and the questions its other parts ask of it too. Called by core-service.ts.
// Ref: kubernetes/pkg/apis/core/validation ValidateService

import {
  duplicate,
  type FieldError,
  forbiddenField,
  invalidValue,
  isDns1123Label,
  isDns1123Subdomain,
  isPortName,
  isPortNumber,
  isQualifiedName,
  type JsonObject,
  type JsonValue,
  type KubeObject,
  notSupported,
  required,
  validateLabels,
} from '@podless/apimachinery'
import { addressProblems, cidrProblems, endpointAddressErrors } from './address-rules.ts'
import {
  listAt,
  mapAt,
  numberAt,
  objectAt,
  objectsAt,
  textAt,
  textsAt,
  valueAt,
} from './reading.ts'

export const TYPES = ['ClusterIP', 'ExternalName', 'LoadBalancer', 'NodePort']
const PROTOCOLS = ['SCTP', 'TCP', 'UDP']
export const HEADLESS = 'None'
const CLIENT_IP_TIMEOUT_SECONDS_MAX = 86_400

export const typeOf = (obj: KubeObject): string => textAt(obj, 'spec.type')
export const isExternal = (obj: KubeObject): boolean => typeOf(obj) === 'ExternalName'
export const isHeadless = (obj: KubeObject): boolean => textAt(obj, 'spec.clusterIP') === HEADLESS
export const reachesNodes = (obj: KubeObject): boolean =>
  typeOf(obj) === 'NodePort' || typeOf(obj) === 'LoadBalancer'

export const listIsEmpty = (value: JsonValue): boolean => Array.isArray(value) && value.length === 0

export function addressChangeErrors(obj: KubeObject, old: KubeObject): FieldError[] {
  if (isExternal(obj) || isExternal(old)) return []
  const [now, before] = [textsAt(obj, 'spec.clusterIPs'), textsAt(old, 'spec.clusterIPs')]
  if (before[0] === undefined || now[0] === before[0]) return []
  return [invalidValue('spec.clusterIPs[0]', [...now], 'may not change once set')]
}

export function serviceErrors(obj: KubeObject): FieldError[] {
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
    const path = `spec.externalIPs[${index}]`
    const problems = addressProblems(ip)
    errors.push(...problems.map(text => invalidValue(path, ip, text)))
    if (problems.length === 0) errors.push(...endpointAddressErrors(ip, path))
  }
  const type = typeOf(obj)
  if (type === '') errors.push(required('spec.type'))
  else if (!TYPES.includes(type)) errors.push(notSupported('spec.type', type, TYPES))
  errors.push(...trafficPolicyErrors(obj), ...balancerErrors(obj))
  return errors
}

const BALANCER_ONLY = "may only be used when `type` is 'LoadBalancer'"
const DISTRIBUTIONS = ['PreferClose', 'PreferSameZone', 'PreferSameNode']
const RANGES_ANNOTATION = 'service.beta.kubernetes.io/load-balancer-source-ranges'

/** Fields of load balancers, and of how traffic is spread. */
function balancerErrors(obj: KubeObject): FieldError[] {
  const errors: FieldError[] = []
  const isBalancer = typeOf(obj) === 'LoadBalancer'
  const ranges = textsAt(obj, 'spec.loadBalancerSourceRanges')
  // NOTE: upstream's path begins with a capital here.
  const path = 'spec.LoadBalancerSourceRanges'
  if (!isBalancer && ranges.length > 0) errors.push(forbiddenField(path, BALANCER_ONLY))
  ranges.forEach((range, index) => {
    const texts = cidrProblems(range)
    errors.push(...texts.map(text => invalidValue(`${path}[${index}]`, range, text)))
  })
  const annotated = obj.metadata.annotations?.[RANGES_ANNOTATION]?.trim() ?? ''
  const isRead = isBalancer && ranges.length === 0 && annotated !== ''
  const at = `metadata.annotations[${RANGES_ANNOTATION}]`
  for (const range of isRead ? annotated.split(',') : []) {
    errors.push(...cidrProblems(range.trim()).map(text => invalidValue(at, annotated, text)))
  }
  const balancer = textAt(obj, 'spec.loadBalancerClass')
  if (!isBalancer && valueAt(obj, 'spec.allocateLoadBalancerNodePorts') !== undefined) {
    errors.push(forbiddenField('spec.allocateLoadBalancerNodePorts', BALANCER_ONLY))
  }
  if (!isBalancer && valueAt(obj, 'spec.loadBalancerClass') !== undefined) {
    errors.push(forbiddenField('spec.loadBalancerClass', BALANCER_ONLY))
  } else if (balancer !== '') {
    const texts = isQualifiedName(balancer)
    errors.push(...texts.map(text => invalidValue('spec.loadBalancerClass', balancer, text)))
  }
  const spread = textAt(obj, 'spec.trafficDistribution')
  if (spread !== '' && !DISTRIBUTIONS.includes(spread)) {
    errors.push(notSupported('spec.trafficDistribution', spread, DISTRIBUTIONS))
  }
  return errors
}

/** What of a Service is of no use, or old. Ref: kubernetes/pkg/api/service/warnings.go */
export function serviceWarnings(obj: KubeObject): string[] {
  const texts: string[] = []
  const warn = (condition: boolean, text: string) => void (condition && texts.push(text))
  const isNamed = isExternal(obj)
  const alone = typeOf(obj) === 'ClusterIP' && isHeadless(obj)
  const hasIps = listAt(obj, 'spec.externalIPs').length > 0
  const ignored = 'is ignored for headless services'
  warn(alone && textAt(obj, 'spec.loadBalancerIP') !== '', `spec.loadBalancerIP ${ignored}`)
  warn(alone && hasIps, `spec.externalIPs ${ignored}`)
  warn(alone && textAt(obj, 'spec.sessionAffinity') !== 'None', `spec.SessionAffinity ${ignored}`)
  warn(
    hasIps && !alone && !isNamed,
    'spec.externalIPs is deprecated and may no longer be implemented in some clusters',
  )
  warn(hasIps && isNamed, 'spec.externalIPs is ignored when spec.type is "ExternalName"')
  warn(
    !isNamed && textAt(obj, 'spec.externalName') !== '',
    'spec.externalName is ignored when spec.type is not "ExternalName"',
  )
  warn(
    textAt(obj, 'spec.trafficDistribution') === 'PreferClose',
    'spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"',
  )
  return texts
}

export const NOT_AN_IP = 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'

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
    // NOTE: upstream shows what the two have in common, as a port of its own form.
    const shown = { Name: '', Protocol: protocol, AppProtocol: null }
    const numbered = { ...shown, Port: number, TargetPort: 0, NodePort: 0 }
    if (numbers.has(key)) errors.push(duplicate(path, numbered))
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
  if (isExternal(obj)) {
    const why = 'may not be set for ExternalName services'
    const set = ['clusterIPs', 'ipFamilies', 'ipFamilyPolicy'].filter(field => {
      const value = valueAt(obj, ['spec', field])
      return value !== undefined && value !== null && !listIsEmpty(value)
    })
    return set.map(field => forbiddenField(`spec.${field}`, why))
  }
  if (!reachesNodes(obj) || !isHeadless(obj)) return []
  const why = `may not be set to 'None' for ${typeOf(obj)} services`
  return [invalidValue('spec.clusterIPs[0]', HEADLESS, why)]
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
  const check = numberAt(obj, 'spec.healthCheckNodePort') ?? 0
  if (check !== 0 && (typeOf(obj) !== 'LoadBalancer' || external !== 'Local')) {
    const detail =
      "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
    errors.push(invalidValue('spec.healthCheckNodePort', check, detail))
  }
  return errors
}
