// The package's public face: who you are, on paper. Grouped by file.
export {
  openPki,
  openServingCertificate,
  type Pki,
  type TokenAlgorithm,
} from './ca.ts'
export * from './certificate.ts'
export * from './certificate-request.ts'
export {
  type ClientIdentity,
  issuedByOneOf,
  parseCertificate,
  readClientCertificate,
  serialOf,
  verifyClientCertificate,
} from './client-certificate.ts'
export * from './kubeconfig.ts'
export * from './oidc-provider.ts'
export * from './pem.ts'
export { PkiError } from './pki-file.ts'
export * from './rotation.ts'
export * from './service-account-token.ts'
