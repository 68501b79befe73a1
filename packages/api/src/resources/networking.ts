// The group networking.k8s.io: Ingress, IngressClass, NetworkPolicy, IPAddress, ServiceCIDR. Read by resources/index.ts.
// Ref: kubernetes/pkg/apis/networking/validation, kubernetes/pkg/apis/networking/v1/defaults.go

import { isIP } from 'node:net'
import {
  equalJson,
  type FieldError,
  immutableField,
  invalidValue,
  isDns1123Subdomain,
  isPortName,
  isPortNumber,
  isWildcardDns1123Subdomain,
  type JsonObject,
  type KubeObject,
  notSupported,
  required,
} from '@podless/apimachinery'
import type { Resource } from '../resource.ts'
import { builtin } from './builtin.ts'
import { AGE, column, formatSelector, NAME, textColumn } from './columns.ts'
import { NOT_A_CIDR, parseCidr, policyErrors } from './network-policy-rules.ts'
import {
  ensureObject,
  fillEmpty,
  numberAt,
  objectAt,
  objectsAt,
  textAt,
  textsAt,
  valueAt,
} from './reading.ts'

const GROUP = 'networking.k8s.io'

// --- Ingress

const PATH_TYPES = ['Exact', 'ImplementationSpecific', 'Prefix']
const HOSTS_SHOWN = 3

function backendErrors(backend: JsonObject, path: string): FieldError[] {
  const hasService = valueAt(backend, 'service') !== undefined
  const hasResource = valueAt(backend, 'resource') !== undefined
  if (hasService && hasResource) {
    return [invalidValue(path, '', 'cannot set both resource and service backends')]
  }
  if (hasResource) return []
  if (!hasService) {
    return [required(path, 'must specify a resource or service backend')]
  }
  const errors: FieldError[] = []
  if (textAt(backend, 'service.name') === '') errors.push(required(`${path}.service.name`))
  const name = textAt(backend, 'service.port.name')
  const number = numberAt(backend, 'service.port.number') ?? 0
  if (name !== '' && number !== 0) {
    errors.push(invalidValue(path, '', 'cannot set both port name & port number'))
  } else if (name !== '') {
    for (const text of isPortName(name)) {
      errors.push(invalidValue(`${path}.service.port.name`, name, text))
    }
  } else if (number === 0) {
    errors.push(required(path, 'port name or number is required'))
  } else {
    for (const text of isPortNumber(number)) {
      errors.push(invalidValue(`${path}.service.port.number`, number, text))
    }
  }
  return errors
}

function pathErrors(entry: JsonObject, path: string): FieldError[] {
  const errors: FieldError[] = []
  const type = textAt(entry, 'pathType')
  const value = textAt(entry, 'path')
  if (type === '') errors.push(required(`${path}.pathType`, 'pathType must be specified'))
  else if (!PATH_TYPES.includes(type)) {
    errors.push(notSupported(`${path}.pathType`, type, PATH_TYPES))
  } else if (type !== 'ImplementationSpecific' || value !== '') {
    if (!value.startsWith('/')) {
      errors.push(invalidValue(`${path}.path`, value, 'must be an absolute path'))
    }
    const broken = ['//', '/./', '/../', '%2f', '%2F'].filter(part => value.includes(part))
    for (const part of type === 'ImplementationSpecific' ? [] : broken) {
      const detail = `must not contain '${part}'`
      errors.push(invalidValue(`${path}.path`, value, detail))
    }
  }
  return [...errors, ...backendErrors(objectAt(entry, 'backend'), `${path}.backend`)]
}

function hostErrors(host: string, path: string): FieldError[] {
  if (host === '') return []
  if (isIP(host) !== 0) {
    return [invalidValue(path, host, 'must be a DNS name, not an IP address')]
  }
  const check = host.includes('*') ? isWildcardDns1123Subdomain : isDns1123Subdomain
  return check(host).map(text => invalidValue(path, host, text))
}

