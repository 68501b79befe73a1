// Lets pods stay for five minutes on a node that is not ready or not reachable, unless they say otherwise themselves.
// A mutating step for pods. Ref: kubernetes/plugin/pkg/admission/defaulttolerationseconds/admission.go

import type { JsonObject } from '@podless/apimachinery'
import { ensureObject, objectsAt, textAt } from '../resources/reading.ts'
import { type AdmissionStep, isWriteOf } from './chain.ts'

const TAINTS = ['node.kubernetes.io/not-ready', 'node.kubernetes.io/unreachable']
const EFFECT = 'NoExecute'
const SECONDS = 300

export const defaultTolerations: AdmissionStep = {
  name: 'DefaultTolerationSeconds',
  mutate: attributes => {
    const { object } = attributes
    if (object === undefined || !isWriteOf(attributes, '', 'pods')) return object
    const spec = ensureObject(object, 'spec')
    const given = objectsAt(spec, 'tolerations')
    const missing = TAINTS.filter(taint => !given.some(entry => tolerates(entry, taint)))
    if (missing.length > 0) spec.tolerations = [...given, ...missing.map(tolerationOf)]
    return object
  },
}

/** An empty key tolerates every taint, an empty effect every effect. */
function tolerates(toleration: JsonObject, taint: string): boolean {
  const matches = (field: string, value: string): boolean =>
    ['', value].includes(textAt(toleration, field))
  return matches('key', taint) && matches('effect', EFFECT)
}

const tolerationOf = (key: string): JsonObject => ({
  key,
  operator: 'Exists',
  effect: EFFECT,
  tolerationSeconds: SECONDS,
})
