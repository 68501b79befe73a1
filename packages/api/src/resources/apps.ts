// The group apps: Deployments, ReplicaSets, DaemonSets, StatefulSets and ControllerRevisions. Stored and validated;
// no controller acts on them. Read by resources/index.ts.
// Ref: kubernetes/pkg/apis/apps/v1/defaults.go, kubernetes/pkg/apis/apps/validation

import {
  equalJson,
  type FieldError,
  forbiddenField,
  immutableField,
  invalidValue,
  isObject,
  type JsonValue,
  type KubeObject,
  nonNegative,
  notSupported,
  required,
} from '@podless/apimachinery'
import type { Column, Resource, Strategy } from '../resource.ts'
import { amountErrors, shareErrors } from './amount-rules.ts'
import { builtin } from './builtin.ts'
import {
  AGE,
  column,
  containerColumns,
  countColumn,
  formatLabels,
  NAME,
  selectorColumn,
} from './columns.ts'
import { notNegative, templateErrors } from './pod-rules.ts'
import { defaultTemplate } from './pod-template.ts'
import { workloadWarnings } from './pod-warnings.ts'
import {
  ensureObject,
  fillDefaults,
  fillEmpty,
  int64At,
  mapAt,
  numberAt,
  objectAt,
  textAt,
  valueAt,
} from './reading.ts'
import { scale } from './scale.ts'
import { statefulSets } from './stateful-set.ts'

const GROUP = 'apps'
const CONTAINERS = 'spec.template.spec.containers'

const isZero = (value: JsonValue | undefined): boolean => value === 0 || value === '0%'

const statusIsNumber = (path: string) => (obj: KubeObject) => String(numberAt(obj, path) ?? 0)

const keepsSelector = (obj: KubeObject, old: KubeObject): FieldError[] =>
  immutableField(valueAt(obj, 'spec.selector'), valueAt(old, 'spec.selector'), 'spec.selector')

/** NOTE: ReplicaSets speak of deployments too. */
const REPLICATED = {
  kind: 'ReplicaSet',
  workload: 'deployment',
  unusable: 'invalid label selector',
}

// --- Deployment

function rollingErrors(obj: KubeObject): FieldError[] {
  const path = 'spec.strategy.rollingUpdate'
  const rolling = valueAt(obj, path)
  if (!isObject(rolling)) return []
  const { maxUnavailable, maxSurge } = rolling
  const errors = [
    ...shareErrors(maxUnavailable, `${path}.maxUnavailable`),
    ...amountErrors(maxSurge, `${path}.maxSurge`),
  ]
  if (isZero(maxUnavailable) && isZero(maxSurge)) {
    const detail = 'may not be 0 when `maxSurge` is 0'
    errors.push(invalidValue(`${path}.maxUnavailable`, maxUnavailable, detail))
  }
  return errors
}

function deploymentErrors(obj: KubeObject): FieldError[] {
  const type = textAt(obj, 'spec.strategy.type')
  const errors = [
    ...notNegative(obj, 'spec.replicas'),
    ...templateErrors(obj, REPLICATED),
    ...rollingErrors(obj),
    ...notNegative(obj, 'spec.minReadySeconds'),
    ...notNegative(obj, 'spec.revisionHistoryLimit'),
  ]
  if (type === 'Recreate' && isObject(valueAt(obj, 'spec.strategy.rollingUpdate'))) {
    const detail = "may not be specified when strategy `type` is 'Recreate'"
    errors.push(forbiddenField('spec.strategy.rollingUpdate', detail))
  } else if (type !== 'Recreate' && type !== 'RollingUpdate') {
    // NOTE: upstream shows its own form of the whole strategy, whose names begin with capitals.
    const shown = { Type: type, RollingUpdate: null }
    errors.push(notSupported('spec.strategy', shown, ['Recreate', 'RollingUpdate']))
  }
  errors.push(...notNegative(obj, 'spec.progressDeadlineSeconds'))
  const deadline = numberAt(obj, 'spec.progressDeadlineSeconds')
  if (deadline !== undefined && deadline <= (numberAt(obj, 'spec.minReadySeconds') ?? 0)) {
    const detail = 'must be greater than minReadySeconds'
    errors.push(invalidValue('spec.progressDeadlineSeconds', deadline, detail))
  }
  return errors
}

const partsWithAnnotations = ({ metadata, spec }: KubeObject) => [
  spec ?? {},
  metadata.annotations ?? {},
]

