import type { LogRecord, NewRecord } from '../../event/record.ts'
import { encodeOwn, type Json } from '../../kernel/json.ts'
import type { Commit, Engine } from '../engine.ts'
import type { Storage } from './index.ts'

/** A fresh log with an open engine on it, for the length of one test. */
export async function onFreshLog(
  create: () => Storage,
  test: (engine: Engine, storage: Storage) => Promise<void>,
): Promise<void> {
  const storage = create()
  const engine = storage.engine()
  try {
    await engine.open()
    await test(engine, storage)
  } finally {
    await engine.close()
    await storage.remove()
  }
}

/** Closes an engine and opens one on the same log. */
export async function reopened(engine: Engine, storage: Storage): Promise<Engine> {
  await engine.close()
  const next = storage.engine()
  await next.open()
  return next
}

export function record(data: Json, header: Partial<NewRecord> = {}): NewRecord {
  return {
    time: 1_000,
    type: 'thing.happened',
    session: 's',
    request: 'r',
    key: 's',
    cause: 0,
    hops: 0,
    ...header,
    data: encodeOwn(data),
  }
}

export function commit(id: string, count = 1, more: Partial<Commit> = {}): Commit {
  return { id, records: Array.from({ length: count }, (_, index) => record({ id, index })), ...more }
}

export async function everything(engine: Engine): Promise<readonly LogRecord[]> {
  const all: LogRecord[] = []
  for (;;) {
    const page = await engine.read({ after: all.at(-1)?.sequence ?? 0, limit: 100 })
    if (page.length === 0) return all
    all.push(...page)
  }
}
