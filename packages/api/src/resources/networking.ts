// The group networking.k8s.io: Ingress, IngressClass, NetworkPolicy, IPAddress, ServiceCIDR. Read by resources/index.ts.
// Ref: kubernetes/pkg/apis/networking/validation, kubernetes/pkg/apis/networking/v1/defaults.go

import {
  type FieldError,
  forbiddenField,
  immutableField,
  invalidValue,
  isDns1123Label,
  isDns1123Subdomain,
  isObject,
  isPathSegmentName,
  type JsonObject,
  type JsonValue,
  type KubeObject,
  notSupported,
  required,
  tooLong,
} from '@podless/apimachinery'
import type { Resource } from '../resource.ts'
import { canonicalAddressProblems, canonicalCidrProblems, parseCidr } from './address-rules.ts'
import { builtin } from './builtin.ts'
import { AGE, column, formatSelector, NAME, textColumn } from './columns.ts'
import {
  ingressErrors,
  ingressWarnings,
  newIngressErrors,
  referenceErrors,
} from './ingress-rules.ts'
import { policyErrors } from './network-policy-rules.ts'
import {
  ensureObject,
  fillEmpty,
  objectAt,
  objectsAt,
  textAt,
  textsAt,
  valueAt,
} from './reading.ts'

const GROUP = 'networking.k8s.io'

// --- Ingress

const HOSTS_SHOWN = 3

function hosts(obj: KubeObject): string {
  const named = objectsAt(obj, 'spec.rules').map(rule => textAt(rule, 'host'))
  const known = named.filter(host => host !== '')
  if (known.length === 0) return '*'
  const list = known.slice(0, HOSTS_SHOWN).join(',')
  return known.length > HOSTS_SHOWN ? `${list} + ${known.length - HOSTS_SHOWN} more...` : list
}

const ingresses = builtin({
  group: GROUP,
  kind: 'Ingress',
  plural: 'ingresses',
  shortNames: ['ing'],
  keyPrefix: '/registry/ingress',
  strategy: {
    hasGeneration: true,
    validate: newIngressErrors,
    validateUpdate: ingressErrors,
    warnings: ingressWarnings,
  },
  status: true,
  columns: [
    NAME,
    column('Class', 'Whose it is.', obj => textAt(obj, 'spec.ingressClassName') || '<none>'),
    column('Hosts', 'The names it answers to.', hosts),
    column('Address', 'Where it is reached.', obj =>
      objectsAt(obj, 'status.loadBalancer.ingress')
        .map(entry => textAt(entry, 'ip') || textAt(entry, 'hostname'))
        .join(','),
    ),
    column('Ports', 'Its ports, those with TLS included.', obj =>
      objectsAt(obj, 'spec.tls').length > 0 ? '80, 443' : '80',
    ),
    AGE,
  ],
})

// --- IngressClass

const CONTROLLER_BYTES_MAX = 250
const SCOPES = ['Cluster', 'Namespace']
const PATH_FORMAT = String.raw`[A-Za-z0-9/\-._~%!$&'()*+,;=:]+`

function classErrors(obj: KubeObject): FieldError[] {
  const controller = textAt(obj, 'spec.controller')
  const isLong = Buffer.byteLength(controller) > CONTROLLER_BYTES_MAX
  const parameters = valueAt(obj, 'spec.parameters')
  return [
    ...(isLong ? [tooLong('spec.controller', CONTROLLER_BYTES_MAX)] : []),
    ...controllerErrors(controller),
    ...(isObject(parameters) ? parameterErrors(parameters) : []),
  ]
}

