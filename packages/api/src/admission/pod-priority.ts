// Gives each pod the number and the preemption policy of its PriorityClass, and lets one class be the default. A mutating
// step for pods and PriorityClasses, which api-server.ts puts before the webhooks.
// Ref: kubernetes/plugin/pkg/admission/priority/admission.go

import { forbidden, type KubeObject } from '@podless/apimachinery'
import { ensureObject, numberAt, objectAt, textAt } from '../resources/reading.ts'
import { SYSTEM_VALUES } from '../resources/scheduling.ts'
import { type AdmissionAttributes, type AdmissionStep, isWriteOf } from './chain.ts'

interface Priority {
  readonly name: string
  readonly value: number
  readonly policy: string
}

/** `list` reads every PriorityClass, `get` one. */
export interface PriorityClasses {
  readonly list: () => Iterable<KubeObject>
  readonly get: (name: string) => KubeObject | undefined
}

const LOWER = 'PreemptLowerPriority'

export function podPriority(classes: PriorityClasses): AdmissionStep {
  return {
    name: 'Priority',
    mutate: attributes => {
      const { object, oldObject } = attributes
      if (object === undefined || !isWriteOf(attributes, '', 'pods')) return object
      if (oldObject === undefined) prioritize(object, attributes, classes)
      else keepPriority(object, oldObject)
      return object
    },
    validate: attributes => {
      if (isWriteOf(attributes, 'scheduling.k8s.io', 'priorityclasses')) {
        refuseSecondDefault(attributes, classes)
      }
    },
  }
}

/** Validation refuses other values; a client that knows neither field leaves them out. */
function keepPriority(pod: KubeObject, old: KubeObject): void {
  const spec = ensureObject(pod, 'spec')
  const before = objectAt(old, 'spec')
  for (const field of ['priority', 'preemptionPolicy']) {
    const value = spec[field] ?? before[field]
    if (value !== undefined) spec[field] = value
  }
}

function prioritize(pod: KubeObject, attributes: AdmissionAttributes, classes: PriorityClasses) {
  const spec = ensureObject(pod, 'spec')
  const { name, value, policy } = priorityOf(textAt(spec, 'priorityClassName'), attributes, classes)
  const computed = 'from the given PriorityClass name'
  const asked = numberAt(spec, 'priority')
  if (asked !== undefined && asked !== value) {
    const why = `the integer value of priority (${asked}) must not be provided in pod spec; priority admission controller computed ${value} ${computed}`
    throw refusal(attributes, why)
  }
  const wish = textAt(spec, 'preemptionPolicy')
  if (wish !== '' && wish !== policy) {
    const why = `the string value of PreemptionPolicy (${wish}) must not be provided in pod spec; priority admission controller computed ${policy} ${computed}`
    throw refusal(attributes, why)
  }
  if (name !== '') spec.priorityClassName = name
  spec.priority = value
  spec.preemptionPolicy = policy
}

function priorityOf(
  wanted: string,
  attributes: AdmissionAttributes,
  classes: PriorityClasses,
): Priority {
  if (wanted === '') {
    const fallback = defaultClass(classes)
    return fallback === undefined ? { name: '', value: 0, policy: LOWER } : readClass(fallback)
  }
  const found = classes.get(wanted)
  if (found !== undefined) return readClass(found)
  const value = SYSTEM_VALUES[wanted]
  if (value !== undefined) return { name: wanted, value, policy: LOWER }
  throw refusal(attributes, `no PriorityClass with name ${wanted} was found`)
}

const readClass = (obj: KubeObject): Priority => ({
  name: obj.metadata.name ?? '',
  value: numberAt(obj, 'value') ?? 0,
  policy: textAt(obj, 'preemptionPolicy') || LOWER,
})

/** Two classes can become the default at the same moment; then the lower one is. */
function defaultClass(classes: PriorityClasses): KubeObject | undefined {
  let found: KubeObject | undefined
  for (const candidate of classes.list()) {
    if (candidate.globalDefault !== true) continue
    if (found === undefined || readClass(candidate).value < readClass(found).value) {
      found = candidate
    }
  }
  return found
}

function refuseSecondDefault(attributes: AdmissionAttributes, classes: PriorityClasses): void {
  const { object, operation } = attributes
  if (object?.globalDefault !== true) return
  const name = defaultClass(classes)?.metadata.name
  if (name === undefined || (operation === 'UPDATE' && name === object.metadata.name)) return
  const why = `PriorityClass ${name} is already marked as default. Only one default can exist`
  throw refusal(attributes, why)
}

const refusal = ({ resource, name, object }: AdmissionAttributes, why: string): Error =>
  forbidden(resource.gvr, name === '' ? (object?.metadata.name ?? '') : name, why)
