// Holds pods to the Pod Security Standards that the labels of their namespace name: refuses pods, warns of templates of
// pods and of the pods that are there when the labels change. A validating step; calls the other files of this folder.
// Ref: kubernetes/plugin/pkg/admission/security/podsecurity, pod-security-admission/admission/admission.go

import {
  equalJson,
  forbidden,
  formatFieldError,
  internalError,
  invalid,
  isObject,
  type JsonValue,
  type KubeObject,
} from '@podless/apimachinery'
import { objectsAt, textAt, valueAt } from '../../resources/reading.ts'
import type { AdmissionAttributes, AdmissionStep } from '../chain.ts'
import type { NamespaceReader } from '../namespace-lifecycle.ts'
import { type ExistingPods, existingPodWarnings } from './existing-pods.ts'
import { formatLevel, isStricter, LATEST, type LevelVersion } from './level.ts'
import { type NamespacePolicy, PREFIX, type ReadPolicy, readPolicy } from './namespace-policy.ts'
import { podShape } from './pod-shape.ts'
import { detailsOf, violationsOf } from './violations.ts'

interface Place {
  readonly group: string
  /** Where the pod is, or what pods are made from. */
  readonly path: readonly string[]
}

const PLACES: ReadonlyMap<string, Place> = new Map([
  ['namespaces', { group: '', path: [] }],
  ['pods', { group: '', path: [] }],
  ['podtemplates', { group: '', path: ['template'] }],
  ['replicationcontrollers', { group: '', path: ['spec', 'template'] }],
  ['replicasets', { group: 'apps', path: ['spec', 'template'] }],
  ['deployments', { group: 'apps', path: ['spec', 'template'] }],
  ['statefulsets', { group: 'apps', path: ['spec', 'template'] }],
  ['daemonsets', { group: 'apps', path: ['spec', 'template'] }],
  ['jobs', { group: 'batch', path: ['spec', 'template'] }],
  ['cronjobs', { group: 'batch', path: ['spec', 'jobTemplate', 'spec', 'template'] }],
])
/** What goes through these changes no spec. */
const IGNORED: ReadonlySet<string> = new Set([
  ...['attach', 'binding', 'eviction', 'exec', 'log', 'portforward', 'proxy', 'status'],
])

export interface PodSecurityOptions {
  readonly namespaces: NamespaceReader
  readonly pods: ExistingPods
}

/** Nobody is exempt, and a namespace without labels allows everything, as upstream does unless it is configured. */
export function podSecurity({ namespaces, pods }: PodSecurityOptions): AdmissionStep {
  return {
    name: 'PodSecurity',
    validate: attributes => {
      const { operation, resource, subresource, namespace } = attributes
      const place = PLACES.get(resource.gvr.resource)
      if (place === undefined || place.group !== resource.gvr.group) return
      if (operation !== 'CREATE' && operation !== 'UPDATE') return
      const isPod = place.path.length === 0 && resource.namespaced
      if (isPod ? IGNORED.has(subresource) : subresource !== '') return
      if (!resource.namespaced) return checkNamespace(attributes, pods)
      const cached = namespaces.cached(namespace)
      const check = isPod ? checkPod : checkTemplate
      if (cached !== undefined) return check(attributes, readPolicy(cached.metadata.labels), place)
      return namespaces.stored(namespace).then(stored => {
        if (stored !== undefined) check(attributes, readPolicy(stored.metadata.labels), place)
        else if (isPod) throw internalError(`failed to lookup namespace "${namespace}"`)
      })
    },
  }
}

function checkNamespace(
  attributes: AdmissionAttributes,
  pods: ExistingPods,
): Promise<void> | undefined {
  const { object, oldObject, name, warn } = attributes
  const next = readPolicy(object?.metadata.labels)
  const old = oldObject && readPolicy(oldObject.metadata.labels)
  const isKnown = old !== undefined && equalJson(errorTexts(next), errorTexts(old))
  if (next.errors.length > 0 && !isKnown) {
    throw invalid({ group: '', kind: 'Namespace' }, name, next.errors)
  }
  const { enforce } = next.policy
  if (old === undefined || !asksForMore(enforce, old.policy.enforce)) return undefined
  return existingPodWarnings(pods, name, enforce).then(texts => {
    for (const text of texts) warn(text)
  })
}

