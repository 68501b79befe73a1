// What tests of other packages may use of storage's test machinery.
export * from './faults.ts'
export * from './free-ports.ts'
export * from './manual-time.ts'
export * from './memory.ts'
export * from './model.ts'
export { PATIENT } from './patient.ts'
export * from './random.ts'
export * from './suite.ts'
