// Pods, PodTemplates and ReplicationControllers: stored and served as upstream does, and never run. Part of core.ts.
// Ref: kubernetes/pkg/registry/core/{pod,podtemplate,replicationcontroller}

import {
  cloneJson,
  equalJson,
  type FieldError,
  forbiddenField,
  type GroupVersionKind,
  invalidValue,
  isObject,
  type JsonObject,
  type KubeObject,
  required,
} from '@podless/apimachinery'
import type { Resource, StoredSubresource, Strategy } from '../resource.ts'
import { allButFields, builtin, nodeOnly, onlyFields } from './builtin.ts'
import { AGE, column, containerColumns, countColumn, formatLabels, NAME } from './columns.ts'
import { nodes } from './core-node.ts'
import {
  foreverErrors,
  mismatch,
  notNegative,
  podSpecErrors,
  podTemplateErrors,
} from './pod-rules.ts'
import { defaultPodSpec, defaultTemplate } from './pod-template.ts'
import { hostnameWarnings, podWarnings, workloadWarnings } from './pod-warnings.ts'
import {
  appArmorUpdateErrors,
  copyAppArmor,
  profileAnnotationErrors,
  profileMismatchErrors,
} from './profile-annotations.ts'
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
import { scale } from './scale.ts'

const core = (kind: string): GroupVersionKind => ({ group: '', version: 'v1', kind })

// --- pods

type QosClass = 'Guaranteed' | 'Burstable' | 'BestEffort'

/** How kubelets would rank the pod under pressure, from what its containers ask for. */
function qosClassOf(spec: JsonObject): QosClass {
  const own = [...objectsAt(spec, 'containers'), ...objectsAt(spec, 'initContainers')]
  // What is said of the whole pod counts instead.
  const containers = isObject(spec.resources) ? [spec] : own
  const asks = containers.map(container => ({
    limits: objectAt(container, 'resources.limits'),
    requests: objectAt(container, 'resources.requests'),
  }))
  const compute = (list: JsonObject) =>
    Object.keys(list).filter(key => key === 'cpu' || key === 'memory')
  if (
    asks.every(({ limits, requests }) => compute(limits).length + compute(requests).length === 0)
  ) {
    return 'BestEffort'
  }
  const bounded = asks.every(
    ({ limits, requests }) =>
      compute(limits).length === 2 &&
      compute(requests).every(key => equalJson(limits[key], requests[key])),
  )
  return bounded ? 'Guaranteed' : 'Burstable'
}

const POD_UPDATE_LIMITS =
  'pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)'

/** The parts of a spec that may not change once the pod exists. */
function fixedSpec(obj: KubeObject): JsonObject {
  const spec = cloneJson(objectAt(obj, 'spec'))
  for (const field of ['activeDeadlineSeconds', 'tolerations', 'schedulingGates'])
    delete spec[field]
  for (const list of ['containers', 'initContainers']) {
    for (const container of objectsAt(spec, list)) delete container.image
  }
  return spec
}

const podErrors = (obj: KubeObject): FieldError[] => [
  ...profileAnnotationErrors(obj, 'metadata.annotations'),
  ...podSpecErrors(objectAt(obj, 'spec'), 'spec'),
]

/** Ephemeral containers come through a door of their own, and nodes are the scheduler's. */
function podCreateErrors(obj: KubeObject): FieldError[] {
  const errors = podErrors(obj)
  if (objectsAt(obj, 'spec.ephemeralContainers').length > 0) {
    errors.push(forbiddenField('spec.ephemeralContainers', 'cannot be set on create'))
  }
  return [...errors, ...profileMismatchErrors(obj, 'spec')]
}

function podUpdateErrors(obj: KubeObject, old: KubeObject): FieldError[] {
  const errors = [...podErrors(obj), ...appArmorUpdateErrors(obj, old)]
  const counts = (from: KubeObject) =>
    ['containers', 'initContainers'].map(list => objectsAt(from, `spec.${list}`).length)
  const [now, before] = [counts(obj), counts(old)]
  const added = ['containers', 'initContainers'].filter((_, at) => now[at] !== before[at])
  if (added.length > 0) {
    const why = 'pod updates may not add or remove containers'
    return [...errors, ...added.map(list => forbiddenField(`spec.${list}`, why))]
  }
  errors.push(...deadlineErrors(obj, old), ...newGateErrors(obj, old))
  if (!equalJson(fixedSpec(obj), fixedSpec(old))) {
    errors.push(forbiddenField('spec', POD_UPDATE_LIMITS))
  }
  return errors
}

/** A deadline may be set and come nearer. */
function deadlineErrors(obj: KubeObject, old: KubeObject): FieldError[] {
  const path = 'spec.activeDeadlineSeconds'
  const [now, before] = [numberAt(obj, path), numberAt(old, path)]
  if (before === undefined || now === before) return []
  if (now === undefined) {
    return [invalidValue(path, null, 'must not update from a positive integer to nil value')]
  }
  return now < before
    ? []
    : [invalidValue(path, now, 'must be less than or equal to previous value')]
}