function ingressErrors(obj: KubeObject): FieldError[] {
  const errors: FieldError[] = []
  const rules = objectsAt(obj, 'spec.rules')
  const fallback = valueAt(obj, 'spec.defaultBackend')
  if (rules.length === 0 && fallback === undefined) {
    const detail = 'either `defaultBackend` or `rules` must be specified'
    errors.push(invalidValue('spec', [], detail))
  }
  if (fallback !== undefined) {
    errors.push(...backendErrors(objectAt(obj, 'spec.defaultBackend'), 'spec.defaultBackend'))
  }
  rules.forEach((rule, index) => {
    const path = `spec.rules[${index}]`
    errors.push(...hostErrors(textAt(rule, 'host'), `${path}.host`))
    if (valueAt(rule, 'http') === undefined) return
    const paths = objectsAt(rule, 'http.paths')
    if (paths.length === 0) errors.push(required(`${path}.http.paths`))
    paths.forEach((entry, at) => {
      errors.push(...pathErrors(entry, `${path}.http.paths[${at}]`))
    })
  })
  const className = valueAt(obj, 'spec.ingressClassName')
  if (typeof className === 'string') {
    for (const text of isDns1123Subdomain(className)) {
      errors.push(invalidValue('spec.ingressClassName', className, text))
    }
  }
  return errors
}

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
  strategy: { hasGeneration: true, validate: ingressErrors, validateUpdate: ingressErrors },
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

function classErrors(obj: KubeObject): FieldError[] {
  const controller = textAt(obj, 'spec.controller')
  if (controller === '') return [required('spec.controller')]
  if (/^[^/]+\/.+$/.test(controller)) return []
  const detail = 'must be a domain-prefixed path (such as "acme.io/foo")'
  return [invalidValue('spec.controller', controller, detail)]
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

const ipAddresses = builtin({
  group: GROUP,
  kind: 'IPAddress',
  plural: 'ipaddresses',
  shortNames: ['ip'],
  namespaced: false,
  strategy: {
    hasGeneration: false,
    validateName: name =>
      isIP(name) === 0 ? ['must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'] : [],
    validate: obj =>
      ['resource', 'name'].flatMap(field => {
        const path = `spec.parentRef.${field}`
        return textAt(obj, path) === '' ? [required(path)] : []
      }),
    validateUpdate: (obj, old) =>
      immutableField(
        valueAt(obj, 'spec.parentRef'),
        valueAt(old, 'spec.parentRef'),
        'spec.parentRef',
      ),
  },
  columns: [NAME, column('ParentRef', 'What uses the address.', parentOf), AGE],
  selectableFields: {
    'spec.parentRef.resource': obj => textAt(obj, 'spec.parentRef.resource'),
    'spec.parentRef.group': obj => textAt(obj, 'spec.parentRef.group'),
    'spec.parentRef.namespace': obj => textAt(obj, 'spec.parentRef.namespace'),
    'spec.parentRef.name': obj => textAt(obj, 'spec.parentRef.name'),
  },
})

function cidrErrors(obj: KubeObject): FieldError[] {
  const cidrs = textsAt(obj, 'spec.cidrs')
  if (cidrs.length === 0) return [required('spec.cidrs', 'at least one CIDR required')]
  if (cidrs.length > 2) {
    const detail = 'may only hold up to 2 values'
    return [invalidValue('spec.cidrs', [...cidrs], detail)]
  }
  return cidrs.flatMap((cidr, index) =>
    parseCidr(cidr) === undefined ? [invalidValue(`spec.cidrs[${index}]`, cidr, NOT_A_CIDR)] : [],
  )
}

const serviceCidrs = builtin({
  group: GROUP,
  kind: 'ServiceCIDR',
  plural: 'servicecidrs',
  namespaced: false,
  strategy: {
    validate: cidrErrors,
    validateUpdate: (obj, old) =>
      equalJson(valueAt(obj, 'spec.cidrs'), valueAt(old, 'spec.cidrs'))
        ? []
        : [invalidValue('spec.cidrs', [...textsAt(obj, 'spec.cidrs')], 'field is immutable')],
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
