// What must hold of Nodes, which somebody writes by hand here: ranges of addresses and taints. Called by core-workload.ts.
// Ref: kubernetes/pkg/apis/core/validation ValidateNode, validateNodeTaints

import {
  duplicate,
  type FieldError,
  invalidValue,
  isLabelValue,
  isQualifiedName,
  type JsonObject,
  type KubeObject,
  notSupported,
  required,
} from '@podless/apimachinery'
import { cidrProblems } from './address-rules.ts'
import { objectsAt, textAt, textsAt } from './reading.ts'

const EFFECTS = ['NoSchedule', 'PreferNoSchedule', 'NoExecute']
const RANGES = 'spec.podCIDRs'

/** What is wrong with a Node. */
export function nodeErrors(obj: KubeObject): FieldError[] {
  return [...taintErrors(obj), ...rangeErrors(obj)]
}

function rangeErrors(obj: KubeObject): FieldError[] {
  const ranges = textsAt(obj, RANGES)
  const errors = ranges.flatMap((range, index) =>
    cidrProblems(range).map(text => invalidValue(`${RANGES}[${index}]`, range, text)),
  )
  if (errors.length > 0 || ranges.length < 2) return errors
  const families = new Set(ranges.map(range => range.includes(':')))
  if (families.size === 2 && ranges.length === 2) return []
  const detail = 'may specify no more than one CIDR for each IP family'
  return [invalidValue(RANGES, [...ranges], detail)]
}

/** NOTE: upstream's paths of taints begin with metadata. */
function taintErrors(obj: KubeObject): FieldError[] {
  const seen = new Set<string>()
  return objectsAt(obj, 'spec.taints').flatMap((taint, index) => {
    const path = `metadata.taints[${index}]`
    const [key, value, effect] = ['key', 'value', 'effect'].map(field => textAt(taint, field)) as [
      string,
      string,
      string,
    ]
    const errors: FieldError[] = [
      ...isQualifiedName(key).map(text => invalidValue(`${path}.key`, key, text)),
      ...isLabelValue(value).map(text => invalidValue(`${path}.value`, value, text)),
      ...effectErrors(effect, `${path}.effect`),
    ]
    if (seen.has(`${key}:${effect}`)) {
      const shown: JsonObject = { Key: key, Value: value, Effect: effect, TimeAdded: null }
      const detail = 'taints must be unique by key and effect pair'
      errors.push({ ...duplicate(path, shown), detail })
    }
    seen.add(`${key}:${effect}`)
    return errors
  })
}

function effectErrors(effect: string, path: string): FieldError[] {
  if (effect === '') return [required(path)]
  return EFFECTS.includes(effect) ? [] : [notSupported(path, effect, EFFECTS)]
}