/** What keeps a pod from being scheduled can go, and not come. */
function newGateErrors(obj: KubeObject, old: KubeObject): FieldError[] {
  const names = (from: KubeObject) =>
    objectsAt(from, 'spec.schedulingGates').map(gate => textAt(gate, 'name'))
  const before = names(old)
  return names(obj).flatMap((name, index) => {
    const why = `only deletion is allowed, but found new scheduling gate '${name}'`
    const path = `spec.schedulingGates[${index}].name`
    return before.includes(name) ? [] : [forbiddenField(path, why)]
  })
}

const podStrategy: Strategy = {
  hasGeneration: true,
  showsDeletion: true,
  default: obj => {
    const spec = ensureObject(obj, 'spec')
    defaultPodSpec(spec)
    fillDefaults(spec, { enableServiceLinks: true })
  },
  prepareForCreate: (obj, { warn }) => {
    obj.status = { phase: 'Pending', qosClass: qosClassOf(objectAt(obj, 'spec')) }
    copyAppArmor(obj, warn)
  },
  validate: podCreateErrors,
  validateUpdate: podUpdateErrors,
  // Programs change pods, and would not read it.
  warnings: (obj, old) =>
    old === undefined
      ? [...hostnameWarnings(obj, "the Pod's hostname"), ...podWarnings(obj, '')]
      : [],
}

/** What the STATUS column says of a pod: a deletion, a waiting container, or the phase. */
function podStatus(obj: KubeObject): string {
  if (obj.metadata.deletionTimestamp !== undefined) return 'Terminating'
  const waiting = objectsAt(obj, 'status.containerStatuses')
    .map(
      status => textAt(status, 'state.waiting.reason') || textAt(status, 'state.terminated.reason'),
    )
    .findLast(reason => reason !== '')
  return waiting ?? (textAt(obj, 'status.reason') || textAt(obj, 'status.phase'))
}

function readyText(obj: KubeObject): string {
  const ready = objectsAt(obj, 'status.containerStatuses').filter(status => status.ready === true)
  return `${ready.length}/${objectsAt(obj, 'spec.containers').length}`
}

function restarts(obj: KubeObject): string {
  const statuses = objectsAt(obj, 'status.containerStatuses')
  return String(statuses.reduce((sum, status) => sum + (numberAt(status, 'restartCount') ?? 0), 0))
}

const orNone = (text: string): string => (text === '' ? '<none>' : text)
const WIDE = { priority: 1 }

function readinessGates(obj: KubeObject): string {
  const gates = objectsAt(obj, 'spec.readinessGates')
  if (gates.length === 0) return '<none>'
  const conditions = objectsAt(obj, 'status.conditions')
  const open = gates.filter(gate =>
    conditions.some(
      condition =>
        textAt(condition, 'type') === textAt(gate, 'conditionType') &&
        textAt(condition, 'status') === 'True',
    ),
  )
  return `${open.length}/${gates.length}`
}

const resize: StoredSubresource = {
  type: 'stored',
  verbs: ['get', 'patch', 'update'],
  merge: onlyFields('spec'),
}
const ephemeralContainers: StoredSubresource = {
  type: 'stored',
  verbs: ['get', 'patch', 'update'],
  merge: (sent, live) => {
    const spec: JsonObject = { ...objectAt(live, 'spec') }
    const added = valueAt(sent, 'spec.ephemeralContainers')
    if (added === undefined) delete spec.ephemeralContainers
    else spec.ephemeralContainers = added
    return { ...live, metadata: sent.metadata, spec }
  },
}

/** What a pod's class is was settled when it was made; a status that says nothing of it keeps it. */
function keepQosClass(sent: KubeObject, live: KubeObject): KubeObject {
  const status = { ...objectAt(sent, 'status') }
  fillEmpty(status, { qosClass: textAt(live, 'status.qosClass') })
  return { ...live, metadata: sent.metadata, status }
}

const podAddress = (obj: KubeObject): string =>
  textAt(obj, 'status.podIP') || textAt(objectsAt(obj, 'status.podIPs')[0], 'ip')

