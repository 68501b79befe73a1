// Label and field selectors: grammar, matching, and the sentences clients see (as recorded from kube-apiserver).
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  checkFieldLabels,
  escapeFieldValue,
  formatLabelSelector,
  labelSelectorFromObject,
  parseFieldSelector,
  parseLabelSelector,
  StatusError,
  validateLabelSelector,
} from './index.ts'

const OBJECTS: Record<string, Record<string, string>> = {
  a: { t: 's', tier: 'web', env: 'dev' },
  b: { t: 's', tier: 'web', env: 'prod' },
  c: { t: 's', tier: 'db', env: 'prod', size: '10' },
  d: { t: 's', canary: '' },
}
const select = (text: string): string => {
  const selector = parseLabelSelector(text)
  return Object.keys(OBJECTS)
    .filter(name => selector.matches(OBJECTS[name]))
    .join('')
}
const refusal = (run: () => unknown): string => {
  try {
    run()
  } catch (error) {
    assert.ok(error instanceof StatusError)
    assert.equal(error.code, 400)
    assert.equal(error.body.reason, 'BadRequest')
    return error.message
  }
  return assert.fail('was accepted')
}

test('parseLabelSelector() selects by every operator', () => {
  const cases: Record<string, string> = {
    't=s,tier=web': 'ab',
    'tier==db': 'c',
    't=s,tier!=web': 'cd',
    't=s,env in (dev, prod)': 'abc',
    'env notin (dev)': 'bcd',
    canary: 'd',
    '!tier': 'd',
    ' ! tier , t': 'd',
    'canary=': 'd',
    'canary in ()': 'd',
    'canary in (x,)': 'd',
    'tier=web,tier=db': '',
    'size>9': 'c',
    'size<10': '',
    'tier>1': '',
    'in in (in)': '',
    '': 'abcd',
  }
  for (const [text, names] of Object.entries(cases)) assert.equal(select(text), names, text)
})

test('parseLabelSelector() answers 400 with the sentence of the reference', () => {
  const cases: Record<string, string> = {
    'tier ~ web': "unable to parse requirement: found '~', expected: in, notin, =, ==, !=, gt, lt",
    'tier=a b!': "found 'b', expected: ',' or 'end of string'",
    'env in (dev': "unable to parse requirement: found '', expected: ',' or ')'",
    '-bad=x':
      "unable to parse requirement: <nil>: Invalid value: \"-bad\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
    '=x': "found '=', expected: !, identifier, or 'end of string'",
    'a,': "found '', expected: identifier after ','",
    '!': "unable to parse requirement: found '', expected: identifier",
    '!a=b': "found '=', expected: ',' or 'end of string'",
    'a in b': "unable to parse requirement: found 'b' expected: '('",
    'a in (b c)': "unable to parse requirement: found 'c', expected: ',' or ')'",
    'a==(': "unable to parse requirement: found '(', expected: identifier",
    'a>x':
      "unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators, the value must be an integer",
  }
  for (const [text, message] of Object.entries(cases)) {
    assert.equal(
      refusal(() => parseLabelSelector(text)),
      message,
      text,
    )
  }
})

test('a label selector survives formatting and parsing', () => {
  const word = fc.stringMatching(/^[a-z][a-z0-9]{0,5}$/)
  const requirement = fc.oneof(
    word,
    word.map(key => `!${key}`),
    fc.tuple(word, fc.constantFrom('=', '==', '!='), word).map(parts => parts.join('')),
    fc
      .tuple(word, fc.constantFrom('in', 'notin'), fc.array(word, { minLength: 1, maxLength: 3 }))
      .map(([key, operator, values]) => `${key} ${operator} (${values.join(', ')})`),
  )
  fc.assert(
    fc.property(fc.array(requirement, { maxLength: 4 }), parts => {
      const selector = parseLabelSelector(parts.join(' , '))
      const again = parseLabelSelector(formatLabelSelector(selector))
      assert.deepEqual(again.requirements, selector.requirements)
    }),
  )
})

test('parseLabelSelector() ends on any text, with a selector or a 400', () => {
  const noise = fc.string({ unit: fc.constantFrom(...'ab,=!()<> in\0', 'notin', 'in') })
  fc.assert(
    fc.property(noise, text => {
      try {
        parseLabelSelector(text)
      } catch (error) {
        assert.ok(error instanceof StatusError, String(error))
      }
    }),
  )
})

