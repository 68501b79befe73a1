// The group authorization.k8s.io: questions about permissions. They are answered and never stored.
// Read by resources/index.ts; the answers come from the authorizer.
// Ref: kubernetes/pkg/registry/authorization/*, kubernetes/pkg/apis/authorization/validation/validation.go

import {
  badRequest,
  type FieldError,
  forbiddenField,
  invalid,
  invalidValue,
  isObject,
  isQualifiedName,
  type JsonObject,
  type JsonValue,
  type KubeObject,
  type ObjectMeta,
  required,
} from '@podless/apimachinery'
import type { AuthorizationRequest, Resource, RuleContext, UserInfo } from '../resource.ts'
import { builtin } from './builtin.ts'
import { objectAt, objectsAt, textAt, textsAt } from './reading.ts'

const GROUP = 'authorization.k8s.io'
const API_VERSION = `${GROUP}/v1`

type Review = NonNullable<Resource['create']>

// Object.assign keeps the lazy schema; a spread would read it.
const virtual = (kind: string, create: Review, namespaced = false): Resource =>
  Object.assign(
    builtin({
      group: GROUP,
      kind,
      plural: `${kind.toLowerCase()}s`,
      namespaced,
      verbs: ['create'],
    }),
    { create },
  )

export const authorizationResources: readonly Resource[] = [
  virtual('LocalSubjectAccessReview', localSubjectAccessReview, true),
  virtual('SelfSubjectAccessReview', selfSubjectAccessReview),
  virtual('SelfSubjectRulesReview', selfSubjectRulesReview),
  virtual('SubjectAccessReview', subjectAccessReview),
]

async function subjectAccessReview(body: KubeObject, ctx: RuleContext): Promise<KubeObject> {
  const spec = objectAt(body, 'spec')
  refuse([...attributeErrors(spec), ...subjectErrors(spec), ...metadataErrors(body.metadata)])
  return answer('SubjectAccessReview', body, reviewedUser(spec), ctx)
}

async function selfSubjectAccessReview(body: KubeObject, ctx: RuleContext): Promise<KubeObject> {
  refuse([...attributeErrors(objectAt(body, 'spec')), ...metadataErrors(body.metadata)])
  return answer('SelfSubjectAccessReview', body, ctx.user, ctx)
}

async function localSubjectAccessReview(body: KubeObject, ctx: RuleContext): Promise<KubeObject> {
  const spec = objectAt(body, 'spec')
  const metadata = { ...body.metadata, namespace: body.metadata.namespace || ctx.namespace }
  const { namespace } = metadata
  const errors = [...attributeErrors(spec), ...subjectErrors(spec)]
  const { namespace: _, ...rest } = body.metadata
  errors.push(...metadataErrors(rest, body.metadata, 'must be empty except for namespace'))
  if (isObject(spec.resourceAttributes)) {
    const wanted = textAt(spec, 'resourceAttributes.namespace')
    if (wanted !== namespace) {
      const field = 'spec.resourceAttributes.namespace'
      errors.push(invalidValue(field, wanted, 'must match metadata.namespace'))
    }
  }
  if (isObject(spec.nonResourceAttributes)) {
    const shown = shownPath(spec.nonResourceAttributes)
    const detail = 'disallowed on this kind of request'
    errors.push(invalidValue('spec.nonResourceAttributes', shown, detail))
  }
  refuse(errors)
  if (namespace !== ctx.namespace) {
    throw badRequest(`spec.resourceAttributes.namespace must match namespace: ${ctx.namespace}`)
  }
  return answer('LocalSubjectAccessReview', { ...body, metadata }, reviewedUser(spec), ctx)
}

async function selfSubjectRulesReview(body: KubeObject, ctx: RuleContext): Promise<KubeObject> {
  const namespace = textAt(body, 'spec.namespace')
  if (namespace === '') throw badRequest('no namespace on request')
  const rules = ctx.services.authorizer.rulesFor(ctx.user, namespace)
  const { incomplete, nonResourceRules, resourceRules } = rules
  // NOTE: what was sent is not repeated, neither metadata nor spec.
  return {
    apiVersion: API_VERSION,
    kind: 'SelfSubjectRulesReview',
    metadata: {},
    spec: {},
    status: { resourceRules, nonResourceRules, incomplete },
  }
}

function answer(kind: string, body: KubeObject, user: UserInfo, ctx: RuleContext): KubeObject {
  const { metadata, spec } = body
  const { allowed, reason } = ctx.services.authorizer.authorize(
    requestOf(user, objectAt(body, 'spec')),
  )
  const ignored = ignoredSelectors(objectAt(spec, 'resourceAttributes'))
  const status: JsonObject = {
    allowed,
    ...(reason === '' ? {} : { reason }),
    ...(ignored.length === 0 ? {} : { evaluationError: ignored.join('; ') }),
  }
  return { apiVersion: API_VERSION, kind, metadata, spec, status }
}

function requestOf(user: UserInfo, spec: JsonObject): AuthorizationRequest {
  if (isObject(spec.nonResourceAttributes)) {
    const { nonResourceAttributes: asked } = spec
    return { user, verb: textAt(asked, 'verb'), path: textAt(asked, 'path') }
  }
  const asked = objectAt(spec, 'resourceAttributes')
  return {
    user,
    verb: textAt(asked, 'verb'),
    group: textAt(asked, 'group'),
    version: textAt(asked, 'version') || '*',
    resource: textAt(asked, 'resource'),
    subresource: textAt(asked, 'subresource'),
    name: textAt(asked, 'name'),
    namespace: textAt(asked, 'namespace'),
  }
}

