// Which families of addresses a Service has, and whether what it says of its addresses fits together. Called by
// core-service.ts before an address is reserved, and with the other rules. The server's range is IPv4.
// Ref: kubernetes/pkg/registry/core/service/storage/alloc.go initIPFamilyFields,
// kubernetes/pkg/apis/core/validation ValidateServiceClusterIPsRelatedFields

import { isIP } from 'node:net'
import {
  duplicate,
  type FieldError,
  invalidValue,
  type KubeObject,
  notSupported,
} from '@podless/apimachinery'
import { addressProblems } from './address-rules.ts'
import { HEADLESS, isExternal, isHeadless } from './core-service-rules.ts'
import { ensureObject, mapAt, textAt, textsAt } from './reading.ts'

export type Family = 'IPv4' | 'IPv6'
const FAMILIES: readonly string[] = ['IPv4', 'IPv6']
const POLICIES = ['PreferDualStack', 'RequireDualStack', 'SingleStack']
const ADDRESSES_MAX = 2
const IPS = 'spec.clusterIPs'
const POLICY = 'spec.ipFamilyPolicy'

const familyOf = (ip: string): Family => (isIP(ip) === 6 ? 'IPv6' : 'IPv4')

/** What in clusterIP, clusterIPs, ipFamilies and ipFamilyPolicy does not fit together. */
export function addressFieldErrors(obj: KubeObject): FieldError[] {
  if (isExternal(obj)) return []
  const errors = [...firstAddressErrors(obj), ...familyErrors(obj)]
  const addresses = textsAt(obj, IPS)
  const isAlone = addresses[0] !== HEADLESS || addresses.length === 1
  const malformed = addresses.flatMap((ip, index) =>
    index === 0 && ip === HEADLESS
      ? []
      : addressProblems(ip).map(text => invalidValue(`${IPS}[${index}]`, ip, text)),
  )
  if (!isAlone) {
    errors.push(invalidValue(IPS, [...addresses], "'None' must be the first and only value"))
  }
  errors.push(...malformed)
  if (addresses.length > ADDRESSES_MAX) {
    errors.push(invalidValue(IPS, [...addresses], 'may only hold up to 2 values'))
  }
  return isAlone && malformed.length === 0 ? [...errors, ...stackErrors(obj)] : errors
}

function firstAddressErrors(obj: KubeObject): FieldError[] {
  const single = textAt(obj, 'spec.clusterIP')
  const addresses = textsAt(obj, IPS)
  if (addresses.length === 0 || addresses[0] === single) return []
  const detail =
    single === ''
      ? 'must be empty when `clusterIP` is not specified'
      : 'first value must match `clusterIP`'
  return [invalidValue(IPS, [...addresses], detail)]
}

function familyErrors(obj: KubeObject): FieldError[] {
  const seen = new Set<string>()
  const errors = textsAt(obj, 'spec.ipFamilies').flatMap((family, index) => {
    const path = `spec.ipFamilies[${index}]`
    const wrong = FAMILIES.includes(family) ? [] : [notSupported(path, family, FAMILIES)]
    if (seen.has(family)) wrong.push(duplicate(path, family))
    seen.add(family)
    return wrong
  })
  const policy = textAt(obj, POLICY)
  if (policy !== '' && !POLICIES.includes(policy)) {
    errors.push(notSupported(POLICY, policy, POLICIES))
  }
  return errors
}

/** Two addresses are of two families, and each is of the one that is said to be its own. */
function stackErrors(obj: KubeObject): FieldError[] {
  const addresses = textsAt(obj, IPS)
  const errors: FieldError[] = []
  if (addresses.length > 1 && new Set(addresses.map(familyOf)).size === 1) {
    const detail = 'may specify no more than one IP for each IP family'
    errors.push(invalidValue(IPS, [...addresses], detail))
  }
  if (isHeadless(obj)) return errors
  const families = textsAt(obj, 'spec.ipFamilies')
  addresses.slice(0, families.length).forEach((ip, index) => {
    const family = families[index]
    if (family === undefined || !FAMILIES.includes(family) || familyOf(ip) === family) return
    const detail = `expected an ${family} value as indicated by \`ipFamilies[${index}]\``
    errors.push(invalidValue(`${IPS}[${index}]`, ip, detail))
  })
  return errors
}

/** Fills in ipFamilies and ipFamilyPolicy of a Service that is not external; returns what cannot be had. */
export function settleFamilies(obj: KubeObject): FieldError[] {
  const spec = ensureObject(obj, 'spec')
  const errors = singleErrors(obj)
  const addresses = textsAt(spec, 'clusterIPs').filter(ip => ip !== HEADLESS)
  const families = [...textsAt(spec, 'ipFamilies')]
  families.push(...addresses.slice(families.length).map(familyOf))
  if (errors.length > 0) return errors
  const isFree = isHeadless(obj) && Object.keys(mapAt(spec, 'selector')).length === 0
  const policy = textAt(spec, 'ipFamilyPolicy') || (isFree ? 'RequireDualStack' : 'SingleStack')
  spec.ipFamilyPolicy = policy
  if (families.length === 0) families.push('IPv4')
  // Nobody reserves anything for a headless Service without pods of its own: it may have any family.
  if (isFree && policy !== 'SingleStack' && families.length === 1) {
    families.push(families[0] === 'IPv4' ? 'IPv6' : 'IPv4')
  }
  spec.ipFamilies = families
  return isFree ? [] : unconfigured(policy, families)
}

function singleErrors(obj: KubeObject): FieldError[] {
  if ((textAt(obj, POLICY) || 'SingleStack') !== 'SingleStack') return []
  const refuse = (what: string): FieldError => {
    const detail = `must be 'RequireDualStack' or 'PreferDualStack' when multiple ${what} are specified`
    return invalidValue(POLICY, 'SingleStack', detail)
  }
  return [
    ...(textsAt(obj, IPS).length === 2 ? [refuse('cluster IPs')] : []),
    ...(textsAt(obj, 'spec.ipFamilies').length === 2 ? [refuse('IP families')] : []),
  ]
}

function unconfigured(policy: string, families: readonly string[]): FieldError[] {
  const detail = 'this cluster is not configured for dual-stack services'
  return [
    ...(policy === 'RequireDualStack' ? [invalidValue(POLICY, policy, detail)] : []),
    ...families.flatMap((family, index) =>
      family === 'IPv4'
        ? []
        : [invalidValue(`spec.ipFamilies[${index}]`, family, 'not configured on this cluster')],
    ),
  ]
}
