// The two shapes of kind that admission policies come in: a policy, and a binding that puts one to work. Called by
// admission-policies.ts and mutating-admission-policies.ts, which bring what is particular to theirs.

import { type FieldError, isObject, type KubeObject } from '@podless/apimachinery'
import type { Column, Resource } from '../resource.ts'
import { CATEGORIES, GROUP } from './admission-rules.ts'
import { builtin } from './builtin.ts'
import { AGE, column, NAME, textColumn } from './columns.ts'
import { defaultMatch, paramKindCell, paramRefCell } from './policy-rules.ts'
import { ensureObject, fillEmpty, objectAt, valueAt } from './reading.ts'

interface PolicyKind {
  readonly kind: string
  readonly plural: string
  readonly errors: (obj: KubeObject) => FieldError[]
}

/** A policy; `counts` is the column that says how much is in it. */
export function policyKind(
  { kind, plural, errors }: PolicyKind,
  { counts, ...options }: { readonly counts: Column; readonly status?: true },
): Resource {
  return builtin({
    group: GROUP,
    kind,
    plural,
    categories: CATEGORIES,
    namespaced: false,
    strategy: {
      hasGeneration: true,
      allowUnconditionalUpdate: false,
      default: obj => {
        const spec = ensureObject(obj, 'spec')
        fillEmpty(spec, { failurePolicy: 'Fail' })
        const match = spec.matchConstraints
        if (isObject(match)) defaultMatch(match)
      },
      validate: errors,
      validateUpdate: errors,
    },
    ...options,
    columns: [
      NAME,
      counts,
      column('ParamKind', 'Where its parameters are.', obj => paramKindCell(objectAt(obj, 'spec'))),
      AGE,
    ],
  })
}

/** A binding of a policy. */
export function bindingKind({ kind, plural, errors }: PolicyKind): Resource {
  return builtin({
    group: GROUP,
    kind,
    plural,
    categories: CATEGORIES,
    namespaced: false,
    strategy: {
      hasGeneration: true,
      allowUnconditionalUpdate: false,
      default: obj => {
        const match = valueAt(obj, 'spec.matchResources')
        if (isObject(match)) defaultMatch(match)
      },
      validate: errors,
      validateUpdate: errors,
    },
    columns: [
      NAME,
      textColumn('PolicyName', 'spec.policyName', 'The policy it puts to work.'),
      column('ParamRef', 'The parameters it uses.', obj => paramRefCell(objectAt(obj, 'spec'))),
      AGE,
    ],
  })
}
