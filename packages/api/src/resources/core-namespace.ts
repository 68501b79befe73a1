// Namespaces: phase, finalizers of their own behind /finalize, and the label that carries the name.
// Part of core.ts. What a deletion does is the business of verbs/delete.ts and controllers/namespace.ts.
// Ref: kubernetes/pkg/registry/core/namespace

import {
  type FieldError,
  invalidValue,
  isQualifiedName,
  type KubeObject,
  nameIsDnsLabel,
  validateQualifiedFinalizers,
} from '@podless/apimachinery'
import type { Resource, StoredSubresource, Strategy } from '../resource.ts'
import { ALL_VERBS, allButFields, builtin, onlyFields } from './builtin.ts'
import { AGE, NAME, textColumn } from './columns.ts'
import { ensureObject, fillEmpty, textAt, textsAt } from './reading.ts'

/** Every namespace carries its name as this label, whatever a client writes there. */
const NAMESPACE_NAME_LABEL = 'kubernetes.io/metadata.name'
/** The finalizer that the namespace controller removes once a namespace is empty. */
export const NAMESPACE_FINALIZER = 'kubernetes'

const strategy: Strategy = {
  validateName: nameIsDnsLabel,
  default: obj => {
    fillEmpty(ensureObject(obj, 'status'), { phase: 'Active' })
    const name = obj.metadata.name ?? ''
    if (name === '') return
    obj.metadata.labels = { ...obj.metadata.labels, [NAMESPACE_NAME_LABEL]: name }
  },
  prepareForCreate: obj => {
    obj.status = { phase: 'Active' }
    const finalizers = textsAt(obj, 'spec.finalizers')
    if (finalizers.includes(NAMESPACE_FINALIZER)) return
    ensureObject(obj, 'spec').finalizers = [...finalizers, NAMESPACE_FINALIZER]
  },
  validate: obj => finalizerErrors(obj),
  beginDeletion: obj => {
    delete obj.metadata.deletionGracePeriodSeconds
    ensureObject(obj, 'status').phase = 'Terminating'
  },
  isHeld: obj => textsAt(obj, 'spec.finalizers').length > 0,
}

function finalizerErrors(obj: KubeObject): FieldError[] {
  const finalizers = textsAt(obj, 'spec.finalizers')
  const path = 'spec.finalizers'
  return [
    ...finalizers.flatMap(name =>
      isQualifiedName(name).map(sentence => invalidValue(path, name, sentence)),
    ),
    ...validateQualifiedFinalizers(finalizers, path),
  ]
}

/** Ref: kubernetes/pkg/apis/core/validation ValidateNamespaceStatusUpdate */
function phaseErrors(obj: KubeObject): FieldError[] {
  const phase = textAt(obj, 'status.phase')
  const deleting = obj.metadata.deletionTimestamp !== undefined
  if (deleting && phase !== 'Terminating') {
    const detail = "may only be 'Terminating' if `deletionTimestamp` is not empty"
    return [invalidValue('status.Phase', phase, detail)]
  }
  if (!deleting && phase !== 'Active') {
    const detail = "may only be 'Active' if `deletionTimestamp` is empty"
    return [invalidValue('status.Phase', phase, detail)]
  }
  return []
}

const finalize: StoredSubresource = {
  type: 'stored',
  verbs: ['update'],
  resetFields: [['status']],
  merge: onlyFields('spec'),
  validateUpdate: obj => finalizerErrors(obj),
}

export const namespaces: Resource = builtin({
  group: '',
  kind: 'Namespace',
  plural: 'namespaces',
  shortNames: ['ns'],
  namespaced: false,
  verbs: ALL_VERBS.filter(verb => verb !== 'deletecollection'),
  strategy,
  merge: allButFields('spec', 'status'),
  status: { validateUpdate: obj => phaseErrors(obj) },
  subresources: { finalize },
  columns: [NAME, textColumn('Status', 'status.phase', 'The status of the namespace'), AGE],
  selectableFields: {
    name: obj => obj.metadata.name ?? '',
    'status.phase': obj => textAt(obj, 'status.phase'),
  },
})
