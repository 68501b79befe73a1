// What chooses and configures devices: CEL selectors, opaque parameters, taints and tolerations, binding conditions.
// Called by device-claim-rules.ts, device-claim-status-rules.ts and device-slice-rules.ts.
// Ref: kubernetes/pkg/apis/resource/validation, dynamic-resource-allocation/cel/compile.go

import {
  type Compiled,
  compileCel,
  duplicate,
  type FieldError,
  forbiddenField,
  invalidValue,
  isObject,
  type JsonObject,
  type JsonValue,
  notSupported,
  required,
  tooLong,
} from '@podless/apimachinery'
import { labelKeyErrors, labelValueErrors, listErrors } from './device-name-rules.ts'
import { objectsAt, textAt, textsAt } from './reading.ts'
import { driverNameErrors } from './storage-driver-rules.ts'

const SELECTORS_MAX = 32
const EXPRESSION_BYTES_MAX = 10 * 1024
const EXPRESSION_COST_MAX = 1_000_000
const PARAMETER_BYTES_MAX = 10 * 1024
const CONDITIONS_MAX = 4
const EFFECTS = ['NoExecute', 'NoSchedule', 'None']
const OPERATORS = ['Equal', 'Exists']

// --- selectors

/** Selectors of a class or a request. */
export function selectorErrors(holder: JsonObject, path: string): FieldError[] {
  const selectors = objectsAt(holder, 'selectors')
  return listErrors(selectors, `${path}.selectors`, { max: SELECTORS_MAX }, ({ cel }, at) =>
    isObject(cel)
      ? expressionErrors(textAt(cel, 'expression'), `${at}.cel.expression`)
      : [required(`${at}.cel`)],
  )
}

function expressionErrors(expression: string, path: string): FieldError[] {
  if (Buffer.byteLength(expression) > EXPRESSION_BYTES_MAX) {
    return [tooLong(path, EXPRESSION_BYTES_MAX)]
  }
  const compiled = compileCel(expression, {
    variables: { device: 'kubernetes.DRADevice' },
    result: 'any',
    binds: true,
  })
  const refusal = refusalOf(compiled)
  if (refusal !== undefined) return [invalidValue(path, expression, refusal)]
  if (!compiled.ok || compiled.program.estimateCost().max <= EXPRESSION_COST_MAX) return []
  return [forbiddenField(path, 'too complex, exceeds cost limit')]
}

/** An attribute may be a bool, but is of no type before it is read. */
function refusalOf(compiled: Compiled): string | undefined {
  if (!compiled.ok) {
    const step = compiled.reason === 'instantiation' ? 'program instantiation' : 'compilation'
    return `${step} failed: ${compiled.error}`
  }
  const { resultType } = compiled.program
  if (resultType === 'bool' || resultType === 'any') return undefined
  return `must evaluate to bool or the unknown type, not ${resultType}`
}

// --- configuration

/** A configuration for one driver, which alone understands it. */
export function configurationErrors(config: JsonObject, path: string): FieldError[] {
  const { opaque } = config
  if (!isObject(opaque)) return [required(`${path}.opaque`)]
  return [
    ...driverNameErrors(textAt(opaque, 'driver'), `${path}.opaque.driver`),
    ...rawObjectErrors(opaque.parameters, `${path}.opaque.parameters`, PARAMETER_BYTES_MAX),
  ]
}

/** Any JSON object up to a size. */
export function rawObjectErrors(
  value: JsonValue | undefined,
  path: string,
  maxBytes: number,
): FieldError[] {
  if (value === undefined || value === null) return [required(path)]
  if (Buffer.byteLength(JSON.stringify(value)) > maxBytes) return [tooLong(path, maxBytes)]
  if (isObject(value)) return []
  return [invalidValue(path, '<value omitted>', 'must be a valid JSON object')]
}

// --- taints

/** A taint of a device. */
export function taintErrors(taint: JsonObject, path: string): FieldError[] {
  const effect = textAt(taint, 'effect')
  return [
    ...labelKeyErrors(textAt(taint, 'key'), `${path}.key`),
    ...labelValueErrors(textAt(taint, 'value'), `${path}.value`),
    ...(effect === '' ? [required(`${path}.effect`)] : effectErrors(effect, path)),
  ]
}

function effectErrors(effect: string, path: string): FieldError[] {
  return EFFECTS.includes(effect) ? [] : [notSupported(`${path}.effect`, effect, EFFECTS)]
}

/** What a request puts up with. */
export function tolerationErrors(request: JsonObject, path: string): FieldError[] {
  return objectsAt(request, 'tolerations').flatMap((toleration, index) => {
    const at = `${path}.tolerations[${index}]`
    const key = textAt(toleration, 'key')
    const effect = textAt(toleration, 'effect')
    return [
      ...(key === '' ? [] : labelKeyErrors(key, `${at}.key`)),
      ...operatorErrors(textAt(toleration, 'operator'), textAt(toleration, 'value'), at),
      ...(effect === '' ? [] : effectErrors(effect, at)),
    ]
  })
}

function operatorErrors(operator: string, value: string, path: string): FieldError[] {
  switch (operator) {
    case 'Exists':
      return value === ''
        ? []
        : [invalidValue(`${path}.value`, value, 'must be empty for operator `Exists`')]
    case 'Equal':
      return labelValueErrors(value, `${path}.value`)
    case '':
      return [required(`${path}.operator`)]
    default:
      return [notSupported(`${path}.operator`, operator, OPERATORS)]
  }
}

// --- binding conditions

/** Conditions that must come true before a pod is bound, and those that say it cannot be; neither without the other. */
export function bindingConditionErrors(holder: JsonObject, path: string): FieldError[] {
  const [wanted, failing] = [
    textsAt(holder, 'bindingConditions'),
    textsAt(holder, 'bindingFailureConditions'),
  ]
  const at = { wanted: `${path}.bindingConditions`, failing: `${path}.bindingFailureConditions` }
  const overlap = 'bindingFailureConditions must not overlap with bindingConditions'
  const errors = [
    ...listErrors(wanted, at.wanted, { max: CONDITIONS_MAX }, labelKeyErrors),
    ...listErrors(failing, at.failing, { max: CONDITIONS_MAX }, labelKeyErrors),
    ...repeated(wanted, at.wanted),
    ...failing.flatMap((condition, index) => [
      ...(failing.indexOf(condition) < index
        ? [duplicate(`${at.failing}[${index}]`, condition)]
        : []),
      ...(wanted.includes(condition)
        ? [invalidValue(`${at.failing}[${index}]`, condition, overlap)]
        : []),
    ]),
  ]
  if (wanted.length === 0 && failing.length > 0) {
    const detail = 'bindingConditions are required to use bindingFailureConditions'
    errors.push(invalidValue(at.wanted, holder.bindingConditions ?? null, detail))
  }
  if (failing.length === 0 && wanted.length > 0) {
    const detail = 'bindingFailureConditions are required to use bindingConditions'
    errors.push(invalidValue(at.failing, holder.bindingFailureConditions ?? null, detail))
  }
  return errors
}

function repeated(texts: readonly string[], path: string): FieldError[] {
  return texts.flatMap((text, index) =>
    texts.indexOf(text) < index ? [duplicate(`${path}[${index}]`, text)] : [],
  )
}
