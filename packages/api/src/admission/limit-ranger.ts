// Gives containers the amounts that the LimitRanges of their namespace provide, and refuses pods and claims that ask for
// more or less than they allow. Called by defaulting-steps.ts.
// Ref: kubernetes/plugin/pkg/admission/limitranger/admission.go

import { forbidden, type JsonObject, type KubeObject } from '@podless/apimachinery'
import { ensureObject, objectAt, objectsAt, textAt } from '../resources/reading.ts'
import { type AdmissionAttributes, type AdmissionStep, isWriteOf } from './chain.ts'
import { claimComplaints, podComplaints } from './limit-constraints.ts'

type ListRanges = (namespace: string) => Iterable<KubeObject>

const ANNOTATION = 'kubernetes.io/limit-ranger'

/** Pods are looked at when they are created, as their amounts do not change by an update; claims always. */
export function limitRanger(list: ListRanges): AdmissionStep {
  return {
    name: 'LimitRanger',
    mutate: attributes => {
      const { object, namespace } = attributes
      if (object === undefined || !isNewPod(attributes)) return object
      for (const range of list(namespace)) provide(range, object)
      return object
    },
    validate: attributes => {
      const { object, oldObject, namespace, resource, name } = attributes
      const complaintsOf = isNewPod(attributes)
        ? podComplaints
        : isWriteOf(attributes, '', 'persistentvolumeclaims')
          ? claimComplaints
          : undefined
      if (object === undefined || complaintsOf === undefined) return
      if (oldObject?.metadata.deletionTimestamp !== undefined) return
      for (const range of list(namespace)) {
        const found = [...new Set(complaintsOf(range, object))]
        if (found.length === 0) continue
        const why = found.length === 1 ? String(found[0]) : `[${found.join(', ')}]`
        throw forbidden(resource.gvr, name === '' ? (object.metadata.name ?? '') : name, why)
      }
    },
  }
}

const isNewPod = (attributes: AdmissionAttributes): boolean =>
  attributes.operation === 'CREATE' && isWriteOf(attributes, '', 'pods')

/** Fills in what containers do not say, and tells in an annotation what that was. */
function provide(range: KubeObject, pod: KubeObject): void {
  const defaults = objectsAt(range, 'spec.limits').filter(
    limit => textAt(limit, 'type') === 'Container',
  )
  const amounts = {
    requests: Object.assign({}, ...defaults.map(limit => objectAt(limit, 'defaultRequest'))),
    limits: Object.assign({}, ...defaults.map(limit => objectAt(limit, 'default'))),
  }
  const told = [
    ...objectsAt(pod, 'spec.containers').flatMap(fillWith(amounts, 'container')),
    ...objectsAt(pod, 'spec.initContainers').flatMap(fillWith(amounts, 'init container')),
  ]
  if (told.length === 0) return
  pod.metadata.annotations = {
    ...pod.metadata.annotations,
    [ANNOTATION]: `LimitRanger plugin set: ${told.join('; ')}`,
  }
}

interface Amounts {
  readonly requests: JsonObject
  readonly limits: JsonObject
}

function fillWith({ requests, limits }: Amounts, what: string) {
  return (container: JsonObject): string[] => {
    const name = textAt(container, 'name')
    return [
      ...fill(container, 'requests', requests, `request for ${what} ${name}`),
      ...fill(container, 'limits', limits, `limit for ${what} ${name}`),
    ]
  }
}

function fill(container: JsonObject, field: string, amounts: JsonObject, told: string): string[] {
  const said = objectAt(container, `resources.${field}`)
  const missing = Object.keys(amounts)
    .filter(resource => !Object.hasOwn(said, resource))
    .sort()
  if (missing.length === 0) return []
  const target = ensureObject(ensureObject(container, 'resources'), field)
  for (const resource of missing) target[resource] = amounts[resource]
  return [`${missing.join(', ')} ${told}`]
}
