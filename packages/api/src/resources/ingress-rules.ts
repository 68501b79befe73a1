// What must hold of an Ingress. Called by networking.ts. Ref: kubernetes/pkg/apis/networking/validation ValidateIngress

import {
  type FieldError,
  invalidValue,
  isDns1123Label,
  isDns1123Subdomain,
  isPathSegmentName,
  isPortName,
  isPortNumber,
  isWildcardDns1123Subdomain,
  type JsonObject,
  type KubeObject,
  notSupported,
  required,
} from '@podless/apimachinery'
import { addressProblems } from './address-rules.ts'
import { numberAt, objectAt, objectsAt, textAt, textsAt, valueAt } from './reading.ts'

const PATH_TYPES = ['Exact', 'ImplementationSpecific', 'Prefix']
const BAD_SEQUENCES = ['//', '/./', '/../', '%2f', '%2F']
const BAD_ENDINGS = ['/..', '/.']
const CLASS_ANNOTATION = 'kubernetes.io/ingress.class'

/** Everything wrong with an Ingress. */
export function ingressErrors(obj: KubeObject): FieldError[] {
  const errors: FieldError[] = []
  const rules = objectsAt(obj, 'spec.rules')
  const fallback = valueAt(obj, 'spec.defaultBackend')
  if (rules.length === 0 && fallback === undefined) {
    const detail = 'either `defaultBackend` or `rules` must be specified'
    errors.push(invalidValue('spec', valueAt(obj, 'spec.rules') ?? null, detail))
  }
  if (fallback !== undefined) {
    errors.push(...backendErrors(objectAt(obj, 'spec.defaultBackend'), 'spec.defaultBackend'))
  }
  rules.forEach((rule, index) => {
    errors.push(...ruleErrors(rule, `spec.rules[${index}]`))
  })
  objectsAt(obj, 'spec.tls').forEach((entry, index) => {
    errors.push(...tlsErrors(entry, `spec.tls[${index}]`))
  })
  const className = valueAt(obj, 'spec.ingressClassName')
  if (typeof className === 'string') {
    for (const text of isDns1123Subdomain(className)) {
      errors.push(invalidValue('spec.ingressClassName', className, text))
    }
  }
  return errors
}

/** What a new Ingress must say in addition: its class once, or twice the same. */
export function newIngressErrors(obj: KubeObject): FieldError[] {
  const annotated = obj.metadata.annotations?.[CLASS_ANNOTATION]
  const className = valueAt(obj, 'spec.ingressClassName')
  const errors = ingressErrors(obj)
  if (annotated === undefined || typeof className !== 'string' || annotated === className) {
    return errors
  }
  const detail = 'must match `ingressClassName` when both are specified'
  return [...errors, invalidValue(`annotations.${CLASS_ANNOTATION}`, annotated, detail)]
}

/** Told once, when the old way of naming a class is new on an Ingress. */
export function ingressWarnings(obj: KubeObject, old: KubeObject | undefined): string[] {
  const isNew = obj.metadata.annotations?.[CLASS_ANNOTATION] !== undefined && old === undefined
  if (!isNew || valueAt(obj, 'spec.ingressClassName') !== undefined) return []
  return [
    `annotation "${CLASS_ANNOTATION}" is deprecated, please use 'spec.ingressClassName' instead`,
  ]
}

function ruleErrors(rule: JsonObject, path: string): FieldError[] {
  const errors = hostErrors(textAt(rule, 'host'), `${path}.host`)
  if (valueAt(rule, 'http') === undefined) return errors
  const paths = objectsAt(rule, 'http.paths')
  if (paths.length === 0) errors.push(required(`${path}.http.paths`))
  paths.forEach((entry, at) => {
    errors.push(...pathErrors(entry, `${path}.http.paths[${at}]`))
  })
  return errors
}

const nameErrors = (host: string, path: string): FieldError[] => {
  const check = host.includes('*') ? isWildcardDns1123Subdomain : isDns1123Subdomain
  return check(host).map(text => invalidValue(path, host, text))
}

