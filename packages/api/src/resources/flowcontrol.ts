// The group flowcontrol.apiserver.k8s.io: priority and fairness settings, kept for tools that write them. This server
// does not queue by them. Read by resources/index.ts. Ref: kubernetes/pkg/apis/flowcontrol/validation

import { isObject, type KubeObject } from '@podless/apimachinery'
import type { Resource } from '../resource.ts'
import { builtin } from './builtin.ts'
import { AGE, column, NAME, textColumn } from './columns.ts'
import { flowSchemaErrors } from './flow-schema-rules.ts'
import { levelErrors } from './priority-level-rules.ts'
import { ensureObject, fillDefaults, numberAt, objectsAt, textAt, valueAt } from './reading.ts'

const GROUP = 'flowcontrol.apiserver.k8s.io'
const PRECEDENCE_DEFAULT = 1000

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
    validate: flowSchemaErrors,
    validateUpdate: flowSchemaErrors,
  },
  status: true,
  columns: [
    NAME,
    textColumn('PriorityLevel', 'spec.priorityLevelConfiguration.name', 'The level it leads to.'),
    column(
      'MatchingPrecedence',
      'Lower ones are asked first.',
      obj => numberAt(obj, 'spec.matchingPrecedence') ?? 0,
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

const limit = (path: string) => (obj: KubeObject) => {
  const value = numberAt(obj, path)
  return value === undefined ? '<none>' : String(value)
}

const QUEUING = { handSize: 8, queues: 64, queueLengthLimit: 50 }

const priorityLevels = builtin({
  group: GROUP,
  kind: 'PriorityLevelConfiguration',
  plural: 'prioritylevelconfigurations',
  namespaced: false,
  strategy: {
    hasGeneration: true,
    default: obj => {
      const exempt = valueAt(obj, 'spec.exempt')
      if (isObject(exempt))
        fillDefaults(exempt, { nominalConcurrencyShares: 0, lendablePercent: 0 })
      const limited = valueAt(obj, 'spec.limited')
      if (!isObject(limited)) return
      fillDefaults(limited, { nominalConcurrencyShares: 30, lendablePercent: 0 })
      const queuing = valueAt(limited, 'limitResponse.queuing')
      if (!isObject(queuing)) return
      for (const [field, value] of Object.entries(QUEUING)) {
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
