// What `kubectl explain` says of the metadata that all objects have, built-in and custom. Read by openapi-schemas.ts.

import { isObject, type JsonObject } from '@podless/apimachinery'

const DESCRIPTIONS: Readonly<Record<string, string>> = {
  name: 'Unique among the objects of a kind in a namespace, or on the server for kinds that have none. It never changes.',
  generateName: 'What a name begins with that the server makes up, when a create gives no name.',
  namespace: 'Where the object lives; empty for kinds that live on the server as a whole.',
  selfLink: 'Was the URL of the object. The server does not fill it in.',
  uid: 'Given by the server: it tells this object from others that had or will have its name.',
  resourceVersion:
    'Changes with every write. Sent back with a change, it makes sure that nobody else wrote in between.',
  generation: 'Counts the changes of what is wanted, such as the spec. Given by the server.',
  creationTimestamp:
    'CreationTimestamp is a timestamp that the server gives when it stores the object for the first time.',
  deletionTimestamp:
    'When the object is to be gone. Given by the server once somebody deletes an object that others have to let go of first.',
  deletionGracePeriodSeconds: 'How long the object has to end by itself once it is deleted.',
  labels: 'Names and values to find objects by; selectors compare them.',
  annotations: 'Names and values for tools and people to keep things in; nothing selects by them.',
  ownerReferences: 'Objects this one belongs to. It is deleted when all of them are gone.',
  finalizers: 'Who has to finish something before a deleted object may go.',
  managedFields: 'Who wrote which fields. Kept by the server for server-side apply.',
}

/** A copy of the schema of ObjectMeta whose fields are described. */
export function withObjectMetaDescriptions(schema: JsonObject): JsonObject {
  const properties = isObject(schema.properties) ? schema.properties : {}
  const described = Object.entries(properties).map(([name, field]) => {
    const description = DESCRIPTIONS[name]
    return [name, description === undefined || !isObject(field) ? field : { ...field, description }]
  })
  return { ...schema, properties: Object.fromEntries(described) }
}
