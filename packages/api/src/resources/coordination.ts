// The group coordination.k8s.io: Leases, which leader election and heartbeats write all day. Read by resources/index.ts.
// Ref: kubernetes/pkg/apis/coordination/validation, kubernetes/pkg/registry/coordination/lease

import { type FieldError, invalidValue, type KubeObject, nonNegative } from '@podless/apimachinery'
import type { Resource } from '../resource.ts'
import { builtin } from './builtin.ts'
import { AGE, NAME, textColumn } from './columns.ts'
import { numberAt, objectAt } from './reading.ts'

function leaseErrors(obj: KubeObject): FieldError[] {
  const errors: FieldError[] = []
  const seconds = numberAt(obj, 'spec.leaseDurationSeconds')
  if (seconds !== undefined && seconds <= 0) {
    errors.push(invalidValue('spec.leaseDurationSeconds', seconds, 'must be greater than 0'))
  }
  const transitions = numberAt(obj, 'spec.leaseTransitions') ?? 0
  return [...errors, ...nonNegative(transitions, 'spec.leaseTransitions')]
}

/** Fields of coordinated leader election, which is off unless a server is told otherwise. */
const GATED = ['strategy', 'preferredHolder']

function dropGated(obj: KubeObject, old: KubeObject | undefined): void {
  const spec = objectAt(obj, 'spec')
  for (const field of GATED) if (objectAt(old, 'spec')[field] === undefined) delete spec[field]
}

const leases = builtin({
  group: 'coordination.k8s.io',
  kind: 'Lease',
  plural: 'leases',
  strategy: {
    allowCreateOnUpdate: true,
    allowUnconditionalUpdate: false,
    prepareForCreate: obj => dropGated(obj, undefined),
    prepareForUpdate: dropGated,
    validate: leaseErrors,
    validateUpdate: leaseErrors,
  },
  columns: [NAME, textColumn('Holder', 'spec.holderIdentity', 'Who holds the lease.'), AGE],
})

export const coordinationResources: readonly Resource[] = [leases]
