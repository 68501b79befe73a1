// podless rotate: new keys in DIR/pki, and the wait until the server that runs on it has taken them up. Called by
// commands/rotate.ts; calls identity for the files, and the server for what it shows.

import { access } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { rotateAuthority, rotateServing, rotateTokenKey } from '@podless/identity'
import { parseDuration } from './duration.ts'
import { CliError, EXIT } from './exit.ts'
import { explained } from './open-store.ts'
import { type OutputFormat, printJson, printLines } from './output.ts'
import { whileLocked } from './rotation-lock.ts'
import { readServerAccess, ServerClient } from './server-client.ts'

export interface RotateOptions {
  readonly data: string
  readonly overlap: string
  readonly output: OutputFormat
}

/** Several times as long as a server takes to notice. */
const WAIT_MS = 60_000
const ASK_EVERY_MS = 200

interface Rotation {
  /** Answers until when the old key is good; undefined when it is good no more. */
  readonly run: (
    data: string,
    options: { overlapSeconds: number; now: Date },
  ) => Promise<Date | undefined>
  /** What a server shows of the key. */
  readonly shown: (client: ServerClient) => Promise<string>
}

const servedKey = (client: ServerClient): Promise<string> =>
  client.publicKeyPin(spki => spki.toString('base64'))

async function renewServing(data: string, { now }: { readonly now: Date }): Promise<undefined> {
  await rotateServing(data, now)
}

const ROTATIONS: ReadonlyMap<string, Rotation> = new Map([
  ['ca', { run: rotateAuthority, shown: servedKey }],
  ['serving', { run: renewServing, shown: servedKey }],
  ['token-key', { run: rotateTokenKey, shown: client => client.text('/openid/v1/jwks') }],
])

/** Rotates and prints what came of it. Throws a CliError; then the folder is as it was, or the server is behind it. */
export async function rotate(what: string, options: RotateOptions): Promise<void> {
  const rotation = ROTATIONS.get(what)
  if (rotation === undefined) {
    const known = [...ROTATIONS.keys()].join(', ')
    throw new CliError(
      EXIT.usage,
      `there is no ${JSON.stringify(what)} to rotate; there are ${known}`,
    )
  }
  const overlapSeconds = parseDuration(options.overlap, '--overlap')
  const data = resolve(options.data)
  await mustHoldKeys(data)
  const done = await whileLocked(data, async () => {
    // Without a server the next one takes up the keys when it starts.
    const before = await shownBy(rotation, data)
    const until = await explained(() => rotation.run(data, { overlapSeconds, now: new Date() }))
    if (before !== undefined) await change(() => shownBy(rotation, data), before)
    return { until, isServed: before !== undefined }
  })
  print(what, done, options.output)
}

async function mustHoldKeys(data: string): Promise<void> {
  try {
    await access(join(data, 'pki', 'ca.crt'))
  } catch (error) {
    throw new CliError(
      EXIT.data,
      `${data} holds no keys yet; start the server there once with podless up, or name its folder with --data`,
      { cause: error },
    )
  }
}

/**
 * What the server on the folder shows, asked with the credentials that lie there now: it writes new ones when it takes up an
 * authority whose predecessor has ended. Undefined while nobody can be asked.
 */
async function shownBy(rotation: Rotation, data: string): Promise<string | undefined> {
  try {
    const client = new ServerClient(await readServerAccess(join(data, 'admin.kubeconfig')))
    try {
      return await rotation.shown(client)
    } finally {
      client.close()
    }
  } catch (error) {
    if (error instanceof CliError) return undefined
    throw error
  }
}

async function change(shown: () => Promise<string | undefined>, before: string): Promise<void> {
  const deadline = performance.now() + WAIT_MS
  for (let now = await shown(); now === undefined || now === before; now = await shown()) {
    if (performance.now() > deadline)
      throw new CliError(
        EXIT.unavailable,
        'the new keys are in place, but the server has not taken them up; its log says why, and SIGHUP lets it try again',
      )
    await new Promise(done => setTimeout(done, ASK_EVERY_MS))
  }
}

function print(
  what: string,
  { until, isServed }: { until: Date | undefined; isServed: boolean },
  output: OutputFormat,
): void {
  if (output === 'json') {
    const end = until === undefined ? {} : { oldKeyGoodUntil: until.toISOString() }
    printJson({ rotated: what, takenUp: isServed, ...end })
    return
  }
  const taken = isServed ? 'the server uses it' : 'the next podless up uses it'
  const overlap =
    until === undefined ? '' : `; what the old one signed is good until ${until.toISOString()}`
  printLines([`${what} rotated: ${taken}${overlap}`])
}
