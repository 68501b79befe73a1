// The /scale subresource of built-in workloads: an autoscaling/v1 Scale over spec.replicas.
// Called by apps.ts and core-pod.ts; CRDs have their own, with paths. Ref: kubernetes/pkg/registry/apps/deployment/storage

import {
  cloneJson,
  formatLabelSelector,
  invalid,
  invalidValue,
  isObject,
  type JsonValue,
  type KubeObject,
  labelSelectorFromObject,
} from '@podless/apimachinery'
import type { Column, VirtualSubresource } from '../resource.ts'
import { schemaOf } from './builtin.ts'
import { AGE, countColumn, NAME } from './columns.ts'
import { ensureObject, numberAt, valueAt } from './reading.ts'

const SCALE = { group: 'autoscaling', version: 'v1', kind: 'Scale' }

function selectorText(selector: JsonValue | undefined): string {
  if (!isObject(selector)) return ''
  const map = selector.matchLabels === undefined && selector.matchExpressions === undefined
  return formatLabelSelector(labelSelectorFromObject(map ? { matchLabels: selector } : selector))
}

function scaleOf(parent: KubeObject): KubeObject {
  const { name, namespace, uid, resourceVersion, creationTimestamp } = parent.metadata
  const text = selectorText(valueAt(parent, 'spec.selector'))
  return {
    apiVersion: 'autoscaling/v1',
    kind: 'Scale',
    metadata: {
      name,
      namespace,
      uid,
      resourceVersion,
      creationTimestamp,
    } as KubeObject['metadata'],
    spec: withoutZero(numberAt(parent, 'spec.replicas') ?? 0),
    status: {
      replicas: numberAt(parent, 'status.replicas') ?? 0,
      ...(text === '' ? {} : { selector: text }),
    },
  }
}

const withoutZero = (replicas: number) => (replicas === 0 ? {} : { replicas })

/** Ref: kubernetes/pkg/apis/autoscaling/validation ValidateScale */
function applyScale(body: KubeObject, parent: KubeObject): KubeObject {
  const replicas = numberAt(body, 'spec.replicas') ?? 0
  if (replicas < 0) {
    const detail = 'must be greater than or equal to 0'
    const error = invalidValue('spec.replicas', replicas, detail)
    throw invalid({ group: SCALE.group, kind: SCALE.kind }, body.metadata.name ?? '', [error])
  }
  const next = cloneJson(parent)
  ensureObject(next, 'spec').replicas = replicas
  return next
}

const COUNTS = [
  countColumn('Desired', 'spec.replicas', 'How many instances there should be.'),
  countColumn('Available', 'status.replicas', 'How many instances were last seen.'),
]

/** Ref: kubernetes/pkg/printers/internalversion/printers.go printScale */
export const SCALE_COLUMNS: readonly Column[] = [NAME, ...COUNTS, AGE]

/** /scale of a kind that has spec.replicas, spec.selector and status.replicas. */
export const scale: VirtualSubresource = {
  type: 'virtual',
  gvk: SCALE,
  verbs: ['get', 'patch', 'update'],
  get schema() {
    return schemaOf(SCALE)
  },
  columns: SCALE_COLUMNS,
  get: scaleOf,
  replicasPaths: new Map(['v1', 'apps/v1'].map(version => [version, ['spec', 'replicas']])),
  update: applyScale,
}
