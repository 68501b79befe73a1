// parseYaml() against what sigs.k8s.io/yaml makes of the same text.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { cloneJson, type JsonObject } from '../json.ts'
import { DecodeError } from './decode-error.ts'
import { encodeYaml, parseYaml } from './yaml.ts'

const read = (text: string) => parseYaml(text, { strict: true })
const errorOf = (text: string): string => {
  try {
    read(text)
  } catch (error) {
    assert.ok(error instanceof DecodeError, String(error))
    return error.message
  }
  return 'no error'
}

const VALUES: [text: string, value: unknown][] = [
  ['a: y\nb: off\nc: "yes"\nd: !!str no', { a: true, b: false, c: 'yes', d: 'no' }],
  ['on: 1\n2: x\nfalse: z\n1.5: f', { true: 1, 2: 'x', false: 'z', 1.5: 'f' }],
  [
    'a: 0777\nb: 0x1F\nc: 0b101\nd: 1_000\ne: 08\nf: -1',
    { a: 511, b: 31, c: 5, d: 1000, e: 8, f: -1 },
  ],
  ['a: 1e3\nb: .5\nc: 1.\nd: 1e400\ne: 1:30', { a: 1000, b: 0.5, c: 1, d: '1e400', e: '1:30' }],
  ['a: 2024-01-02\nb: 2024-01-02T03:04:05Z', { a: '2024-01-02', b: '2024-01-02T03:04:05Z' }],
  ['a: ~\nb:\nc: null\nd: ""', { a: null, b: null, c: null, d: '' }],
  ['a: !!binary aGk=\nb: !custom x\nc: !!float 3', { a: 'hi', b: 'x', c: 3 }],
  [
    'x: &a {p: 1, q: 2}\nw: {<<: *a, q: 3}\nz: *a',
    { x: { p: 1, q: 2 }, w: { p: 1, q: 3 }, z: { p: 1, q: 2 } },
  ],
  [
    'l: &l {a: 1}\nm: &m {a: 2, b: 2}\no: {<<: [*l, *m]}',
    { l: { a: 1 }, m: { a: 2, b: 2 }, o: { a: 1, b: 2 } },
  ],
  ['# c\n---\na: 1\n---\n{ not yaml', { a: 1 }],
  ['a: 1\n...\n]', { a: 1 }],
  ['', null],
  ['---\n', null],
  ['{"a": [1, "x", true, null], "b": {}}', { a: [1, 'x', true, null], b: {} }],
  ['__proto__: {x: 1}', JSON.parse('{"__proto__": {"x": 1}}')],
]

test('parseYaml() reads YAML 1.1 as go-yaml v2 does', () => {
  for (const [text, value] of VALUES) assert.deepEqual(read(text).value, value, text)
})

const ERRORS: [text: string, message: string][] = [
  [
    'apiVersion: v1\n kind: [ConfigMap',
    'yaml: line 2: mapping values are not allowed in this context',
  ],
  ['a: *nope', "yaml: unknown anchor 'nope' referenced"],
  ['a: &x [*x]', "yaml: anchor 'x' value contains itself"],
  ['a: .inf', 'json: unsupported value: inf'],
  ['? [a]\n: 1', 'yaml: invalid map key'],
  ['a: !!int x', 'yaml: cannot decode !!str `x` as a !!int'],
  ['a: {<<: 1}', 'yaml: map merge requires map or sequence of maps as the value'],
]

test('parseYaml() words errors as go-yaml does', () => {
  for (const [text, message] of ERRORS) assert.equal(errorOf(text), message, text)
})

test('parseYaml() reports duplicate keys with their line, and keeps the last', () => {
  const { value, yamlError } = read('data:\n  a: 1\n  b: 2\n  b: 3\n  a: 4\n')
  assert.deepEqual(value, { data: { a: 4, b: 3 } })
  assert.equal(
    yamlError,
    'yaml: unmarshal errors:\n  line 4: key "b" already set in map\n  line 5: key "a" already set in map',
  )
  assert.equal(parseYaml('a: 1\na: 2', { strict: false }).yamlError, undefined)
})

test('parseYaml() refuses aliases that multiply a document', () => {
  const lines = ['l0: &l0 [x, x, x, x, x, x, x, x, x, x]']
  for (let i = 1; i < 9; i++) {
    lines.push(`l${i}: &l${i} [${Array.from({ length: 10 }, () => `*l${i - 1}`).join(', ')}]`)
  }
  assert.equal(errorOf(lines.join('\n')), 'yaml: document contains excessive aliasing')
})

test('parseYaml() keeps int64, and makes floats of larger integers', () => {
  const text = '[9007199254740993, -0x8000000000000000, 9223372036854775808, 18446744073709551616]'
  assert.deepEqual(read(text).value, [9007199254740993n, -(2n ** 63n), 2 ** 63, 2 ** 64])
  // A float becomes JSON on its way, where it is an integer like any other.
  assert.deepEqual(read('[1e18, 1.0, 1e400]').value, [1000000000000000000n, 1, '1e400'])
})

test('encodeYaml() writes numbers as go-yaml does', () => {
  const numbers = [9007199254740993n, 2 ** 63, -(2 ** 63), 2 ** 64, 1e21, 1234567.5, 0.5, -3]
  assert.equal(
    encodeYaml({ numbers }),
    'numbers:\n- 9007199254740993\n- 9223372036854776000\n- -9.223372036854776e+18\n- 1.8446744073709552e+19\n- 1e+21\n- 1.2345675e+06\n- 0.5\n- -3\n',
  )
})

test('encodeYaml() sorts keys, keeps lists at the level of their key and quotes what would change', () => {
  const text = encodeYaml({ kind: 'K', apiVersion: 'v1', l: [{ b: 'yes', a: '1' }], s: 'a\nb\n' })
  assert.equal(text, 'apiVersion: v1\nkind: K\nl:\n- a: "1"\n  b: "yes"\ns: |\n  a\n  b\n')
})

test('what encodeYaml() writes reads back the same', () => {
  const key = fc.string({ unit: 'grapheme', maxLength: 6 })
  const leaf = fc.oneof(
    fc.string({ unit: 'grapheme' }),
    fc.boolean(),
    fc.constant(null),
    fc.integer(),
  )
  const tree = fc.letrec(tie => ({
    node: fc.oneof(
      { depthSize: 'small' },
      leaf,
      fc.array(tie('node'), { maxLength: 4 }),
      fc.dictionary(key, tie('node'), { maxKeys: 4 }),
    ),
  })).node
  fc.assert(
    fc.property(fc.dictionary(key, tree, { maxKeys: 4 }), value => {
      const obj = cloneJson(value as JsonObject)
      assert.deepEqual(read(encodeYaml(obj)).value, obj)
    }),
  )
})

test('keys come in order, whatever the order in the text', () => {
  const { value } = read('b: 1\nc: {z: 1, x: 2}\na: 0')
  assert.equal(JSON.stringify(value), '{"a":0,"b":1,"c":{"x":2,"z":1}}')
})
