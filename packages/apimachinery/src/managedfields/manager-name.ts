// The name a write goes by in managedFields. Called by the verbs; calls nothing. Ref:
// apiserver/pkg/endpoints/handlers/create.go managerOrUserAgent

const FIELD_MANAGER_BYTES_MAX = 128

/** The `fieldManager` parameter, or what stands before the first slash of the user agent. */
export function managerName(
  fieldManager: string | undefined,
  userAgent: string | undefined,
): string {
  if (fieldManager !== undefined && fieldManager !== '') return fieldManager
  const [product = ''] = (userAgent ?? '').split('/')
  let name = ''
  let bytes = 0
  for (const char of product) {
    if (!isPrintable(char)) continue
    bytes += Buffer.byteLength(char)
    if (bytes > FIELD_MANAGER_BYTES_MAX) break
    name += char
  }
  return name
}

/** Go's unicode.IsPrint: letters, marks, numbers, punctuation, symbols and the ASCII space. */
function isPrintable(char: string): boolean {
  return char === ' ' || /^[\p{L}\p{M}\p{N}\p{P}\p{S}]$/u.test(char)
}