function hostErrors(host: string, path: string): FieldError[] {
  if (host === '') return []
  const isAddress = addressProblems(host).length === 0
  const detail = 'must be a DNS name, not an IP address'
  const address = isAddress ? [invalidValue(path, host, detail)] : []
  return [...address, ...nameErrors(host, path)]
}

function tlsErrors(entry: JsonObject, path: string): FieldError[] {
  const hosts = textsAt(entry, 'hosts').flatMap((host, at) =>
    nameErrors(host, `${path}.hosts[${at}]`),
  )
  const secret = textAt(entry, 'secretName')
  if (secret === '') return hosts
  const at = `${path}.secretName`
  return [...hosts, ...isDns1123Subdomain(secret).map(text => invalidValue(at, secret, text))]
}

function pathErrors(entry: JsonObject, path: string): FieldError[] {
  const type = textAt(entry, 'pathType')
  const value = textAt(entry, 'path')
  if (type === '') return [required(`${path}.pathType`, 'pathType must be specified')]
  const errors: FieldError[] = []
  const isStrict = type !== 'ImplementationSpecific'
  if (!PATH_TYPES.includes(type)) {
    errors.push(notSupported(`${path}.pathType`, type, PATH_TYPES))
  } else if (isStrict || value !== '') {
    const say = (detail: string) => errors.push(invalidValue(`${path}.path`, value, detail))
    if (!value.startsWith('/')) say('must be an absolute path')
    for (const part of isStrict ? BAD_SEQUENCES : []) {
      if (value.includes(part)) say(`must not contain '${part}'`)
    }
    for (const ending of isStrict ? BAD_ENDINGS : []) {
      if (value.endsWith(ending)) say(`cannot end with '${ending}'`)
    }
  }
  return [...errors, ...backendErrors(objectAt(entry, 'backend'), `${path}.backend`)]
}

function backendErrors(backend: JsonObject, path: string): FieldError[] {
  const hasService = valueAt(backend, 'service') !== undefined
  const hasResource = valueAt(backend, 'resource') !== undefined
  if (hasService && hasResource) {
    return [invalidValue(path, '', 'cannot set both resource and service backends')]
  }
  if (hasResource) return referenceErrors(objectAt(backend, 'resource'), `${path}.resource`)
  if (!hasService) return [invalidValue(path, '', 'resource or service backend is required')]
  const service = textAt(backend, 'service.name')
  const at = `${path}.service.name`
  const errors =
    service === ''
      ? [required(at)]
      : isDns1123Label(service).map(text => invalidValue(at, service, text))
  return [...errors, ...servicePortErrors(objectAt(backend, 'service.port'), path)]
}

function servicePortErrors(port: JsonObject, path: string): FieldError[] {
  const name = textAt(port, 'name')
  const number = numberAt(port, 'number') ?? 0
  const at = `${path}.service.port`
  if (name !== '' && number !== 0) {
    return [invalidValue(path, '', 'cannot set both port name & port number')]
  }
  if (name !== '') return isPortName(name).map(text => invalidValue(`${at}.name`, name, text))
  if (number === 0) return [required(path, 'port name or number is required')]
  return isPortNumber(number).map(text => invalidValue(`${at}.number`, number, text))
}

/** A reference to an object of any kind: its group, kind and name. */
export function referenceErrors(reference: JsonObject, path: string): FieldError[] {
  const group = reference.apiGroup
  const errors =
    typeof group === 'string'
      ? isDns1123Subdomain(group).map(text => invalidValue(`${path}.apiGroup`, group, text))
      : []
  for (const field of ['kind', 'name']) {
    const value = textAt(reference, field)
    const at = `${path}.${field}`
    if (value === '') errors.push(required(at))
    else errors.push(...isPathSegmentName(value).map(text => invalidValue(at, value, text)))
  }
  return errors
}
