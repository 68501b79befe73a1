// The group policy: PodDisruptionBudgets. Read by resources/index.ts. Evictions are a subresource of pods.
// Ref: kubernetes/pkg/apis/policy/validation

import {
  type FieldError,
  invalidValue,
  type JsonValue,
  type KubeObject,
  notSupported,
  validateLabelSelector,
} from '@podless/apimachinery'
import type { Resource } from '../resource.ts'
import { shareErrors } from './amount-rules.ts'
import { builtin } from './builtin.ts'
import { AGE, column, countColumn, NAME } from './columns.ts'
import { textAt, valueAt } from './reading.ts'

const isSet = (value: JsonValue | undefined): boolean => value !== undefined && value !== null

function errors(obj: KubeObject): FieldError[] {
  const min = valueAt(obj, 'spec.minAvailable')
  const max = valueAt(obj, 'spec.maxUnavailable')
  const found: FieldError[] = []
  if (isSet(min) && isSet(max)) {
    // NOTE: upstream shows its own form of the spec, whose names begin with capitals.
    const shown = { MinAvailable: min ?? null, MaxUnavailable: max ?? null }
    const detail = 'minAvailable and maxUnavailable cannot be both set'
    found.push(invalidValue('spec', shown, detail))
  }
  found.push(
    ...shareErrors(min, 'spec.minAvailable'),
    ...shareErrors(max, 'spec.maxUnavailable'),
    ...validateLabelSelector(valueAt(obj, 'spec.selector'), 'spec.selector'),
  )
  const eviction = textAt(obj, 'spec.unhealthyPodEvictionPolicy')
  const policies = ['AlwaysAllow', 'IfHealthyBudget']
  if (eviction !== '' && !policies.includes(eviction)) {
    found.push(notSupported('spec.unhealthyPodEvictionPolicy', eviction, policies))
  }
  return found
}

const amount = (path: string) => (obj: KubeObject) => {
  const value = valueAt(obj, path)
  return isSet(value) ? String(value) : 'N/A'
}

const budgets = builtin({
  group: 'policy',
  kind: 'PodDisruptionBudget',
  plural: 'poddisruptionbudgets',
  shortNames: ['pdb'],
  strategy: {
    hasGeneration: true,
    allowUnconditionalUpdate: false,
    validate: errors,
    validateUpdate: errors,
  },
  status: true,
  columns: [
    NAME,
    column('Min Available', 'How many pods must stay.', amount('spec.minAvailable')),
    column('Max Unavailable', 'How many pods may be missing.', amount('spec.maxUnavailable')),
    countColumn('Allowed Disruptions', 'status.disruptionsAllowed', 'How many may go now.'),
    AGE,
  ],
})

export const policyResources: readonly Resource[] = [budgets]
