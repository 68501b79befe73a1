// Pod specs, wherever they stand: what is filled in and what is checked of what people write by hand.
// Called by core-workload.ts, apps.ts and batch.ts; nothing here ever runs a pod.
// Ref: kubernetes/pkg/apis/core/v1/defaults.go, kubernetes/pkg/apis/core/validation ValidatePodSpec

import {
  duplicate,
  type FieldError,
  invalidValue,
  isDns1123Label,
  isDns1123Subdomain,
  isEnvVarName,
  isObject,
  isPortName,
  isPortNumber,
  type JsonObject,
  type JsonValue,
  labelSelectorFromObject,
  nonNegative,
  notFoundField,
  notSupported,
  parseQuantity,
  required,
  validateAnnotations,
  validateLabelSelector,
  validateLabels,
} from '@podless/apimachinery'
import {
  ensureObject,
  fillDefaults,
  fillEmpty,
  mapAt,
  numberAt,
  objectAt,
  objectsAt,
  textAt,
  valueAt,
} from './reading.ts'

const CONTAINER_LISTS = ['initContainers', 'containers', 'ephemeralContainers']
const PROBES = ['livenessProbe', 'readinessProbe', 'startupProbe']
/** 0644: what files of mounted sources get. */
const FILE_MODE = 420
const VOLUMES_WITH_MODE = ['secret', 'configMap', 'downwardAPI', 'projected']

/** Fills in a pod's spec (not a template's: a pod of its own also gets enableServiceLinks). */
export function defaultPodSpec(spec: JsonObject): void {
  fillEmpty(spec, {
    dnsPolicy: 'ClusterFirst',
    restartPolicy: 'Always',
    schedulerName: 'default-scheduler',
  })
  fillDefaults(spec, { securityContext: {}, terminationGracePeriodSeconds: 30 })
  joinAccountNames(spec)
  for (const list of CONTAINER_LISTS) {
    for (const container of objectsAt(spec, list)) defaultContainer(container, spec)
  }
  for (const volume of objectsAt(spec, 'volumes')) defaultVolume(volume)
}

/** serviceAccount is the older name of serviceAccountName; both are written. */
function joinAccountNames(spec: JsonObject): void {
  const name = textAt(spec, 'serviceAccountName') || textAt(spec, 'serviceAccount')
  if (name === '') return
  spec.serviceAccountName = name
  spec.serviceAccount = name
}

function defaultContainer(container: JsonObject, spec: JsonObject): void {
  fillEmpty(container, {
    terminationMessagePath: '/dev/termination-log',
    terminationMessagePolicy: 'File',
    imagePullPolicy: isLatest(textAt(container, 'image')) ? 'Always' : 'IfNotPresent',
  })
  fillDefaults(container, { resources: {} })
  const resources = ensureObject(container, 'resources')
  const limits = objectAt(resources, 'limits')
  if (Object.keys(limits).length > 0) {
    fillDefaults(ensureObject(resources, 'requests'), limits)
  }
  for (const port of objectsAt(container, 'ports')) {
    fillEmpty(port, { protocol: 'TCP' })
    if (spec.hostNetwork === true) port.hostPort ??= port.containerPort ?? 0
  }
  for (const probe of PROBES) {
    const value = container[probe]
    if (isObject(value)) defaultProbe(value)
  }
  for (const hook of ['postStart', 'preStop']) {
    const get = valueAt(container, ['lifecycle', hook, 'httpGet'])
    if (isObject(get)) fillEmpty(get, { path: '/', scheme: 'HTTP' })
  }
  for (const variable of objectsAt(container, 'env')) {
    const field = valueAt(variable, 'valueFrom.fieldRef')
    if (isObject(field)) fillEmpty(field, { apiVersion: 'v1' })
  }
}

function isLatest(image: string): boolean {
  if (image.includes('@')) return false
  const tag = /:([^/:]+)$/.exec(image)?.[1]
  return tag === undefined || tag === 'latest'
}

function defaultProbe(probe: JsonObject): void {
  const counts = { timeoutSeconds: 1, periodSeconds: 10, successThreshold: 1, failureThreshold: 3 }
  for (const [field, value] of Object.entries(counts)) {
    if ((probe[field] ?? 0) === 0) probe[field] = value
  }
  const get = probe.httpGet
  if (isObject(get)) fillEmpty(get, { path: '/', scheme: 'HTTP' })
  const grpc = probe.grpc
  if (isObject(grpc)) fillDefaults(grpc, { service: '' })
}

