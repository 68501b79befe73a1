// What an expression holds while it asks whether somebody may do something. Made by policies for the variable
// `authorizer`, narrowed and asked by libraries/authorizer.ts. Ref: apiserver/pkg/cel/library/authz.go

import { type CelType, readType } from './cel-type.ts'
import { CelOpaque } from './value.ts'

/** What is asked; `path` for URLs that are no resources, the rest for those that are. */
export interface CelAccess {
  readonly verb: string
  /** A ServiceAccount, where the question is not about the request's own user. */
  readonly serviceAccount?: { readonly namespace: string; readonly name: string }
  readonly path?: string
  readonly group?: string
  readonly resource?: string
  readonly subresource?: string
  readonly namespace?: string
  readonly name?: string
}

export type CelAccessCheck = (access: CelAccess) => {
  readonly allowed: boolean
  readonly reason: string
}

const PACKAGE = 'kubernetes.authorization'
const TYPES = {
  authorizer: readType(`${PACKAGE}.Authorizer`),
  path: readType(`${PACKAGE}.PathCheck`),
  group: readType(`${PACKAGE}.GroupCheck`),
  resource: readType(`${PACKAGE}.ResourceCheck`),
  decision: readType(`${PACKAGE}.Decision`),
} as const

/** A question on its way: who is asked, and what of it is known. */
export class AccessQuestion extends CelOpaque {
  readonly type: CelType
  readonly ask: CelAccessCheck
  readonly access: Omit<CelAccess, 'verb'>

  constructor(
    stage: Exclude<keyof typeof TYPES, 'decision'>,
    ask: CelAccessCheck,
    access: Omit<CelAccess, 'verb'> = {},
  ) {
    super()
    this.type = TYPES[stage]
    this.ask = ask
    this.access = access
  }

  /** The same question with more of it known. */
  with(
    stage: Exclude<keyof typeof TYPES, 'decision'>,
    more: Partial<Omit<CelAccess, 'verb'>>,
  ): AccessQuestion {
    return new AccessQuestion(stage, this.ask, { ...this.access, ...more })
  }

  equals(other: CelOpaque): boolean {
    return other === this
  }
}

/** The answer. */
export class AccessDecision extends CelOpaque {
  readonly type: CelType = TYPES.decision
  readonly allowed: boolean
  readonly reason: string

  constructor({ allowed, reason }: ReturnType<CelAccessCheck>) {
    super()
    this.allowed = allowed
    this.reason = reason
  }

  equals(other: CelOpaque): boolean {
    return other === this
  }
}

/** What to bind to the variable `authorizer`. */
export function celAuthorizer(ask: CelAccessCheck): AccessQuestion {
  return new AccessQuestion('authorizer', ask)
}

/** What to bind to `authorizer.requestResource`: the resource of the request itself. */
export function celResourceCheck(
  ask: CelAccessCheck,
  access: Omit<CelAccess, 'verb' | 'path'>,
): AccessQuestion {
  return new AccessQuestion('resource', ask, access)
}
