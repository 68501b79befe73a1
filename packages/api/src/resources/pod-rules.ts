// What must hold of pod specs that people write by hand, wherever they stand. Called by core-workload.ts, apps.ts and batch.ts;
// calls the rules of each part. Nothing here ever runs a pod. Ref: kubernetes/pkg/apis/core/validation ValidatePodSpec

import { isIP } from 'node:net'
import {
  type FieldError,
  forbiddenField,
  invalidValue,
  isDns1123Label,
  isDns1123Subdomain,
  isObject,
  type JsonObject,
  labelSelectorFromObject,
  nonNegative,
  notSupported,
  required,
  validateAnnotations,
  validateLabelSelector,
  validateLabels,
} from '@podless/apimachinery'
import { containerListErrors, oneOf } from './container-rules.ts'
import { NOT_AN_IP } from './core-service-rules.ts'
import { schedulingErrors } from './pod-scheduling-rules.ts'
import { podSecurityErrors } from './pod-security-rules.ts'
import { volumeErrors } from './pod-volume-rules.ts'
import { profileAnnotationErrors, profileMismatchErrors } from './profile-annotations.ts'
import {
  int64At,
  mapAt,
  numberAt,
  objectAt,
  objectsAt,
  textAt,
  textsAt,
  valueAt,
} from './reading.ts'

const RESTART_POLICIES = ['Always', 'OnFailure', 'Never']
const DNS_POLICIES = ['ClusterFirstWithHostNet', 'ClusterFirst', 'Default', 'None']
const SYSTEMS = ['linux', 'windows']
const NAMESERVERS_MAX = 3
const NAMES = [
  ['serviceAccountName', isDns1123Subdomain],
  ['nodeName', isDns1123Subdomain],
  ['hostname', isDns1123Label],
  ['subdomain', isDns1123Label],
  ['priorityClassName', isDns1123Subdomain],
  ['runtimeClassName', isDns1123Subdomain],
] as const

/** Everything wrong with a pod spec at `path`. */
export function podSpecErrors(spec: JsonObject, path: string): FieldError[] {
  const errors = [
    ...volumeErrors(spec, path),
    ...containerListErrors(spec, path),
    ...oneOf(spec, 'restartPolicy', RESTART_POLICIES, path),
    ...oneOf(spec, 'dnsPolicy', DNS_POLICIES, path),
    ...validateLabels(mapAt(spec, 'nodeSelector'), `${path}.nodeSelector`),
    ...podSecurityErrors(spec, path),
    ...schedulingErrors(spec, path),
    ...dnsErrors(spec, path),
    ...aliasErrors(spec, path),
  ]
  for (const [field, rule] of NAMES) {
    const value = textAt(spec, field)
    if (value === '') continue
    errors.push(...rule(value).map(text => invalidValue(`${path}.${field}`, value, text)))
  }
  const deadline = int64At(spec, 'activeDeadlineSeconds')
  if (deadline !== undefined && (deadline < 1 || deadline > 2 ** 31 - 1)) {
    const detail = 'must be between 1 and 2147483647, inclusive'
    errors.push(invalidValue(`${path}.activeDeadlineSeconds`, deadline, detail))
  }
  const system = textAt(spec, 'os.name')
  // NOTE: upstream's path names the object and not its name.
  if (isObject(spec.os) && system === '') errors.push(required(`${path}.os.name`))
  else if (system !== '' && !SYSTEMS.includes(system)) {
    errors.push(notSupported(`${path}.os`, system, SYSTEMS))
  }
  return errors
}

function dnsErrors(spec: JsonObject, path: string): FieldError[] {
  const where = `${path}.dnsConfig`
  const config = spec.dnsConfig
  const servers = textsAt(config, 'nameservers')
  if (textAt(spec, 'dnsPolicy') === 'None') {
    if (!isObject(config)) {
      return [required(where, 'must provide `dnsConfig` when `dnsPolicy` is None')]
    }
    if (servers.length === 0) {
      const detail = 'must provide at least one DNS nameserver when `dnsPolicy` is None'
      return [required(`${where}.nameservers`, detail)]
    }
  }
  const errors: FieldError[] = []
  if (servers.length > NAMESERVERS_MAX) {
    const detail = `must not have more than ${NAMESERVERS_MAX} nameservers`
    errors.push(invalidValue(`${where}.nameservers`, [...servers], detail))
  }
  servers.forEach((server, index) => {
    if (isIP(server) !== 0) return
    errors.push(invalidValue(`${where}.nameservers[${index}]`, server, NOT_AN_IP))
  })
  textsAt(config, 'searches').forEach((search, index) => {
    // Underscores are common in these names, and a lone dot is one.
    const name = search.replace(/\.$/, '')
    if (search === '.' || isDns1123Subdomain(name.replaceAll('_', '-')).length === 0) return
    const texts = isDns1123Subdomain(name)
    errors.push(...texts.map(text => invalidValue(`${where}.searches[${index}]`, name, text)))
  })
  objectsAt(config, 'options').forEach((option, index) => {
    if (textAt(option, 'name') !== '') return
    errors.push(required(`${where}.options[${index}]`, 'must not be empty'))
  })
  return errors
}

