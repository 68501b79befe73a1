// The cluster's authority and the keys of its tokens: made once, kept in DIR/pki, loaded ever after.
// Called by `podless up` and the CLI's minting commands; calls certificate.ts and the file system.
// The files are secrets: each is 0600 in a folder of 0700, and appears whole or not at all.

import { createPublicKey, generateKeyPair, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { chmod, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import {
  createAuthorityCertificate,
  createServingCertificate,
  type Issuer,
  type KeyedCertificate,
  parsePrivateKey,
  privateKeyPem,
  servingCertificateFits,
} from './certificate.ts'
import { parseCertificate } from './client-certificate.ts'
import { type DatedBlock, firstEnd, isCurrent, readDatedPem } from './dated-pem.ts'
import { PkiError, readPkiFile as read, writePkiFile as write } from './pki-file.ts'

const DAY_SECONDS = 24 * 60 * 60
/** Ten years: as long as kubeadm's, as every kubeconfig and workload trusts it by value. */
const AUTHORITY_TTL_SECONDS = 3650 * DAY_SECONDS
const SERVING_TTL_SECONDS = 365 * DAY_SECONDS
/** A serving certificate is made anew at the first start within a month of its end. */
const SERVING_MARGIN_SECONDS = 30 * DAY_SECONDS
const RSA_BITS = 2048

/**
 * How new token keys sign. RS256 is the default, as clients that verify tokens by the JWKS alone accept nothing else
 * unless told; ES256 is made in no time and its tokens are shorter.
 */
export type TokenAlgorithm = 'RS256' | 'ES256'

/** What DIR/pki holds. */
export interface Pki {
  readonly directory: string
  /** Signs certificates: the one of ca.crt that belongs to ca.key. */
  readonly authority: Issuer
  /** What of ca.crt has not ended, PEM: what clients verify this server with, and whose client certificates are trusted. */
  readonly bundle: string
  /**
   * What of ca-cross.crt has not ended, PEM: the authority certified by those before it. Shown after the serving
   * certificate, so that clients that only know an earlier authority go on.
   */
  readonly chain: string
  /** Signs ServiceAccount tokens; see service-account-token.ts. */
  readonly tokenKey: KeyObject
  /** When the first of all these ends: the folder is to be read again then. Undefined while nothing has an end. */
  readonly nextEnd: Date | undefined
  /** sa.pub: whose tokens are accepted besides, such as those of the key before. */
  readonly olderTokenKeys: readonly KeyObject[]
  /** revoked.txt: serial numbers of client certificates that are good no more; upper-case hex. */
  readonly revoked: ReadonlySet<string>
}

/**
 * Loads DIR/pki, making what is missing: ca.crt, ca.key, sa.key, sa.pub. Throws PkiError when a file is there
 * but unreadable, or when ca.crt has lost its key: a new authority would lock every client out silently.
 */
export async function openPki(
  dataDirectory: string,
  options: { readonly now: Date; readonly tokenAlgorithm?: TokenAlgorithm },
): Promise<Pki> {
  const directory = join(dataDirectory, 'pki')
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const [authority, tokenKey] = await Promise.all([
    openAuthority(directory, options.now),
    openTokenKey(directory, options.tokenAlgorithm ?? 'RS256'),
  ])
  const [bundle = authority.certificate, chain = '', publicKeys = '', serials = ''] =
    await Promise.all(
      ['ca.crt', 'ca-cross.crt', 'sa.pub', 'revoked.txt'].map(name => read(join(directory, name))),
    )
  // What signs has no end: a rotation that was cut off may have written one for it already.
  const signing = [authority.certificate, publicKeyPem(tokenKey)]
  const [authorities, crosses, tokenKeys] = [bundle, chain, publicKeys].map(text =>
    readDatedPem(text)
      .map(block => (signing.includes(block.pem) ? { pem: block.pem } : block))
      .filter(block => isCurrent(block, options.now)),
  ) as [DatedBlock[], DatedBlock[], DatedBlock[]]
  return {
    directory,
    authority,
    bundle: pemOf(authorities).join(''),
    chain: pemOf(crosses).join(''),
    nextEnd: firstEnd([...authorities, ...crosses, ...tokenKeys]),
    tokenKey,
    olderTokenKeys: readPublicKeys(join(directory, 'sa.pub'), pemOf(tokenKeys)),
    revoked: readSerials(join(directory, 'revoked.txt'), serials),
  }
}

const pemOf = (blocks: readonly DatedBlock[]): string[] => blocks.map(({ pem }) => pem)

function readPublicKeys(path: string, blocks: readonly string[]): KeyObject[] {
  return blocks.map(block => {
    try {
      return createPublicKey(block)
    } catch (error) {
      throw new PkiError(`${path} holds a key that cannot be read; restore it from a backup`, {
        cause: error,
      })
    }
  })
}

/** One serial number a line, in hex as openssl prints it; what follows a # is a note. */
function readSerials(path: string, text: string): ReadonlySet<string> {
  const serials = new Set<string>()
  for (const [i, line] of text.split('\n').entries()) {
    const serial = serialNumber(line.replace(/#.*/, ''))
    if (serial === '') continue
    if (!/^[0-9A-F]+$/.test(serial)) {
      throw new PkiError(`${path}, line ${i + 1}: a serial number is written in hex`)
    }
    serials.add(serial)
  }
  return serials
}

const serialNumber = (text: string): string =>
  text
    .replaceAll(/[\s:]/g, '')
    .replace(/^0x/i, '')
    .toUpperCase()
    .replace(/^0+(?=.)/, '')

/**
 * The serving certificate for `names` besides the fixed ones: the one in DIR/pki (apiserver.crt, apiserver.key)
 * while it covers them and is not about to expire, else a new one.
 */
export async function openServingCertificate(
  { directory, authority }: Pki,
  options: { readonly names: readonly string[]; readonly now: Date },
): Promise<KeyedCertificate> {
  const paths = pathsIn(directory, 'apiserver')
  const [certificate, key] = await Promise.all([read(paths.certificate), read(paths.key)])
  const margin = { ...options, marginSeconds: SERVING_MARGIN_SECONDS }
  if (certificate !== undefined && key !== undefined && matches(certificate, key)) {
    if (servingCertificateFits(certificate, authority, margin)) return { certificate, key }
  }
  const made = createServingCertificate(authority, { ...options, ttlSeconds: SERVING_TTL_SECONDS })
  await write(paths.key, made.key)
  await write(paths.certificate, made.certificate)
  return made
}

async function openAuthority(directory: string, now: Date): Promise<Issuer> {
  const paths = pathsIn(directory, 'ca')
  const [certificate, keyText] = await Promise.all([read(paths.certificate), read(paths.key)])
  if (keyText === undefined) {
    if (certificate !== undefined)
      throw new PkiError(
        `${paths.certificate} has no ca.key beside it; restore both from the same backup`,
      )
    await chmod(directory, 0o700)
    return await makeAuthority(paths, now)
  }
  const key = parsePrivateKey(keyText)
  if (key === undefined)
    throw new PkiError(`${paths.key} is not a private key; restore it from a backup`)
  // The key is written first, so a crash in between leaves a key without a certificate.
  if (certificate === undefined) return await certify(paths, key, now)
  // While an authority takes over from another, ca.crt holds both and ca.key says which of them signs.
  const own = readDatedPem(certificate).find(({ pem }) => matches(pem, keyText))?.pem
  if (own === undefined) {
    throw new PkiError(
      `${paths.certificate} and ca.key do not belong together; restore both from the same backup`,
    )
  }
  return { certificate: own, key }
}

async function makeAuthority(paths: Paths, now: Date): Promise<Issuer> {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  await write(paths.key, privateKeyPem(privateKey))
  return await certify(paths, privateKey, now)
}

async function certify(paths: Paths, key: KeyObject, now: Date): Promise<Issuer> {
  const authority = selfSigned({ commonName: 'podless-ca', key, now })
  await write(paths.certificate, authority.certificate)
  return authority
}

/** An authority that vouches for itself. */
export function selfSigned(options: {
  readonly commonName: string
  readonly key: KeyObject
  readonly now: Date
}): Issuer {
  const publicKey = createPublicKey(options.key)
  const certificate = createAuthorityCertificate({
    ...options,
    publicKey,
    ttlSeconds: AUTHORITY_TTL_SECONDS,
  })
  return { certificate, key: options.key }
}

async function openTokenKey(directory: string, algorithm: TokenAlgorithm): Promise<KeyObject> {
  const path = join(directory, 'sa.key')
  const text = await read(path)
  if (text !== undefined) {
    const key = parsePrivateKey(text)
    if (key === undefined)
      throw new PkiError(`${path} is not a private key; restore it from a backup`)
    return key
  }
  const key = await generateTokenKey(algorithm)
  await write(join(directory, 'sa.pub'), publicKeyPem(key))
  await write(path, privateKeyPem(key))
  return key
}

const generateKeyPairAsync = promisify(generateKeyPair)

/** The search for primes takes 10 to 100 ms by luck: two run at once, and the first wins. */
export async function generateTokenKey(algorithm: TokenAlgorithm): Promise<KeyObject> {
  if (algorithm === 'ES256') return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
  const search = () => generateKeyPairAsync('rsa', { modulusLength: RSA_BITS })
  return (await Promise.race([search(), search()])).privateKey
}

export function publicKeyPem(key: KeyObject): string {
  return createPublicKey(key).export({ type: 'spki', format: 'pem' }).toString()
}

function matches(certificate: string, key: string): boolean {
  const privateKey = parsePrivateKey(key)
  const parsed = parseCertificate(certificate)
  if (privateKey === undefined || parsed === undefined) return false
  return parsed.checkPrivateKey(privateKey)
}

interface Paths {
  readonly certificate: string
  readonly key: string
}

const pathsIn = (directory: string, name: string): Paths => ({
  certificate: join(directory, `${name}.crt`),
  key: join(directory, `${name}.key`),
})