const errorTexts = ({ errors }: ReadPolicy): JsonValue[] => errors.map(formatFieldError)

/** A level of another version may be stricter or not; only the pods can tell. */
function asksForMore(next: LevelVersion, old: LevelVersion): boolean {
  if (next.level === 'privileged') return false
  return next.version !== old.version || isStricter(next.level, old.level)
}

function checkPod(attributes: AdmissionAttributes, read: ReadPolicy): void {
  const { object, oldObject, annotate } = attributes
  const { policy, errors } = read
  if (errors.length === 0 && Object.values(policy).every(isPrivileged)) {
    annotate(`${PREFIX}enforce-policy`, formatLevel({ level: 'privileged', version: LATEST }))
    return
  }
  if (object === undefined) return
  if (oldObject !== undefined && !runsSomethingElse(object, oldObject)) return
  evaluate(attributes, read, object, policy.enforce)
}

function checkTemplate(attributes: AdmissionAttributes, read: ReadPolicy, { path }: Place): void {
  const { policy, errors } = read
  if (errors.length === 0 && isPrivileged(policy.warn) && isPrivileged(policy.audit)) return
  const template = valueAt(attributes.object, path)
  if (isObject(template)) evaluate(attributes, read, template, undefined)
}

const isPrivileged = ({ level }: LevelVersion): boolean => level === 'privileged'

/** Throws 403 where the pod breaks the level that is enforced, if any is. Tells the client and the audit log the rest. */
function evaluate(
  { resource, name, warn, annotate }: AdmissionAttributes,
  { policy, errors }: ReadPolicy,
  pod: JsonValue,
  enforce: NamespacePolicy['enforce'] | undefined,
): void {
  const shape = podShape(pod)
  const complaint = (wanted: LevelVersion): string | undefined => {
    const violations = violationsOf(wanted, shape)
    if (violations.length === 0) return undefined
    return `PodSecurity "${formatLevel(wanted)}": ${detailsOf(violations)}`
  }
  if (errors.length > 0) {
    const texts = [...new Set(errors.map(formatFieldError))]
    const why = texts.length === 1 ? String(texts[0]) : `[${texts.join(', ')}]`
    annotate(`${PREFIX}error`, `Failed to parse policy: ${why}`)
  }
  if (enforce !== undefined) annotate(`${PREFIX}enforce-policy`, formatLevel(enforce))
  const audited = complaint(policy.audit)
  if (audited !== undefined) annotate(`${PREFIX}audit-violations`, `would violate ${audited}`)
  const refused = enforce && complaint(enforce)
  if (refused !== undefined) throw forbidden(resource.gvr, name, `violates ${refused}`)
  const warned = complaint(policy.warn)
  if (warned !== undefined) warn(`would violate ${warned}`)
}

/** Nothing else that checks look at can change in a pod: another image, or another container. */
function runsSomethingElse(next: KubeObject, old: KubeObject): boolean {
  const images = (pod: KubeObject, list: string): string[] =>
    objectsAt(pod, `spec.${list}`).map(container => textAt(container, 'image'))
  if (
    ['containers', 'initContainers'].some(list => !equalJson(images(next, list), images(old, list)))
  ) {
    return true
  }
  const known = new Map(
    objectsAt(old, 'spec.ephemeralContainers').map(container => [
      textAt(container, 'name'),
      textAt(container, 'image'),
    ]),
  )
  return objectsAt(next, 'spec.ephemeralContainers').some(
    container => known.get(textAt(container, 'name')) !== textAt(container, 'image'),
  )
}
