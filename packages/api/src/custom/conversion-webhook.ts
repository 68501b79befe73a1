// Objects of a CRD between its versions where a webhook converts them: asks it, and believes it nothing but what it may
// change. Made by resource-from-crd.ts; called through stored-form.ts; calls admission/webhook-client.ts.
// Ref: apiextensions-apiserver/pkg/apiserver/conversion/{webhook_converter,converter}.go

import { randomUUID } from 'node:crypto'
import {
  apiVersionOf,
  cloneJson,
  equalJson,
  failure,
  formatFieldError,
  goTypeName,
  isObject,
  type JsonObject,
  type JsonValue,
  type KubeObject,
  type ObjectMeta,
  validateAnnotations,
  validateLabels,
} from '@podless/apimachinery'
import { type WebhookClient, WebhookUnreachable } from '../admission/webhook-client.ts'
import type { WebhookClientConfig } from '../admission/webhook-config.ts'

/** Upstream waits for as long as its client does; a watch must not wait for ever. */
const TIMEOUT_SECONDS = 30

/** spec.conversion.webhook of a CRD. */
export interface ConversionWebhook extends JsonObject {
  clientConfig: WebhookClientConfig & JsonObject
  conversionReviewVersions: string[]
}

export type ConversionCaller = Pick<WebhookClient, 'call'>

/**
 * The objects in another version of their CRD, asked for in one review. Throws 500 with upstream's text when the webhook
 * cannot be asked, refuses, or answers objects that are not those it was given.
 */
export async function convertObjects(
  caller: ConversionCaller,
  webhook: ConversionWebhook,
  objects: readonly KubeObject[],
  apiVersion: string,
): Promise<KubeObject[]> {
  const [first] = objects
  if (first === undefined) return []
  const version = webhook.conversionReviewVersions.find(name => name === 'v1' || name === 'v1beta1')
  if (version === undefined) throw refusal('no supported conversion review versions')
  const subject = `conversion webhook for ${kindOf(first)}`
  const reviewApiVersion = apiVersionOf({ group: 'apiextensions.k8s.io', version })
  const uid = randomUUID()
  const body = {
    kind: 'ConversionReview',
    apiVersion: reviewApiVersion,
    request: { uid, desiredAPIVersion: apiVersion, objects: [...objects] },
  }
  const answer = await ask(caller, webhook.clientConfig, body, subject)
  const why = version === 'v1' ? misdirected(answer, reviewApiVersion, uid) : undefined
  const converted = why === undefined ? convertedOf(answer) : why
  if (typeof converted === 'string') throw refusal(`${subject} failed: ${converted}`)
  if (converted.length !== objects.length) {
    throw refusal(`${subject} returned ${converted.length} objects, expected ${objects.length}`)
  }
  return objects.map((object, i) => accepted(object, converted[i] ?? null, apiVersion))
}

async function ask(
  caller: ConversionCaller,
  config: WebhookClientConfig,
  body: JsonObject,
  subject: string,
): Promise<JsonObject> {
  try {
    return await caller.call({
      config,
      body,
      timeoutSeconds: TIMEOUT_SECONDS,
      signal: NEVER,
    })
  } catch (error) {
    if (!(error instanceof WebhookUnreachable)) throw error
    throw refusal(`${subject} failed: ${error.why}`)
  }
}

/** Several requests may wait for one conversion, so none of them ends it. */
const NEVER = new AbortController().signal

const refusal = (message: string): Error => failure({ code: 500, message })

/** A group, version and kind as Go prints them. */
function kindOf({ apiVersion, kind }: { apiVersion?: unknown; kind?: unknown }): string {
  return `${String(apiVersion)}, Kind=${String(kind)}`
}

/** Why an answer cannot be the one to this review. */
function misdirected(answer: JsonObject, apiVersion: string, uid: string): string | undefined {
  if (answer.apiVersion !== apiVersion || answer.kind !== 'ConversionReview') {
    const wanted = kindOf({ apiVersion, kind: 'ConversionReview' })
    return `expected webhook response of ${wanted}, got ${kindOf({
      apiVersion: answer.apiVersion ?? '/',
      kind: answer.kind ?? '',
    })}`
  }
  if (!isObject(answer.response)) return 'no response provided'
  const got = typeof answer.response.uid === 'string' ? answer.response.uid : ''
  if (got === uid) return undefined
  return `expected response.uid=${JSON.stringify(uid)}, got ${JSON.stringify(got)}`
}

