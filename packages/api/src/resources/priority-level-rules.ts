// What must hold of a PriorityLevelConfiguration. Called by flowcontrol.ts.
// Ref: kubernetes/pkg/apis/flowcontrol/validation ValidatePriorityLevelConfiguration

import {
  type FieldError,
  forbiddenField,
  invalidValue,
  isObject,
  type JsonObject,
  type KubeObject,
  notSupported,
  required,
} from '@podless/apimachinery'
import { numberAt, objectAt, textAt, valueAt } from './reading.ts'

const TYPES = ['Exempt', 'Limited']
const RESPONSES = ['Queue', 'Reject']
/** The one level that may be exempt, and must be. */
const EXEMPT = 'exempt'
const QUEUES_MAX = 10_000_000
/** Bits of a hash that choose a hand of queues. */
const HASH_BITS_MAX = 60

/** Everything wrong with a PriorityLevelConfiguration. */
export function levelErrors(obj: KubeObject): FieldError[] {
  const type = textAt(obj, 'spec.type')
  const errors: FieldError[] = []
  if ((obj.metadata.name === EXEMPT) !== (type === 'Exempt')) {
    const detail = "must be 'Exempt' if and only if `name` is 'exempt'"
    errors.push(invalidValue('spec.type', type, detail))
  }
  if (type === '') return [...errors, required('spec.type')]
  if (!TYPES.includes(type)) return [...errors, notSupported('spec.type', type, TYPES)]
  const limited = valueAt(obj, 'spec.limited')
  const exempt = valueAt(obj, 'spec.exempt')
  if (type === 'Exempt') {
    if (isObject(limited)) {
      errors.push(forbiddenField('spec.limited', 'must be nil if the type is not Limited'))
    }
    return isObject(exempt) ? [...errors, ...shareErrors(exempt, 'spec.exempt')] : errors
  }
  if (isObject(exempt)) {
    errors.push(forbiddenField('spec.exempt', 'must be nil if the type is Limited'))
  }
  if (!isObject(limited)) {
    return [...errors, required('spec.limited', 'must not be empty when type is Limited')]
  }
  return [...errors, ...limitedErrors(limited, 'spec.limited')]
}

function shareErrors(level: JsonObject, path: string): FieldError[] {
  const errors: FieldError[] = []
  const shares = numberAt(level, 'nominalConcurrencyShares') ?? 0
  if (shares < 0) {
    const at = `${path}.nominalConcurrencyShares`
    errors.push(invalidValue(at, shares, 'must be a non-negative integer'))
  }
  const lendable = numberAt(level, 'lendablePercent') ?? 0
  if (lendable < 0 || lendable > 100) {
    const detail = 'must be between 0 and 100, inclusive'
    errors.push(invalidValue(`${path}.lendablePercent`, lendable, detail))
  }
  return errors
}

function limitedErrors(limited: JsonObject, path: string): FieldError[] {
  const response = objectAt(limited, 'limitResponse')
  const errors = [
    ...shareErrors(limited, path),
    ...responseErrors(response, `${path}.limitResponse`),
  ]
  const borrowing = numberAt(limited, 'borrowingLimitPercent') ?? 0
  if (borrowing >= 0) return errors
  const detail = 'if specified, must be a non-negative integer'
  return [...errors, invalidValue(`${path}.borrowingLimitPercent`, borrowing, detail)]
}

function responseErrors(response: JsonObject, path: string): FieldError[] {
  const type = textAt(response, 'type')
  const { queuing } = response
  const at = `${path}.queuing`
  if (type === '') return [required(`${path}.type`)]
  if (!RESPONSES.includes(type)) return [notSupported(`${path}.type`, type, RESPONSES)]
  if (type === 'Reject') {
    const detail = 'must be nil if limited.limitResponse.type is not Limited'
    return isObject(queuing) ? [forbiddenField(at, detail)] : []
  }
  if (isObject(queuing)) return queuingErrors(queuing, at)
  return [required(at, 'must not be empty if limited.limitResponse.type is Limited')]
}

function queuingErrors(queuing: JsonObject, path: string): FieldError[] {
  const [length = 0, queues = 0, hand = 0] = ['queueLengthLimit', 'queues', 'handSize'].map(field =>
    numberAt(queuing, field),
  )
  const errors: FieldError[] = []
  const say = (field: string, value: number, detail: string) =>
    errors.push(invalidValue(`${path}.${field}`, value, detail))
  if (length <= 0) say('queueLengthLimit', length, 'must be positive')
  if (queues <= 0) say('queues', queues, 'must be positive')
  else if (queues > QUEUES_MAX) say('queues', queues, `must not be greater than ${QUEUES_MAX}`)
  const entropy = Math.ceil(Math.log2(queues) * hand)
  if (hand <= 0) say('handSize', hand, 'must be positive')
  else if (hand > queues) say('handSize', hand, `should not be greater than queues (${queues})`)
  else if (entropy > HASH_BITS_MAX) {
    const bits = `required entropy bits of deckSize ${queues} and handSize ${hand}`
    say('handSize', hand, `${bits} should not be greater than ${HASH_BITS_MAX}`)
  }
  return errors
}
