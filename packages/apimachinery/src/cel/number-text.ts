// Doubles as Go prints them. Called by conversions and string formatting.

/** Go's %g with the shortest digits: an exponent from 1e+21 up and below 1e-4. */
export function printDouble(value: number): string {
  if (Number.isNaN(value)) return 'NaN'
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf'
  if (Object.is(value, -0)) return '-0'
  const [digits, power] = value.toExponential().split('e') as [string, string]
  const exponent = Number(power)
  if (value !== 0 && (exponent < -4 || exponent >= 21)) return `${digits}e${goExponent(exponent)}`
  return String(value)
}

/** At least two digits and always a sign. */
function goExponent(exponent: number): string {
  const size = String(Math.abs(exponent)).padStart(2, '0')
  return `${exponent < 0 ? '-' : '+'}${size}`
}

/**
 * A fixed number of decimals, halves to even as Go rounds them; the exact value counts, not its
 * short form.
 */
export function printFixed(value: number, decimals: number): string {
  const size = Math.abs(value)
  const sign = value < 0 || Object.is(value, -0) ? '-' : ''
  if (size >= 1e21) return `${sign}${BigInt(size)}${decimals > 0 ? `.${'0'.repeat(decimals)}` : ''}`
  const rounded = size.toFixed(decimals)
  const exact = size.toFixed(Math.min(100, decimals + 40))
  const cut = decimals === 0 ? exact.indexOf('.') : exact.indexOf('.') + 1 + decimals
  const isHalf = /^\.?50*$/.test(exact.slice(cut))
  const down = exact.slice(0, cut)
  return `${sign}${isHalf && /[02468]$/.test(down) ? down : rounded}`
}
