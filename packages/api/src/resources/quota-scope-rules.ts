// What must hold of the scopes of a ResourceQuota: known ones, that fit each other and what is counted. Called by
// core-quota.ts. Ref: kubernetes/pkg/apis/core/validation validateResourceQuotaScopes, validateScopeSelector

import {
  type FieldError,
  invalidValue,
  type JsonObject,
  type KubeObject,
  required,
} from '@podless/apimachinery'
import { listAt, objectAt, objectsAt, textAt, textsAt } from './reading.ts'

const COUNTS = ['pods', 'count/pods']
const COMPUTE = ['cpu', 'memory', 'limits.cpu', 'limits.memory', 'requests.cpu', 'requests.memory']
const CLAIMS = ['persistentvolumeclaims', 'requests.storage']
/** What each scope can narrow down. */
const SCOPES: Readonly<Record<string, readonly string[]>> = {
  BestEffort: COUNTS,
  CrossNamespacePodAffinity: [...COUNTS, ...COMPUTE],
  NotBestEffort: [...COUNTS, ...COMPUTE],
  NotTerminating: [...COUNTS, ...COMPUTE],
  PriorityClass: [...COUNTS, ...COMPUTE],
  Terminating: [...COUNTS, ...COMPUTE],
  VolumeAttributesClass: CLAIMS,
}
const CONFLICTS = [
  ['BestEffort', 'NotBestEffort'],
  ['Terminating', 'NotTerminating'],
]
/** Scopes that a pod is in or not: they have no values. */
const PLAIN: ReadonlySet<string> = new Set([
  ...['BestEffort', 'NotBestEffort', 'Terminating', 'NotTerminating'],
  'CrossNamespacePodAffinity',
])
const EXISTS_ONLY =
  "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity"

/** What is wrong with spec.scopes and spec.scopeSelector. `isStandard` tells resources that quotas know by themselves. */
export function scopeErrors(obj: KubeObject, isStandard: (name: string) => boolean): FieldError[] {
  const scopes = textsAt(obj, 'spec.scopes')
  const counted = Object.keys(objectAt(obj, 'spec.hard')).filter(isStandard)
  const path = 'spec.scopes'
  const refuse = (why: string): FieldError => invalidValue(path, [...scopes], why)
  const errors = scopes.flatMap(scope => {
    const fitting = SCOPES[scope]
    if (fitting === undefined) return [refuse('unsupported scope')]
    return counted
      .filter(name => !fitting.includes(name))
      .map(() => refuse('unsupported scope applied to resource'))
  })
  for (const pair of CONFLICTS) {
    if (pair.every(scope => scopes.includes(scope))) errors.push(refuse('conflicting scopes'))
  }
  return [
    ...errors,
    ...objectsAt(obj, 'spec.scopeSelector.matchExpressions').flatMap(selectorErrors),
  ]
}

/** NOTE: upstream's paths name no expression. */
function selectorErrors(expression: JsonObject): FieldError[] {
  const path = 'spec.scopeSelector.matchExpressions'
  const scope = textAt(expression, 'scopeName')
  const operator = textAt(expression, 'operator')
  const errors: FieldError[] = []
  if (SCOPES[scope] === undefined) {
    errors.push(invalidValue(`${path}.scopeName`, scope, 'unsupported scope'))
  }
  if (PLAIN.has(scope) && operator !== 'Exists') {
    return [...errors, invalidValue(`${path}.operator`, operator, EXISTS_ONLY)]
  }
  return [...errors, ...valueErrors(operator, listAt(expression, 'values').length, path)]
}

function valueErrors(operator: string, count: number, path: string): FieldError[] {
  if (operator === 'In' || operator === 'NotIn') {
    const detail =
      "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
    return count === 0 ? [required(`${path}.values`, detail)] : []
  }
  if (operator === 'Exists' || operator === 'DoesNotExist') {
    const detail =
      "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"
    return count === 0 ? [] : [invalidValue(`${path}.values`, count, detail)]
  }
  return [invalidValue(`${path}.operator`, operator, 'not a valid selector operator')]
}
