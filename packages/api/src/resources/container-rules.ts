// What must hold of the containers of a pod. Called by pod-rules.ts; calls the rules of each of their parts.
// Ref: kubernetes/pkg/apis/core/validation validateContainers, validateInitContainers, validateContainerCommon

import { isIP } from 'node:net'
import {
  duplicate,
  type FieldError,
  forbiddenField,
  invalidValue,
  isDns1123Label,
  isPortName,
  isPortNumber,
  type JsonObject,
  notFoundField,
  notSupported,
  required,
} from '@podless/apimachinery'
import { envErrors } from './container-env-rules.ts'
import { probeErrors } from './container-probe-rules.ts'
import { resourceErrors } from './container-resource-rules.ts'
import { containerSecurityErrors } from './pod-security-rules.ts'
import { descendingErrors } from './pod-volume-rules.ts'
import { numberAt, objectAt, objectsAt, textAt } from './reading.ts'

const PROTOCOLS = ['SCTP', 'TCP', 'UDP']
const PULL_POLICIES = ['Always', 'IfNotPresent', 'Never']
const RESTARTS = ['Always', 'Never', 'OnFailure']
const MESSAGE_POLICIES = ['File', 'FallbackToLogsOnError']
/** What only containers have that run as long as the pod does. */
const LONG_LIVED = ['lifecycle', 'livenessProbe', 'readinessProbe', 'startupProbe']

/** A text field that must have one of a few values. */
export function oneOf(
  obj: JsonObject,
  field: string,
  allowed: readonly string[],
  path: string,
): FieldError[] {
  const value = textAt(obj, field)
  if (value === '') return [required(`${path}.${field}`)]
  return allowed.includes(value) ? [] : [notSupported(`${path}.${field}`, value, allowed)]
}

/** What is wrong with the containers of a pod spec at `path`. */
export function containerListErrors(spec: JsonObject, path: string): FieldError[] {
  const containers = objectsAt(spec, 'containers')
  const errors: FieldError[] = containers.length === 0 ? [required(`${path}.containers`)] : []
  const names = new Set<string>()
  const ports = new Set<string>()
  containers.forEach((container, index) => {
    const where = `${path}.containers[${index}]`
    errors.push(
      ...oneErrors(container, where, spec),
      ...nameErrors(container, where, names),
      ...hostPortErrors(container, where, ports),
    )
  })
  objectsAt(spec, 'initContainers').forEach((container, index) => {
    const where = `${path}.initContainers[${index}]`
    // Init containers end before the others begin, and may use the same ports.
    errors.push(
      ...oneErrors(container, where, spec),
      ...nameErrors(container, where, names),
      ...hostPortErrors(container, where, new Set()),
      ...shortLivedErrors(container, where),
    )
  })
  return errors
}

function nameErrors(container: JsonObject, path: string, names: Set<string>): FieldError[] {
  const name = textAt(container, 'name')
  const isTaken = name !== '' && names.has(name)
  names.add(name)
  return isTaken ? [duplicate(`${path}.name`, name)] : []
}

function oneErrors(container: JsonObject, path: string, spec: JsonObject): FieldError[] {
  const name = textAt(container, 'name')
  const image = textAt(container, 'image')
  const errors: FieldError[] =
    name === ''
      ? [required(`${path}.name`)]
      : isDns1123Label(name).map(text => invalidValue(`${path}.name`, name, text))
  if (image === '') errors.push(required(`${path}.image`))
  else if (image !== image.trim()) {
    const detail = 'must not have leading or trailing whitespace'
    errors.push(invalidValue(`${path}.image`, image, detail))
  }
  const messages = textAt(container, 'terminationMessagePolicy')
  if (messages !== '' && !MESSAGE_POLICIES.includes(messages)) {
    const where = `${path}.terminationMessagePolicy`
    errors.push(notSupported(where, messages, MESSAGE_POLICIES))
  }
  return [
    ...errors,
    ...oneOf(container, 'imagePullPolicy', PULL_POLICIES, path),
    ...portErrors(container, path, spec.hostNetwork === true),
    ...envErrors(container, path),
    ...mountErrors(container, path, volumesOf(spec)),
    ...resourceErrors(objectAt(container, 'resources'), `${path}.resources`),
    ...probeErrors(container, path),
    ...containerSecurityErrors(container, path, spec),
  ]
}

/** A sidecar starts before the others and stays; every other init container comes to its end. */
function shortLivedErrors(container: JsonObject, path: string): FieldError[] {
  const policy = textAt(container, 'restartPolicy')
  if (policy === 'Always') return []
  const errors: FieldError[] = []
  if (policy !== '' && !RESTARTS.includes(policy)) {
    errors.push(notSupported(`${path}.restartPolicy`, policy, RESTARTS))
  }
  const why = 'may not be set for init containers without restartPolicy=Always'
  const given = LONG_LIVED.filter(field => (container[field] ?? undefined) !== undefined)
  return [...errors, ...given.map(field => forbiddenField(`${path}.${field}`, why))]
}

