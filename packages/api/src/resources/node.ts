// The group node.k8s.io: RuntimeClasses. Read by resources/index.ts. Nodes themselves are core's.
// Ref: kubernetes/pkg/apis/node/validation

import {
  duplicate,
  type FieldError,
  immutableField,
  invalidValue,
  isDns1123Label,
  type JsonObject,
  type KubeObject,
  required,
  validateLabels,
} from '@podless/apimachinery'
import type { Resource } from '../resource.ts'
import { builtin } from './builtin.ts'
import { AGE, NAME, textColumn } from './columns.ts'
import { resourceErrors } from './container-resource-rules.ts'
import { schedulingErrors } from './pod-scheduling-rules.ts'
import { mapAt, objectAt, objectsAt, textAt } from './reading.ts'

function errors(obj: KubeObject): FieldError[] {
  const handler = textAt(obj, 'handler')
  const overhead = objectAt(obj, 'overhead')
  return [
    ...(handler === ''
      ? [required('handler')]
      : isDns1123Label(handler).map(text => invalidValue('handler', handler, text))),
    ...resourceErrors({ limits: objectAt(overhead, 'podFixed') }, 'overhead'),
    ...schedulingRules(objectAt(obj, 'scheduling')),
  ]
}

function schedulingRules(scheduling: JsonObject): FieldError[] {
  const tolerations = objectsAt(scheduling, 'tolerations')
  const shown = tolerations.map(shownToleration)
  const keys = shown.map(({ TolerationSeconds: _seconds, ...key }) => JSON.stringify(key))
  const repeated = keys.flatMap((key, index) =>
    keys.indexOf(key) < index ? [duplicate(`scheduling.tolerations[${index}]`, shown[index])] : [],
  )
  return [
    ...validateLabels(mapAt(scheduling, 'nodeSelector'), 'scheduling.nodeSelector'),
    ...schedulingErrors({ tolerations: [...tolerations] }, 'scheduling'),
    ...repeated,
  ]
}

/** As Go prints a Toleration. */
function shownToleration(toleration: JsonObject) {
  return {
    Key: textAt(toleration, 'key'),
    Operator: textAt(toleration, 'operator'),
    Value: textAt(toleration, 'value'),
    Effect: textAt(toleration, 'effect'),
    TolerationSeconds: toleration.tolerationSeconds ?? null,
  }
}

const runtimeClasses = builtin({
  group: 'node.k8s.io',
  kind: 'RuntimeClass',
  plural: 'runtimeclasses',
  namespaced: false,
  strategy: {
    allowUnconditionalUpdate: false,
    validate: errors,
    validateUpdate: (obj, old) => immutableField(obj.handler, old.handler, 'handler'),
  },
  columns: [NAME, textColumn('Handler', 'handler', 'What runs its pods.'), AGE],
})

export const nodeResources: readonly Resource[] = [runtimeClasses]
