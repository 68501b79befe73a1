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
export function goExponent(exponent: number): string {
  const size = String(Math.abs(exponent)).padStart(2, '0')
  return `${exponent < 0 ? '-' : '+'}${size}`
}