test('labelSelectorFromObject() joins labels and expressions; absent selects nothing', () => {
  const selector = labelSelectorFromObject({
    matchLabels: { tier: 'web' },
    matchExpressions: [{ key: 'env', operator: 'NotIn', values: ['dev'] }],
  })
  assert.equal(selector.matches(OBJECTS.a), false)
  assert.equal(selector.matches(OBJECTS.b), true)
  assert.equal(labelSelectorFromObject(undefined).matches({}), false)
  assert.equal(labelSelectorFromObject({}).matches({}), true)
  assert.equal(
    refusal(() => labelSelectorFromObject({ matchExpressions: [{ key: 'a', operator: 'Like' }] })),
    '"Like" is not a valid label selector operator',
  )
})

test('validateLabelSelector() names each wrong part', () => {
  const errors = validateLabelSelector(
    {
      matchLabels: { a: 'x y' },
      matchExpressions: [
        { key: 'k', operator: 'In' },
        { key: 'k', operator: 'Exists', values: ['x'] },
        { key: '', operator: 'Like' },
      ],
    },
    'spec.selector',
  )
  assert.deepEqual(
    errors.map(error => `${error.type} ${error.field}`),
    [
      'FieldValueInvalid spec.selector.matchLabels',
      'FieldValueRequired spec.selector.matchExpressions[0].values',
      'FieldValueForbidden spec.selector.matchExpressions[1].values',
      'FieldValueInvalid spec.selector.matchExpressions[2].operator',
      'FieldValueInvalid spec.selector.matchExpressions[2].key',
      'FieldValueInvalid spec.selector.matchExpressions[2].key',
    ],
  )
})

test('parseFieldSelector() reads operators and escapes', () => {
  assert.deepEqual(parseFieldSelector('type==b\\,c,metadata.name!=a\\=b,').requirements, [
    { field: 'metadata.name', op: '!=', value: 'a=b' },
    { field: 'type', op: '=', value: 'b,c' },
  ])
  const selector = parseFieldSelector('type=,metadata.name!=two')
  assert.equal(
    selector.matches(field => (field === 'metadata.name' ? 'one' : undefined)),
    true,
  )
  assert.equal(
    selector.matches(() => 'two'),
    false,
  )
})

test('parseFieldSelector() answers 400 with the sentence of the reference', () => {
  const cases: Record<string, string> = {
    'metadata.name': "invalid selector: 'metadata.name'; can't understand 'metadata.name'",
    'metadata.name in (a)':
      "invalid selector: 'metadata.name in (a)'; can't understand 'metadata.name in (a)'",
    'a=b=c': 'invalid field selector: unescaped character in value: 61',
    'a=b\\x': 'invalid field selector: invalid escape sequence: \\x',
    'a=b\\': 'invalid field selector: invalid escape sequence: \\',
  }
  for (const [text, message] of Object.entries(cases)) {
    assert.equal(
      refusal(() => parseFieldSelector(text)),
      message,
      text,
    )
  }
})

test('an escaped field value reads back as it was', () => {
  fc.assert(
    fc.property(fc.string(), value => {
      const { requirements } = parseFieldSelector(`f=${escapeFieldValue(value)}`)
      assert.deepEqual(requirements, [{ field: 'f', op: '=', value }])
    }),
  )
})

test('checkFieldLabels() refuses unknown fields in the words of the kind', () => {
  const data = parseFieldSelector('data=x')
  assert.equal(
    refusal(() => checkFieldLabels(data, new Map())),
    '"data" is not a known field selector: only "metadata.name", "metadata.namespace"',
  )
  assert.equal(
    refusal(() => checkFieldLabels(data, new Set(['type']))),
    'field label not supported: data',
  )
  checkFieldLabels(parseFieldSelector('metadata.name=a,type=b'), new Set(['type']))
  const namespace = parseFieldSelector('metadata.namespace=a')
  checkFieldLabels(namespace, new Map(), { namespaced: true })
  for (const selector of [data, namespace]) {
    assert.match(
      refusal(() => checkFieldLabels(selector, new Map(), { namespaced: false })) ?? '',
      /^field label not supported: (data|metadata\.namespace)$/,
    )
  }
})
