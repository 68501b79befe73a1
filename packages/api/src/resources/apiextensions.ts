// The group apiextensions.k8s.io: CustomResourceDefinitions. Read by resources/index.ts; the rules are apimachinery's
// schema/crd-*.ts, and controllers/crd.ts serves what they define.
// Ref: apiextensions-apiserver/pkg/registry/customresourcedefinition/strategy.go

import {
  addInt64,
  crdWarnings,
  defaultCrd,
  isObject,
  type KubeObject,
  prepareCrdForCreate,
  prepareCrdForUpdate,
  validateCrd,
  validateCrdStatus,
  validateCrdUpdate,
} from '@podless/apimachinery'
import type { Resource, Strategy } from '../resource.ts'
import { builtin } from './builtin.ts'
import { CREATED_AT, NAME } from './columns.ts'
import { ensureObject, objectAt, objectsAt } from './reading.ts'

const CLEANUP_FINALIZER = 'customresourcecleanup.apiextensions.k8s.io'

/** Updates of status come here too: the spec is then the stored one, and the status is what was sent. */
function prepareForUpdate(obj: KubeObject, old: KubeObject): void {
  const { status } = obj
  prepareCrdForUpdate(obj, old)
  if (obj.spec === old.spec && status !== undefined) obj.status = status
}

const TERMINATING = {
  type: 'Terminating',
  status: 'True',
  reason: 'InstanceDeletionPending',
  message: 'CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon',
}

/** Instances go first: the finalizer holds the definition until controllers/crd.ts has deleted them. */
function beginDeletion(obj: KubeObject, now: Date): void {
  const { metadata } = obj
  delete metadata.deletionGracePeriodSeconds
  // The spec is as it was, and the generation counts nothing else here.
  if (metadata.generation !== undefined) metadata.generation = addInt64(metadata.generation, -1)
  const finalizers = metadata.finalizers ?? []
  if (!finalizers.includes(CLEANUP_FINALIZER)) {
    metadata.finalizers = [...finalizers, CLEANUP_FINALIZER]
  }
  const lastTransitionTime = `${now.toISOString().slice(0, 19)}Z`
  const status = ensureObject(obj, 'status')
  status.conditions = [
    ...objectsAt(status, 'conditions').filter(({ type }) => type !== TERMINATING.type),
    { ...TERMINATING, lastTransitionTime },
  ]
}

const strategy: Strategy = {
  hasGeneration: true,
  allowUnconditionalUpdate: false,
  // The name is the plural and the group; validateCrd says so, and checks what else a name must be.
  validateName: () => [],
  default: defaultCrd,
  prepareForCreate: obj => {
    const empty = obj.status
    prepareCrdForCreate(obj)
    if (isObject(empty)) obj.status = { ...empty, ...objectAt(obj, 'status') }
  },
  prepareForUpdate,
  beginDeletion,
  validate: validateCrd,
  validateUpdate: validateCrdUpdate,
  warnings: crdWarnings,
}

const definitions = builtin({
  group: 'apiextensions.k8s.io',
  kind: 'CustomResourceDefinition',
  plural: 'customresourcedefinitions',
  shortNames: ['crd', 'crds'],
  categories: ['api-extensions'],
  namespaced: false,
  keyPrefix: '/registry/apiextensions.k8s.io/customresourcedefinitions',
  strategy,
  status: { validateUpdate: obj => validateCrdStatus(obj) },
  columns: [NAME, CREATED_AT],
})

export const apiextensionsResources: readonly Resource[] = [definitions]
