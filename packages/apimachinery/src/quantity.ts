// resource.Quantity: "100m", "1.5Gi", "12e6". Exact decimals, never floats.
// Called by the built-in codec (canonical form), strategies (comparison) and CEL's quantity library.
// Ref: apimachinery/pkg/api/resource/quantity.go

export type QuantityFormat = 'DecimalExponent' | 'DecimalSI' | 'BinarySI'

/** unscaled * 10^scale, and the family of suffixes it is printed with. */
export interface Quantity {
  readonly unscaled: bigint
  readonly scale: number
  readonly format: QuantityFormat
}

export type ParsedQuantity =
  | { readonly ok: true; readonly quantity: Quantity; readonly text: string }
  | { readonly ok: false; readonly error: string }

const WRONG_FORMAT =
  "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
const BAD_SUFFIX = "unable to parse quantity's suffix"
const NANO = -9
const BINARY_MAX = 2n ** 63n - 1n

const DECIMAL_SUFFIXES: ReadonlyMap<string, number> = new Map([
  ['n', -9],
  ['u', -6],
  ['m', -3],
  ['', 0],
  ['k', 3],
  ['M', 6],
  ['G', 9],
  ['T', 12],
  ['P', 15],
  ['E', 18],
])
const BINARY_SUFFIXES: ReadonlyMap<string, number> = new Map([
  ['Ki', 10],
  ['Mi', 20],
  ['Gi', 30],
  ['Ti', 40],
  ['Pi', 50],
  ['Ei', 60],
])
const invert = (suffixes: ReadonlyMap<string, number>) =>
  new Map([...suffixes].map(([suffix, exponent]) => [exponent, suffix]))
const DECIMAL_SUFFIX_OF = invert(DECIMAL_SUFFIXES)
const BINARY_SUFFIX_OF = invert(BINARY_SUFFIXES)

interface Suffix {
  readonly base: 2 | 10
  readonly exponent: number
  readonly format: QuantityFormat
}

function interpretSuffix(suffix: string): Suffix | undefined {
  const decimal = DECIMAL_SUFFIXES.get(suffix)
  if (decimal !== undefined) return { base: 10, exponent: decimal, format: 'DecimalSI' }
  const binary = BINARY_SUFFIXES.get(suffix)
  if (binary !== undefined) return { base: 2, exponent: binary, format: 'BinarySI' }
  if (!/^[eE][-+]?[0-9]+$/.test(suffix)) return undefined
  const exponent = Number(suffix.slice(1))
  // Beyond any number that can be meant; refusing keeps the big integer small.
  return Math.abs(exponent) <= 10_000
    ? { base: 10, exponent, format: 'DecimalExponent' }
    : undefined
}

/**
 * Reads a quantity. `text` of the result is what upstream writes back: the input itself where it counts as canonical,
 * the canonical form otherwise.
 */
export function parseQuantity(input: string): ParsedQuantity {
  if (input === '') return { ok: false, error: WRONG_FORMAT }
  const parts = /^([+-]?)0*([0-9]*)(?:\.([0-9]*))?([eEinumkKMGTP]*[-+]?[0-9]*)$/.exec(input)
  if (parts === null) return { ok: false, error: WRONG_FORMAT }
  const [, sign = '', whole = '', fraction = '', suffixText = ''] = parts
  const suffix = interpretSuffix(suffixText)
  if (suffix === undefined) return { ok: false, error: BAD_SUFFIX }
  const digits = BigInt((whole === '' ? '0' : whole) + fraction)
  const exact = exactQuantity(digits, fraction.length, suffix, sign === '-')
  const canonical = formatQuantity(exact)
  const kept = digits !== 0n && keepsSpelling(whole === '' ? '0' : whole, fraction, digits, suffix)
  return { ok: true, quantity: exact, text: kept ? input : canonical }
}

function exactQuantity(
  digits: bigint,
  places: number,
  { base, exponent, format }: Suffix,
  negative: boolean,
): Quantity {
  let unscaled = base === 2 ? digits << BigInt(exponent) : digits
  let scale = (base === 10 ? exponent : 0) - places
  if (scale < NANO) {
    // Anything smaller than a nano is rounded away from zero.
    const divisor = 10n ** BigInt(NANO - scale)
    unscaled = (unscaled + divisor - 1n) / divisor
    scale = NANO
  }
  let printed = format
  if (format === 'BinarySI') {
    const unit = 10n ** BigInt(-scale)
    if (unscaled > BINARY_MAX * unit) {
      unscaled = BINARY_MAX
      scale = 0
    } else if (unscaled > 0n && unscaled < unit) printed = 'DecimalSI'
  }
  return { unscaled: negative ? -unscaled : unscaled, scale, format: printed }
}

