// Reads an lmdb data file with plain file reads and says whether lmdb may map it: a truncated or
// overwritten file would end the process with a signal, not with an error. Called by data-folder.ts
// before every open; calls node:fs.

import { closeSync, fstatSync, openSync, readFileSync, readSync } from 'node:fs'

// Layout of lmdb's data format version 2 on little-endian 64-bit machines, as lmdb-js builds it.
// Ref: lmdb-js dependencies/lmdb/libraries/liblmdb/mdb.c (MDB_meta, MDB_page_header, MDB_node,
// MDB_ovpage, MDB_db)
const META = { magic: 24, pageSize: 48, freeRoot: 88, mainRoot: 136, txnId: 152, bootId: 160 }
const META_BYTES = 168
const MAGIC = 0xbeefc0de
const PAGE_HEADER_BYTES = 24
const PAGE = { number: 0, flags: 18, lower: 20, upper: 22 }
const FLAG_BRANCH = 0x01
const FLAG_LEAF = 0x02
const NODE_HEADER_BYTES = 8
const NODE_BIG_DATA = 0x01
const NODE_SUB_DATABASE = 0x02
const DATABASE_BYTES = 48
const DATABASE_ROOT = 40
const OVERFLOW = { number: 0, pages: 16 }
const OVERFLOW_BYTES = 24
const NO_PAGE = 0xffffffffffffffffn
const DEPTH_MAX = 32

/**
 * What is wrong with the file in a few words, or undefined when every page that lmdb would visit is
 * there and sane.
 */
export function lmdbFileProblem(path: string): string | undefined {
  const fd = openSync(path, 'r')
  try {
    const file = new LmdbFile(fd)
    file.check()
    return undefined
  } catch (error) {
    if (error instanceof Problem) return error.message
    throw error
  } finally {
    closeSync(fd)
  }
}

class Problem extends Error {}

class LmdbFile {
  readonly #fd: number
  readonly #size: number
  #pageSize = 0
  #pageCount = 0

  constructor(fd: number) {
    this.#fd = fd
    this.#size = fstatSync(fd).size
  }

  check(): void {
    const first = this.#readMeta(0)
    this.#pageSize = first.readUInt32LE(META.pageSize)
    const isPowerOfTwo = (this.#pageSize & (this.#pageSize - 1)) === 0
    if (this.#pageSize < 512 || this.#pageSize > 65536 || !isPowerOfTwo) {
      throw new Problem(`its header names an impossible page size (${this.#pageSize})`)
    }
    this.#pageCount = Math.floor(this.#size / this.#pageSize)
    const second = this.#readMeta(this.#pageSize)
    const isFirstNewer = first.readBigUInt64LE(META.txnId) >= second.readBigUInt64LE(META.txnId)
    const newest = isFirstNewer ? first : second
    try {
      this.#checkTrees(newest)
    } catch (problem) {
      // After a crash of the machine the newest transaction may not have reached the disk. lmdb
      // then goes back to the last flushed one, which it keeps in the middle of the first page.
      const isSameBoot = newest.readBigUInt64LE(META.bootId) === bootId()
      if (isSameBoot || !(problem instanceof Problem)) throw problem
      this.#checkTrees(this.#read(this.#pageSize >> 1, META_BYTES))
    }
  }

  #checkTrees(meta: Buffer): void {
    this.#checkTree(meta.readBigUInt64LE(META.freeRoot), 0)
    this.#checkTree(meta.readBigUInt64LE(META.mainRoot), 0)
  }