const deploymentStrategy: Strategy = {
  hasGeneration: true,
  // Annotations count too: they are handed on to the ReplicaSets.
  countsAsChange: (obj, old) => !equalJson(partsWithAnnotations(obj), partsWithAnnotations(old)),
  default: obj => {
    const spec = ensureObject(obj, 'spec')
    fillDefaults(spec, { replicas: 1, revisionHistoryLimit: 10, progressDeadlineSeconds: 600 })
    const rollout = ensureObject(spec, 'strategy')
    fillEmpty(rollout, { type: 'RollingUpdate' })
    if (rollout.type === 'RollingUpdate') {
      const rolling = ensureObject(rollout, 'rollingUpdate')
      fillDefaults(rolling, { maxUnavailable: '25%', maxSurge: '25%' })
    }
    defaultTemplate(spec)
  },
  warnings: workloadWarnings('spec.template'),
  validate: deploymentErrors,
  validateUpdate: (obj, old) => [...deploymentErrors(obj), ...keepsSelector(obj, old)],
}

const deployments = builtin({
  group: GROUP,
  kind: 'Deployment',
  plural: 'deployments',
  shortNames: ['deploy'],
  categories: ['all'],
  strategy: deploymentStrategy,
  status: true,
  subresources: { scale },
  columns: [
    NAME,
    column('Ready', 'How many of the wanted pods are ready.', obj => {
      const wanted = numberAt(obj, 'spec.replicas') ?? 0
      return `${numberAt(obj, 'status.readyReplicas') ?? 0}/${wanted}`
    }),
    countColumn('Up-to-date', 'status.updatedReplicas', 'How many follow the template.', 'string'),
    countColumn('Available', 'status.availableReplicas', 'How many pods serve.', 'string'),
    AGE,
    ...containerColumns(CONTAINERS),
    selectorColumn('spec.selector'),
  ],
})

// --- ReplicaSet

function replicaSetErrors(obj: KubeObject): FieldError[] {
  return [
    ...notNegative(obj, 'spec.replicas'),
    ...notNegative(obj, 'spec.minReadySeconds'),
    ...templateErrors(obj, REPLICATED),
  ]
}

const replicaSets = builtin({
  group: GROUP,
  kind: 'ReplicaSet',
  plural: 'replicasets',
  shortNames: ['rs'],
  categories: ['all'],
  strategy: {
    hasGeneration: true,
    default: obj => {
      const spec = ensureObject(obj, 'spec')
      fillDefaults(spec, { replicas: 1 })
      defaultTemplate(spec)
    },
    warnings: workloadWarnings('spec.template'),
    validate: replicaSetErrors,
    validateUpdate: (obj, old) => [...replicaSetErrors(obj), ...keepsSelector(obj, old)],
  },
  status: true,
  subresources: { scale },
  selectableFields: { 'status.replicas': statusIsNumber('status.replicas') },
  columns: [
    NAME,
    countColumn('Desired', 'spec.replicas', 'How many pods there should be.'),
    countColumn('Current', 'status.replicas', 'How many pods there are.'),
    countColumn('Ready', 'status.readyReplicas', 'How many pods are ready.'),
    AGE,
    ...containerColumns(CONTAINERS),
    selectorColumn('spec.selector'),
  ],
})

// --- DaemonSet

function daemonSetErrors(obj: KubeObject): FieldError[] {
  const type = textAt(obj, 'spec.updateStrategy.type')
  const errors = [
    ...templateErrors(obj, {
      kind: 'DaemonSet',
      workload: 'daemonset',
      selectorIsOptional: true,
    }),
    ...notNegative(obj, 'spec.minReadySeconds'),
    ...notNegative(obj, 'spec.revisionHistoryLimit'),
  ]
  const types = ['RollingUpdate', 'OnDelete']
  const shown = { Type: type, RollingUpdate: null }
  if (!types.includes(type)) errors.push(notSupported('spec.updateStrategy', shown, types))
  return type === 'RollingUpdate' ? [...errors, ...daemonRollingErrors(obj)] : errors
}

/** A daemon is replaced before or after it stops: one of the two, not both, not none. */
function daemonRollingErrors(obj: KubeObject): FieldError[] {
  const path = 'spec.updateStrategy.rollingUpdate'
  const { maxUnavailable, maxSurge } = objectAt(obj, path)
  const errors = [
    ...shareErrors(maxUnavailable, `${path}.maxUnavailable`),
    ...shareErrors(maxSurge, `${path}.maxSurge`),
  ]
  const [stops, starts] = [!isZero(maxUnavailable), !isZero(maxSurge)]
  if (stops && starts) {
    const detail = 'may not be set when maxUnavailable is non-zero'
    errors.push(invalidValue(`${path}.maxSurge`, maxSurge, detail))
  } else if (!stops && !starts) {
    errors.push(required(`${path}.maxUnavailable`, 'cannot be 0 when maxSurge is 0'))
  }
  return errors
}