function defaultVolume(volume: JsonObject): void {
  if (Object.keys(volume).every(key => key === 'name')) volume.emptyDir = {}
  for (const source of VOLUMES_WITH_MODE) {
    const value = volume[source]
    if (isObject(value)) fillDefaults(value, { defaultMode: FILE_MODE })
  }
  const hostPath = volume.hostPath
  if (isObject(hostPath)) fillDefaults(hostPath, { type: '' })
  for (const source of objectsAt(volume, 'projected.sources')) {
    const token = source.serviceAccountToken
    if (isObject(token)) fillDefaults(token, { expirationSeconds: 3600 })
    for (const item of objectsAt(source, 'downwardAPI.items')) defaultFieldRef(item)
  }
  for (const item of objectsAt(volume, 'downwardAPI.items')) defaultFieldRef(item)
}

function defaultFieldRef(item: JsonObject): void {
  const field = item.fieldRef
  if (isObject(field)) fillEmpty(field, { apiVersion: 'v1' })
}

/** Fills in the template under `spec.template` of a workload. */
export function defaultTemplate(spec: JsonObject): void {
  const template = ensureObject(spec, 'template')
  defaultPodSpec(ensureObject(template, 'spec'))
}

const RESTART_POLICIES = ['Always', 'OnFailure', 'Never']
const DNS_POLICIES = ['ClusterFirstWithHostNet', 'ClusterFirst', 'Default', 'None']
const PROTOCOLS = ['SCTP', 'TCP', 'UDP']
const PULL_POLICIES = ['Always', 'IfNotPresent', 'Never']

/** Everything wrong with a pod spec at `path`. */
export function podSpecErrors(spec: JsonObject, path: string): FieldError[] {
  const errors: FieldError[] = []
  const volumes = new Set<string>()
  objectsAt(spec, 'volumes').forEach((volume, index) => {
    const where = `${path}.volumes[${index}].name`
    const name = textAt(volume, 'name')
    if (name === '') errors.push(required(where))
    else errors.push(...isDns1123Label(name).map(text => invalidValue(where, name, text)))
    if (volumes.has(name)) errors.push(duplicate(where, name))
    volumes.add(name)
  })
  const containers = objectsAt(spec, 'containers')
  if (containers.length === 0) errors.push(required(`${path}.containers`))
  const names = new Set<string>()
  for (const list of ['containers', 'initContainers']) {
    objectsAt(spec, list).forEach((container, index) => {
      errors.push(...containerErrors(container, `${path}.${list}[${index}]`, names, volumes))
    })
  }
  errors.push(
    ...oneOf(spec, 'restartPolicy', RESTART_POLICIES, path),
    ...oneOf(spec, 'dnsPolicy', DNS_POLICIES, path),
    ...validateLabels(mapAt(spec, 'nodeSelector'), `${path}.nodeSelector`),
  )
  for (const [field, rule] of [
    ['serviceAccountName', isDns1123Subdomain],
    ['nodeName', isDns1123Subdomain],
    ['hostname', isDns1123Label],
    ['subdomain', isDns1123Label],
  ] as const) {
    const value = textAt(spec, field)
    if (value === '') continue
    errors.push(...rule(value).map(text => invalidValue(`${path}.${field}`, value, text)))
  }
  const deadline = numberAt(spec, 'activeDeadlineSeconds')
  if (deadline !== undefined && (deadline < 1 || deadline > 2 ** 31 - 1)) {
    const detail = 'must be between 1 and 2147483647, inclusive'
    errors.push(invalidValue(`${path}.activeDeadlineSeconds`, deadline, detail))
  }
  return errors
}

function oneOf(
  spec: JsonObject,
  field: string,
  allowed: readonly string[],
  path: string,
): FieldError[] {
  const value = textAt(spec, field)
  if (value === '') return [required(`${path}.${field}`)]
  return allowed.includes(value) ? [] : [notSupported(`${path}.${field}`, value, allowed)]
}

