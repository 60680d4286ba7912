/**
 * Every bound of the library, with its unit and its reason. `docs/reference/limits.md` is generated from this table.
 * Names end in the unit; a bound on a count ends in `Max`.
 */
const limit = (value: number, unit: string, reason: string) => ({ value, unit, reason })

export const LIMIT_TABLE = {
  hopsMax: limit(32, 'hops', 'a causal chain that is longer is a loop'),
  repeatedCyclesMax: limit(
    3,
    'times',
    'in one causal chain that the same agent passes on the same work, with the same data, to the same target',
  ),
  callDepthMax: limit(16, 'calls', 'calls inside calls that are deeper are a loop'),
  commandsMax: limit(10_000, 'commands', 'journaled calls of one run, so that a replay stays short'),
  emitsMax: limit(256, 'events', 'events that one run may emit or one batch may publish atomically'),
  branchesMax: limit(256, 'branches', 'of one gather; wider work is split among agents'),
  payloadBytesMax: limit(256 * 1024, 'bytes', 'one event, input or reply; larger things go to a store, by reference'),
  matchBytesMax: limit(4 * 1024, 'bytes', 'what a wait compares events with; it is held in memory'),
  payloadDepthMax: limit(64, 'levels', 'JSON.stringify overflows the stack at about 10,000; nobody means more than 64'),
  stepResultBytesMax: limit(900 * 1024, 'bytes', 'one step result, the same on every engine'),
  commitBytesMax: limit(900 * 1024, 'bytes', 'one commit, the same on every engine (a message of NATS holds 1 MB)'),
  appendBytesMax: limit(256 * 1024 * 1024, 'bytes', 'appends that wait to be written; one more is refused'),
  ringBytes: limit(8 * 1024 * 1024, 'bytes', 'memory through which commits reach the writer of an SQLite log'),
  sessionBytesMax: limit(64 * 1024, 'bytes', 'the state of one session'),
  nameCharactersMax: limit(128, 'characters', 'names of agents, event types, steps'),
  idCharactersMax: limit(256, 'characters', 'sessions, keys, idempotency keys'),
  attemptsMax: limit(1_000, 'attempts', 'attempts of one delivery before it is dead'),
  crashesBesideOthersMax: limit(2, 'crashes', 'process deaths during a run before it gets a process to itself'),
  crashesAloneMax: limit(3, 'crashes', 'further process deaths, with nothing else running, before a run is dead'),
  generationsMax: limit(1_000, 'generations', 'how often one run may be started over'),
  preemptionsMax: limit(3, 'times', 'how often one run makes room for more urgent work; then it keeps its slot'),
  freshRestartsMax: limit(3, 'times', 'how often a newer turn starts one run over; then it is dead'),
  zombieRunsMax: limit(
    16,
    'runs',
    'of one agent that ignore the signal of their preemption; while there are so many, none makes room',
  ),
  defaultPoolRuns: limit(
    64,
    'runs',
    "handlers of the pool 'default' at once in one process, when createSpine says nothing",
  ),
  poolRunsMax: limit(10_000, 'runs', 'handlers of one pool at once in one process'),
  poolsMax: limit(64, 'pools', 'that createSpine takes'),
  oldestEveryStarts: limit(16, 'starts', 'of which one goes to the oldest work of the pool, whatever its class'),
  joinTypesMax: limit(32, 'types', 'event types of one join, or of one `after`'),
  suspendedRunsMax: limit(
    10_000,
    'runs',
    'suspended handlers that a process keeps; one that has waited longer is run again from its journal when it goes on',
  ),
  concurrencyMax: limit(10_000, 'runs', 'handlers of one agent at once in one process'),
  pendingCallsMax: limit(1_000_000, 'deliveries', "the most that an agent may set as its 'maxPending'"),
  breakerFailuresMax: limit(
    1_000,
    'failures',
    "the most that a breaker may set as its 'failures'; their times are kept",
  ),
  breakerCooldownMsMax: limit(
    10 * 60_000,
    'ms',
    'to which the cooldown of a breaker grows, unless its first one is longer',
  ),
  rateStartsMax: limit(10_000, 'starts', 'of one rate window; the times of these are kept for each key'),
  ratePerMsMax: limit(86_400_000, 'ms', 'of one rate window; its starts are kept for that long'),
  retryAfterMsMax: limit(86_400_000, 'ms', 'that a RetryAfter may ask for; more is taken as a day'),
  pendingInMemoryMax: limit(
    100_000,
    'deliveries',
    'open of one agent; what comes beyond waits on the log, and the agent is behind',
  ),
  routeRulesMax: limit(64, 'rules', 'of one route; a longer list is data, and belongs into a predicate'),
  stoppedStepMs: limit(5_000, 'ms', 'that a step has to end after its signal, while the next of its key waits'),
  readRecordsMax: limit(1_000, 'records', 'one page of a read'),
  commitIdWindow: limit(10_000, 'commits', 'how far back a repeated commit id is recognised after a reopen'),
  waitingRecordsMax: limit(
    20_000,
    'records',
    'kept in memory for deliveries that wait; others are read when their turn comes',
  ),
  waitingRecordsBytesMax: limit(64 * 1024 * 1024, 'bytes', 'of them; about, because memory is not measured'),
  recordCacheBytesEach: limit(8 * 1024, 'bytes', 'a recent record that is larger is kept only while work waits for it'),
  recordCacheRecords: limit(4_000, 'records', 'recent records kept in memory for dispatch'),
  sessionCacheSessions: limit(10_000, 'sessions', 'session states kept in memory; others are read from the log'),
  snapshotEveryRecords: limit(50_000, 'records', 'folded between two snapshots of the state, and at most at a start'),
  snapshotInlineMax: limit(2_000, 'deliveries', 'open work whose state is encoded without a thread: a few ms'),
  snapshotThreadEveryMs: limit(
    30_000,
    'ms',
    'between two snapshots of much open work, whose thread folds every record again',
  ),
  budgetUnitsMax: limit(16, 'units', 'of one budget or cost'),
  budgetLowPercent: limit(80, 'percent', 'of a unit of a budget: when so much is spent, a record says so'),
  errorCharactersMax: limit(2_000, 'characters', 'an error message or stack kept on the log'),
} as const

export type LimitName = keyof typeof LIMIT_TABLE

export const limits: { readonly [Name in LimitName]: number } = Object.fromEntries(
  Object.entries(LIMIT_TABLE).map(([name, entry]) => [name, entry.value]),
) as { [Name in LimitName]: number }