const TEMPLATE_GENERATION = 'deprecated.daemonset.template.generation'

/** Which template it is: a number that only the server counts. Ref: apps/v1/conversion.go */
function countTemplates(obj: KubeObject, old: KubeObject | undefined): void {
  const count = (from: KubeObject): number =>
    Number.parseInt(from.metadata.annotations?.[TEMPLATE_GENERATION] ?? '0', 10) || 0
  const template = (from: KubeObject) => valueAt(from, 'spec.template')
  const changed = old !== undefined && !equalJson(template(obj), template(old))
  const number = old === undefined ? Math.max(count(obj), 1) : count(old) + (changed ? 1 : 0)
  obj.metadata.annotations = { ...obj.metadata.annotations, [TEMPLATE_GENERATION]: String(number) }
}

const daemonSets = builtin({
  group: GROUP,
  kind: 'DaemonSet',
  plural: 'daemonsets',
  shortNames: ['ds'],
  categories: ['all'],
  strategy: {
    hasGeneration: true,
    default: obj => {
      obj.metadata.annotations = { [TEMPLATE_GENERATION]: '0', ...obj.metadata.annotations }
      const spec = ensureObject(obj, 'spec')
      fillDefaults(spec, { revisionHistoryLimit: 10 })
      const update = ensureObject(spec, 'updateStrategy')
      fillEmpty(update, { type: 'RollingUpdate' })
      if (update.type === 'RollingUpdate') {
        fillDefaults(ensureObject(update, 'rollingUpdate'), { maxUnavailable: 1, maxSurge: 0 })
      }
      defaultTemplate(spec)
    },
    prepareForCreate: obj => countTemplates(obj, undefined),
    prepareForUpdate: countTemplates,
    warnings: workloadWarnings('spec.template'),
    validate: daemonSetErrors,
    validateUpdate: (obj, old) => [...daemonSetErrors(obj), ...keepsSelector(obj, old)],
  },
  status: true,
  columns: [
    NAME,
    countColumn('Desired', 'status.desiredNumberScheduled', 'How many nodes should run it.'),
    countColumn('Current', 'status.currentNumberScheduled', 'How many nodes run it.'),
    countColumn('Ready', 'status.numberReady', 'On how many nodes it is ready.'),
    countColumn('Up-to-date', 'status.updatedNumberScheduled', 'How many follow the template.'),
    countColumn('Available', 'status.numberAvailable', 'On how many nodes it serves.'),
    column('Node Selector', 'Which nodes run it.', obj =>
      formatLabels(mapAt(obj, 'spec.template.spec.nodeSelector')),
    ),
    AGE,
    ...containerColumns(CONTAINERS),
    selectorColumn('spec.selector'),
  ],
})

// --- ControllerRevision

function controllerOf(obj: KubeObject): string {
  const owner = obj.metadata.ownerReferences?.find(reference => reference.controller === true)
  if (owner === undefined) return '<none>'
  const group = owner.apiVersion.includes('/') ? `.${owner.apiVersion.split('/')[0]}` : ''
  return `${owner.kind.toLowerCase()}${group}/${owner.name}`
}

const revisionColumns: readonly Column[] = [
  NAME,
  column('Controller', 'What it is a revision of.', controllerOf),
  countColumn('Revision', 'revision', 'Its number.', 'string'),
  AGE,
]

function revisionDataErrors(data: JsonValue | undefined): FieldError[] {
  if (isObject(data)) return []
  const isAbsent = data === undefined || data === null
  return [required('data', isAbsent ? 'data is mandatory' : 'data must be a valid JSON object')]
}

const controllerRevisions = builtin({
  group: GROUP,
  kind: 'ControllerRevision',
  plural: 'controllerrevisions',
  strategy: {
    validate: obj => [
      ...nonNegative(int64At(obj, 'revision') ?? 0, 'revision'),
      ...revisionDataErrors(obj.data),
    ],
    validateUpdate: (obj, old) => [
      ...immutableField(obj.data, old.data, 'data'),
      ...nonNegative(int64At(obj, 'revision') ?? 0, 'revision'),
    ],
  },
  columns: revisionColumns,
})

export const appsResources: readonly Resource[] = [
  controllerRevisions,
  daemonSets,
  deployments,
  replicaSets,
  statefulSets,
]
