// References from a container or a volume to a field of its pod, or to what it may use. Called by pod-volume-rules.ts and
// container-env-rules.ts. Ref: kubernetes/pkg/apis/core/validation validateObjectFieldSelector

import {
  type FieldError,
  invalidValue,
  isQualifiedName,
  type JsonObject,
  notSupported,
  required,
} from '@podless/apimachinery'
import { textAt } from './reading.ts'

const NAMES = ['metadata.name', 'metadata.namespace', 'metadata.uid']
const MAPS = ['metadata.annotations', 'metadata.labels']
/** What pods v1 call their fields, in any place. Ref: kubernetes/pkg/apis/core/pods/helpers.go */
const KNOWN: ReadonlySet<string> = new Set([
  ...NAMES,
  ...MAPS,
  ...['spec.nodeName', 'spec.restartPolicy', 'spec.schedulerName', 'spec.serviceAccountName'],
  ...['status.phase', 'status.hostIP', 'status.hostIPs', 'status.podIP', 'status.podIPs'],
])

export const VOLUME_FIELDS: readonly string[] = [...MAPS, ...NAMES]
export const ENV_FIELDS: readonly string[] = [
  ...NAMES,
  ...['spec.nodeName', 'spec.serviceAccountName'],
  ...['status.hostIP', 'status.hostIPs', 'status.podIP', 'status.podIPs'],
]
const AMOUNTS = ['cpu', 'ephemeral-storage', 'memory']
const RESOURCES = ['limits', 'requests'].flatMap(part => AMOUNTS.map(name => `${part}.${name}`))
const HUGE_PAGES = /^(?:limits|requests)\.hugepages-/
const SUBSCRIPT = /^(metadata\.(?:annotations|labels))\['(.*)'\]$/

/** `allowed` is what may be named from this place; one key of a map may always be. */
export function fieldRefErrors(
  reference: JsonObject,
  path: string,
  allowed: readonly string[],
): FieldError[] {
  if (textAt(reference, 'apiVersion') === '') return [required(`${path}.apiVersion`)]
  const wanted = textAt(reference, 'fieldPath')
  const where = `${path}.fieldPath`
  if (wanted === '') return [required(where)]
  const key = SUBSCRIPT.exec(wanted)?.[2]
  if (key !== undefined) {
    return isQualifiedName(key.toLowerCase()).map(text => invalidValue(where, key, text))
  }
  if (!KNOWN.has(wanted)) {
    const detail = `error converting fieldPath: field label not supported: ${wanted}`
    return [invalidValue(where, wanted, detail)]
  }
  return allowed.includes(wanted) ? [] : [notSupported(where, wanted, allowed)]
}

/** Amounts a container may use or asks for. */
export function resourceRefErrors(reference: JsonObject, path: string): FieldError[] {
  const wanted = textAt(reference, 'resource')
  if (wanted === '') return [required(`${path}.resource`)]
  if (RESOURCES.includes(wanted) || HUGE_PAGES.test(wanted)) return []
  return [notSupported(`${path}.resource`, wanted, RESOURCES)]
}
