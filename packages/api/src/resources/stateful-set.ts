// StatefulSets: workloads whose pods have names and claims of their own. Part of apps.ts; no controller acts on them.
// Ref: kubernetes/pkg/apis/apps/v1/defaults.go, kubernetes/pkg/apis/apps/validation ValidateStatefulSetSpec

import {
  cloneJson,
  equalJson,
  type FieldError,
  forbiddenField,
  invalidValue,
  isDns1123Label,
  isObject,
  type JsonObject,
  type KubeObject,
  nameIsDnsLabel,
  notSupported,
  required,
} from '@podless/apimachinery'
import { builtin } from './builtin.ts'
import { AGE, column, containerColumns, NAME } from './columns.ts'
import { notNegative, templateErrors } from './pod-rules.ts'
import { defaultTemplate } from './pod-template.ts'
import { workloadWarnings } from './pod-warnings.ts'
import {
  ensureObject,
  fillDefaults,
  fillEmpty,
  numberAt,
  objectAt,
  objectsAt,
  textAt,
  valueAt,
} from './reading.ts'
import { scale } from './scale.ts'

const CONTAINERS = 'spec.template.spec.containers'

const STATEFUL_LIMITS =
  "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
const STATEFUL_MUTABLE = [
  'replicas',
  'ordinals',
  'template',
  'updateStrategy',
  'revisionHistoryLimit',
  'persistentVolumeClaimRetentionPolicy',
  'minReadySeconds',
]

/** Each claim becomes a volume of the pods, and their names are the controller's. */
function withClaims(obj: KubeObject): KubeObject {
  const seen = cloneJson(obj)
  const spec = ensureObject(ensureObject(ensureObject(seen, 'spec'), 'template'), 'spec')
  delete spec.hostname
  delete spec.subdomain
  const claims = objectsAt(seen, 'spec.volumeClaimTemplates').map(claim => {
    const name = textAt(claim, 'metadata.name')
    return { name, persistentVolumeClaim: { claimName: name } }
  })
  const names = new Set(claims.map(({ name }) => name))
  const others = objectsAt(spec, 'volumes').filter(volume => !names.has(textAt(volume, 'name')))
  if (claims.length > 0) spec.volumes = [...claims, ...others]
  return seen
}

function statefulSetErrors(obj: KubeObject): FieldError[] {
  const errors = [
    ...templateErrors(withClaims(obj), {
      kind: 'StatefulSet',
      workload: 'statefulset',
      unusable: '',
    }),
    ...notNegative(obj, 'spec.replicas'),
    ...notNegative(obj, 'spec.minReadySeconds'),
  ]
  const management = textAt(obj, 'spec.podManagementPolicy')
  if (management === '') errors.push(required('spec.podManagementPolicy'))
  else if (management !== 'OrderedReady' && management !== 'Parallel') {
    const detail = "must be 'OrderedReady' or 'Parallel'"
    errors.push(invalidValue('spec.podManagementPolicy', management, detail))
  }
  return [...errors, ...notNegative(obj, 'spec.ordinals.start'), ...statefulUpdateErrors(obj)]
}

const KEPT = ['Retain', 'Delete']

function statefulUpdateErrors(obj: KubeObject): FieldError[] {
  const path = 'spec.updateStrategy'
  const type = textAt(obj, [...path.split('.'), 'type'])
  const rolling = valueAt(obj, `${path}.rollingUpdate`)
  const errors: FieldError[] = []
  if (type === 'OnDelete' && isObject(rolling)) {
    const shown = { Partition: numberAt(rolling, 'partition') ?? 0, MaxUnavailable: null }
    const detail = "only allowed for updateStrategy 'RollingUpdate'"
    errors.push(invalidValue(`${path}.rollingUpdate`, shown, detail))
  } else if (type === 'RollingUpdate') {
    errors.push(...notNegative(obj, `${path}.rollingUpdate.partition`))
  } else if (type !== 'OnDelete') {
    const detail = "must be 'RollingUpdate' or 'OnDelete'"
    errors.push(invalidValue(path, { Type: type, RollingUpdate: null }, detail))
  }
  for (const field of ['whenDeleted', 'whenScaled']) {
    const where = `spec.persistentVolumeClaimRetentionPolicy.${field}`
    const policy = textAt(obj, where)
    if (!KEPT.includes(policy)) errors.push(notSupported(where, policy, KEPT))
  }
  const service = textAt(obj, 'spec.serviceName')
  if (service !== '') {
    const texts = isDns1123Label(service)
    errors.push(...texts.map(text => invalidValue('spec.serviceName', service, text)))
  }
  return errors
}

function fixedStatefulSpec(obj: KubeObject): JsonObject {
  const spec = { ...objectAt(obj, 'spec') }
  for (const field of STATEFUL_MUTABLE) delete spec[field]
  return spec
}

export const statefulSets = builtin({
  group: 'apps',
  kind: 'StatefulSet',
  plural: 'statefulsets',
  shortNames: ['sts'],
  categories: ['all'],
  strategy: {
    hasGeneration: true,
    validateName: nameIsDnsLabel,
    default: obj => {
      const spec = ensureObject(obj, 'spec')
      fillEmpty(spec, { podManagementPolicy: 'OrderedReady' })
      fillDefaults(spec, { replicas: 1, revisionHistoryLimit: 10 })
      const update = ensureObject(spec, 'updateStrategy')
      fillEmpty(update, { type: 'RollingUpdate' })
      if (update.type === 'RollingUpdate') {
        fillDefaults(ensureObject(update, 'rollingUpdate'), { partition: 0 })
      }
      const retention = ensureObject(spec, 'persistentVolumeClaimRetentionPolicy')
      fillEmpty(retention, { whenDeleted: 'Retain', whenScaled: 'Retain' })
      for (const claim of objectsAt(spec, 'volumeClaimTemplates')) {
        fillEmpty(claim, { apiVersion: 'v1', kind: 'PersistentVolumeClaim' })
        fillEmpty(ensureObject(claim, 'spec'), { volumeMode: 'Filesystem' })
        fillEmpty(ensureObject(claim, 'status'), { phase: 'Pending' })
      }
      defaultTemplate(spec)
    },
    warnings: workloadWarnings('spec.template'),
    validate: statefulSetErrors,
    validateUpdate: (obj, old) =>
      equalJson(fixedStatefulSpec(obj), fixedStatefulSpec(old))
        ? statefulSetErrors(obj)
        : [...statefulSetErrors(obj), forbiddenField('spec', STATEFUL_LIMITS)],
  },
  status: true,
  subresources: { scale },
  columns: [
    NAME,
    column('Ready', 'How many of the wanted pods are ready.', obj => {
      const wanted = numberAt(obj, 'spec.replicas') ?? 0
      return `${numberAt(obj, 'status.readyReplicas') ?? 0}/${wanted}`
    }),
    AGE,
    ...containerColumns(CONTAINERS),
  ],
})
