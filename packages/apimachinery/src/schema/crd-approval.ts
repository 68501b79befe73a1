// Groups that belong to the Kubernetes project ask for an approval annotation. Called by crd-validation.ts and by
// whoever keeps a CRD's conditions.
// Ref: apiextensions-apiserver/pkg/apihelpers/helpers.go

import { type FieldError, invalidValue, required } from '../field-error.ts'
import type { JsonObject } from '../json.ts'
import { subSchema, textOf } from './raw-schema.ts'

const ANNOTATION = 'api-approved.kubernetes.io'
const PROTECTED = ['k8s.io', 'kubernetes.io']
const MUST = `protected groups must have approval annotation ${JSON.stringify(ANNOTATION)}`
const WITH = 'with either a URL or a reason starting with "unapproved"'
const SEE = 'see https://github.com/kubernetes/enhancements/pull/1111'

type Approval = 'missing' | 'bypassed' | 'approved' | 'invalid'

/** One error when a CRD of a protected group has no valid approval. An unchanged state is never refused. */
export function validateApproval(crd: JsonObject, old?: JsonObject): FieldError[] {
  if (!isProtected(crd)) return []
  const state = approvalOf(crd)
  if (old !== undefined && approvalOf(old) === state) return []
  const path = `metadata.annotations[${ANNOTATION}]`
  if (state === 'missing') return [required(path, `${MUST}, ${SEE}`)]
  if (state !== 'invalid') return []
  return [invalidValue(path, annotationOf(crd), `${MUST} ${WITH}, ${SEE}`)]
}

interface ApprovalVerdict {
  readonly status: 'True' | 'False'
  readonly reason: string
  readonly message: string
}

/** What the condition KubernetesAPIApprovalPolicyConformant says; undefined where no approval is asked for. */
export function crdApproval(crd: JsonObject): ApprovalVerdict | undefined {
  if (!isProtected(crd)) return undefined
  const text = annotationOf(crd)
  switch (approvalOf(crd)) {
    case 'missing':
      return { status: 'False', reason: 'MissingAnnotation', message: `${MUST}, ${SEE}` }
    case 'invalid':
      return { status: 'False', reason: 'InvalidAnnotation', message: `${MUST} ${WITH}, ${SEE}` }
    case 'bypassed': {
      const message = `not approved: ${JSON.stringify(text)}`
      return { status: 'False', reason: 'UnapprovedAnnotation', message }
    }
    case 'approved':
      return { status: 'True', reason: 'ApprovedAnnotation', message: `approved in ${text}` }
  }
}

function isProtected(crd: JsonObject): boolean {
  const group = textOf(subSchema(crd, 'spec') ?? {}, 'group')
  return PROTECTED.some(name => group === name || group.endsWith(`.${name}`))
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