function reviewedUser(spec: JsonObject): UserInfo {
  const uid = textAt(spec, 'uid')
  const sent = objectAt(spec, 'extra')
  const extra = Object.fromEntries(Object.keys(sent).map(key => [key, textsAt(sent, [key])]))
  return {
    name: textAt(spec, 'user'),
    groups: textsAt(spec, 'groups'),
    ...(uid === '' ? {} : { uid }),
    extra,
  }
}

function refuse(errors: readonly FieldError[]): void {
  // NOTE: upstream leaves the kind of a review out of its refusal.
  if (errors.length > 0) throw invalid({ group: GROUP, kind: '' }, '', errors)
}

function attributeErrors(spec: JsonObject): FieldError[] {
  const { nonResourceAttributes: path, resourceAttributes: resource } = spec
  if (isObject(resource) && isObject(path)) {
    const detail = 'cannot be specified in combination with resourceAttributes'
    return [invalidValue('spec.nonResourceAttributes', shownPath(path), detail)]
  }
  if (isObject(resource)) {
    return [
      ...selectorErrors(resource.fieldSelector, 'spec.resourceAttributes.fieldSelector', fieldKey),
      ...selectorErrors(resource.labelSelector, 'spec.resourceAttributes.labelSelector', labelKey),
    ]
  }
  if (isObject(path)) return []
  const detail = 'exactly one of nonResourceAttributes or resourceAttributes must be specified'
  return [invalidValue('spec.resourceAttributes', null, detail)]
}

function subjectErrors(spec: JsonObject): FieldError[] {
  const user = textAt(spec, 'user')
  if (user !== '' || textsAt(spec, 'groups').length > 0) return []
  return [invalidValue('spec.user', user, 'at least one of user or group must be specified')]
}

function metadataErrors(
  metadata: ObjectMeta,
  shown: ObjectMeta = metadata,
  detail = 'must be empty',
): FieldError[] {
  const { managedFields: _, ...rest } = metadata
  return Object.values(rest).every(isZero) ? [] : [invalidValue('metadata', shown, detail)]
}

/** Absent as far as Go can tell. */
function isZero(value: JsonValue | undefined): boolean {
  if (value === undefined || value === null || value === '' || value === 0) return true
  return typeof value === 'object' && Object.keys(value).length === 0
}

/** Upstream prints its internal type, whose fields are spelled so. */
const shownPath = (asked: JsonObject): JsonObject => ({
  Path: textAt(asked, 'path'),
  Verb: textAt(asked, 'verb'),
})

type KeyRule = (key: string, path: string) => readonly FieldError[]

const fieldKey: KeyRule = (key, path) => (key === '' ? [required(path, 'must be specified')] : [])
const labelKey: KeyRule = (key, path) =>
  isQualifiedName(key).map(sentence => invalidValue(path, key, sentence))

function selectorErrors(
  selector: JsonValue | undefined,
  path: string,
  checkKey: KeyRule,
): FieldError[] {
  if (!isObject(selector)) return []
  const errors: FieldError[] = []
  const raw = textAt(selector, 'rawSelector')
  const requirements = objectsAt(selector, 'requirements')
  if (raw !== '' && requirements.length > 0) {
    const detail = 'may not specified at the same time as requirements'
    errors.push(invalidValue(`${path}.rawSelector`, raw, detail))
  }
  if (raw === '' && requirements.length === 0) {
    const detail = `when ${path} is specified, requirements or rawSelector is required`
    errors.push(required(`${path}.requirements`, detail))
  }
  const own = requirements.flatMap((requirement, i) =>
    requirementErrors(requirement, `${path}.requirements[${i}]`, checkKey),
  )
  return [...errors, ...own]
}

/** Operators may be unknown here: newer clients are answered, without the requirement. */
function requirementErrors(requirement: JsonObject, path: string, checkKey: KeyRule): FieldError[] {
  const errors = [...checkKey(textAt(requirement, 'key'), `${path}.key`)]
  const operator = textAt(requirement, 'operator')
  const count = textsAt(requirement, 'values').length
  if (SET_OPERATORS.includes(operator) && count === 0) {
    const detail = "must be specified when `operator` is 'In' or 'NotIn'"
    errors.push(required(`${path}.values`, detail))
  }
  if (EXISTENCE_OPERATORS.includes(operator) && count > 0) {
    const detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
    errors.push(forbiddenField(`${path}.values`, detail))
  }
  return errors
}

const SET_OPERATORS = ['In', 'NotIn']
const EXISTENCE_OPERATORS = ['Exists', 'DoesNotExist']

/** Selectors never narrow what RBAC allows; those it could not even read are named in the answer. */
function ignoredSelectors(attributes: JsonObject): string[] {
  const known = [...SET_OPERATORS, ...EXISTENCE_OPERATORS]
  return ['fieldSelector', 'labelSelector'].flatMap(name => {
    const requirements = objectsAt(attributes, [name, 'requirements'])
    const unknown = requirements.filter(each => !known.includes(textAt(each, 'operator')))
    if (unknown.length === 0) return []
    const partially = unknown.length < requirements.length ? 'partially ' : ''
    return [`spec.resourceAttributes.${name} ${partially}ignored due to parse error`]
  })
}
