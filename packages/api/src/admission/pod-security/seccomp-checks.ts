// Which system calls a pod may make: by annotations first, by fields since 1.19. In the tables of both levels.
// Ref: pod-security-admission/policy/check_seccompProfile_{baseline,restricted}.go

import { isObject, type JsonObject, quoteGo } from '@podless/apimachinery'
import { textAt } from '../../resources/reading.ts'
import type { Check, Violation } from './check-row.ts'
import {
  type Context,
  containersText,
  contextsOf,
  counted,
  namesIn,
  quoted,
  settersIn,
  sortedOnce,
} from './pod-shape.ts'

const REASON = 'seccompProfile'
const OF_POD = 'seccomp.security.alpha.kubernetes.io/pod'
const OF_CONTAINER = 'container.seccomp.security.alpha.kubernetes.io/'
const ANNOTATED: ReadonlySet<string> = new Set(['runtime/default', 'docker/default'])
const TYPES: ReadonlySet<string> = new Set(['RuntimeDefault', 'Localhost'])

export const seccompAnnotations: Check = ({ annotations, containers }) => {
  const keys = [OF_POD, ...containers.map(container => OF_CONTAINER + textAt(container, 'name'))]
  const forbidden = sortedOnce(
    keys.flatMap(key => {
      const value = annotations[key]
      const isFine = value === undefined || ANNOTATED.has(value) || value.startsWith('localhost/')
      return isFine ? [] : [`${key}=${quoteGo(value)}`]
    }),
  )
  if (forbidden.length === 0) return undefined
  return {
    reason: REASON,
    detail: `forbidden ${counted('annotation', forbidden)} ${forbidden.join(', ')}`,
  }
}

/** A profile may be left out, and is a safe one where it is there. */
export const seccompFields: Check = pod => refusalOf(contextsOf(pod).filter(isUnsafe))

/** The pod names a safe profile, or each of its containers does. */
export const seccompRequired: Check = pod => {
  const contexts = contextsOf(pod)
  const refusal = refusalOf(contexts.filter(isUnsafe))
  if (refusal !== undefined || hasProfile(contexts[0])) return refusal
  const without = namesIn(contexts.filter(context => !hasProfile(context)))
  if (without.length === 0) return undefined
  return {
    reason: REASON,
    detail: `pod or ${containersText(without)} must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"`,
  }
}

const hasProfile = ({ fields }: Context): boolean => isObject(fields.seccompProfile)
const typeOf = (fields: JsonObject): string => textAt(fields, 'seccompProfile.type')
const isUnsafe = (context: Context): boolean =>
  hasProfile(context) && !TYPES.has(typeOf(context.fields))

function refusalOf(unsafe: readonly Context[]): Violation | undefined {
  if (unsafe.length === 0) return undefined
  const types = sortedOnce(unsafe.map(({ fields }) => typeOf(fields)))
  return {
    reason: REASON,
    detail: `${settersIn(unsafe).join(' and ')} must not set securityContext.seccompProfile.type to ${quoted(types)}`,
  }
}