  #readMeta(offset: number): Buffer {
    const bytes = this.#read(offset, META_BYTES)
    if (bytes.readUInt32LE(META.magic) !== MAGIC) throw new Problem('it has no lmdb header')
    return bytes
  }

  #read(offset: number, length: number): Buffer {
    if (offset + length > this.#size) throw new Problem('it is truncated')
    const bytes = Buffer.allocUnsafe(length)
    if (readSync(this.#fd, bytes, 0, length, offset) !== length)
      throw new Problem('it is truncated')
    return bytes
  }

  #checkTree(root: bigint, depth: number): void {
    if (root === NO_PAGE) return
    if (depth > DEPTH_MAX) throw new Problem('its tree is deeper than lmdb allows')
    const number = this.#inside(root, 1n)
    const page = this.#read(number * this.#pageSize, this.#pageSize)
    if (page.readBigUInt64LE(PAGE.number) !== root) {
      throw new Problem(`page ${number} is not what it should be`)
    }
    const flags = page.readUInt16LE(PAGE.flags)
    const isBranch = (flags & FLAG_BRANCH) !== 0
    if (isBranch === ((flags & FLAG_LEAF) !== 0)) {
      throw new Problem(`page ${number} is neither branch nor leaf`)
    }
    for (const node of this.#nodes(page, number)) {
      if (isBranch) this.#checkTree(childOf(page, node), depth + 1)
      else this.#checkLeafNode(page, node, depth)
    }
  }

  /** Offsets of the page's nodes, each wholly inside the page. */
  #nodes(page: Buffer, number: number): number[] {
    const lower = page.readUInt16LE(PAGE.lower)
    const upper = page.readUInt16LE(PAGE.upper)
    const space = this.#pageSize - PAGE_HEADER_BYTES
    if (lower > upper || upper > space) throw new Problem(`page ${number} has impossible bounds`)
    const nodes: number[] = []
    for (let i = 0; i < lower >> 1; i++) {
      const offset = PAGE_HEADER_BYTES + page.readUInt16LE(PAGE_HEADER_BYTES + 2 * i)
      if (offset < PAGE_HEADER_BYTES + upper || offset + NODE_HEADER_BYTES > this.#pageSize) {
        throw new Problem(`page ${number} points outside of itself`)
      }
      nodes.push(offset)
    }
    return nodes
  }

  #checkLeafNode(page: Buffer, node: number, depth: number): void {
    const flags = page.readUInt16LE(node + 4)
    const data = node + NODE_HEADER_BYTES + page.readUInt16LE(node + 6)
    const size = page.readUInt32LE(node)
    const isBig = (flags & NODE_BIG_DATA) !== 0
    if (data + (isBig ? OVERFLOW_BYTES : size) > this.#pageSize) {
      throw new Problem('an entry reaches beyond its page')
    }
    if (isBig) {
      const pages = page.readBigUInt64LE(data + OVERFLOW.pages)
      this.#inside(page.readBigUInt64LE(data + OVERFLOW.number), pages)
      if (BigInt(size) > pages * BigInt(this.#pageSize)) {
        throw new Problem('a value is larger than its pages')
      }
    } else if ((flags & NODE_SUB_DATABASE) !== 0) {
      if (size !== DATABASE_BYTES) throw new Problem('a table has an impossible header')
      this.#checkTree(page.readBigUInt64LE(data + DATABASE_ROOT), depth + 1)
    }
  }

  /** The page number as a number, once it is sure that `count` pages from it are in the file. */
  #inside(page: bigint, count: bigint): number {
    if (page < 2n || page + count > BigInt(this.#pageCount)) throw new Problem('it is truncated')
    return Number(page)
  }
}

/**
 * The machine's boot as lmdb records it: the first group of the boot's UUID. Zero where there is
 * none.
 */
function bootId(): bigint {
  try {
    const uuid = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8')
    return BigInt(`0x${uuid.slice(0, uuid.indexOf('-'))}`)
  } catch {
    return 0n
  }
}

/** A branch node keeps its 48-bit child where a leaf node keeps size and flags. */
function childOf(page: Buffer, node: number): bigint {
  const low = page.readUInt32LE(node)
  const high = page.readUInt16LE(node + 4)
  return BigInt(low) + (BigInt(high) << 32n)
}
