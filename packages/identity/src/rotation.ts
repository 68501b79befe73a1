// New keys in place of old ones in DIR/pki, with the old ones good for an overlap. Called by `podless rotate`; a server that
// runs reads the folder again by itself. Each file is written whole, in an order in which every state between is a good one:
// what a rotation that was killed has left counts for nothing, and the next one begins anew. One runs at a time.

import { generateKeyPairSync } from 'node:crypto'
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { generateTokenKey, openPki, type Pki, publicKeyPem, selfSigned } from './ca.ts'
import { createCrossCertificate, privateKeyPem } from './certificate.ts'
import { type DatedBlock, isCurrent, readDatedPem, writeDatedPem } from './dated-pem.ts'
import { readPkiFile, writePkiFile } from './pki-file.ts'

export interface RotationOptions {
  readonly now: Date
  /** How long what the old key signed, or certified, stays good. */
  readonly overlapSeconds: number
}

/**
 * A new key signs ServiceAccount tokens, of the kind of the old one. Tokens of the old one are good until the overlap ends.
 * Returns the end. Throws PkiError.
 */
export async function rotateTokenKey(data: string, options: RotationOptions): Promise<Date> {
  const { directory, tokenKey } = await openToRotate(data, options)
  const until = endOf(options)
  const key = await generateTokenKey(tokenKey.asymmetricKeyType === 'ec' ? 'ES256' : 'RS256')
  const path = join(directory, 'sa.pub')
  const older = await datedBlocks(path, options.now)
  const old = publicKeyPem(tokenKey)
  const blocks = [
    { pem: publicKeyPem(key) },
    { pem: old, until },
    ...older.filter(({ pem }) => pem !== old).map(block => ending(block, until)),
  ]
  // A server that reads in between accepts tokens of both and signs with the old one.
  await writePkiFile(path, writeDatedPem(blocks))
  await writePkiFile(join(directory, 'sa.key'), privateKeyPem(key))
  return until
}

/**
 * A new authority signs certificates. Client certificates of the old one are good until the overlap ends, and clients that
 * know only the old one verify the server by the new one's cross certificate. Returns the end. Throws PkiError.
 */
export async function rotateAuthority(data: string, options: RotationOptions): Promise<Date> {
  const { directory, authority: old } = await openToRotate(data, options)
  const until = endOf(options)
  const { now, overlapSeconds: ttlSeconds } = options
  const { privateKey: key } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  // A name of its own, as some clients look for an issuer by name alone.
  const commonName = `podless-ca@${now.getTime()}`
  const { certificate } = selfSigned({ commonName, key, now })
  const [certificates, crosses] = await Promise.all(
    ['ca.crt', 'ca-cross.crt'].map(name => datedBlocks(join(directory, name), now)),
  )
  const older = (certificates ?? []).filter(({ pem }) => pem !== old.certificate)
  const bundle = [
    { pem: certificate },
    { pem: old.certificate, until },
    ...older.map(block => ending(block, until)),
  ]
  const cross = createCrossCertificate(old, { certificate, now, ttlSeconds })
  const chain = [{ pem: cross, until }, ...(crosses ?? [])]
  // The key says which certificate of ca.crt signs, so it comes last.
  await writePkiFile(join(directory, 'ca.crt'), writeDatedPem(bundle))
  await writePkiFile(join(directory, 'ca-cross.crt'), writeDatedPem(chain))
  await writePkiFile(join(directory, 'ca.key'), privateKeyPem(key))
  return until
}

/** The serving certificate and its key are made anew by the server when it next reads the folder. Throws PkiError. */
export async function rotateServing(data: string, now: Date): Promise<void> {
  const { directory } = await openToRotate(data, { now })
  for (const name of ['apiserver.crt', 'apiserver.key'])
    await rm(join(directory, name), { force: true })
}

/** Removes what killed rotations were writing, which may be a key. Others write these files in a new folder only. */
async function openToRotate(data: string, options: { readonly now: Date }): Promise<Pki> {
  const pki = await openPki(data, options)
  const isLeft = (name: string): boolean => /^(?:ca|ca-cross|sa)\.[a-z]+\..+\.new$/.test(name)
  const left = (await readdir(pki.directory)).filter(isLeft)
  await Promise.all(left.map(name => rm(join(pki.directory, name), { force: true })))
  return pki
}

const endOf = ({ now, overlapSeconds }: RotationOptions): Date =>
  new Date(now.getTime() + overlapSeconds * 1000)

async function datedBlocks(path: string, now: Date): Promise<readonly DatedBlock[]> {
  return readDatedPem((await readPkiFile(path)) ?? '').filter(block => isCurrent(block, now))
}

/** What had an end before keeps it when it is the earlier one. */
const ending = (block: DatedBlock, until: Date): DatedBlock => ({
  ...block,
  until: block.until !== undefined && block.until < until ? block.until : until,
})
