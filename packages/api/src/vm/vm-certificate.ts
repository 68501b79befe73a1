// Certificates of VMs hold as long as the Secret they were made for, as the VMs' tokens do: its uid is in the subject. Asked by
// controllers/certificate-signer.ts for whom one may be made, and by auth/authenticate.ts, at every request, whether one holds.

import type { KubeObject } from '@podless/apimachinery'
import type { CertificateRequest } from '@podless/identity'
import type { UserInfo } from '../resource.ts'
import { VM_GROUP, vmOf } from './vm-policy.ts'
import { type VmRecord, vmRecord, vmSecretName } from './vm-record.ts'

/** The Secret of that namespace and name, as it is served now. */
export type SecretLookup = (namespace: string, name: string) => KubeObject | undefined

/** The uid for the certificate, or why there is none. `asked` is when the request for it was made. */
export function vmCertificateUid(
  { commonName, organizations, subjectAltName }: CertificateRequest,
  asked: string,
  secret: SecretLookup,
): { readonly uid: string } | { readonly error: string } {
  const vm = vmOf({ name: commonName, groups: [VM_GROUP] })
  if (vm === undefined) return { error: 'the common name of a VM is podless:vm:NAMESPACE:NAME' }
  if (organizations.length !== 1 || organizations[0] !== VM_GROUP)
    return { error: `the organization of a VM is ${VM_GROUP} and nothing else` }
  if (subjectAltName !== undefined) return { error: 'a VM has no alternative names' }
  const found = secret(vm.namespace, vmSecretName(vm.name))
  if (recordOf(found) === undefined) return { error: `there is no VM ${vm.namespace}/${vm.name}` }
  const { creationTimestamp, uid = '' } = found?.metadata ?? {}
  // Who asked while another Secret stood for the VM asked by credentials that were taken back since.
  return Date.parse(asked) < Date.parse(creationTimestamp ?? '')
    ? { error: 'the credentials of the VM were made anew after this request' }
    : { uid }
}

/** Why the user of a certificate is nobody any more; undefined for everybody but VMs that were removed or revoked. */
export function vmCertificateProblem(user: UserInfo, secret: SecretLookup): string | undefined {
  const vm = vmOf(user)
  if (vm === undefined) return undefined
  const record = recordOf(secret(vm.namespace, vmSecretName(vm.name)))
  if (record !== undefined && record.uid === user.uid) return undefined
  return `the VM ${vm.namespace}/${vm.name} was removed, or got new credentials`
}

const recordOf = (secret: KubeObject | undefined): VmRecord | undefined =>
  secret === undefined ? undefined : vmRecord(secret)
