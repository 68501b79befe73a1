// The group apiregistration.k8s.io: APIServices, one for each group version that is served here or by an extension server.
// Read by resources/index.ts; aggregation/ keeps the local ones and passes requests on to the others.
// Ref: kube-aggregator/pkg/{registry/apiservice,apis/apiregistration/validation}

import {
  type FieldError,
  invalidValue,
  isDns1035Label,
  isDns1123Subdomain,
  isObject,
  isPathSegmentName,
  isPortNumber,
  type JsonObject,
  type JsonValue,
  type KubeObject,
  notSupported,
  required,
} from '@podless/apimachinery'
import type { Resource, Strategy } from '../resource.ts'
import { timestamp } from '../writing/write.ts'
import { builtin } from './builtin.ts'
import { AGE, column, NAME } from './columns.ts'
import { fillDefaults, numberAt, objectAt, objectsAt, textAt, valueAt } from './reading.ts'

/** What an APIService without a Service is, always. */
export const LOCAL_CONDITION = {
  type: 'Available',
  status: 'True',
  reason: 'Local',
  message: 'Local APIServices are always available',
} as const

const GROUP_PRIORITY_MAX = 20_000
const VERSION_PRIORITY_MAX = 1000

function defaultPort(obj: KubeObject): void {
  const service = valueAt(obj, 'spec.service')
  if (isObject(service)) fillDefaults(service, { port: 443 })
}

function prepareForCreate(obj: KubeObject, now: Date): void {
  const lastTransitionTime = timestamp(now)
  if (isObject(valueAt(obj, 'spec.service'))) return
  const { type, status, reason, message } = LOCAL_CONDITION
  obj.status = { conditions: [{ type, status, lastTransitionTime, reason, message }] }
}

function validate(obj: KubeObject): FieldError[] {
  const service = valueAt(obj, 'spec.service')
  return [
    ...nameErrors(obj),
    ...groupVersionErrors(obj),
    ...priorityErrors(obj, 'groupPriorityMinimum', GROUP_PRIORITY_MAX),
    ...priorityErrors(obj, 'versionPriority', VERSION_PRIORITY_MAX),
    ...(isObject(service) ? remoteErrors(obj, service) : localErrors(obj)),
  ]
}

function nameErrors({ metadata, ...obj }: KubeObject): FieldError[] {
  const name = metadata.name ?? ''
  const wanted = `${textAt(obj, 'spec.version')}.${textAt(obj, 'spec.group')}`
  const mismatch =
    name === wanted ? [] : [`must be \`spec.version+"."+spec.group\`: ${JSON.stringify(wanted)}`]
  const odd = isPathSegmentName(name)
  return (odd.length > 0 ? odd : mismatch).map(why => invalidValue('metadata.name', name, why))
}

function groupVersionErrors(obj: KubeObject): FieldError[] {
  const [group, version] = [textAt(obj, 'spec.group'), textAt(obj, 'spec.version')]
  const missing = 'only v1 may have an empty group and it better be legacy kube'
  return [
    ...(group === '' && version !== 'v1' ? [required('spec.group', missing)] : []),
    ...(group === '' ? [] : isDns1123Subdomain(group)).map(why =>
      invalidValue('spec.group', group, why),
    ),
    ...isDns1035Label(version).map(why => invalidValue('spec.version', version, why)),
  ]
}

function priorityErrors(obj: KubeObject, field: string, max: number): FieldError[] {
  const value = numberAt(obj, ['spec', field]) ?? 0
  if (value > 0 && value <= max) return []
  return [invalidValue(`spec.${field}`, value, `must be positive and less than ${max}`)]
}

const bundleBytes = (obj: KubeObject): number =>
  Buffer.byteLength(textAt(obj, 'spec.caBundle'), 'base64')
const isInsecure = (obj: KubeObject): boolean => valueAt(obj, 'spec.insecureSkipTLSVerify') === true

function localErrors(obj: KubeObject): FieldError[] {
  const bytes = bundleBytes(obj)
  const local = (field: string, value: JsonValue): FieldError =>
    invalidValue(`spec.${field}`, value, `local APIServices may not have ${aOf(field)}`)
  return [
    ...(bytes > 0 ? [local('caBundle', `${bytes} bytes`)] : []),
    ...(isInsecure(obj) ? [local('insecureSkipTLSVerify', true)] : []),
  ]
}

const aOf = (field: string): string => (field === 'caBundle' ? `a ${field}` : field)

function remoteErrors(obj: KubeObject, service: JsonObject): FieldError[] {
  const port = numberAt(service, 'port') ?? 0
  const wrongPort = isPortNumber(port)
  return [
    ...['namespace', 'name']
      .filter(field => textAt(service, field) === '')
      .map(field => required(`spec.service.${field}`)),
    ...(wrongPort.length === 0
      ? []
      : [invalidValue('spec.service.port', port, `port is not valid: ${wrongPort.join(', ')}`)]),
    ...(isInsecure(obj) && bundleBytes(obj) > 0
      ? [invalidValue('spec.insecureSkipTLSVerify', true, 'may not be true if caBundle is present')]
      : []),
  ]
}

const STATUSES = ['True', 'False', 'Unknown']

const statusErrors = (obj: KubeObject): FieldError[] =>
  objectsAt(obj, 'status.conditions').flatMap((condition, index) => {
    const status = textAt(condition, 'status')
    const path = `status.conditions[${index}].status`
    return STATUSES.includes(status) ? [] : [notSupported(path, status, STATUSES)]
  })

/** Labels, annotations, finalizers and owners are the main door's too. */
function mergeStatus(sent: KubeObject, live: KubeObject): KubeObject {
  const metadata = { ...sent.metadata }
  for (const field of ['labels', 'annotations', 'finalizers', 'ownerReferences'] as const) {
    delete metadata[field]
    if (live.metadata[field] !== undefined)
      Object.assign(metadata, { [field]: live.metadata[field] })
  }
  return { ...live, metadata, status: sent.status ?? {} }
}

const strategy: Strategy = {
  allowUnconditionalUpdate: false,
  // The name is the version and the group; `validate` says so.
  validateName: () => [],
  default: defaultPort,
  prepareForCreate: (obj, ctx) => prepareForCreate(obj, ctx.now()),
  validate,
  validateUpdate: validate,
}

function serviceText(obj: KubeObject): string {
  const { namespace, name } = objectAt(obj, 'spec.service')
  return name === undefined ? 'Local' : `${namespace}/${name}`
}

function availableText(obj: KubeObject): string {
  const found = objectsAt(obj, 'status.conditions').find(({ type }) => type === 'Available')
  const [status, reason] = [textAt(found, 'status') || 'Unknown', textAt(found, 'reason')]
  return status === 'True' || reason === '' ? status : `${status} (${reason})`
}

const apiServices = builtin({
  group: 'apiregistration.k8s.io',
  kind: 'APIService',
  plural: 'apiservices',
  categories: ['api-extensions'],
  namespaced: false,
  keyPrefix: '/registry/apiregistration.k8s.io/apiservices',
  strategy,
  status: {
    merge: mergeStatus,
    validateUpdate: statusErrors,
    resetFields: [['spec'], ['metadata']],
  },
  columns: [
    NAME,
    column('Service', 'The Service behind which the server of this group version is.', serviceText),
    column('Available', 'Whether requests for this group version are answered.', availableText),
    AGE,
  ],
})

export const apiregistrationResources: readonly Resource[] = [apiServices]