/** Upstream's fast path keeps the text it read when that looks canonical enough; clients see that text. */
function keepsSpelling(
  whole: string,
  fraction: string,
  digits: bigint,
  { exponent, format }: Suffix,
): boolean {
  if (format === 'BinarySI') {
    if (fraction !== '' || 15 - whole.length - Math.trunc((exponent * 3) / 10) - 1 < 0) return false
    return digits << BigInt(exponent) <= BINARY_MAX && (digits & 7n) !== 0n
  }
  const scale = exponent - fraction.length
  if (18 - whole.length - fraction.length < 0 || scale < NANO) return false
  const shifted = whole + fraction
  return scale % 3 === 0 && !shifted.endsWith('000') && !shifted.startsWith('0')
}

/** The canonical form: no fraction, the largest suffix that loses nothing. */
export function formatQuantity(quantity: Quantity): string {
  if (quantity.unscaled === 0n) return '0'
  const whole = wholeValue(quantity)
  if (
    quantity.format === 'BinarySI' &&
    whole !== undefined &&
    (whole <= -1024n || whole >= 1024n)
  ) {
    let [amount, exponent] = [whole, 0]
    while (amount % 1024n === 0n && exponent < 60) {
      amount /= 1024n
      exponent += 10
    }
    return `${amount}${BINARY_SUFFIX_OF.get(exponent) ?? ''}`
  }
  let [amount, exponent] = [quantity.unscaled, quantity.scale]
  while (amount % 10n === 0n) {
    amount /= 10n
    exponent += 1
  }
  while (exponent % 3 !== 0) {
    amount *= 10n
    exponent -= 1
  }
  if (quantity.format === 'DecimalExponent') {
    return exponent === 0 ? `${amount}` : `${amount}e${exponent}`
  }
  return `${amount}${DECIMAL_SUFFIX_OF.get(exponent) ?? `e${exponent}`}`
}

function wholeValue({ unscaled, scale }: Quantity): bigint | undefined {
  if (scale >= 0) return unscaled * 10n ** BigInt(scale)
  const unit = 10n ** BigInt(-scale)
  return unscaled % unit === 0n ? unscaled / unit : undefined
}

/** What a server writes back for a quantity a client sent; undefined when it is none. */
export function canonicalQuantity(text: string): string | undefined {
  const parsed = parseQuantity(text)
  return parsed.ok ? parsed.text : undefined
}

function aligned(a: Quantity, b: Quantity): [bigint, bigint, number] {
  const scale = Math.min(a.scale, b.scale)
  const raise = ({ unscaled, scale: own }: Quantity) => unscaled * 10n ** BigInt(own - scale)
  return [raise(a), raise(b), scale]
}

/** Negative, zero or positive, as a sort wants it. */
export function compareQuantities(a: Quantity, b: Quantity): number {
  const [left, right] = aligned(a, b)
  return left < right ? -1 : left > right ? 1 : 0
}

/** The sum, printed like `a` unless that is zero. */
export function addQuantities(a: Quantity, b: Quantity): Quantity {
  const [left, right, scale] = aligned(a, b)
  return { unscaled: left + right, scale, format: a.unscaled === 0n ? b.format : a.format }
}

/** The difference, printed like `a` unless that is zero. */
export function subtractQuantities(a: Quantity, b: Quantity): Quantity {
  return addQuantities(a, { ...b, unscaled: -b.unscaled })
}

/** The value in units of 10^scale, rounded away from zero: `scaledQuantity(q, 0)` whole units, -3 thousandths. */
export function scaledQuantity({ unscaled, scale }: Quantity, target: number): bigint {
  if (scale >= target) return unscaled * 10n ** BigInt(scale - target)
  const divisor = 10n ** BigInt(target - scale)
  const magnitude = unscaled < 0n ? -unscaled : unscaled
  const rounded = (magnitude + divisor - 1n) / divisor
  return unscaled < 0n ? -rounded : rounded
}
