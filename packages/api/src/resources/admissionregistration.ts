// The group admissionregistration.k8s.io: webhooks and policies that look at writes. Read by resources/index.ts;
// admission/* does what they say. Ref: kubernetes/pkg/apis/admissionregistration/{v1/defaults,validation/validation}.go

import {
  duplicate,
  type FieldError,
  invalidValue,
  isDns1035Label,
  isDns1123Subdomain,
  isObject,
  type JsonObject,
  type KubeObject,
  required,
  validateLabelSelector,
  validateWebhookClient,
} from '@podless/apimachinery'
import type { Resource, Strategy } from '../resource.ts'
import { validatingBindings, validatingPolicies } from './admission-policies.ts'
import {
  CATEGORIES,
  conditionErrors,
  defaultRules,
  FAILURE_POLICIES,
  GROUP,
  MATCH_POLICIES,
  oneOf,
  REQUEST_VARIABLES,
  ruleErrors,
} from './admission-rules.ts'
import { builtin } from './builtin.ts'
import { AGE, column, NAME } from './columns.ts'
import { mutatingBindings, mutatingPolicies } from './mutating-admission-policies.ts'
import {
  fillDefaults,
  fillEmpty,
  listAt,
  numberAt,
  objectAt,
  objectsAt,
  textAt,
  textsAt,
  valueAt,
} from './reading.ts'

const REVIEW_VERSIONS = ['v1', 'v1beta1']
const SIDE_EFFECTS = ['None', 'NoneOnDryRun']
const WEBHOOK_PORT = 443
const TIMEOUT_SECONDS_MAX = 30

const webhooksOf = (obj: KubeObject) => objectsAt(obj, 'webhooks')

function defaultWebhook(webhook: JsonObject, mutating: boolean): void {
  fillEmpty(webhook, { failurePolicy: 'Fail', matchPolicy: 'Equivalent' })
  fillDefaults(webhook, { namespaceSelector: {}, objectSelector: {}, timeoutSeconds: 10 })
  if (mutating) fillEmpty(webhook, { reinvocationPolicy: 'Never' })
  const service = valueAt(webhook, 'clientConfig.service')
  if (isObject(service)) fillDefaults(service, { port: WEBHOOK_PORT })
  defaultRules(objectsAt(webhook, 'rules'))
}

/** A domain of at least three labels. Ref: apimachinery/pkg/util/validation IsFullyQualifiedName */
function qualifiedNameErrors(name: string, path: string): FieldError[] {
  if (name === '') return [required(path)]
  const sentences = isDns1123Subdomain(name)
  if (sentences.length > 0) return [invalidValue(path, name, sentences.join(','))]
  if (name.split('.').length >= 3) return []
  const detail = 'should be a domain with at least three segments separated by dots'
  return [invalidValue(path, name, detail)]
}

function versionErrors(webhook: JsonObject, path: string): FieldError[] {
  const at = `${path}.admissionReviewVersions`
  const versions = textsAt(webhook, 'admissionReviewVersions')
  const list = REVIEW_VERSIONS.join(', ')
  if (versions.length === 0) return [required(at, `must specify one of ${list}`)]
  const errors: FieldError[] = []
  versions.forEach((version, index) => {
    if (versions.indexOf(version) < index) {
      errors.push(invalidValue(`${at}[${index}]`, version, 'duplicate version'))
      return
    }
    const problems = isDns1035Label(version)
    errors.push(...problems.map(text => invalidValue(`${at}[${index}]`, version, text)))
  })
  if (!versions.some(version => REVIEW_VERSIONS.includes(version))) {
    errors.push(invalidValue(at, [...versions], `must include at least one of ${list}`))
  }
  return errors
}

function webhookErrors(webhook: JsonObject, path: string): FieldError[] {
  const errors = qualifiedNameErrors(textAt(webhook, 'name'), `${path}.name`)
  objectsAt(webhook, 'rules').forEach((rule, index) => {
    errors.push(...ruleErrors(rule, `${path}.rules[${index}]`))
  })
  errors.push(
    ...oneOf(webhook, 'failurePolicy', FAILURE_POLICIES, path),
    ...oneOf(webhook, 'matchPolicy', MATCH_POLICIES, path),
    ...oneOf(webhook, 'reinvocationPolicy', ['IfNeeded', 'Never'], path),
  )
  if (textAt(webhook, 'sideEffects') === '') {
    const detail = `must specify one of ${SIDE_EFFECTS.join(', ')}`
    errors.push(required(`${path}.sideEffects`, detail))
  } else errors.push(...oneOf(webhook, 'sideEffects', SIDE_EFFECTS, path))
  const seconds = numberAt(webhook, 'timeoutSeconds')
  if (seconds !== undefined && (seconds < 1 || seconds > TIMEOUT_SECONDS_MAX)) {
    const detail = `the timeout value must be between 1 and ${TIMEOUT_SECONDS_MAX} seconds`
    errors.push(invalidValue(`${path}.timeoutSeconds`, seconds, detail))
  }
  const client = objectAt(webhook, 'clientConfig')
  return [
    ...errors,
    ...validateLabelSelector(valueAt(webhook, 'namespaceSelector'), `${path}.namespaceSelector`),
    ...validateLabelSelector(valueAt(webhook, 'objectSelector'), `${path}.objectSelector`),
    ...validateWebhookClient(client, `${path}.clientConfig`, { checkCaBundle: false }),
    ...versionErrors(webhook, path),
    ...conditionErrors(webhook, path, REQUEST_VARIABLES),
  ]
}

function configurationErrors(obj: KubeObject): FieldError[] {
  const names = new Set<string>()
  return webhooksOf(obj).flatMap((webhook, index) => {
    const path = `webhooks[${index}]`
    const name = textAt(webhook, 'name')
    const errors = webhookErrors(webhook, path)
    if (name !== '' && names.has(name)) errors.push(duplicate(`${path}.name`, name))
    names.add(name)
    return errors
  })
}

function configurationStrategy(mutating: boolean): Strategy {
  return {
    hasGeneration: true,
    allowUnconditionalUpdate: false,
    default: obj => {
      for (const webhook of webhooksOf(obj)) defaultWebhook(webhook, mutating)
    },
    validate: configurationErrors,
    validateUpdate: configurationErrors,
  }
}

const configurationColumns = [
  NAME,
  column('Webhooks', 'How many webhooks it has.', obj => listAt(obj, 'webhooks').length, {
    type: 'integer',
  }),
  AGE,
]

const webhookConfiguration = (kind: string, mutating: boolean): Resource =>
  builtin({
    group: GROUP,
    kind,
    plural: `${kind.toLowerCase()}s`,
    categories: CATEGORIES,
    namespaced: false,
    strategy: configurationStrategy(mutating),
    columns: configurationColumns,
  })

export const admissionregistrationResources: readonly Resource[] = [
  webhookConfiguration('MutatingWebhookConfiguration', true),
  mutatingPolicies,
  mutatingBindings,
  validatingPolicies,
  validatingBindings,
  webhookConfiguration('ValidatingWebhookConfiguration', false),
]