function aliasErrors(spec: JsonObject, path: string): FieldError[] {
  return objectsAt(spec, 'hostAliases').flatMap((alias, index) => {
    const where = `${path}.hostAliases[${index}]`
    const ip = textAt(alias, 'ip')
    return [
      ...(isIP(ip) === 0 ? [invalidValue(`${where}.ip`, ip, NOT_AN_IP)] : []),
      ...textsAt(alias, 'hostnames').flatMap((name, at) =>
        isDns1123Subdomain(name).map(text => invalidValue(`${where}.hostnames[${at}]`, name, text)),
      ),
    ]
  })
}

/** How the kinds of workloads differ in what they say of their selector and template. */
interface WorkloadWords {
  /** Who does not support deadlines. */
  readonly kind: string
  /** For whom an empty selector is invalid. */
  readonly workload: string
  /** What is said of a selector that cannot be used, and the template is left alone; undefined to go on and say nothing. */
  readonly unusable?: string
  /** True where an absent selector selects nothing and is not an error by itself. */
  readonly selectorIsOptional?: boolean
}

/** Selector and template of a workload that runs for ever: the selector is not empty and selects the template's labels. */
export function templateErrors(obj: JsonObject, words: WorkloadWords): FieldError[] {
  const selector = valueAt(obj, 'spec.selector')
  const template = objectAt(obj, 'spec.template')
  const errors: FieldError[] = []
  if (isObject(selector)) {
    const wrong = validateLabelSelector(selector, 'spec.selector')
    errors.push(...wrong, ...emptinessErrors(selector, words.workload))
    if (wrong.length > 0) {
      const { unusable } = words
      if (unusable !== undefined) {
        return [...errors, invalidValue('spec.selector', selector, unusable)]
      }
    } else errors.push(...selectionErrors(selector, template))
  } else {
    if (words.selectorIsOptional !== true) errors.push(required('spec.selector'))
    errors.push(mismatch(template))
  }
  return [
    ...errors,
    ...podTemplateErrors(template, 'spec.template'),
    ...foreverErrors(template, words.kind),
  ]
}

function emptinessErrors(selector: JsonObject, workload: string): FieldError[] {
  const labels = Object.keys(mapAt(selector, 'matchLabels')).length
  if (labels + objectsAt(selector, 'matchExpressions').length > 0) return []
  return [invalidValue('spec.selector', selector, `empty selector is invalid for ${workload}`)]
}

function selectionErrors(selector: JsonObject, template: JsonObject): FieldError[] {
  const parsed = labelSelectorFromObject(selector)
  const labels = mapAt(template, 'metadata.labels')
  return parsed.empty || parsed.matches(labels) ? [] : [mismatch(template)]
}

/** The selector finds other pods than the template makes. */
export function mismatch(template: JsonObject): FieldError {
  const labels = valueAt(template, 'metadata.labels') ?? null
  const detail = '`selector` does not match template `labels`'
  return invalidValue('spec.template.metadata.labels', labels, detail)
}

/** Everything wrong with a pod template at `path`. */
export function podTemplateErrors(template: JsonObject, path: string): FieldError[] {
  const spec = objectAt(template, 'spec')
  const isLive = objectsAt(spec, 'ephemeralContainers').length > 0
  const detail = 'ephemeral containers not allowed in pod template'
  return [
    ...validateLabels(mapAt(template, 'metadata.labels'), `${path}.labels`),
    ...validateAnnotations(mapAt(template, 'metadata.annotations'), `${path}.annotations`),
    ...profileAnnotationErrors(template, `${path}.annotations`),
    ...podSpecErrors(spec, `${path}.spec`),
    ...profileMismatchErrors(template, `${path}.spec`),
    ...(isLive ? [forbiddenField(`${path}.spec.ephemeralContainers`, detail)] : []),
  ]
}

/** Pods of workloads that run for ever are started again, and have no deadline. */
export function foreverErrors(template: JsonObject, kind: string): FieldError[] {
  const errors: FieldError[] = []
  const policy = textAt(template, 'spec.restartPolicy')
  if (policy !== 'Always') {
    errors.push(notSupported('spec.template.spec.restartPolicy', policy, ['Always']))
  }
  if (numberAt(template, 'spec.activeDeadlineSeconds') !== undefined) {
    const detail = `activeDeadlineSeconds in ${kind} is not Supported`
    errors.push(forbiddenField('spec.template.spec.activeDeadlineSeconds', detail))
  }
  return errors
}

/** A number field that may not be negative, at a path that is read and reported. */
export const notNegative = (obj: JsonObject, path: string): FieldError[] =>
  nonNegative(int64At(obj, path) ?? 0, path)
