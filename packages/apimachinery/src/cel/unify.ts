// Whether one type fits where another is wanted, and what type parameters stand for.
// Called by the checker; calls cel-type.ts. Ref: cel-go/checker/types.go

import { CelType, DYN, isExactType, listOf, mapOf, NULL, typeOfType } from './cel-type.ts'

/** What each type parameter stands for. */
export type Bindings = ReadonlyMap<string, CelType>

/**
 * Whether values of `from` fit `to` one by one. What that implies about type parameters is added to
 * `bindings`, which stay as they were when some type does not fit.
 */
export function assignAll(
  bindings: Map<string, CelType>,
  from: readonly CelType[],
  to: readonly CelType[],
): boolean {
  const draft = new Draft(bindings)
  const ok = listsFit(draft, from, to)
  if (!ok) draft.undo()
  return ok
}

/** Changes to bindings that can be taken back. */
class Draft {
  readonly #bindings: Map<string, CelType>
  readonly #before: (readonly [name: string, type: CelType | undefined])[] = []

  constructor(bindings: Map<string, CelType>) {
    this.#bindings = bindings
  }

  get(name: string): CelType | undefined {
    return this.#bindings.get(name)
  }

  set(name: string, type: CelType): void {
    this.#before.push([name, this.#bindings.get(name)])
    this.#bindings.set(name, type)
  }

  undo(): void {
    for (const [name, type] of this.#before.reverse()) {
      if (type === undefined) this.#bindings.delete(name)
      else this.#bindings.set(name, type)
    }
  }
}

function listsFit(draft: Draft, from: readonly CelType[], to: readonly CelType[]): boolean {
  return from.length === to.length && from.every((type, i) => fits(draft, type, to[i] as CelType))
}

function fits(draft: Draft, a: CelType, b: CelType): boolean {
  if (b.kind === 'param') {
    const outcome = substitutes(draft, a, b)
    if (outcome.valid) return true
    if (outcome.bound) return false
  }
  if (a.kind === 'param') return substitutes(draft, b, a).valid
  if (isDynOrError(a) || isDynOrError(b)) return true
  if (a.kind === 'null') return acceptsNull(b)
  if (b.kind === 'null') return acceptsNull(a)
  switch (a.kind) {
    case 'type':
      return b.kind === 'type'
    case 'opaque':
    case 'list':
    case 'map':
      return a.kind === b.kind && a.name === b.name && listsFit(draft, a.params, b.params)
    default:
      return isExactType(a, b)
  }
}

function acceptsNull(type: CelType): boolean {
  return (
    type.kind === NULL.kind ||
    type.kind === 'opaque' ||
    type.kind === 'struct' ||
    type.kind === 'duration' ||
    type.kind === 'timestamp'
  )
}

/** Whether a parameter can stand for a type, and whether it stood for something before. */
function substitutes(
  draft: Draft,
  type: CelType,
  param: CelType,
): { valid: boolean; bound: boolean } {
  if (isExactType(type, param)) return { valid: true, bound: true }
  const current = draft.get(param.name)
  if (current !== undefined) {
    if (isExactType(type, current)) return { valid: true, bound: true }
    if (!fits(draft, type, current)) return { valid: false, bound: true }
    const general = mostGeneral(type, current)
    if (notWithin(draft, param, general)) draft.set(param.name, general)
    return { valid: true, bound: true }
  }
  if (!notWithin(draft, param, type)) return { valid: false, bound: false }
  draft.set(param.name, type)
  return { valid: true, bound: false }
}

/** The occurs check of unification: a parameter can not stand for a type that contains it. */
function notWithin(bindings: Draft, param: CelType, type: CelType): boolean {
  if (isExactType(param, type)) return false
  if (type.kind === 'param') {
    const bound = bindings.get(type.name)
    return bound === undefined || notWithin(bindings, param, bound)
  }
  return type.params.every(inner => notWithin(bindings, param, inner))
}

export function isDynOrError(type: CelType): boolean {
  return type.kind === 'dyn' || type.kind === 'error'
}

/** The wider of two types that fit each other. */
export function mostGeneral(a: CelType, b: CelType): CelType {
  return isEqualOrLessSpecific(a, b) ? a : b
}

function isEqualOrLessSpecific(a: CelType, b: CelType): boolean {
  if (a.kind === 'dyn' || a.kind === 'param') return true
  if (b.kind === 'dyn' || b.kind === 'param' || a.kind !== b.kind) return false
  switch (a.kind) {
    case 'opaque':
    case 'list':
    case 'map':
      return (
        a.name === b.name &&
        a.params.length === b.params.length &&
        a.params.every((param, i) => isEqualOrLessSpecific(param, b.params[i] as CelType))
      )
    case 'type':
      return true
    default:
      return isExactType(a, b)
  }
}

/** Replaces parameters by what they stand for; free ones become dyn when `freeToDyn`. */
export function substitute(bindings: Bindings, type: CelType, freeToDyn: boolean): CelType {
  if (type.kind === 'param') {
    const bound = bindings.get(type.name)
    if (bound !== undefined) return substitute(bindings, bound, freeToDyn)
    return freeToDyn ? DYN : type
  }
  if (type.params.length === 0) return type
  const params = type.params.map(param => substitute(bindings, param, freeToDyn))
  if (params.every((param, i) => param === type.params[i])) return type
  switch (type.kind) {
    case 'list':
      return listOf(params[0] as CelType)
    case 'map':
      return mapOf(params[0] as CelType, params[1] as CelType)
    case 'type':
      return typeOfType(params[0] as CelType)
    default:
      return new CelType(type.kind, type.name, params)
  }
}
