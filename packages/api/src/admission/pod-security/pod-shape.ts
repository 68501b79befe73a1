// The parts of a pod that checks look at, and who in it breaks a rule, in upstream's words. Called by the checks.
// Ref: pod-security-admission/policy/{visitor,helpers}.go

import { isObject, type JsonObject, type JsonValue } from '@podless/apimachinery'
import { mapAt, objectAt, objectsAt, textAt } from '../../resources/reading.ts'

export interface PodShape {
  readonly annotations: Readonly<Record<string, string>>
  readonly spec: JsonObject
  /** Of all three lists, in the order of messages. */
  readonly containers: readonly JsonObject[]
}

/** Of a pod, or of a template of one. */
export function podShape(pod: JsonValue | undefined): PodShape {
  const spec = objectAt(pod, 'spec')
  return {
    annotations: mapAt(pod, 'metadata.annotations'),
    spec,
    containers: ['initContainers', 'containers', 'ephemeralContainers'].flatMap(list =>
      objectsAt(spec, list),
    ),
  }
}

/** A securityContext, of the pod itself or of one of its containers; empty where there is none. */
export interface Context {
  /** The container's name; undefined for the pod. */
  readonly container?: string
  readonly fields: JsonObject
}

/** The pod's own first. */
export function contextsOf({ spec, containers }: PodShape): readonly [Context, ...Context[]] {
  return [
    { fields: objectAt(spec, 'securityContext') },
    ...containers.map(container => ({
      container: nameOf(container),
      fields: objectAt(container, 'securityContext'),
    })),
  ]
}

const nameOf = (container: JsonObject): string => textAt(container, 'name')

/** The names of the containers of which it is true. */
export function namesWhere(
  { containers }: PodShape,
  isSo: (container: JsonObject) => boolean,
): readonly string[] {
  return containers.filter(isSo).map(nameOf)
}

export const namesIn = (contexts: readonly Context[]): readonly string[] =>
  contexts.flatMap(({ container }) => (container === undefined ? [] : [container]))

/** `pod`, `containers "a", "b"`, or both of them. */
export function settersIn(contexts: readonly Context[]): readonly string[] {
  const names = namesIn(contexts)
  return [
    ...(names.length < contexts.length ? ['pod'] : []),
    ...(names.length > 0 ? [containersText(names)] : []),
  ]
}

/** `container "a"`, `containers "a", "b"`. */
export const containersText = (names: readonly string[]): string =>
  `${counted('container', names)} ${quoted(names)}`

/** The word in the number that the list wants. */
export const counted = (word: string, list: readonly unknown[]): string =>
  list.length === 1 ? word : `${word}s`

/** `containers "a", "b" use`, and `uses` for one. */
export const usersText = (what: string, names: readonly string[]): string =>
  `${counted(what, names)} ${quoted(names)} ${names.length === 1 ? 'uses' : 'use'}`

export const quoted = (texts: readonly string[]): string => `"${texts.join('", "')}"`

/** Each once, in the order of messages. */
export const sortedOnce = (texts: readonly string[]): readonly string[] =>
  [...new Set(texts)].sort()

/** Runs as users of the node's own, whatever their numbers are in the pod. */
export const hasOwnUsers = ({ spec }: PodShape): boolean => spec.hostUsers === false

export const isForWindows = ({ spec }: PodShape): boolean =>
  isObject(spec.os) && spec.os.name === 'windows'
