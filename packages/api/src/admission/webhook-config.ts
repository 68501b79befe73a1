// What a webhook configuration says, and whether one of its webhooks wants to see a request. Pure; called by webhook.ts.
// Ref: apiserver/pkg/admission/plugin/webhook/{predicates,generic,matchconditions}

import {
  compileCel,
  type JsonObject,
  type JsonValue,
  type KubeObject,
  labelSelectorFromObject,
} from '@podless/apimachinery'
import type { Authorizer } from '../resource.ts'
import { AUTHORIZER_VARIABLES, authorizerBindings } from './access-check.ts'
import type { AdmissionAttributes } from './chain.ts'

export interface WebhookClientConfig {
  readonly url?: string
  readonly service?: {
    readonly namespace: string
    readonly name: string
    readonly path?: string
    readonly port?: number
  }
  /** Base64 of PEM. */
  readonly caBundle?: string
}

export interface Rule {
  readonly apiGroups?: readonly string[]
  readonly apiVersions?: readonly string[]
  readonly operations?: readonly string[]
  readonly resources?: readonly string[]
  readonly scope?: string
}

export interface Webhook {
  readonly name: string
  readonly clientConfig: WebhookClientConfig
  readonly rules?: readonly Rule[]
  readonly failurePolicy?: 'Ignore' | 'Fail'
  readonly matchPolicy?: 'Exact' | 'Equivalent'
  readonly namespaceSelector?: JsonValue
  readonly objectSelector?: JsonValue
  readonly sideEffects: string
  readonly timeoutSeconds?: number
  readonly admissionReviewVersions: readonly string[]
  readonly matchConditions?: readonly { readonly name: string; readonly expression: string }[]
  readonly reinvocationPolicy?: 'Never' | 'IfNeeded'
}

/** The webhooks of all configurations of one kind, in the order they are called: by configuration name, then as listed. */
export function webhooksOf(configurations: readonly KubeObject[]): Webhook[] {
  if (configurations.length === 0) return []
  const sorted = configurations.toSorted((a, b) =>
    (a.metadata.name ?? '') < (b.metadata.name ?? '') ? -1 : 1,
  )
  return sorted.flatMap(({ webhooks }) => (webhooks ?? []) as unknown as Webhook[])
}

/** The version in which a webhook wants to see the request. */
export interface WebhookMatch {
  readonly version: string
}

/**
 * The first rule that fits the request, in its own version or, under Equivalent, in another served one.
 * `versions` are the served versions of the resource, the request's first.
 */
export function matchRules(
  webhook: Pick<Webhook, 'rules' | 'matchPolicy'>,
  attributes: AdmissionAttributes,
  versions: readonly string[],
): WebhookMatch | undefined {
  const candidates = webhook.matchPolicy === 'Exact' ? versions.slice(0, 1) : versions
  for (const version of candidates) {
    if ((webhook.rules ?? []).some(rule => ruleFits(rule, attributes, version))) return { version }
  }
  return undefined
}

const includes = (list: readonly string[] | undefined, value: string): boolean =>
  list !== undefined && (list.includes('*') || list.includes(value))

function ruleFits(
  rule: Rule,
  { resource, operation, subresource }: AdmissionAttributes,
  version: string,
): boolean {
  const scope = resource.namespaced ? 'Namespaced' : 'Cluster'
  return (
    includes(rule.apiGroups, resource.gvr.group) &&
    includes(rule.apiVersions, version) &&
    includes(rule.operations, operation) &&
    (rule.scope === undefined || rule.scope === '*' || rule.scope === scope) &&
    (rule.resources ?? []).some(text => resourceFits(text, resource.gvr.resource, subresource))
  )
}

function resourceFits(text: string, resource: string, subresource: string): boolean {
  const [wantedResource = '', wantedSub] = text.split('/', 2)
  if (text === '*/*') return true
  if (wantedResource !== '*' && wantedResource !== resource) return false
  if (wantedSub === undefined) return subresource === ''
  return wantedSub === '*' || wantedSub === subresource
}

/** Whether namespaceSelector and objectSelector let the request through. `namespaceLabels` is undefined when cluster-scoped. */
export function matchSelectors(
  webhook: Pick<Webhook, 'namespaceSelector' | 'objectSelector'>,
  { object, oldObject, resource }: AdmissionAttributes,
  namespaceLabels: Readonly<Record<string, string>> | undefined,
): boolean {
  const isNamespace = resource.gvr.group === '' && resource.gvr.resource === 'namespaces'
  const labels = isNamespace ? (object ?? oldObject)?.metadata.labels : namespaceLabels
  if (resource.namespaced || isNamespace) {
    if (!labelSelectorFromObject(webhook.namespaceSelector ?? {}).matches(labels ?? {}))
      return false
  }
  const selector = labelSelectorFromObject(webhook.objectSelector ?? {})
  return [object, oldObject].some(
    obj => obj !== undefined && selector.matches(obj.metadata.labels ?? {}),
  )
}

/**
 * Whether every match condition holds: 'no' as soon as one is false, an error text when one could not be evaluated and
 * none is false. Ref: matchconditions/matcher.go
 */
export function matchConditions(
  webhook: Webhook,
  request: JsonObject,
  attributes: AdmissionAttributes,
  authorizer: Authorizer,
): 'yes' | 'no' | { error: string } {
  let failure: string | undefined
  for (const { name, expression } of webhook.matchConditions ?? []) {
    const compiled = compileCel(expression, {
      variables: { object: 'dyn', oldObject: 'dyn', request: 'dyn', ...AUTHORIZER_VARIABLES },
      result: 'bool',
    })
    if (!compiled.ok) {
      failure ??= `match condition ${JSON.stringify(name)}: ${compiled.error}`
      continue
    }
    const bindings = {
      object: attributes.object ?? null,
      oldObject: attributes.oldObject ?? null,
      request,
      ...authorizerBindings(authorizer, attributes),
    }
    const result = compiled.program.evaluate(bindings, { remaining: 2_500_000, perCall: 1_000_000 })
    if (!result.ok) failure ??= `match condition ${JSON.stringify(name)}: ${result.error}`
    else if (result.value !== true) return 'no'
  }
  return failure === undefined ? 'yes' : { error: failure }
}
