// The messages of an OpenAPI v2 document, as data: each field in the order of its number, which begins with 1.
// Called by openapi-v2-protobuf.ts. Ref: gnostic-models/openapiv2/OpenAPIv2.proto

import { isObject, type JsonObject, type JsonValue } from '../json.ts'

/**
 * KEY:TYPE for a field, where `[]TYPE` repeats. A key with a star stands for every key with that
 * prefix and no row of its own; each becomes a pair of its name and its value.
 */
const ROWS: Readonly<Record<string, string>> = {
  Document: `swagger:string info:Info host:string basePath:string schemes:[]string
    consumes:[]string produces:[]string paths:Paths definitions:Definitions
    parameters:ParameterDefinitions responses:ResponseDefinitions security:[]SecurityRequirement
    securityDefinitions:SecurityDefinitions tags:[]Tag externalDocs:ExternalDocs x-*:Any`,
  Info: `title:string version:string description:string termsOfService:string contact:Contact
    license:License x-*:Any`,
  Contact: 'name:string url:string email:string x-*:Any',
  License: 'name:string url:string x-*:Any',
  Tag: 'name:string description:string externalDocs:ExternalDocs x-*:Any',
  ExternalDocs: 'description:string url:string x-*:Any',
  Paths: 'x-*:Any /*:PathItem',
  PathItem: `$ref:string get:Operation put:Operation post:Operation delete:Operation
    options:Operation head:Operation patch:Operation parameters:[]ParametersItem x-*:Any`,
  Operation: `tags:[]string summary:string description:string externalDocs:ExternalDocs
    operationId:string produces:[]string consumes:[]string parameters:[]ParametersItem
    responses:Responses schemes:[]string deprecated:bool security:[]SecurityRequirement x-*:Any`,
  ParameterDefinitions: '*:Parameter',
  BodyParameter: 'description:string name:string in:string required:bool schema:Schema x-*:Any',
  HeaderParameter: parameterRow(''),
  FormDataParameter: parameterRow('allowEmptyValue:bool'),
  QueryParameter: parameterRow('allowEmptyValue:bool'),
  PathParameter: parameterRow(''),
  PrimitivesItems: `${typeRow()} x-*:Any`,
  ResponseDefinitions: '*:Response',
  Responses: '*:ResponseValue x-*:Any',
  Response: 'description:string schema:SchemaItem headers:Headers examples:Examples x-*:Any',
  Headers: '*:Header',
  Header: `${typeRow()} description:string x-*:Any`,
  Examples: '*:Any',
  JsonReference: '$ref:string description:string',
  Definitions: '*:Schema',
  Properties: '*:Schema',
  Schema: `$ref:string format:string title:string description:string default:Any
    multipleOf:double maximum:double exclusiveMaximum:bool minimum:double exclusiveMinimum:bool
    maxLength:int minLength:int pattern:string maxItems:int minItems:int uniqueItems:bool
    maxProperties:int minProperties:int required:[]string enum:[]Any
    additionalProperties:AdditionalPropertiesItem type:Strings items:ItemsItem allOf:[]Schema
    properties:Properties discriminator:string readOnly:bool xml:Xml externalDocs:ExternalDocs
    example:Any x-*:Any`,
  Xml: 'name:string namespace:string prefix:string attribute:bool wrapped:bool x-*:Any',
  SecurityDefinitions: '*:SecurityDefinitionsItem',
  SecurityRequirement: '*:Strings',
  BasicAuthenticationSecurity: 'type:string description:string x-*:Any',
  ApiKeySecurity: 'type:string name:string in:string description:string x-*:Any',
}

function typeRow(): string {
  return `type:string format:string items:PrimitivesItems collectionFormat:string default:Any
    maximum:double exclusiveMaximum:bool minimum:double exclusiveMinimum:bool maxLength:int
    minLength:int pattern:string maxItems:int minItems:int uniqueItems:bool enum:[]Any
    multipleOf:double`
}

function parameterRow(own: string): string {
  return `required:bool in:string description:string name:string ${own} ${typeRow()} x-*:Any`
}

/** Which of a union's members a value is, by the member's number and type. */
type Choice = readonly [number: number, type: string]

const isReference = (value: JsonValue): boolean => isObject(value) && value.$ref !== undefined
const NON_BODY: Readonly<Record<string, Choice>> = {
  header: [1, 'HeaderParameter'],
  formData: [2, 'FormDataParameter'],
  query: [3, 'QueryParameter'],
  path: [4, 'PathParameter'],
}
const placeOf = (value: JsonValue): string => (isObject(value) ? String(value.in) : '')

const UNIONS: Readonly<Record<string, (value: JsonValue) => Choice>> = {
  AdditionalPropertiesItem: value => (isObject(value) ? [1, 'Schema'] : [2, 'bool']),
  ItemsItem: () => [1, '[]Schema'],
  NonBodyParameter: value => NON_BODY[placeOf(value)] ?? [3, 'QueryParameter'],
  Parameter: value => (placeOf(value) === 'body' ? [1, 'BodyParameter'] : [2, 'NonBodyParameter']),
  ParametersItem: value => (isReference(value) ? [2, 'JsonReference'] : [1, 'Parameter']),
  ResponseValue: value => (isReference(value) ? [2, 'JsonReference'] : [1, 'Response']),
  SchemaItem: () => [1, 'Schema'],
  SecurityDefinitionsItem: value =>
    isObject(value) && value.type === 'basic'
      ? [1, 'BasicAuthenticationSecurity']
      : [2, 'ApiKeySecurity'],
  Strings: () => [1, '[]string'],
}

export interface MessageField {
  readonly number: number
  /** The key, or the prefix of keys. */
  readonly key: string
  readonly type: string
  readonly isPrefix: boolean
}

/** A message's fields, last first. */
export type Message = readonly MessageField[]

const messages = new Map<string, Message>()

/** The message of this name, undefined where it is a union's or a scalar's. */
export function messageOf(name: string): Message | undefined {
  const known = messages.get(name)
  const row = ROWS[name]
  if (known !== undefined || row === undefined) return known
  const made = row.split(/\s+/).map((text, index): MessageField => {
    const [key = '', type = ''] = text.split(':')
    const isPrefix = key.endsWith('*')
    return { number: index + 1, key: isPrefix ? key.slice(0, -1) : key, type, isPrefix }
  })
  messages.set(name, made.reverse())
  return made
}

/** The keys of an object that a field of many holds: no other field has them, or a longer prefix. */
export function keysUnder(message: Message, field: MessageField, value: JsonObject): string[] {
  const holds = (key: string, { isPrefix, key: own }: MessageField): boolean =>
    isPrefix ? key.startsWith(own) && own.length >= field.key.length : key === own
  return Object.keys(value).filter(
    key =>
      key.startsWith(field.key) && !message.some(other => other !== field && holds(key, other)),
  )
}

/** The member of the union of this name that a value is, undefined where the name is no union's. */
export function memberOf(name: string, value: JsonValue): Choice | undefined {
  return UNIONS[name]?.(value)
}
