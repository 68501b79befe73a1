// The group flowcontrol.apiserver.k8s.io: priority and fairness settings, kept for tools that write them. This server
// does not queue by them. Read by resources/index.ts. Ref: kubernetes/pkg/apis/flowcontrol/validation

import {
  type FieldError,
  invalidValue,
  isDns1123Subdomain,
  isObject,
  type KubeObject,
  notSupported,
  required,
} from '@podless/apimachinery'
import type { Resource } from '../resource.ts'
import { builtin } from './builtin.ts'
import { AGE, column, NAME, textColumn } from './columns.ts'
import {
  ensureObject,
  fillDefaults,
  fillEmpty,
  numberAt,
  objectsAt,
  textAt,
  valueAt,
} from './reading.ts'

const GROUP = 'flowcontrol.apiserver.k8s.io'
const PRECEDENCE_MAX = 10_000
const PRECEDENCE_DEFAULT = 1000

function schemaErrors(obj: KubeObject): FieldError[] {
  const errors: FieldError[] = []
  const precedence = numberAt(obj, 'spec.matchingPrecedence') ?? 0
  if (precedence <= 0) {
    errors.push(invalidValue('spec.matchingPrecedence', precedence, 'must be a positive value'))
  } else if (precedence > PRECEDENCE_MAX) {
    const detail = `must not be greater than ${PRECEDENCE_MAX}`
    errors.push(invalidValue('spec.matchingPrecedence', precedence, detail))
  }
  const path = 'spec.priorityLevelConfiguration.name'
  const level = textAt(obj, path)
  if (level === '') errors.push(required(path, 'must reference a priority level'))
  else errors.push(...isDns1123Subdomain(level).map(text => invalidValue(path, level, text)))
  const method = textAt(obj, 'spec.distinguisherMethod.type')
  const methods = ['ByNamespace', 'ByUser']
  if (isObject(valueAt(obj, 'spec.distinguisherMethod')) && !methods.includes(method)) {
    errors.push(notSupported('spec.distinguisherMethod', method, methods))
  }
  return errors
}

const flowSchemas = builtin({
  group: GROUP,
  kind: 'FlowSchema',
  plural: 'flowschemas',
  namespaced: false,
  strategy: {
    hasGeneration: true,
    default: obj => {
      const spec = ensureObject(obj, 'spec')
      if ((numberAt(spec, 'matchingPrecedence') ?? 0) === 0) {
        spec.matchingPrecedence = PRECEDENCE_DEFAULT
      }
    },
    validate: schemaErrors,
    validateUpdate: schemaErrors,
  },
  status: true,
  columns: [
    NAME,
    textColumn('PriorityLevel', 'spec.priorityLevelConfiguration.name', 'The level it leads to.'),
    column(
      'MatchingPrecedence',
      'Lower ones are asked first.',
      obj => numberAt(obj, 'spec.matchingPrecedence') ?? 0,
      { type: 'integer' },
    ),
    column(
      'DistinguisherMethod',
      'What tells flows apart.',
      obj => textAt(obj, 'spec.distinguisherMethod.type') || '<none>',
    ),
    AGE,
    column('MissingPL', 'Whether its level is missing.', obj => {
      const dangling = objectsAt(obj, 'status.conditions').find(
        condition => textAt(condition, 'type') === 'Dangling',
      )
      return textAt(dangling, 'status') || '?'
    }),
  ],
})

function levelErrors(obj: KubeObject): FieldError[] {
  const type = textAt(obj, 'spec.type')
  const types = ['Exempt', 'Limited']
  if (!types.includes(type)) return [notSupported('spec.type', type, types)]
  if (type === 'Limited' && !isObject(valueAt(obj, 'spec.limited'))) {
    return [required('spec.limited', 'must not be empty when type is Limited')]
  }
  return []
}

const limit = (path: string) => (obj: KubeObject) => {
  const value = numberAt(obj, path)
  return value === undefined ? '<none>' : String(value)
}

const priorityLevels = builtin({
  group: GROUP,
  kind: 'PriorityLevelConfiguration',
  plural: 'prioritylevelconfigurations',
  namespaced: false,
  strategy: {
    hasGeneration: true,
    default: obj => {
      const limited = valueAt(obj, 'spec.limited')
      if (!isObject(limited)) return
      fillDefaults(limited, { nominalConcurrencyShares: 30, lendablePercent: 0 })
      const response = ensureObject(limited, 'limitResponse')
      fillEmpty(response, { type: 'Reject' })
      if (response.type !== 'Queue') return
      const queuing = ensureObject(response, 'queuing')
      for (const [field, value] of Object.entries({
        handSize: 8,
        queues: 64,
        queueLengthLimit: 50,
      })) {
        if ((numberAt(queuing, field) ?? 0) === 0) queuing[field] = value
      }
    },
    validate: levelErrors,
    validateUpdate: levelErrors,
  },
  status: true,
  columns: [
    NAME,
    textColumn('Type', 'spec.type', 'Whether it is limited.'),
    column(
      'NominalConcurrencyShares',
      'Its share of the seats.',
      limit('spec.limited.nominalConcurrencyShares'),
    ),
    column('Queues', 'How many queues.', limit('spec.limited.limitResponse.queuing.queues')),
    column('HandSize', 'Queues per flow.', limit('spec.limited.limitResponse.queuing.handSize')),
    column(
      'QueueLengthLimit',
      'How long a queue may get.',
      limit('spec.limited.limitResponse.queuing.queueLengthLimit'),
    ),
    AGE,
  ],
})

export const flowcontrolResources: readonly Resource[] = [flowSchemas, priorityLevels]
