/** `event-spine/testing`: the test kit. No logic here. */
export { crashEverywhere, type CrashReport, type OpenTestSpine, type Scenario } from './crash-everywhere.ts'
export { testSpine, type TestSpine, type TestSpineOptions } from './test-spine.ts'
export { VIRTUAL_START_MS, VirtualClock } from './virtual-clock.ts'

// For those who simulate several processes
export { type AppendFault, type EnginePlan, SimulatedEngine, SimulatedLog } from './simulated-log.ts'
export { type ProcessOptions, SimulatedProcess } from './simulated-process.ts'
