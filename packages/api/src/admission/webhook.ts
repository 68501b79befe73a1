// Mutating and validating admission webhooks, on dry runs too. A step of the chain; calls webhook-config.ts for who is
// asked and webhook-client.ts to ask. Ref: apiserver/pkg/admission/plugin/webhook/{mutating,validating}/dispatcher.go

import { randomUUID } from 'node:crypto'
import {
  applyJsonPatch,
  badRequest,
  decodeJsonPatch,
  equalJson,
  internalError,
  isObject,
  type JsonObject,
  type KubeObject,
  parseApiVersion,
  parseExact,
  type Status,
  StatusError,
} from '@podless/apimachinery'
import type { Log } from '../log.ts'
import type { Registry } from '../registry.ts'
import type { Authorizer, Resource } from '../resource.ts'
import { admissionRequest, convertedBetween, convertedTo, inVersion } from './admission-request.ts'
import type { AdmissionAttributes, AdmissionStep } from './chain.ts'
import { type WebhookClient, WebhookUnreachable } from './webhook-client.ts'
import {
  matchConditions,
  matchRules,
  matchSelectors,
  type Webhook,
  webhooksOf,
} from './webhook-config.ts'

export interface WebhookStepOptions {
  readonly client: WebhookClient
  readonly registry: Registry
  /** All configurations of a kind, from the cache. */
  readonly configurations: (kind: 'mutating' | 'validating') => readonly KubeObject[]
  readonly namespaceLabels: (name: string) => Readonly<Record<string, string>> | undefined
  /** Brings what a webhook made into shape: defaults and pruning of the resource's schema. */
  readonly normalize: (obj: KubeObject, resource: Resource) => KubeObject
  /** What match conditions ask by the name of `authorizer`. */
  readonly authorizer: Authorizer
  readonly log: Log
}

const DEFAULT_TIMEOUT_SECONDS = 10
/** Webhook configurations are never sent to webhooks: a bad one must stay repairable. */
const EXEMPT_GROUP = 'admissionregistration.k8s.io'
const WITHOUT_SIDE_EFFECTS: ReadonlySet<string> = new Set(['None', 'NoneOnDryRun'])

export function webhookStep(options: WebhookStepOptions): AdmissionStep {
  return {
    name: 'Webhooks',
    mutate: attributes => {
      const webhooks = webhooksOf(options.configurations('mutating'))
      return webhooks.length === 0 ? undefined : mutate(options, webhooks, attributes)
    },
    validate: attributes => {
      const webhooks = webhooksOf(options.configurations('validating'))
      return webhooks.length === 0 ? undefined : validate(options, webhooks, attributes)
    },
  }
}

async function mutate(
  options: WebhookStepOptions,
  webhooks: readonly Webhook[],
  attributes: AdmissionAttributes,
): Promise<KubeObject | undefined> {
  let { object } = attributes
  const changedBefore: Webhook[] = []
  let changed = false
  for (const webhook of webhooks) {
    const next = await mutateOnce(options, webhook, { ...attributes, object })
    if (next === undefined) continue
    const didChange = !equalJson(next, object)
    if (didChange && changedBefore.length > 0) changed = true
    object = next
    if (webhook.reinvocationPolicy === 'IfNeeded') changedBefore.push(webhook)
    else if (didChange && changedBefore.length > 0) changed = true
  }
  // Those that asked for it see what later webhooks made of the object, once.
  if (changed) {
    for (const webhook of changedBefore)
      object = (await mutateOnce(options, webhook, { ...attributes, object })) ?? object
  }
  return object
}

/** The object after one webhook; undefined when it was not asked, or failed and may. */
async function mutateOnce(
  options: WebhookStepOptions,
  webhook: Webhook,
  attributes: AdmissionAttributes,
): Promise<KubeObject | undefined> {
  const answer = await ask(options, webhook, attributes)
  if (answer === undefined) return undefined
  const { response, seen } = answer
  refuseDenied(webhook, response)
  if (typeof response.patch !== 'string' || seen.object === undefined) return attributes.object
  if (response.patchType !== 'JSONPatch')
    throw internalError(`unsupported patch type ${JSON.stringify(response.patchType ?? '')}`)
  try {
    const patch = parseExact(Buffer.from(response.patch, 'base64').toString())
    const { operations } = decodeJsonPatch(patch, { strict: false })
    const patched = applyJsonPatch(seen.object, operations) as KubeObject
    return options.normalize(await backFrom(patched, attributes, options), attributes.resource)
  } catch (error) {
    throw internalError(
      `webhook ${JSON.stringify(webhook.name)} returned a patch that cannot be applied`,
      error,
    )
  }
}