const volumesOf = (spec: JsonObject): ReadonlySet<string> =>
  new Set(objectsAt(spec, 'volumes').map(volume => textAt(volume, 'name')))

function portErrors(container: JsonObject, path: string, hostNetwork: boolean): FieldError[] {
  const names = new Set<string>()
  return objectsAt(container, 'ports').flatMap((port, index) => {
    const where = `${path}.ports[${index}]`
    const errors: FieldError[] = []
    const name = textAt(port, 'name')
    if (name !== '') {
      errors.push(...isPortName(name).map(text => invalidValue(`${where}.name`, name, text)))
      if (names.has(name)) errors.push(duplicate(`${where}.name`, name))
      names.add(name)
    }
    const number = numberAt(port, 'containerPort') ?? 0
    if (number === 0) errors.push(required(`${where}.containerPort`))
    else errors.push(...numberErrors(number, `${where}.containerPort`))
    const onHost = numberAt(port, 'hostPort') ?? 0
    if (onHost !== 0) errors.push(...numberErrors(onHost, `${where}.hostPort`))
    if (hostNetwork && onHost !== number) {
      const detail = 'must match `containerPort` when `hostNetwork` is true'
      errors.push(invalidValue(`${where}.hostPort`, onHost, detail))
    }
    return [...errors, ...oneOf(port, 'protocol', PROTOCOLS, where)]
  })
}

const numberErrors = (number: number, path: string): FieldError[] =>
  isPortNumber(number).map(text => invalidValue(path, number, text))

/** One port of the host goes to one container. */
function hostPortErrors(container: JsonObject, path: string, taken: Set<string>): FieldError[] {
  return objectsAt(container, 'ports').flatMap((port, index) => {
    const number = numberAt(port, 'hostPort') ?? 0
    if (number === 0) return []
    const key = `${textAt(port, 'protocol')}/${textAt(port, 'hostIP')}/${number}`
    const isTaken = taken.has(key)
    taken.add(key)
    return isTaken ? [duplicate(`${path}.ports[${index}].hostPort`, key)] : []
  })
}

/** NOTE: upstream's paths of subPath name no mount. */
function mountErrors(
  container: JsonObject,
  path: string,
  volumes: ReadonlySet<string>,
): FieldError[] {
  const points = new Set<string>()
  return objectsAt(container, 'volumeMounts').flatMap((mount, index) => {
    const where = `${path}.volumeMounts[${index}]`
    const errors: FieldError[] = []
    const name = textAt(mount, 'name')
    if (name === '') errors.push(required(`${where}.name`))
    if (!volumes.has(name)) errors.push(notFoundField(`${where}.name`, name))
    const point = textAt(mount, 'mountPath')
    if (point === '') errors.push(required(`${where}.mountPath`))
    if (points.has(point)) errors.push(invalidValue(`${where}.mountPath`, point, 'must be unique'))
    points.add(point)
    const below = textAt(mount, 'subPath')
    if (below !== '') errors.push(...descendingErrors(below, `${path}.volumeMounts.subPath`))
    const computed = textAt(mount, 'subPathExpr')
    if (computed === '') return errors
    if (below !== '') {
      const detail = 'subPathExpr and subPath are mutually exclusive'
      errors.push(invalidValue(`${where}.subPathExpr`, computed, detail))
    }
    return [...errors, ...descendingErrors(computed, `${path}.volumeMounts.subPathExpr`)]
  })
}

/** Warnings about the ports of a container: those that say the same twice, and addresses without a port. */
export function portWarnings(container: JsonObject, path: string): string[] {
  const first = new Map<string, string>()
  return objectsAt(container, 'ports').flatMap((port, index) => {
    const where = `${path}.ports[${index}]`
    const number = numberAt(port, 'containerPort') ?? 0
    const hostPort = numberAt(port, 'hostPort') ?? 0
    const hostIp = textAt(port, 'hostIP')
    const protocol = textAt(port, 'protocol')
    const texts: string[] = []
    if (hostIp !== '' && hostPort === 0) {
      const shown = `{Name:${textAt(port, 'name')} HostPort:0 ContainerPort:${number} Protocol:${protocol} HostIP:${hostIp}}`
      texts.push(`${where}: hostIP set without hostPort: ${shown}`)
    }
    const key = `${number}/${protocol}/${hostPort}/${isIP(hostIp) === 0 ? '' : hostIp}`
    const earlier = first.get(key)
    if (earlier !== undefined) texts.push(`${where}: duplicate port definition with ${earlier}`)
    else first.set(key, where)
    return texts
  })
}
