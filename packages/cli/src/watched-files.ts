// Notices that files have changed, by looking now and then: they may be a mount's, whose links are exchanged, and then no
// notice comes. Used by authentication-config.ts and trust.ts.

import { stat } from 'node:fs/promises'

/** Looking costs a few microseconds a file. */
const LOOK_EVERY_MS = 2_000

export class WatchedFiles {
  readonly #paths: readonly string[]
  #seen = ''

  /** The files need not exist. */
  constructor(paths: readonly string[]) {
    this.#paths = paths
  }

  /** Notes how the files are. Call it before they are read, so that no change in between is missed. */
  async note(): Promise<void> {
    this.#seen = await this.#edition()
  }

  /** Calls `onChange`, one call at a time, whenever the files are not as last noted, until the returned function is called. */
  follow(onChange: () => Promise<void>, everyMs = LOOK_EVERY_MS): () => void {
    let isBusy = false
    const look = async (): Promise<void> => {
      if (isBusy) return
      isBusy = true
      try {
        if ((await this.#edition()) !== this.#seen) {
          await this.note()
          await onChange()
        }
      } finally {
        isBusy = false
      }
    }
    const timer = setInterval(look, everyMs)
    timer.unref()
    return () => clearInterval(timer)
  }

  async #edition(): Promise<string> {
    return (await Promise.all(this.#paths.map(editionOf))).join()
  }
}

async function editionOf(path: string): Promise<string> {
  try {
    // The change time, as a file that was refused for its mode is as new once that is changed.
    const { ino, ctimeNs, size } = await stat(path, { bigint: true })
    return `${ino}.${ctimeNs}.${size}`
  } catch (error) {
    if (error instanceof Error && 'code' in error) return String(error.code)
    throw error
  }
}
