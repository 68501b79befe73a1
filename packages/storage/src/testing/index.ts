// What tests of other packages may use of storage's test machinery.
export * from './memory.ts'
