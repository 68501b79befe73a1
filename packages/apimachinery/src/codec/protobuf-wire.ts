// Protobuf's wire format: varints, lengths, tags. Called by protobuf-encode.ts and protobuf-decode.ts.

import { type JsonNumber, jsonInteger } from '../int64.ts'
import { DecodeError } from './decode-error.ts'
import { NESTING_MAX } from './json.ts'

export const VARINT = 0
export const FIXED64 = 1
export const LENGTH_DELIMITED = 2
export const FIXED32 = 5

/**
 * Fills a buffer from its end, so that the length of a nested message is known when its prefix is written.
 * Fields are therefore written in falling order of their numbers.
 */
export class ReverseWriter {
  private buffer = Buffer.allocUnsafe(1024)
  private start = this.buffer.length

  /** Bytes written so far. */
  get length(): number {
    return this.buffer.length - this.start
  }

  finish(): Buffer {
    return this.buffer.subarray(this.start)
  }

  private reserve(count: number): number {
    if (count > this.start) {
      const size = Math.max(this.buffer.length * 2, this.length + count)
      const grown = Buffer.allocUnsafe(size)
      this.buffer.copy(grown, size - this.length, this.start)
      this.start = size - this.length
      this.buffer = grown
    }
    this.start -= count
    return this.start
  }

  byte(value: number): void {
    const at = this.reserve(1)
    this.buffer[at] = value
  }

  /** An integer of at most 64 bits; a negative one takes ten bytes, as in any 64-bit field. */
  varint(value: JsonNumber): void {
    if (typeof value === 'bigint' || value < 0) {
      this.bigVarint(BigInt.asUintN(64, BigInt(value)))
      return
    }
    let size = 1
    for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) size++
    let at = this.reserve(size)
    let rest = value
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) this.buffer[at++] = (rest % 0x80) | 0x80
    this.buffer[at] = rest
  }

  private bigVarint(value: bigint): void {
    const bytes: number[] = []
    let rest = value
    for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80)
    bytes.push(Number(rest))
    this.raw(Uint8Array.from(bytes))
  }

  double(value: number): void {
    const at = this.reserve(8)
    this.buffer.writeDoubleLE(value, at)
  }

  raw(bytes: Uint8Array): void {
    const at = this.reserve(bytes.length)
    this.buffer.set(bytes, at)
  }

  text(value: string): void {
    const size = Buffer.byteLength(value)
    const at = this.reserve(size)
    this.buffer.write(value, at, size)
  }

  tag(field: number, wireType: number): void {
    this.varint(field * 8 + wireType)
  }

  /** Prefixes what was written since `mark` (an earlier `length`) with its size and a tag. */
  close(field: number, mark: number): void {
    this.varint(this.length - mark)
    this.tag(field, LENGTH_DELIMITED)
  }
}

/** Reads one message's fields. Throws DecodeError with the words of Go's generated code. */
export class Reader {
  private at: number
  private readonly bytes: Buffer
  private readonly end: number
  private readonly depth: number

  constructor(bytes: Buffer, start = 0, end = bytes.length, depth = 0) {
    this.bytes = bytes
    this.at = start
    this.end = end
    this.depth = depth
  }

  get done(): boolean {
    return this.at >= this.end
  }

  tag(): { field: number; wireType: number } {
    const tag = this.varint()
    const field = Math.floor(tag / 8)
    if (field <= 0) throw new DecodeError(`proto: illegal tag ${field} (wire type ${tag % 8})`)
    return { field, wireType: tag % 8 }
  }

  /** An unsigned varint, exact up to 2^53 and rounded above: `int` is exact. */
  varint(): number {
    let value = 0
    let scale = 1
    for (let i = 0; i < 10; i++, scale *= 0x80) {
      const byte = this.byte()
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value
    }
    throw new DecodeError('proto: integer overflow')
  }

  /** A signed integer of 64 bits. Throws DecodeError for more. */
  int(): JsonNumber {
    let value = 0n
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.byte()
      value |= BigInt(byte & 0x7f) << shift
      if (byte >= 0x80) continue
      return jsonInteger(BigInt.asIntN(64, value))
    }
    throw new DecodeError('proto: integer overflow')
  }

  double(): number {
    const at = this.take(8)
    return this.bytes.readDoubleLE(at)
  }

  bytesValue(): Buffer {
    const size = this.varint()
    const at = this.take(size)
    return this.bytes.subarray(at, at + size)
  }

  text(): string {
    return this.bytesValue().toString()
  }

  message(): Reader {
    if (this.depth >= NESTING_MAX) throw new DecodeError('proto: exceeded max depth')
    const size = this.varint()
    const at = this.take(size)
    return new Reader(this.bytes, at, at + size, this.depth + 1)
  }

  skip(wireType: number): void {
    if (wireType === VARINT) this.varint()
    else if (wireType === FIXED64) this.take(8)
    else if (wireType === LENGTH_DELIMITED) this.take(this.varint())
    else if (wireType === FIXED32) this.take(4)
    else throw new DecodeError(`proto: illegal wireType ${wireType}`)
  }

  private byte(): number {
    return this.bytes[this.take(1)] ?? 0
  }

  private take(size: number): number {
    const at = this.at
    if (size > this.end - at) throw new DecodeError('unexpected EOF')
    this.at += size
    return at
  }
}
