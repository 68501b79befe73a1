// What must hold of what is done to a container from outside: probes, and hooks of its life. Called by container-rules.ts.
// Ref: kubernetes/pkg/apis/core/validation validateProbe, validateHandler, validateLifecycle

import {
  type FieldError,
  forbiddenField,
  invalidValue,
  isHttpHeaderName,
  isObject,
  isPortName,
  isPortNumber,
  type JsonObject,
  type JsonValue,
  nonNegative,
  notSupported,
  required,
} from '@podless/apimachinery'
import { int64At, listAt, numberAt, objectsAt, textAt } from './reading.ts'

const HANDLERS = ['exec', 'httpGet', 'tcpSocket', 'grpc', 'sleep']
const SCHEMES = ['HTTP', 'HTTPS']
const COUNTS = [
  ...['initialDelaySeconds', 'timeoutSeconds', 'periodSeconds', 'successThreshold'],
  'failureThreshold',
]

/** What is wrong with the probes and hooks of a container at `path`. */
export function probeErrors(container: JsonObject, path: string): FieldError[] {
  const errors: FieldError[] = []
  for (const kind of ['livenessProbe', 'readinessProbe', 'startupProbe']) {
    const probe = container[kind]
    if (!isObject(probe)) continue
    const where = `${path}.${kind}`
    errors.push(...handlerErrors(probe, where))
    for (const field of COUNTS) {
      errors.push(...nonNegative(numberAt(probe, field) ?? 0, `${where}.${field}`))
    }
    const threshold = numberAt(probe, 'successThreshold') ?? 1
    if (kind !== 'readinessProbe' && threshold !== 1) {
      errors.push(invalidValue(`${where}.successThreshold`, threshold, 'must be 1'))
    }
    errors.push(...graceErrors(probe, where, kind))
  }
  for (const hook of ['postStart', 'preStop']) {
    const lifecycle = container.lifecycle
    const handler = isObject(lifecycle) ? lifecycle[hook] : undefined
    if (isObject(handler)) errors.push(...handlerErrors(handler, `${path}.lifecycle.${hook}`))
  }
  return errors
}

function graceErrors(probe: JsonObject, path: string, kind: string): FieldError[] {
  const seconds = int64At(probe, 'terminationGracePeriodSeconds')
  if (seconds === undefined) return []
  const where = `${path}.terminationGracePeriodSeconds`
  if (kind === 'readinessProbe') {
    return [invalidValue(where, seconds, 'must not be set for readinessProbes')]
  }
  return seconds > 0 ? [] : [invalidValue(where, seconds, 'must be greater than 0')]
}

function handlerErrors(handler: JsonObject, path: string): FieldError[] {
  const [first, ...others] = HANDLERS.filter(name => isObject(handler[name]))
  if (first === undefined) return [required(path, 'must specify a handler type')]
  const body = handler[first]
  return [
    ...(isObject(body) ? actionErrors(first, body, `${path}.${first}`) : []),
    ...others.map(name =>
      forbiddenField(`${path}.${name}`, 'may not specify more than 1 handler type'),
    ),
  ]
}

function actionErrors(kind: string, action: JsonObject, path: string): FieldError[] {
  switch (kind) {
    case 'exec':
      return listAt(action, 'command').length === 0 ? [required(`${path}.command`)] : []
    case 'httpGet':
      return httpErrors(action, path)
    case 'sleep':
      return []
    default:
      return portErrors(action.port, `${path}.port`)
  }
}

function httpErrors(action: JsonObject, path: string): FieldError[] {
  const scheme = textAt(action, 'scheme')
  return [
    ...(textAt(action, 'path') === '' ? [required(`${path}.path`)] : []),
    ...portErrors(action.port, `${path}.port`),
    ...(SCHEMES.includes(scheme) ? [] : [notSupported(`${path}.scheme`, scheme, SCHEMES)]),
    ...objectsAt(action, 'httpHeaders').flatMap(header => {
      const name = textAt(header, 'name')
      return isHttpHeaderName(name).map(text => invalidValue(`${path}.httpHeaders`, name, text))
    }),
  ]
}

/** A number, or the name of one of the container's ports. */
function portErrors(port: JsonValue | undefined, path: string): FieldError[] {
  if (typeof port === 'string') return isPortName(port).map(text => invalidValue(path, port, text))
  const number = typeof port === 'number' ? port : 0
  return isPortNumber(number).map(text => invalidValue(path, number, text))
}
