// The file of the audit log: lines in, size-based rotation, 0600. Opened by the cli; audit.ts writes through it.
// Lines are written in batches: one write for all that came while the last was under way.

import { type FileHandle, open, rename, rm } from 'node:fs/promises'

export interface AuditFileOptions {
  readonly path: string
  /** The file is set aside once a batch would make it larger. */
  readonly bytesMax: number
  /** Files set aside: PATH.1 is the youngest, and what is older than the last of them is deleted. */
  readonly filesMax: number
  /** Lines could not be written, or there were too many waiting and some were dropped. */
  readonly onError: (error: unknown) => void
}

export interface AuditFile {
  write(line: string): void
  /** Resolves when everything is written. */
  close(): Promise<void>
}

/** Lines that wait for the disk; over it, they are dropped and that is told, as a request must not wait for it. */
const WAITING_BYTES_MAX = 16 * 1024 * 1024
const OWNER_ONLY = 0o600

/** Opens the file for appending, making it. Rejects with the file system's error. */
export async function openAuditFile(options: AuditFileOptions): Promise<AuditFile> {
  const file = new RotatingFile(options)
  await file.open()
  return file
}

class RotatingFile implements AuditFile {
  readonly #options: AuditFileOptions
  #handle: FileHandle | undefined
  #size = 0
  #waiting: string[] = []
  #waitingBytes = 0
  #dropped = 0
  #flushing: Promise<void> | undefined

  constructor(options: AuditFileOptions) {
    this.#options = options
  }

  async open(): Promise<void> {
    this.#handle = await open(this.#options.path, 'a', OWNER_ONLY)
    await this.#handle.chmod(OWNER_ONLY)
    this.#size = (await this.#handle.stat()).size
  }

  write(line: string): void {
    if (this.#waitingBytes > WAITING_BYTES_MAX) {
      this.#dropped += 1
      return
    }
    this.#waiting.push(line)
    this.#waitingBytes += line.length
    this.#flushing ??= this.#flush()
  }

  async close(): Promise<void> {
    await this.#flushing
    await this.#handle?.close()
    this.#handle = undefined
  }

  async #flush(): Promise<void> {
    await Promise.resolve()
    while (this.#waiting.length > 0) {
      const bytes = Buffer.from(this.#waiting.join(''))
      this.#waiting = []
      this.#waitingBytes = 0
      try {
        await this.#append(bytes)
      } catch (error) {
        this.#options.onError(error)
      }
      if (this.#dropped === 0) continue
      this.#options.onError(
        new Error(`${this.#dropped} audit events were dropped: the disk is slow`),
      )
      this.#dropped = 0
    }
    this.#flushing = undefined
  }

  async #append(bytes: Buffer): Promise<void> {
    const isFull = this.#size > 0 && this.#size + bytes.length > this.#options.bytesMax
    if (isFull) await this.#rotate()
    if (this.#handle === undefined) await this.open()
    await this.#handle?.appendFile(bytes)
    this.#size += bytes.length
  }

  async #rotate(): Promise<void> {
    const { path, filesMax } = this.#options
    await this.#handle?.close()
    this.#handle = undefined
    const name = (n: number): string => (n === 0 ? path : `${path}.${n}`)
    await rm(name(filesMax), { force: true })
    for (let n = filesMax - 1; n >= 0; n -= 1) await renameIfThere(name(n), name(n + 1))
    if (filesMax === 0) await rm(path, { force: true })
  }
}

async function renameIfThere(from: string, to: string): Promise<void> {
  try {
    await rename(from, to)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
  }
}
