// The group scheduling.k8s.io: PriorityClasses. Read by resources/index.ts.
// Ref: kubernetes/pkg/apis/scheduling/validation

import {
  type FieldError,
  forbiddenField,
  invalidValue,
  type KubeObject,
  notSupported,
} from '@podless/apimachinery'
import type { Resource } from '../resource.ts'
import { builtin } from './builtin.ts'
import { AGE, countColumn, flagColumn, NAME, textColumn } from './columns.ts'
import { fillEmpty, numberAt, textAt } from './reading.ts'

/** Above this only the classes that the system itself brings may go. */
const USER_VALUE_MAX = 1_000_000_000
const POLICIES = ['PreemptLowerPriority', 'Never']
/** The classes that every cluster has. */
export const SYSTEM_VALUES: Readonly<Record<string, number>> = {
  'system-cluster-critical': 2_000_000_000,
  'system-node-critical': 2_000_001_000,
}

function errors(obj: KubeObject): FieldError[] {
  const found: FieldError[] = []
  const name = obj.metadata.name ?? ''
  const value = numberAt(obj, 'value') ?? 0
  if (name.startsWith('system-')) {
    if (SYSTEM_VALUES[name] === undefined || SYSTEM_VALUES[name] !== value) {
      const detail = `priority class names with 'system-' prefix are reserved for system use only. error: ${name} is not a known system priority class`
      found.push(forbiddenField('metadata.name', detail))
    }
  } else if (value > USER_VALUE_MAX) {
    const detail = `maximum allowed value of a user defined priority is ${USER_VALUE_MAX}`
    found.push(forbiddenField('value', detail))
  }
  const policy = textAt(obj, 'preemptionPolicy')
  if (policy !== '' && !POLICIES.includes(policy)) {
    found.push(notSupported('preemptionPolicy', policy, POLICIES))
  }
  return found
}

function updateErrors(obj: KubeObject, old: KubeObject): FieldError[] {
  const found: FieldError[] = []
  const frozen = 'may not be changed in an update.'
  if ((numberAt(obj, 'value') ?? 0) !== (numberAt(old, 'value') ?? 0)) {
    found.push(forbiddenField('value', frozen))
  }
  if (textAt(obj, 'preemptionPolicy') !== textAt(old, 'preemptionPolicy')) {
    found.push(
      invalidValue('preemptionPolicy', textAt(obj, 'preemptionPolicy'), 'field is immutable'),
    )
  }
  return found
}

const priorityClasses = builtin({
  group: 'scheduling.k8s.io',
  kind: 'PriorityClass',
  plural: 'priorityclasses',
  shortNames: ['pc'],
  namespaced: false,
  strategy: {
    default: obj => fillEmpty(obj, { preemptionPolicy: 'PreemptLowerPriority' }),
    prepareForCreate: obj => {
      obj.metadata.generation = 1
    },
    validate: errors,
    validateUpdate: updateErrors,
  },
  columns: [
    NAME,
    countColumn('Value', 'value', 'How important its pods are.'),
    flagColumn('Global-Default', 'globalDefault', 'Whether pods without a class get it.'),
    AGE,
    textColumn('PreemptionPolicy', 'preemptionPolicy', 'Whether its pods push others out.'),
  ],
})

export const schedulingResources: readonly Resource[] = [priorityClasses]