/** The converted objects, or why there are none. */
function convertedOf({ response }: JsonObject): readonly JsonValue[] | string {
  if (!isObject(response)) return 'no response provided'
  const result = isObject(response.result) ? response.result : {}
  if (result.status !== 'Success') {
    if (typeof result.message === 'string' && result.message !== '') return result.message
    return `response.result.status was '${String(result.status ?? '')}', not 'Success'`
  }
  return Array.isArray(response.convertedObjects) ? response.convertedObjects : []
}

/** What the webhook made of an object, with the metadata it had but for labels and annotations. */
function accepted(original: KubeObject, made: JsonValue, apiVersion: string): KubeObject {
  const subject = `conversion webhook for ${kindOf(original)} returned`
  const converted = isObject(made) ? made : {}
  if (converted.apiVersion !== apiVersion) {
    const received = String(converted.apiVersion ?? '')
    throw refusal(
      `${subject} invalid object at index 0: invalid groupVersion (expected ${apiVersion}, received ${received})`,
    )
  }
  if (converted.kind !== original.kind) {
    const received = String(converted.kind ?? '')
    throw refusal(
      `${subject} invalid object at index 0: invalid kind (expected ${original.kind}, received ${received})`,
    )
  }
  const changed = changedIdentity(original, converted)
  if (changed !== undefined) throw refusal(`${subject} invalid object: ${changed}`)
  const metadata = keptMetadata(original, converted)
  if (typeof metadata === 'string') throw refusal(`${subject} invalid metadata: ${metadata}`)
  return { ...converted, metadata } as KubeObject
}

const IDENTITY = [
  ['name', 'name'],
  ['namespace', 'namespace'],
  ['uid', 'UID'],
] as const

function changedIdentity(original: KubeObject, converted: JsonObject): string | undefined {
  const metadata = isObject(converted.metadata) ? converted.metadata : {}
  for (const [field, name] of IDENTITY) {
    const [before, after] = [original.metadata[field] ?? '', metadata[field] ?? '']
    if (before !== after) return `must have the same ${name}: ${before} != ${String(after)}`
  }
  return undefined
}

/** Ref: webhook_converter.go restoreObjectMeta */
function keptMetadata(original: KubeObject, converted: JsonObject): JsonObject | string {
  const given = converted.metadata
  if (given === undefined) return 'missing metadata in converted object'
  if (!isObject(given)) return `invalid metadata of type ${goTypeName(given)} in converted object`
  const metadata = cloneJson(original.metadata) as JsonObject
  for (const field of ['labels', 'annotations'] as const) {
    const words = given[field]
    if (words === undefined || words === null) {
      delete metadata[field]
      continue
    }
    if (!isObject(words))
      return `invalid metadata.${field} of type ${goTypeName(words)} in converted object`
    for (const [key, value] of Object.entries(words)) {
      if (typeof value !== 'string')
        return `metadata.${field}[${key}] must be a string, but is ${goTypeName(value)} in converted object`
    }
    metadata[field] = words
  }
  return invalidWords(original, metadata as ObjectMeta) ?? metadata
}

/** What is wrong with labels and annotations that the webhook changed: of one field only, as upstream. */
function invalidWords(original: KubeObject, metadata: ObjectMeta): string | undefined {
  const { labels, annotations } = original.metadata
  const errors = equalJson(metadata.labels ?? {}, labels ?? {})
    ? []
    : validateLabels(metadata.labels, 'metadata.labels')
  if (errors.length === 0 && !equalJson(metadata.annotations ?? {}, annotations ?? {}))
    errors.push(...validateAnnotations(metadata.annotations, 'metadata.annotation'))
  if (errors.length === 0) return undefined
  const texts = [...new Set(errors.map(formatFieldError))]
  return texts.length === 1 ? texts[0] : `[${texts.join(', ')}]`
}