/** What a webhook made of the object, in the version of the request. */
async function backFrom(
  patched: KubeObject,
  { resource }: AdmissionAttributes,
  { registry }: WebhookStepOptions,
): Promise<KubeObject> {
  const version = parseApiVersion(patched.apiVersion)?.version ?? ''
  const from = registry.lookup({ ...resource.gvr, version })
  if (from === undefined || version === resource.gvr.version) return patched
  return await convertedBetween(patched, from, resource)
}

async function validate(
  options: WebhookStepOptions,
  webhooks: readonly Webhook[],
  attributes: AdmissionAttributes,
): Promise<void> {
  const verdicts = await Promise.allSettled(
    webhooks.map(async webhook => {
      const answer = await ask(options, webhook, attributes)
      if (answer !== undefined) refuseDenied(webhook, answer.response)
    }),
  )
  for (const verdict of verdicts) if (verdict.status === 'rejected') throw verdict.reason
}

/** A webhook's response, and the attributes with the objects that it saw. */
interface WebhookAnswer {
  readonly response: JsonObject
  readonly seen: AdmissionAttributes
}

/** The webhook's answer, or undefined when it does not apply or could not be asked and may be ignored. */
async function ask(
  { client, registry, namespaceLabels, authorizer, log }: WebhookStepOptions,
  webhook: Webhook,
  attributes: AdmissionAttributes,
): Promise<WebhookAnswer | undefined> {
  const { resource, namespace, dryRun, signal, warn } = attributes
  if (
    resource.gvr.group === EXEMPT_GROUP &&
    resource.gvr.resource.endsWith('webhookconfigurations')
  )
    return undefined
  const versions = [
    resource.gvr.version,
    ...registry.versionsOf(resource.gvr.group, resource.gvr.resource).map(({ gvr }) => gvr.version),
  ]
  const match = matchRules(webhook, attributes, [...new Set(versions)])
  if (match === undefined || !matchSelectors(webhook, attributes, namespaceLabels(namespace)))
    return undefined
  const seen = await convertedTo(match.version, attributes, registry)
  const uid = randomUUID()
  const request = {
    uid,
    ...admissionRequest(attributes, match.version),
    object: inVersion(attributes, seen.object, match.version),
    oldObject: inVersion(attributes, seen.oldObject, match.version),
  }
  const condition = matchConditions(webhook, request, attributes, authorizer)
  if (condition === 'no') return undefined
  try {
    if (condition !== 'yes') throw new WebhookUnreachable(condition.error)
    if (dryRun && !WITHOUT_SIDE_EFFECTS.has(webhook.sideEffects)) {
      throw badRequest(`admission webhook ${JSON.stringify(webhook.name)} does not support dry run`)
    }
    const timeoutSeconds = webhook.timeoutSeconds ?? DEFAULT_TIMEOUT_SECONDS
    const version =
      webhook.admissionReviewVersions.find(name => name === 'v1' || name === 'v1beta1') ?? 'v1'
    const body = { kind: 'AdmissionReview', apiVersion: `admission.k8s.io/${version}`, request }
    const answer = await client.call({ config: webhook.clientConfig, body, timeoutSeconds, signal })
    const response = responseOf(answer, uid, version)
    for (const text of Array.isArray(response.warnings) ? response.warnings : []) warn(String(text))
    return { response, seen }
  } catch (error) {
    return ignoreOrRefuse(webhook, error, log)
  }
}

function ignoreOrRefuse(webhook: Webhook, error: unknown, log: Log): undefined {
  if (!(error instanceof WebhookUnreachable)) throw error
  if (webhook.failurePolicy === 'Ignore') {
    log.warn('admission webhook could not be asked and is ignored', {
      webhook: webhook.name,
      why: error.message,
    })
    return undefined
  }
  throw internalError(
    `failed calling webhook ${JSON.stringify(webhook.name)}: ${error.message}`,
    error,
  )
}

function responseOf(answer: JsonObject, uid: string, version: string): JsonObject {
  const { response } = answer
  if (!isObject(response)) throw new WebhookUnreachable('webhook response was absent')
  if (version === 'v1' && response.uid !== uid) {
    throw new WebhookUnreachable(
      `expected response.uid=${JSON.stringify(uid)}, got ${JSON.stringify(response.uid ?? '')}`,
    )
  }
  return response
}

/** Ref: apiserver/pkg/admission/plugin/webhook/errors/statuserror.go ToStatusErr */
function refuseDenied(webhook: Webhook, response: JsonObject): void {
  if (response.allowed === true) return
  const given = (isObject(response.status) ? response.status : {}) as Partial<Status>
  const denied = `admission webhook ${JSON.stringify(webhook.name)} denied the request`
  const why = given.message || given.reason
  const message = why ? `${denied}: ${why}` : `${denied} without explanation`
  const code = (given.code ?? 0) < 400 ? 400 : given.code!
  const body: Status = {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message,
  }
  if (given.reason) body.reason = given.reason
  if (given.details !== undefined) body.details = given.details
  throw new StatusError({ ...body, code })
}
