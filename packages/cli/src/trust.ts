// The keys and certificates a running server goes by, and their change without a restart: when a file of DIR/pki changes,
// when a key in it comes to its end, on SIGHUP and once a day the folder is read again. Called by up.ts; calls identity for
// the files and the server to take them up.

import { join } from 'node:path'
import type { ApiServer, Log, TlsMaterial } from '@podless/api'
import {
  type KeyedCertificate,
  openPki,
  openServingCertificate,
  type Pki,
  ServiceAccountTokens,
} from '@podless/identity'
import { WatchedFiles } from './watched-files.ts'

const DAY_MS = 24 * 60 * 60 * 1000
/** Files that cannot be used are read again this soon, as a key that has come to its end counts until they are. */
const RETRY_MS = 60_000
/** Of DIR/pki; whoever changes several writes them in an order in which each state between is a good one. */
const FILES = [
  ...['ca.crt', 'ca-cross.crt', 'ca.key', 'sa.key', 'sa.pub', 'revoked.txt'],
  ...['apiserver.crt', 'apiserver.key'],
]

export interface TrustOptions {
  /** Holds pki/. */
  readonly data: string
  /** Names the server is reached by, besides the fixed ones. */
  readonly names: readonly string[]
  readonly now: () => Date
}

/** What DIR/pki held when it was last read well. */
export class Trust {
  readonly tokens: ServiceAccountTokens
  readonly files: WatchedFiles
  readonly #options: TrustOptions
  #pki: Pki
  #serving: KeyedCertificate

  constructor(options: TrustOptions, pki: Pki, serving: KeyedCertificate) {
    this.#options = options
    this.#pki = pki
    this.#serving = serving
    this.files = new WatchedFiles(FILES.map(name => join(pki.directory, name)))
    const { tokenKey: key, olderTokenKeys: olderKeys } = pki
    this.tokens = new ServiceAccountTokens({ key, olderKeys, now: options.now })
  }

  get pki(): Pki {
    return this.#pki
  }

  get tls(): TlsMaterial {
    const { certificate, key } = this.#serving
    return { key, cert: certificate + this.#pki.chain, clientCa: this.#pki.bundle }
  }

  /** Milliseconds until something that counts by now comes to its end; a day at most. */
  get leftMs(): number {
    const { nextEnd } = this.#pki
    if (nextEnd === undefined) return DAY_MS
    const left = nextEnd.getTime() - this.#options.now().getTime()
    return Math.min(Math.max(left, 0), DAY_MS)
  }

  isRevoked(serial: string): boolean {
    return this.#pki.revoked.has(serial)
  }

  /** Reads the files again. Throws PkiError, and keeps what it has, when they are not as they should be. */
  async reload(): Promise<void> {
    const { data, names, now } = this.#options
    await this.files.note()
    const pki = await openPki(data, { now: now() })
    const serving = await openServingCertificate(pki, { names, now: now() })
    this.tokens.replaceKeys(pki.tokenKey, pki.olderTokenKeys)
    this.#pki = pki
    this.#serving = serving
  }
}

/** Loads DIR/pki, making what is missing. Throws PkiError. */
export async function openTrust(options: TrustOptions): Promise<Trust> {
  const pki = await openPki(options.data, { now: options.now() })
  const { names, now } = options
  const trust = new Trust(options, pki, await openServingCertificate(pki, { names, now: now() }))
  await trust.files.note()
  return trust
}

/**
 * Reloads on changes, at the end of a key, on SIGHUP and daily until the function it returns is called. `onReload` runs
 * after each.
 */
export function followTrust(options: {
  readonly trust: Trust
  readonly server: Pick<ApiServer, 'reloadTrust'>
  readonly log: Log
  readonly onReload: () => Promise<void>
  /** How often to look for changes. */
  readonly everyMs?: number
}): () => void {
  const { trust, server, log, onReload, everyMs } = options
  let last: Promise<void> = Promise.resolve()
  let timer: NodeJS.Timeout | undefined
  let isStopped = false
  const reloadIn = (delayMs: number): void => {
    clearTimeout(timer)
    if (!isStopped) timer = setTimeout(reload, delayMs).unref()
  }
  const once = async (): Promise<void> => {
    try {
      await trust.reload()
      server.reloadTrust(trust.tls)
      reloadIn(trust.leftMs)
      await onReload()
      log.info('keys and certificates were read again', { revoked: trust.pki.revoked.size })
    } catch (error) {
      reloadIn(RETRY_MS)
      log.error('the keys in pki/ cannot be used; those from before stay in force', error)
    }
  }
  // One after another: the files of the last signal win.
  const reload = async (): Promise<void> => {
    last = last.then(once)
    await last
  }
  const stopLooking = trust.files.follow(reload, everyMs)
  reloadIn(trust.leftMs)
  process.on('SIGHUP', reload)
  return () => {
    isStopped = true
    clearTimeout(timer)
    stopLooking()
    process.off('SIGHUP', reload)
  }
}
