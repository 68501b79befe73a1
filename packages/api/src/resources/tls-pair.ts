// Says why a certificate and a key do not make a TLS pair, as a warning on Secrets that should hold one.
// Called by core-config.ts. Texts are Go's crypto/tls X509KeyPair.

import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto'
import { type PemBlock, pemBlocks } from '@podless/identity'

const isKey = (type: string): boolean => type === 'PRIVATE KEY' || type.endsWith(' PRIVATE KEY')

/** The first thing wrong with the pair, or undefined. Both are PEM texts. */
export function tlsPairProblem(certificate: string, key: string): string | undefined {
  const certificates = pemBlocks(certificate)
  const leaf = certificates.find(({ type }) => type === 'CERTIFICATE')
  if (leaf === undefined) return missing(certificates, 'certificate')
  const keys = pemBlocks(key)
  const secret = keys.find(({ type }) => isKey(type))
  if (secret === undefined) return missing(keys, 'key')
  const parsed = parsePair(leaf.pem, secret.pem)
  if (typeof parsed === 'string') return parsed
  return parsed.certificate.checkPrivateKey(parsed.key)
    ? undefined
    : 'tls: private key does not match public key'
}

function missing(blocks: readonly PemBlock[], input: 'certificate' | 'key'): string {
  const [first] = blocks
  const where = `${input} input`
  if (first === undefined) return `tls: failed to find any PEM data in ${where}`
  if (input === 'certificate' && blocks.length === 1 && isKey(first.type)) {
    return `tls: failed to find certificate PEM data in ${where}, but did find a private key; PEM inputs may have been switched`
  }
  if (input === 'key' && blocks.length === 1 && first.type === 'CERTIFICATE') {
    return `tls: found a certificate rather than a key in the PEM for the private key`
  }
  const wanted =
    input === 'certificate'
      ? '"CERTIFICATE" PEM block'
      : 'PEM block with type ending in "PRIVATE KEY"'
  const skipped = `[${blocks.map(({ type }) => type).join(' ')}]`
  return `tls: failed to find ${wanted} in ${where} after skipping PEM blocks of the following types: ${skipped}`
}

function parsePair(
  certificate: string,
  key: string,
): { certificate: X509Certificate; key: KeyObject } | string {
  let leaf: X509Certificate
  try {
    leaf = new X509Certificate(certificate)
  } catch (error) {
    return error instanceof Error ? 'x509: malformed certificate' : String(error)
  }
  try {
    return { certificate: leaf, key: createPrivateKey(key) }
  } catch (error) {
    return error instanceof Error ? 'tls: failed to parse private key' : String(error)
  }
}
