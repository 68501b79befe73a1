// Refuses pods of a RuntimeClass that is not there, and gives the others its overhead, node selector and tolerations.
// A mutating step for pods. Ref: kubernetes/plugin/pkg/admission/runtimeclass/admission.go

import {
  cloneJson,
  equalJson,
  forbidden,
  type JsonObject,
  type KubeObject,
} from '@podless/apimachinery'
import { ensureObject, listAt, mapAt, objectAt, textAt, valueAt } from '../resources/reading.ts'
import { type AdmissionStep, isWriteOf } from './chain.ts'

/** `getClass` reads a RuntimeClass. */
export function runtimeClass(getClass: (name: string) => KubeObject | undefined): AdmissionStep {
  return {
    name: 'RuntimeClass',
    mutate: attributes => {
      const { object, operation, resource, name } = attributes
      if (object === undefined || operation !== 'CREATE' || !isWriteOf(attributes, '', 'pods')) {
        return object
      }
      const problem = applyClass(ensureObject(object, 'spec'), getClass)
      if (problem === undefined) return object
      throw forbidden(resource.gvr, name || (object.metadata.name ?? ''), problem)
    },
  }
}

/** Changes the spec as its class wants it, or says what stands against it. */
function applyClass(
  spec: JsonObject,
  getClass: (name: string) => KubeObject | undefined,
): string | undefined {
  const wanted = textAt(spec, 'runtimeClassName')
  const found = wanted === '' ? undefined : getClass(wanted)
  if (wanted !== '' && found === undefined)
    return `pod rejected: RuntimeClass "${wanted}" not found`
  const overhead = valueAt(found, 'overhead.podFixed')
  const given = spec.overhead ?? undefined
  if (overhead === undefined) {
    if (given !== undefined)
      return 'pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead'
  } else {
    if (given !== undefined && !equalJson(given, overhead))
      return "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead"
    spec.overhead = cloneJson(overhead)
  }
  return found === undefined ? undefined : schedule(spec, objectAt(found, 'scheduling'))
}

function schedule(spec: JsonObject, where: JsonObject): string | undefined {
  const labels = mapAt(where, 'nodeSelector')
  const selector = mapAt(spec, 'nodeSelector')
  for (const [key, value] of Object.entries(labels)) {
    const own = selector[key] ?? value
    if (own === value) continue
    return `conflict: runtimeClass.scheduling.nodeSelector[${key}] = ${value}; pod.spec.nodeSelector[${key}] = ${own}`
  }
  if (Object.keys(labels).length > 0) spec.nodeSelector = { ...selector, ...labels }
  const tolerations = listAt(spec, 'tolerations')
  const added = listAt(where, 'tolerations').filter(
    entry => !tolerations.some(other => equalJson(entry, other)),
  )
  if (added.length > 0) spec.tolerations = [...tolerations, ...cloneJson([...added])]
  return undefined
}