function containerErrors(
  container: JsonObject,
  path: string,
  names: Set<string>,
  volumes: ReadonlySet<string>,
): FieldError[] {
  const errors: FieldError[] = []
  const name = textAt(container, 'name')
  if (name === '') errors.push(required(`${path}.name`))
  else errors.push(...isDns1123Label(name).map(text => invalidValue(`${path}.name`, name, text)))
  if (name !== '' && names.has(name)) errors.push(duplicate(`${path}.name`, name))
  names.add(name)
  const image = textAt(container, 'image')
  if (image === '') errors.push(required(`${path}.image`))
  else if (image !== image.trim()) {
    const detail = 'must not have leading or trailing whitespace'
    errors.push(invalidValue(`${path}.image`, image, detail))
  }
  errors.push(
    ...oneOf(container, 'imagePullPolicy', PULL_POLICIES, path),
    ...containerPortErrors(container, path),
    ...envErrors(container, path),
    ...mountErrors(container, path, volumes),
    ...resourceErrors(objectAt(container, 'resources'), `${path}.resources`),
  )
  return errors
}

function containerPortErrors(container: JsonObject, path: string): FieldError[] {
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
    else {
      for (const text of isPortNumber(number)) {
        errors.push(invalidValue(`${where}.containerPort`, number, text))
      }
    }
    return [...errors, ...oneOf(port, 'protocol', PROTOCOLS, where)]
  })
}

function envErrors(container: JsonObject, path: string): FieldError[] {
  return objectsAt(container, 'env').flatMap((variable, index) => {
    const where = `${path}.env[${index}].name`
    const name = textAt(variable, 'name')
    if (name === '') return [required(where)]
    return isEnvVarName(name).map(text => invalidValue(where, name, text))
  })
}

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
    else if (!volumes.has(name)) errors.push(notFoundField(`${where}.name`, name))
    const point = textAt(mount, 'mountPath')
    if (point === '') errors.push(required(`${where}.mountPath`))
    else if (points.has(point)) {
      errors.push(invalidValue(`${where}.mountPath`, point, 'must be unique'))
    }
    points.add(point)
    return errors
  })
}

function resourceErrors(resources: JsonObject, path: string): FieldError[] {
  return ['limits', 'requests'].flatMap(field =>
    Object.entries(objectAt(resources, field)).flatMap(([name, value]) => {
      const parsed = parseQuantity(String(value))
      const negative = parsed.ok && parsed.quantity.unscaled < 0n
      const detail = 'must be greater than or equal to 0'
      return negative ? [invalidValue(`${path}.${field}[${name}]`, String(value), detail)] : []
    }),
  )
}

/** Selector and template of a workload: the selector is not empty and selects the template's labels. */
export function templateErrors(
  obj: JsonObject,
  { emptySelector }: { readonly emptySelector: string },
): FieldError[] {
  const selector = valueAt(obj, 'spec.selector')
  const labels = mapAt(obj, 'spec.template.metadata.labels')
  const errors: FieldError[] = []
  if (!isObject(selector)) errors.push(required('spec.selector'))
  else {
    const wrong = validateLabelSelector(selector, 'spec.selector')
    errors.push(...wrong)
    if (wrong.length === 0) errors.push(...selectionErrors(selector, labels, emptySelector))
  }
  const template = objectAt(obj, 'spec.template')
  return [
    ...errors,
    ...validateLabels(labels, 'spec.template.metadata.labels'),
    ...validateAnnotations(
      mapAt(template, 'metadata.annotations'),
      'spec.template.metadata.annotations',
    ),
    ...podSpecErrors(objectAt(template, 'spec'), 'spec.template.spec'),
  ]
}

function selectionErrors(
  selector: JsonObject,
  labels: Readonly<Record<string, string>>,
  emptySelector: string,
): FieldError[] {
  const parsed = labelSelectorFromObject(selector)
  if (parsed.empty) return [invalidValue('spec.selector', selector, emptySelector)]
  if (parsed.matches(labels)) return []
  const detail = '`selector` does not match template `labels`'
  return [invalidValue('spec.template.metadata.labels', labels as JsonValue, detail)]
}

/** spec.template.spec.restartPolicy of workloads that run for ever. */
export function alwaysRestarts(obj: JsonObject): FieldError[] {
  const path = 'spec.template.spec.restartPolicy'
  const policy = textAt(obj, path)
  return policy === 'Always' ? [] : [notSupported(path, policy, ['Always'])]
}

/** A number field that may not be negative, at a path that is read and reported. */
export const notNegative = (obj: JsonObject, path: string): FieldError[] =>
  nonNegative(numberAt(obj, path) ?? 0, path)