const pods = builtin({
  group: '',
  kind: 'Pod',
  plural: 'pods',
  shortNames: ['po'],
  categories: ['all'],
  strategy: podStrategy,
  merge: allButFields('status'),
  status: { merge: keepQosClass },
  subresources: {
    attach: nodeOnly(['create', 'get'], core('PodAttachOptions')),
    binding: nodeOnly(['create'], core('Binding')),
    ephemeralcontainers: ephemeralContainers,
    eviction: nodeOnly(['create'], { group: 'policy', version: 'v1', kind: 'Eviction' }),
    exec: nodeOnly(['create', 'get'], core('PodExecOptions')),
    log: nodeOnly(['get']),
    portforward: nodeOnly(['create', 'get'], core('PodPortForwardOptions')),
    proxy: nodeOnly(['create', 'delete', 'get', 'patch', 'update'], core('PodProxyOptions')),
    resize,
  },
  selectableFields: {
    'spec.nodeName': obj => textAt(obj, 'spec.nodeName'),
    'spec.restartPolicy': obj => textAt(obj, 'spec.restartPolicy'),
    'spec.schedulerName': obj => textAt(obj, 'spec.schedulerName'),
    'spec.serviceAccountName': obj => textAt(obj, 'spec.serviceAccountName'),
    'spec.hostNetwork': obj => String(valueAt(obj, 'spec.hostNetwork') === true),
    'status.phase': obj => textAt(obj, 'status.phase'),
    'status.podIP': podAddress,
    'status.podIPs': podAddress,
    'status.nominatedNodeName': obj => textAt(obj, 'status.nominatedNodeName'),
  },
  columns: [
    NAME,
    column('Ready', 'How many of the containers are ready for traffic.', readyText),
    column('Status', 'What the containers do, taken together.', podStatus),
    column('Restarts', 'How often containers were restarted.', restarts),
    AGE,
    column('IP', 'The address of the pod.', obj => orNone(podAddress(obj)), WIDE),
    column('Node', 'The node it is bound to.', obj => orNone(textAt(obj, 'spec.nodeName')), WIDE),
    column(
      'Nominated Node',
      'The node it would be bound to after others have made room.',
      obj => orNone(textAt(obj, 'status.nominatedNodeName')),
      WIDE,
    ),
    column('Readiness Gates', 'How many of the extra conditions hold.', readinessGates, WIDE),
  ],
  more: { returnsDeleted: true },
})

// --- pod templates

const templateOf = (obj: KubeObject): JsonObject => objectAt(obj, 'template')
const ownTemplateErrors = (obj: KubeObject): FieldError[] =>
  podTemplateErrors(templateOf(obj), 'template')

const podTemplates = builtin({
  group: '',
  kind: 'PodTemplate',
  plural: 'podtemplates',
  strategy: {
    allowCreateOnUpdate: true,
    hasGeneration: true,
    default: obj => defaultTemplate(obj),
    validate: ownTemplateErrors,
    validateUpdate: ownTemplateErrors,
  },
  columns: [
    NAME,
    ...containerColumns('template.spec.containers').map(({ priority: _wide, ...rest }) => rest),
    column('Pod Labels', 'The labels pods get from the template.', obj =>
      formatLabels(mapAt(obj, 'template.metadata.labels')),
    ),
  ],
  more: { returnsDeleted: true },
})

// --- replication controllers

function controllerErrors(obj: KubeObject): FieldError[] {
  const selector = mapAt(obj, 'spec.selector')
  const labels = mapAt(obj, 'spec.template.metadata.labels')
  const errors = [...notNegative(obj, 'spec.minReadySeconds'), ...notNegative(obj, 'spec.replicas')]
  if (Object.keys(selector).length === 0) errors.push(required('spec.selector'))
  const template = valueAt(obj, 'spec.template')
  if (!isObject(template)) return [...errors, required('spec.template')]
  if (Object.keys(selector).some(key => labels[key] !== selector[key])) {
    errors.push(mismatch(template))
  }
  return [
    ...errors,
    ...podTemplateErrors(template, 'spec.template'),
    ...foreverErrors(template, 'ReplicationController'),
  ]
}

const replicationControllers = builtin({
  group: '',
  kind: 'ReplicationController',
  plural: 'replicationcontrollers',
  shortNames: ['rc'],
  categories: ['all'],
  keyPrefix: '/registry/controllers',
  strategy: {
    hasGeneration: true,
    orphansDependents: true,
    default: obj => {
      const spec = ensureObject(obj, 'spec')
      const labels = mapAt(spec, 'template.metadata.labels')
      if (Object.keys(labels).length > 0) {
        if (Object.keys(mapAt(spec, 'selector')).length === 0) spec.selector = { ...labels }
        if (Object.keys(obj.metadata.labels ?? {}).length === 0) obj.metadata.labels = { ...labels }
      }
      fillDefaults(spec, { replicas: 1 })
      if (valueAt(spec, 'template') !== undefined) defaultTemplate(spec)
    },
    warnings: workloadWarnings('spec.template'),
    validate: controllerErrors,
    validateUpdate: controllerErrors,
  },
  status: true,
  subresources: { scale },
  selectableFields: { 'status.replicas': obj => String(numberAt(obj, 'status.replicas') ?? 0) },
  columns: [
    NAME,
    countColumn('Desired', 'spec.replicas', 'How many pods there should be.'),
    countColumn('Current', 'status.replicas', 'How many pods there are.'),
    countColumn('Ready', 'status.readyReplicas', 'How many pods are ready.'),
    AGE,
    ...containerColumns('spec.template.spec.containers'),
    column(
      'Selector',
      'The labels of its pods.',
      obj => formatLabels(mapAt(obj, 'spec.selector')),
      WIDE,
    ),
  ],
})

export const workloadResources: readonly Resource[] = [
  pods,
  podTemplates,
  replicationControllers,
  nodes,
]
