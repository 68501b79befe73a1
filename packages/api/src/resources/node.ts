// The group node.k8s.io: RuntimeClasses. Read by resources/index.ts. Nodes themselves are core's.
// Ref: kubernetes/pkg/apis/node/validation

import {
  type FieldError,
  immutableField,
  invalidValue,
  isDns1123Label,
  type KubeObject,
  required,
} from '@podless/apimachinery'
import type { Resource } from '../resource.ts'
import { builtin } from './builtin.ts'
import { AGE, NAME, textColumn } from './columns.ts'
import { textAt } from './reading.ts'

function errors(obj: KubeObject): FieldError[] {
  const handler = textAt(obj, 'handler')
  if (handler === '') return [required('handler')]
  return isDns1123Label(handler).map(text => invalidValue('handler', handler, text))
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
