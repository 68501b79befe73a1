// Which names a CRD gets: each belongs to the first that was accepted with it. Pure; called by crd.ts.
// Ref: apiextensions-apiserver/pkg/controller/status/naming_controller.go

import type { JsonObject } from '@podless/apimachinery'
import type { Condition } from './condition.ts'

export interface CrdNames extends JsonObject {
  plural: string
  singular?: string
  shortNames?: string[]
  kind: string
  listKind?: string
  categories?: string[]
}

export interface NamesVerdict {
  readonly acceptedNames: CrdNames
  readonly namesAccepted: Condition
}

const inUse = (name: string): string => `${JSON.stringify(name)} is already in use`

/** Several errors stand in brackets, and each only once. Ref: apimachinery/pkg/util/errors/errors.go */
function allInUse(names: readonly string[]): string {
  const texts = [...new Set(names)].map(inUse)
  return texts.length === 1 ? texts.join() : `[${texts.join(', ')}]`
}

/**
 * Decides for one CRD. `requested` is its spec.names, `before` its status.acceptedNames, `others` the accepted names of
 * every other CRD of the group.
 */
export function acceptNames(
  requested: CrdNames,
  before: CrdNames | undefined,
  others: readonly CrdNames[],
): NamesVerdict {
  const resources = new Set(
    others.flatMap(({ plural, singular, shortNames }) => [
      plural,
      singular ?? '',
      ...(shortNames ?? []),
    ]),
  )
  const kinds = new Set(others.flatMap(({ kind, listKind }) => [kind, listKind ?? '']))
  resources.delete('')
  kinds.delete('')
  const accepted: CrdNames = { ...(before ?? { plural: '', kind: '' }) }
  let refusal: { reason: string; message: string } | undefined
  const refuse = (reason: string, name: string): void => {
    refusal = { reason, message: inUse(name) }
  }
  if (resources.has(requested.plural)) refuse('PluralConflict', requested.plural)
  else accepted.plural = requested.plural
  const { singular = '', listKind = '' } = requested
  if (singular !== '' && resources.has(singular)) refuse('SingularConflict', singular)
  else accepted.singular = singular
  const takenShort = (requested.shortNames ?? []).filter(name => resources.has(name))
  if (takenShort.length > 0)
    refusal = { reason: 'ShortNamesConflict', message: allInUse(takenShort) }
  else setOrDelete(accepted, 'shortNames', requested.shortNames)
  if (kinds.has(requested.kind)) refuse('KindConflict', requested.kind)
  else accepted.kind = requested.kind
  if (listKind !== '' && kinds.has(listKind)) refuse('ListKindConflict', listKind)
  else accepted.listKind = listKind
  setOrDelete(accepted, 'categories', requested.categories)
  const verdict = refusal ?? { reason: 'NoConflicts', message: 'no conflicts found' }
  return {
    acceptedNames: accepted,
    namesAccepted: {
      type: 'NamesAccepted',
      status: refusal === undefined ? 'True' : 'False',
      ...verdict,
    },
  }
}

function setOrDelete(
  names: CrdNames,
  field: 'shortNames' | 'categories',
  value: string[] | undefined,
): void {
  if (value === undefined) delete names[field]
  else names[field] = value
}
