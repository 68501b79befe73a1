// Conversion of a CRD, and the rules of a webhook's client configuration, which admission shares. Called by
// crd-validation.ts. Ref: apiserver/pkg/util/webhook/validation.go

import { X509Certificate } from 'node:crypto'
import {
  type FieldError,
  forbiddenField,
  invalidValue,
  notSupported,
  required,
} from '../field-error.ts'
import type { JsonObject } from '../json.ts'
import { isDns1035Label, isDns1123Subdomain, isPortNumber } from '../names.ts'
import { isSet, numberOf, subSchema, textOf, textsOf } from './raw-schema.ts'

const STRATEGIES = ['None', 'Webhook']
const REVIEW_VERSIONS = ['v1', 'v1beta1']
const PATH = 'spec.conversion'

/** Everything wrong with spec.conversion. A broken CA bundle is tolerated until the CRD is established. */
export function validateConversion(
  conversion: JsonObject,
  options: { readonly established: boolean },
): FieldError[] {
  const errors: FieldError[] = []
  const strategy = textOf(conversion, 'strategy')
  if (strategy === '') errors.push(required(`${PATH}.strategy`))
  else if (!STRATEGIES.includes(strategy)) {
    errors.push(notSupported(`${PATH}.strategy`, strategy, STRATEGIES))
  }
  const webhook = subSchema(conversion, 'webhook') ?? {}
  const client = subSchema(webhook, 'clientConfig')
  const versions = textsOf(webhook, 'conversionReviewVersions')
  if (strategy !== 'Webhook') {
    const detail = 'should not be set when strategy is not set to Webhook'
    if (client !== undefined) errors.push(forbiddenField(`${PATH}.webhookClientConfig`, detail))
    if (versions.length > 0) {
      errors.push(forbiddenField(`${PATH}.conversionReviewVersions`, detail))
    }
    return errors
  }
  const at = `${PATH}.webhookClientConfig`
  if (client === undefined) errors.push(required(at, 'required when strategy is set to Webhook'))
  else errors.push(...validateWebhookClient(client, at, { checkCaBundle: options.established }))
  return [...errors, ...validateReviewVersions(versions)]
}

/** Everything wrong with a webhook's clientConfig: exactly one of url and service, and a CA bundle that parses. */
export function validateWebhookClient(
  client: JsonObject,
  path: string,
  options: { readonly checkCaBundle: boolean },
): FieldError[] {
  const errors: FieldError[] = []
  const service = subSchema(client, 'service')
  if (isSet(client, 'url') === (service !== undefined)) {
    errors.push(required(path, 'exactly one of url or service is required'))
  } else if (service !== undefined) {
    errors.push(...validateWebhookService(service, `${path}.service`))
  } else errors.push(...validateWebhookUrl(textOf(client, 'url'), `${path}.url`))
  const bundle = textOf(client, 'caBundle')
  if (bundle !== '' && options.checkCaBundle && !hasCertificate(bundle)) {
    const detail = 'unable to load root certificates: unable to parse bytes as PEM block'
    errors.push(invalidValue(`${path}.caBundle`, bundle, detail))
  }
  return errors
}

/** Everything wrong with the URL of a webhook, which must be https and nothing but host and path. */
export function validateWebhookUrl(text: string, path: string): FieldError[] {
  const form = '; desired format: https://host[/path]'
  const match =
    /^(?:([a-zA-Z][a-zA-Z0-9+.-]*):)?(?:\/\/(?:([^/?#@]*)@)?([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#(.*))?$/s.exec(
      text,
    )
  if (match === null || [...text].some(char => char < ' ' || char === '\x7f')) {
    const why = `parse ${JSON.stringify(text)}: net/url: invalid control character in URL`
    return [required(path, `url must be a valid URL: ${why}${form}`)]
  }
  const [, scheme = '', user, host = '', , query = '', fragment = ''] = match
  const errors: FieldError[] = []
  const refuse = (value: string, detail: string): void => {
    errors.push(invalidValue(path, value, detail))
  }
  if (scheme.toLowerCase() !== 'https') {
    refuse(scheme.toLowerCase(), `'https' is the only allowed URL scheme${form}`)
  }
  if (host === '') refuse('', `host must be specified${form}`)
  if (user !== undefined) refuse(user, 'user information is not permitted in the URL')
  if (fragment !== '') refuse(fragment, 'fragments are not permitted in the URL')
  if (query !== '') refuse(query, 'query parameters are not permitted in the URL')
  return errors
}

/** Everything wrong with the service of a webhook. */
export function validateWebhookService(service: JsonObject, path: string): FieldError[] {
  const errors: FieldError[] = []
  for (const key of ['name', 'namespace']) {
    if (textOf(service, key) === '') errors.push(required(`${path}.${key}`))
  }
  const port = numberOf(service, 'port') ?? 443
  const sentences = isPortNumber(port)
  if (sentences.length > 0) {
    const detail = `port is not valid: ${sentences.join(', ')}`
    errors.push(invalidValue(`${path}.port`, port, detail))
  }
  const urlPath = textOf(service, 'path')
  if (urlPath === '' || urlPath === '/') return errors
  const refuse = (detail: string): void => {
    errors.push(invalidValue(`${path}.path`, urlPath, detail))
  }
  if (urlPath === '//') {
    refuse('segment[0] may not be empty')
    return errors
  }
  if (!urlPath.startsWith('/')) refuse("must start with a '/'")
  const segments = urlPath.slice(1).replace(/\/$/, '').split('/')
  for (const [i, segment] of segments.entries()) {
    if (segment === '') refuse(`segment[${i}] may not be empty`)
    else for (const why of isDns1123Subdomain(segment)) refuse(`segment[${i}]: ${why}`)
  }
  return errors
}

function hasCertificate(bundle: string): boolean {
  const pem = Buffer.from(bundle, 'base64').toString('latin1')
  const block = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/.exec(pem)
  if (block === null) return false
  try {
    return new X509Certificate(block[0]).raw.length > 0
  } catch {
    // A certificate that does not parse is what this function reports.
    return false
  }
}

function validateReviewVersions(versions: readonly string[]): FieldError[] {
  const path = `${PATH}.conversionReviewVersions`
  if (versions.length === 0) return [required(path)]
  const errors: FieldError[] = []
  for (const [i, version] of versions.entries()) {
    if (versions.indexOf(version) < i) {
      errors.push(invalidValue(`${path}[${i}]`, version, 'duplicate version'))
      continue
    }
    for (const why of isDns1035Label(version)) {
      errors.push(invalidValue(`${path}[${i}]`, version, why))
    }
  }
  if (!versions.some(version => REVIEW_VERSIONS.includes(version))) {
    const detail = `must include at least one of ${REVIEW_VERSIONS.join(', ')}`
    errors.push(invalidValue(path, [...versions], detail))
  }
  return errors
}
