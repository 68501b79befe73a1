// Property names as expressions spell them: `my-field` becomes `my__dash__field`.
// Called by declaration.ts and schema-value.ts. Ref: apiserver/pkg/cel/escaping.go

/** CEL's reserved words as Kubernetes lists them. */
const RESERVED: ReadonlySet<string> = new Set(
  (
    'true false null in as break const continue else for function if import let loop package ' +
    'namespace return var void while'
  ).split(' '),
)
const ESCAPES: Readonly<Record<string, string>> = {
  __: '__underscores__',
  '.': '__dot__',
  '-': '__dash__',
  '/': '__slash__',
}
const UNESCAPES: Readonly<Record<string, string>> = {
  underscores: '__',
  dot: '.',
  dash: '-',
  slash: '/',
}

/** The identifier of a property, or undefined when it can not be named in an expression. */
export function escapeFieldName(name: string): string | undefined {
  if (RESERVED.has(name)) return `__${name}__`
  if (!/^[A-Za-z_.\-/][A-Za-z0-9_.\-/]*$/.test(name)) return undefined
  if (!/__|[-./]/.test(name)) return name
  return name.replace(/__|[-./]/g, part => ESCAPES[part] as string)
}

/** The property an identifier stands for, or undefined when it holds an unknown escape. */
export function unescapeFieldName(identifier: string): string | undefined {
  if (!identifier.includes('__')) return identifier
  let valid = true
  const name = identifier.replace(/__[^_]+__/g, escaped => {
    const word = escaped.slice(2, -2)
    const plain = UNESCAPES[word]
    if (plain !== undefined) return plain
    if (!RESERVED.has(word) || escaped.length !== identifier.length) valid = false
    return word
  })
  return valid ? name : undefined
}
