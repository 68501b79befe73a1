// One JSON document over HTTPS, from a server that is trusted by a given authority. Called by oidc-provider.ts.
// Limited in time and size, as whoever answers may be slow or worse. Redirects are not followed.

import { request } from 'node:https'

/** PEM to verify the server with, instead of the system's certificates. */
export interface RootCertificates {
  readonly ca?: string
}

const TIMEOUT_MS = 10_000
/** A key set has some KiB. */
const DOCUMENT_BYTES_MAX = 1024 * 1024

/** Rejects with an Error that names the URL for anything but 200 with JSON. */
export async function fetchJson(url: string, { ca }: RootCertificates): Promise<unknown> {
  try {
    return JSON.parse(await fetchText(url, ca))
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new Error(`Get ${JSON.stringify(url)}: ${why}`, { cause: error })
  }
}

async function fetchText(url: string, ca: string | undefined): Promise<string> {
  // Keys that came over a line anybody could change prove nothing.
  if (!url.startsWith('https://')) throw new Error('the scheme must be https')
  return await new Promise((resolve, reject) => {
    const sent = request(url, {
      agent: false,
      headers: { accept: 'application/json' },
      signal: AbortSignal.timeout(TIMEOUT_MS),
      ...(ca === undefined ? {} : { ca }),
    })
    sent.on('error', reject)
    sent.on('response', response => {
      const chunks: Buffer[] = []
      let size = 0
      response.on('error', reject)
      response.on('data', (chunk: Buffer) => {
        size += chunk.length
        chunks.push(chunk)
        if (size > DOCUMENT_BYTES_MAX) response.destroy(new Error('the document is too large'))
      })
      response.on('end', () => {
        const { statusCode = 0 } = response
        if (statusCode === 200) resolve(Buffer.concat(chunks).toString('utf8'))
        else reject(new Error(`the answer is ${statusCode}`))
      })
    })
    sent.end()
  })
}
