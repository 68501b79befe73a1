// How Go prints a float64 by %v. Called for numbers in messages and table cells; calls nothing.

/** The shortest digits that read back as the same number, with an exponent below 1e-4 and from 1e6 up. */
export function formatGoFloat(value: number): string {
  if (value === 0) return '0'
  const magnitude = Math.abs(value)
  if (magnitude >= 1e-4 && magnitude < 1e6) return String(value)
  const [mantissa = '', exponent = ''] = value.toExponential().split('e')
  return `${mantissa}e${exponent.charAt(0)}${exponent.slice(1).padStart(2, '0')}`
}
