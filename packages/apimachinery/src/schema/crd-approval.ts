// Groups that belong to the Kubernetes project ask for an approval annotation. Called by crd-validation.ts.
// Ref: apiextensions-apiserver/pkg/apihelpers/helpers.go

import { type FieldError, invalidValue, required } from '../field-error.ts'
import type { JsonObject } from '../json.ts'
import { subSchema, textOf } from './raw-schema.ts'

const ANNOTATION = 'api-approved.kubernetes.io'
const PROTECTED = ['k8s.io', 'kubernetes.io']
const SEE = 'see https://github.com/kubernetes/enhancements/pull/1111'

type Approval = 'missing' | 'bypassed' | 'approved' | 'invalid'

/** One error when a CRD of a protected group has no valid approval. An unchanged state is never refused. */
export function validateApproval(crd: JsonObject, old?: JsonObject): FieldError[] {
  const group = textOf(subSchema(crd, 'spec') ?? {}, 'group')
  if (!PROTECTED.some(name => group === name || group.endsWith(`.${name}`))) return []
  const state = approvalOf(crd)
  if (old !== undefined && approvalOf(old) === state) return []
  const path = `metadata.annotations[${ANNOTATION}]`
  const must = `protected groups must have approval annotation ${JSON.stringify(ANNOTATION)}`
  if (state === 'missing') return [required(path, `${must}, ${SEE}`)]
  if (state !== 'invalid') return []
  const detail = `${must} with either a URL or a reason starting with "unapproved", ${SEE}`
  return [invalidValue(path, annotationOf(crd), detail)]
}

function annotationOf(crd: JsonObject): string {
  const annotations = subSchema(subSchema(crd, 'metadata') ?? {}, 'annotations')
  return textOf(annotations ?? {}, ANNOTATION)
}

function approvalOf(crd: JsonObject): Approval {
  const text = annotationOf(crd)
  if (text === '') return 'missing'
  if (text.startsWith('unapproved')) return 'bypassed'
  return /^[a-zA-Z][a-zA-Z0-9+.-]*:\/\/[^/?#\s]+[^\s]*$/.test(text) ? 'approved' : 'invalid'
}