function controllerErrors(controller: string): FieldError[] {
  const path = 'spec.controller'
  if (controller === '') return [required(path)]
  const [, host, rest] = /^([^/]+)\/(.+)$/s.exec(controller) ?? []
  if (host === undefined || rest === undefined) {
    const detail = 'must be a domain-prefixed path (such as "acme.io/foo")'
    return [invalidValue(path, controller, detail)]
  }
  const errors = isDns1123Subdomain(host).map(text => invalidValue(path, host, text))
  if (/^[A-Za-z0-9/\-._~%!$&'()*+,;=:]+$/.test(rest)) return errors
  const detail = `Invalid path (regex used for validation is '${PATH_FORMAT}')`
  return [...errors, invalidValue(path, rest, detail)]
}

function parameterErrors(parameters: JsonObject): FieldError[] {
  const errors = referenceErrors(parameters, 'spec.parameters')
  const scope = textAt(parameters, 'scope')
  const namespace = valueAt(parameters, 'namespace')
  const path = 'spec.parameters.namespace'
  if (!SCOPES.includes(scope)) errors.push(notSupported('spec.parameters.scope', scope, SCOPES))
  else if (scope === 'Cluster') {
    const detail = "`parameters.scope` is set to 'Cluster'"
    if (namespace !== undefined) errors.push(forbiddenField(path, detail))
  } else if (typeof namespace !== 'string') {
    errors.push(required(path, "`parameters.scope` is set to 'Namespace'"))
  } else {
    errors.push(...isDns1123Label(namespace).map(text => invalidValue(path, namespace, text)))
  }
  return errors
}

const ingressClasses = builtin({
  group: GROUP,
  kind: 'IngressClass',
  plural: 'ingressclasses',
  namespaced: false,
  strategy: {
    hasGeneration: true,
    default: obj => {
      const parameters = valueAt(obj, 'spec.parameters')
      if (parameters === undefined || parameters === null) return
      fillEmpty(objectAt(obj, 'spec.parameters'), { scope: 'Cluster' })
    },
    validate: classErrors,
    validateUpdate: (obj, old) => [
      ...immutableField(
        valueAt(obj, 'spec.controller'),
        valueAt(old, 'spec.controller'),
        'spec.controller',
      ),
      ...classErrors(obj),
    ],
  },
  columns: [
    NAME,
    textColumn('Controller', 'spec.controller', 'What serves its Ingresses.'),
    column('Parameters', 'More settings.', obj => {
      const parameters = objectAt(obj, 'spec.parameters')
      const name = textAt(parameters, 'name')
      if (name === '') return '<none>'
      const group = textAt(parameters, 'apiGroup')
      return `${textAt(parameters, 'kind')}${group === '' ? '' : `.${group}`}/${name}`
    }),
    AGE,
  ],
})

// --- NetworkPolicy

const networkPolicies = builtin({
  group: GROUP,
  kind: 'NetworkPolicy',
  plural: 'networkpolicies',
  shortNames: ['netpol'],
  strategy: {
    hasGeneration: true,
    default: obj => {
      const spec = ensureObject(obj, 'spec')
      for (const rule of [...objectsAt(spec, 'ingress'), ...objectsAt(spec, 'egress')]) {
        for (const port of objectsAt(rule, 'ports')) fillEmpty(port, { protocol: 'TCP' })
      }
      if (textsAt(spec, 'policyTypes').length > 0) return
      const egress = objectsAt(spec, 'egress').length > 0
      spec.policyTypes = egress ? ['Ingress', 'Egress'] : ['Ingress']
    },
    validate: policyErrors,
    validateUpdate: policyErrors,
  },
  columns: [
    NAME,
    column('Pod-Selector', 'The pods it is about.', obj =>
      formatSelector(valueAt(obj, 'spec.podSelector')),
    ),
    AGE,
  ],
})

// --- IPAddress and ServiceCIDR

const parentOf = (obj: KubeObject): string => {
  const parent = objectAt(obj, 'spec.parentRef')
  const parts = ['resource', 'group', 'namespace', 'name'].map(field => textAt(parent, field))
  const [resource = '', group = '', namespace = '', name = ''] = parts
  const type = group === '' ? resource : `${resource}.${group}`
  return [type, namespace, name].filter(part => part !== '').join('/')
}

const REFERRED = ['group', 'resource', 'name', 'namespace'] as const

function parentErrors(obj: KubeObject): FieldError[] {
  const parent = valueAt(obj, 'spec.parentRef')
  if (!isObject(parent)) return [required('spec.parentRef')]
  return REFERRED.flatMap(field => {
    const path = `spec.parentRef.${field}`
    const value = textAt(parent, field)
    if (value === '') return field === 'resource' || field === 'name' ? [required(path)] : []
    const check = field === 'group' ? isDns1123Subdomain : isPathSegmentName
    return check(value).map(text => invalidValue(path, value, text))
  })
}

/** As Go prints a ParentReference. */
function shownParent(obj: KubeObject): JsonValue {
  const parent = objectAt(obj, 'spec.parentRef')
  return {
    Group: textAt(parent, 'group'),
    Resource: textAt(parent, 'resource'),
    Namespace: textAt(parent, 'namespace'),
    Name: textAt(parent, 'name'),
  }
}

const ipAddresses = builtin({
  group: GROUP,
  kind: 'IPAddress',
  plural: 'ipaddresses',
  shortNames: ['ip'],
  namespaced: false,
  strategy: {
    hasGeneration: false,
    validateName: canonicalAddressProblems,
    validate: parentErrors,
    validateUpdate: (obj, old) =>
      immutableField(shownParent(obj), shownParent(old), 'spec.parentRef'),
  },
  columns: [NAME, column('ParentRef', 'What uses the address.', parentOf)],
})

function cidrErrors(obj: KubeObject): FieldError[] {
  const path = 'spec.cidrs'
  const cidrs = textsAt(obj, path)
  if (cidrs.length === 0) return [required(path, 'at least one CIDR required')]
  if (cidrs.length > 2) {
    return [invalidValue(path, { CIDRs: [...cidrs] }, 'may only hold up to 2 values')]
  }
  const errors = cidrs.flatMap((cidr, index) =>
    canonicalCidrProblems(cidr).map(text => invalidValue(`${path}[${index}]`, cidr, text)),
  )
  const families = new Set(cidrs.map(cidr => parseCidr(cidr)?.family))
  if (cidrs.length === 1 || families.size === 2 || families.has(undefined)) return errors
  const detail =
    'may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64'
  return [...errors, invalidValue(path, [...cidrs], detail)]
}

/** A second family may be added; nothing else changes. */
function cidrUpdateErrors(obj: KubeObject, old: KubeObject): FieldError[] {
  const path = 'spec.cidrs'
  const [now, before] = [textsAt(obj, path), textsAt(old, path)]
  const grows = before.length === 1 && now.length === 2
  if (now.length !== before.length && !grows) {
    return [invalidValue(path, [...now], 'field is immutable')]
  }
  const changed = before.flatMap((cidr, index) =>
    immutableField(now[index], cidr, `${path}[${index}]`),
  )
  return grows ? [...changed, ...cidrErrors(obj)] : changed
}

const serviceCidrs = builtin({
  group: GROUP,
  kind: 'ServiceCIDR',
  plural: 'servicecidrs',
  namespaced: false,
  strategy: {
    validate: cidrErrors,
    validateUpdate: cidrUpdateErrors,
  },
  status: true,
  columns: [
    NAME,
    column('CIDRs', 'Its ranges of addresses.', obj => textsAt(obj, 'spec.cidrs').join(',')),
    AGE,
  ],
})

export const networkingResources: readonly Resource[] = [
  ingressClasses,
  ingresses,
  ipAddresses,
  networkPolicies,
  serviceCidrs,
]
