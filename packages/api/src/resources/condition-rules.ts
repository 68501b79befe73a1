// What must hold of the conditions that kinds have in common. Called by device-claim-status-rules.ts.
// Ref: apimachinery/pkg/apis/meta/v1/validation ValidateConditions

import {
  duplicate,
  type FieldError,
  invalidValue,
  isQualifiedName,
  type JsonObject,
  notSupported,
  patternMismatch,
  required,
  tooLong,
} from '@podless/apimachinery'
import { numberAt, textAt } from './reading.ts'

const STATUSES = ['False', 'True', 'Unknown']
const REASON_BYTES_MAX = 1024
const MESSAGE_BYTES_MAX = 32 * 1024
const REASON = '[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?'
const REASON_RE = /^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$/
const REASON_SENTENCE =
  "a condition reason must start with alphabetic character, optionally followed by a string of alphanumeric characters or '_,:', and must end with an alphanumeric character or '_'"
const REASON_EXAMPLES = ['my_name', 'MY_NAME', 'MyName', 'ReasonA,ReasonB', 'ReasonA:ReasonB']

/** Everything wrong with a list of conditions. */
export function conditionErrors(conditions: readonly JsonObject[], path: string): FieldError[] {
  const types = conditions.map(condition => textAt(condition, 'type'))
  return conditions.flatMap((condition, index) => {
    const at = `${path}[${index}]`
    const type = types[index] ?? ''
    return [
      ...(types.indexOf(type) < index ? [duplicate(`${at}.type`, type)] : []),
      ...oneErrors(condition, at),
    ]
  })
}

function oneErrors(condition: JsonObject, path: string): FieldError[] {
  const [type, status] = [textAt(condition, 'type'), textAt(condition, 'status')]
  const generation = numberAt(condition, 'observedGeneration') ?? 0
  const errors = isQualifiedName(type).map(text => invalidValue(`${path}.type`, type, text))
  if (!STATUSES.includes(status)) errors.push(notSupported(`${path}.status`, status, STATUSES))
  if (generation < 0) {
    const detail = 'must be greater than or equal to zero'
    errors.push(invalidValue(`${path}.observedGeneration`, generation, detail))
  }
  if (textAt(condition, 'lastTransitionTime') === '') {
    errors.push(required(`${path}.lastTransitionTime`))
  }
  errors.push(...reasonErrors(textAt(condition, 'reason'), `${path}.reason`))
  if (Buffer.byteLength(textAt(condition, 'message')) > MESSAGE_BYTES_MAX) {
    errors.push(tooLong(`${path}.message`, MESSAGE_BYTES_MAX))
  }
  return errors
}

function reasonErrors(reason: string, path: string): FieldError[] {
  if (reason === '') return [required(path)]
  const mismatch = patternMismatch(REASON_SENTENCE, REASON, ...REASON_EXAMPLES)
  return [
    ...(REASON_RE.test(reason) ? [] : [invalidValue(path, reason, mismatch)]),
    ...(Buffer.byteLength(reason) > REASON_BYTES_MAX ? [tooLong(path, REASON_BYTES_MAX)] : []),
  ]
}
